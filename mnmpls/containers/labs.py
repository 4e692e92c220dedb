"""Labs whose nodes are containers, this program's and those that Containerlab itself has deployed: found by the labels
that both give them, and joined in by the namespaces of their first processes."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..asking import RUN, logs
from ..checks import Finding
from ..checks.elsewhere import on_the_way
from ..checks.learned import with_learned
from ..checks.trace import Trace
from ..checks.views import World
from ..errors import CheckFailed, MnmplsError, nearest
from ..export.clab_hosts import HOST
from ..export.containerlab import IMAGE
from ..kernel import Namespace
from ..live.finding import About
from ..live.joining import Joined
from ..model import Lab
from ..netns import LabNodes
from ..node import NoSuchNode, RunningNode
from ..plan import complete
from ..processes import Folders, Processes
from ..registry import NotRunning
from ..sources import data, load
from ..state import Record
from ..vrf import in_vrf
from . import change, has_daemon
from .daemon import connected, refusals
from .entry import FOLDER, lab_file
from .far import Far, FarNamespace
from .own_kernel import INSIDE
from .space import NodeNamespace, wires_of
from .topology import MADE

RUNTIME = "docker"
LAB, NODE, FILE, NODE_FOLDER = "containerlab", "clab-node-name", "clab-topo-file", "clab-node-lab-dir"
"""Labels of each container: its lab's name, its node's, where the topology's text came from, and the folder that
Containerlab alone keeps for it."""
_TITLE = "org.opencontainers.image.title"
"""That of the image, which the container inherits."""
_PYTHON, PACKAGE = ("/usr/bin/python3",), "/usr/lib/python3/dist-packages/mnmpls"
"""In the image."""
_CLONE_NEWUTS = 0x04000000


@dataclass(frozen=True, slots=True)
class Found:
    """A container of a lab; ``pid`` is its first process on this machine, 0 while it is stopped."""

    lab: str
    node: str
    name: str
    pid: int
    since: float
    file: str
    health: str = ""
    """What docker says of it; empty where nobody has told docker how to find out."""
    started: float = 0.0
    is_containerlabs: bool = False
    """Made by Containerlab itself."""
    is_ours: bool = True
    """Of our image, which sets its node up. What others are, whoever wrote the topology sees to."""
    made: str = ""
    """A word for what it was made of (topology.py); empty for Containerlab's."""
    host: str = ""
    """The machine whose share of the lab it is of; empty for a lab that is whole on one."""

    def has(self, inside: str) -> bool:
        """Whether there is a file at ``inside`` that was written since it was started."""
        try:
            return os.stat(self.path(inside)).st_mtime >= self.started
        except OSError:
            return False

    def path(self, inside: str) -> str:
        """Of what it has at ``inside``."""
        return f"/proc/{self.pid}/root{inside}"


def found(client: Any, lab: str = "") -> tuple[Found, ...]:
    """All containers of labs, or those of one, running or not, in the order in which they were made."""
    label = f"{LAB}={lab}" if lab else LAB
    listed = client.api.containers(all=True, filters={"label": label})
    each = []
    for one in listed:
        with suppress(refusals().NotFound):  # taken away meanwhile
            each.append(_found(client.api.inspect_container(one["Id"])))
    return tuple(sorted((one for one in each if one.node), key=lambda one: one.since))


def _found(told: Mapping[str, Any]) -> Found:
    labels, state = told["Config"]["Labels"], told["State"]
    since, started = (
        datetime.fromisoformat(text[:19] + "+00:00").timestamp() for text in (told["Created"], state["StartedAt"])
    )
    health = state.get("Health", {}).get("Status", "")
    pid, name = state["Pid"] if state["Running"] else 0, told["Name"].lstrip("/")
    file, whose = labels.get(FILE, ""), (NODE_FOLDER in labels, labels.get(_TITLE) == IMAGE)
    made_of = labels.get(MADE, ""), labels.get(HOST, "")
    return Found(labels[LAB], labels.get(NODE, ""), name, pid, since, file, health, started, *whose, *made_of)


def labs() -> tuple[About, ...]:
    """All of them; none where no daemon answers."""
    if not has_daemon():
        return ()
    try:
        with connected() as client:
            each = found(client)
    except CheckFailed:
        return ()
    return tuple(_about([one for one in each if one.lab == name]) for name in dict.fromkeys(one.lab for one in each))


def _about(boxes: Sequence[Found]) -> About:
    first = boxes[0]
    off = tuple(sorted(one.node for one in boxes if not one.pid))
    kernel = f"{os.environ.get('MNMPLS_GUEST') or 'host'}, Linux {platform.release()}"
    return About(first.lab, kernel, 0, first.since, RUNTIME, first.file, len(boxes), off)


def boxes_of(client: Any, lab: str) -> dict[str, Found]:
    """Those of one lab by their nodes. Raises NotRunning."""
    each = found(client, lab)
    if not each:
        raise NotRunning(f"there is no running lab {lab!r}")
    return {one.node: one for one in each}


def lab_of(boxes: Mapping[str, Found]) -> Lab:
    """As its nodes have been given it, or else as the file says from which it was deployed. Raises LabError,
    CheckFailed."""
    name = next(iter(boxes.values())).lab
    with _entering(name):
        file, variables = _file_of(name, boxes.values())
    return replace(complete(load(file, variables)), name=name)


def _file_of(name: str, boxes: Iterable[Found]) -> tuple[str, Mapping[str, str]]:
    """With the environment that it is read in."""
    for one in boxes:
        with suppress(CheckFailed):  # it has none
            if one.pid:
                return file_inside(one), _variables(one.pid)
    for one in boxes:
        if os.path.exists(one.file):
            return one.file, os.environ
    raise CheckFailed(f"lab {name!r}: no running container has its topology in {FOLDER}, and its file is gone")


def file_inside(one: Found) -> str:
    """The lab that a running container was given. Raises CheckFailed for one without."""
    return str(lab_file(Path(one.path(str(FOLDER)))))


@contextmanager
def join(name: str) -> Iterator[Joined]:
    """Inside the block the lab's nodes can be used. Raises NotRunning, and MnmplsError without the right to."""
    with connected() as client:
        boxes = boxes_of(client, name)
    joined = Joined(name, [ContainerNodes(lab_of(boxes), boxes)])
    try:
        yield joined
    finally:
        joined.close()


@contextmanager
def node(lab: str, name: str) -> Iterator[RunningNode]:
    """One node, for commands in it. Raises NotRunning, NoSuchNode, and CheckFailed for one that is stopped."""
    with connected() as client:
        boxes = boxes_of(client, lab)
    one = box(lab, boxes, name)
    if not one.pid:
        raise CheckFailed(f"{name} of lab {lab!r} is turned off: `mnmpls start {lab} {name}` turns it on")
    with _entering(lab):
        opened = ContainerNode(one)
    yield opened
    opened.close()


def changed(one: Found, lab: Lab) -> Mapping[str, list[str]]:
    """The node made into what the completed ``lab`` says: what was removed and written. Raises CheckFailed with its
    words."""
    with _entering(lab.name):
        node = ContainerNode(one)
    try:
        pipe = subprocess.PIPE
        process = node.popen(change.COMMAND, stdin=pipe, stdout=pipe, stderr=pipe)
        said, errors = process.communicate(json.dumps(data(lab)).encode() + b"\n")
    finally:
        node.close()
    last = (said.splitlines() or errors.splitlines() or [b"it has said nothing"])[-1].decode(errors="replace")
    done = json.loads(last) if last.startswith("{") else {"error": last}
    if "error" in done:
        raise CheckFailed(f"{one.node} could not be changed: {done['error']}")
    return {"removed": done["removed"], "written": done["written"]}


def box(lab: str, boxes: Mapping[str, Found], name: str) -> Found:
    """Raises NoSuchNode."""
    if name not in boxes:
        host = next(one.host for one in boxes.values())
        if host and any(node.name == name for node in lab_of(boxes).nodes):
            raise _is_elsewhere(lab, name)
        raise NoSuchNode(f"lab {lab!r} has no node {name!r}; {nearest(name, boxes)}")
    return boxes[name]


def _is_elsewhere(lab: str, node: str) -> NoSuchNode:
    return NoSuchNode(f"{node} of lab {lab!r} runs on another machine: do this there")


@contextmanager
def _entering(lab: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MnmplsError(f"lab {lab!r} ended meanwhile, or is not yours to enter: {error.strerror}") from error


class ContainerNode(RunningNode):
    """A node in a container: commands run in all of its namespaces, with this process's rights."""

    def __init__(self, one: Found, wires: Iterable[str] = (), wanted: Iterable[Record] = ()) -> None:
        """Of the node with these ports and records. Raises OSError."""
        self.has_own_kernel = os.path.exists(one.path(str(INSIDE)))
        kind = FarNamespace if self.has_own_kernel else NodeNamespace
        namespace = kind.of(f"/proc/{one.pid}/ns/net", wires, wanted)
        super().__init__(one.node, namespace, Processes.joined(f"/proc/{one.pid}/ns/pid"), {})
        self._pid, self._mounts = one.pid, f"/proc/{one.pid}/ns/mnt"
        self._hostname = os.open(f"/proc/{one.pid}/ns/uts", os.O_RDONLY)
        self._home = Folders(self._mounts, one.path(RUN))
        if isinstance(namespace, FarNamespace):
            namespace.far = Far(one.node, self._start_near)
            self._home = Folders(self._mounts, RUN, namespace.far.ask)

    @property
    def folders(self) -> Folders | None:
        return self._home if logs(self._home) else None

    def _start_near(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return self.popen([*_PYTHON, "-m", "mnmpls.containers.near"], stdin=pipe, stdout=pipe, stderr=pipe)

    def popen(self, argv: Sequence[str], *, vrf: str = "", **how: Any) -> subprocess.Popen[Any]:
        before: Callable[[], None] | None = how.pop("preexec_fn", None)

        how.setdefault("env", {**_variables(self._pid), "TERM": os.environ.get("TERM", "dumb")})

        def enter() -> None:
            ctypes.CDLL(None).setns(self._hostname, _CLONE_NEWUTS)
            if before:
                before()

        words = list(argv)
        if vrf:
            in_vrf(self.name, self.namespace, vrf, argv)  # which knows what VRFs there are
            words = [*_PYTHON, "-IS", f"{PACKAGE}/vrf_sockets.py", vrf, *words]
        if self.has_own_kernel:
            words = [*_PYTHON, "-m", "mnmpls.containers.visit", *words]
        return self._processes.spawn(words, self.namespace.fd, self._mounts, preexec_fn=enter, **how)

    def close(self) -> None:
        """Harmless when done before."""
        self.namespace.close()
        self._processes.end()
        if self._hostname >= 0:
            os.close(self._hostname)
        self._hostname = -1


def _variables(pid: int) -> dict[str, str]:
    """Of a process's environment."""
    environ = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace")
    return dict(line.split("=", 1) for line in environ.split("\0") if "=" in line)


class ContainerNodes(LabNodes):
    """All nodes of such a lab. One that is stopped has no network namespace: an empty one stands for it."""

    def __init__(self, lab: Lab, boxes: Mapping[str, Found]) -> None:
        """Raises LabError, MnmplsError."""
        off = [name for name, one in boxes.items() if not one.pid]
        super().__init__(lab, Processes(), {}, {}, off)
        if any(one.host for one in boxes.values()):
            self.elsewhere = frozenset(self.records.keys() - boxes.keys())
        self._others = {name for name, one in boxes.items() if one.pid and not one.is_ours}
        with _entering(lab.name):
            for name in self.records:
                self._nodes[name] = self._node(name, boxes.get(name))
        for each in self.namespaces.values():
            if isinstance(each, FarNamespace):
                each.far.begin()
        self.folders = {name: home for name, each in self._nodes.items() if (home := each.folders)}

    def __getitem__(self, name: str) -> RunningNode:
        if name in self.elsewhere:
            raise _is_elsewhere(self.lab.name, name)
        return super().__getitem__(name)

    def drift_at(self, node: str) -> Iterable[Finding]:
        """Nothing of nodes of other images, which are not ours to set up, and of those on other machines."""
        return () if node in self._others or node in self.elsewhere else super().drift_at(node)

    def trace(self, src: str, dst: str) -> Trace:
        if self.elsewhere:
            self[src]
            world = World(self.lab, with_learned(self.lab, self.records, self.namespaces))
            if away := on_the_way(world, [world.vpns.call(src, dst)], self.elsewhere):
                text = f"trace: the way from {src} to {dst} leads over {', '.join(away)}, on another machine"
                raise CheckFailed(f"{text}; `mnmpls capture {self.lab.name} NODE PORT` shows what passes here")
        return super().trace(src, dst)

    def renew(self, name: str, boxes: Mapping[str, Found]) -> Folders | None:
        """The node as it is now, after it was turned off or on; gives the folders of its daemons."""
        former = self._nodes[name]
        (former if isinstance(former, ContainerNode) else former.namespace).close()
        self.off.discard(name)
        self._nodes[name] = self._node(name, boxes.get(name))
        return self._nodes[name].folders

    def _node(self, name: str, one: Found | None) -> RunningNode:
        if not one or not one.pid:
            self.off |= {name} - self.elsewhere
            return RunningNode(name, Namespace.create(), self.processes, {})
        return ContainerNode(one, wires_of(self.lab, name), self.records[name])

    def close(self) -> None:
        for each in self._nodes.values():
            if isinstance(each, ContainerNode):
                each.close()
        super().close()
