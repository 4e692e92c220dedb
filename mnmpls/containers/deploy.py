"""A lab's containers made, joined by wires and awaited, by the docker SDK: what Containerlab does, without it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from ..errors import CheckFailed, KernelRefused, LabError, Problem, counted
from ..export.containerlab import IMAGE, READY_FILE
from ..kernel import Namespace, Wire, wires
from ..model import Lab, Port
from ..plan.origins import located
from .daemon import refusals
from .entry import FAILED_FILE
from .labs import PACKAGE, Found, box, boxes_of, changed, found
from .own_kernel import INSIDE
from .topology import MADE, Box

NETNS = Path("/run/netns")
_MTU_BYTES = 9500
"""Containerlab's own; the nodes set what the lab says."""
_LOOK_S, _ASK_S, _TELL_S, _END_S = 0.1, 2.0, 10.0, 2
_NAMED = 8
_LAST_LINES = 6
_RIGHTS = ("unable to apply caps", "privileged mode is incompatible with user namespaces")
"""Words of runc (libcontainer/capabilities) and dockerd where a container is to have more than they may give."""


_Say = Callable[[str], None]


def deploy(
    client: Any, lab: Lab, boxes: Sequence[Box], files: Mapping[str, str], limit_s: float, say: _Say
) -> None:  # fmt: skip
    """The lab's containers, each with ``files`` (path -> text) in it, and their wires; ready within ``limit_s``, of
    which ``say`` hears where it takes long. Raises LabError, KernelRefused, CheckFailed; nothing is left then."""
    if os.geteuid() != 0:
        raise CheckFailed("links between containers are made in their network namespaces, which needs root: use sudo")
    if found(client, lab.name):
        text = f"a lab named {lab.name!r} runs in docker already: `mnmpls down {lab.name}` ends it"
        raise LabError([Problem("name", text)])
    _require_images(client, boxes)
    try:
        if why := _start_all(client, boxes, files):
            say(f"docker may not give nodes all rights here ({why}); those that need them bring their own kernels")
        for image in _strangers(boxes_of(client, lab.name), boxes):
            say(f"the image {image} has another version of mnmpls in it than this one: `make image` makes it anew")
        connect(client, lab)
        _await_ready(client, lab.name, limit_s, say)
        for one in found(client, lab.name):
            if not one.pid:
                raise CheckFailed(f"{one.node} has ended; {_last_words(client, one)}")
    except BaseException:
        remove(client, lab.name)
        raise


def change(client: Any, lab: Lab, boxes: Sequence[Box], files: Mapping[str, str]) -> dict[str, Mapping[str, list[str]]]:
    """What of the running lab's nodes is not as the completed ``lab`` says: what was removed and written, by node. The
    containers stay, with ``files``. Raises LabError before anything is changed, NotRunning, CheckFailed."""
    there = boxes_of(client, lab.name)
    if problems := list(_others(there, boxes, lab)):
        raise LabError(problems)
    ours = [one for one in there.values() if one.is_ours]
    if files:
        _at_once(lambda one: client.api.put_archive(one.name, "/", _archive(files)), ours)
    done: dict[str, Mapping[str, list[str]]] = {}

    def make(one: Found) -> None:
        done[one.node] = changed(one, lab)

    _at_once(make, [one for one in ours if one.pid])
    return {node: done[node] for node in there if any(done.get(node, {}).values())}


def _others(there: Mapping[str, Found], boxes: Sequence[Box], lab: Lab) -> Iterator[Problem]:
    """What only other containers could be."""
    remedy = f"`mnmpls down {lab.name}` and `mnmpls up` make it"
    for one in boxes:
        if one.node not in there:
            yield Problem(f"nodes.{one.node}", f"a new node, which is a new container: {remedy}", one.place)
        elif there[one.node].made not in ("", one.settings["labels"][MADE]):
            text = f"its container would be another (its image, rights, environment, sysctls, binds or links): {remedy}"
            yield Problem(f"nodes.{one.node}", text, one.place)
    for node in sorted(there.keys() - {one.node for one in boxes}):
        yield Problem(f"nodes.{node}", f"it has a container, and is not in the lab any more: {remedy}")


def remove(client: Any, lab: str) -> None:
    """All containers of a lab, however far they have come; their links end with them. Harmless where there are none."""
    each = found(client, lab)
    for one in each:
        with suppress(OSError):
            (NETNS / one.name).unlink()
    _at_once(lambda one: client.api.remove_container(one.name, force=True, v=True), each)


def destroy(client: Any, lab: str) -> str:
    """The same, and what Containerlab has made beside where it has deployed the lab: by its own program. Gives what
    stays without that, if anything does. Raises CheckFailed with the program's words."""
    is_theirs = any(one.is_containerlabs for one in found(client, lab))
    program = shutil.which("containerlab")
    if is_theirs and program:
        done = subprocess.run([program, "destroy", "--name", lab], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CheckFailed(f"`containerlab destroy --name {lab}` failed:\n{(done.stderr or done.stdout).strip()}")
    remove(client, lab)
    stays = "its management network and its entries in /etc/hosts and /etc/ssh/ssh_config.d"
    return f"Containerlab deployed {lab}, and is not here: {stays} stay" if is_theirs and not program else ""


def stop(client: Any, lab: str, node: str) -> None:
    """Its links end with it. Harmless for one that is stopped. Raises NotRunning, NoSuchNode."""
    one = box(lab, boxes_of(client, lab), node)
    with suppress(OSError):
        (NETNS / one.name).unlink()
    client.api.stop(one.name, timeout=_END_S)


def start(client: Any, lab: Lab, node: str, limit_s: float, say: _Say) -> None:
    """One that was stopped, and all links that are missing: a container that is restarted loses its own. Raises
    NotRunning, NoSuchNode, KernelRefused, CheckFailed."""
    one = box(lab.name, boxes_of(client, lab.name), node)
    client.api.start(one.name)
    connect(client, lab)
    if away := _lacking_away(boxes_of(client, lab.name), lab, node):
        ports, again = ", ".join(away), f"`containerlab deploy -t {one.file}`"
        raise CheckFailed(f"{node} is started, and has no {ports} yet, to another machine: {again} makes that")
    _await_ready(client, lab.name, limit_s, say)


def _lacking_away(boxes: Mapping[str, Found], lab: Lab, node: str) -> list[str]:
    """The ports to other machines, which only Containerlab can make, that the node has not."""
    one = boxes[node]
    if not one.host or not one.pid:
        return []
    with closing(Namespace.open(f"/proc/{one.pid}/ns/net")) as space:
        there = space.ports()
    ends = ((a, b) for link in lab.links if link.is_wire for a, b in (link.ports, link.ports[::-1]))
    away = (mine.name for mine, theirs in ends if mine.node == node and theirs.node not in boxes)
    return [port for port in away if port not in there]


def connect(client: Any, lab: Lab) -> None:
    """The wires between running containers that are not there, and their namespaces' names for ip(8). Raises
    KernelRefused."""
    with ExitStack() as stack:
        spaces: dict[str, Namespace] = {}
        for one in found(client, lab.name):
            if one.pid:
                spaces[one.node] = Namespace.open(f"/proc/{one.pid}/ns/net")
                stack.callback(spaces[one.node].close)
                _publish(one)
        there = {node: space.ports() for node, space in spaces.items()}
        between = [link.ports for link in lab.links if link.is_wire and all(end.node in spaces for end in link.ports)]
        new = [ends for ends in between if not all(end.name in there[end.node] for end in ends)]
        for end in (end for ends in new for end in ends if end.name in there[end.node]):
            with suppress(KernelRefused):  # the other end's namespace has ended: the kernel is about to take it away
                spaces[end.node].delete_port(end.name)
        with located(lab):
            wires([_wire(spaces, *ends) for ends in new])
        for end in (end for ends in new for end in ends):
            spaces[end.node].set_up(end.name, True)
            with suppress(KernelRefused):  # an old kernel: Containerlab does without there, too
                spaces[end.node].add_name(end.name, _mark(end))


def _mark(end: Port) -> str:
    """The name by which Containerlab knows its own interfaces (links/link.go, ownershipAltName): in a lab that it has
    deployed, it goes on only with such."""
    found = hashlib.sha1(b"\0".join((end.node.encode(), end.name.encode())), usedforsecurity=False)
    return f"clab-o-{found.digest()[:8].hex()}"


def _wire(spaces: Mapping[str, Namespace], a: Port, b: Port) -> Wire:
    return Wire(spaces[a.node], a.name, spaces[b.node], b.name, (a.mac or "", b.mac or ""), a.mtu_bytes or _MTU_BYTES)


def _publish(one: Found) -> None:
    path, target = NETNS / one.name, f"/proc/{one.pid}/ns/net"
    with suppress(OSError):
        if os.readlink(path) == target:
            return
        path.unlink()
    NETNS.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.symlink_to(target)


def _require_images(client: Any, boxes: Sequence[Box]) -> None:
    """Those that are missing are pulled where the node's policy allows it. Raises LabError with each that cannot be."""
    problems = []
    for image, pull in dict.fromkeys((one.image, one.pull.lower()) for one in boxes):
        first = next(one for one in boxes if one.image == image)
        if why := _lacking(client, image, pull):
            told = f"there is no image {image}: {why}"
            problems.append(Problem(f"nodes.{first.node}.image", told, first.image_place))
    if problems:
        raise LabError(problems)


def _lacking(client: Any, image: str, pull: str) -> str:
    """Why it is not there; empty if it is."""
    errors = refusals()
    if pull != "always":
        with suppress(errors.ImageNotFound):
            client.images.get(image)
            return ""
    if image.partition(":")[0] == IMAGE:
        return "`make image` makes it"
    if pull == "never":
        return "and image-pull-policy says to get none"
    try:
        client.images.pull(image)
    except errors.APIError as error:
        return f"{error.explanation or error}"
    return ""


def _start_all(client: Any, boxes: Sequence[Box], files: Mapping[str, str]) -> str:
    """Why nodes have less rights than they were to have by default, where they have. Raises LabError."""
    archive = _archive(files) if files else b""
    lacking: list[str] = []

    def start(image: str, settings: Mapping[str, Any]) -> None:
        made = client.containers.create(image, **settings)
        if archive:
            made.put_archive("/", archive)
        made.start()

    def one(each: Box, settings: Mapping[str, Any]) -> None:
        try:
            start(each.image, settings)
        except refusals().APIError as error:
            if settings is each.fewer or not each.fewer or not (why := _lacking_rights(error)):
                raise LabError([Problem(f"nodes.{each.node}", _refused(error), each.place)]) from error
            lacking.append(why)
            with suppress(refusals().NotFound):
                client.api.remove_container(each.name, force=True)
            one(each, each.fewer)

    _at_once(lambda each: one(each, each.fewer if lacking and each.fewer else each.settings), boxes)
    return lacking[0] if lacking else ""


def _lacking_rights(error: Any) -> str:
    """The words of _RIGHTS, if it is that."""
    return next((words for words in _RIGHTS if words in str(error.explanation)), "")


def _refused(error: Any) -> str:
    """In docker's words, and what to do where that is known."""
    said = f"docker: {error.explanation or error}"
    if not _lacking_rights(error):
        return said
    return f"{said}; the daemon may not give it all rights: leave `privileged: true` out, or say false"


def _strangers(there: Mapping[str, Found], boxes: Sequence[Box]) -> Iterator[str]:
    """Images of ours that were made of another source than this process."""
    own = _digest(Path(__file__).parents[1])
    each = {one.image: there[one.node] for one in boxes if one.node in there and there[one.node].is_ours}
    for image, one in each.items():
        with suppress(OSError):  # it has ended, which is told later
            if one.pid and _digest(Path(one.path(PACKAGE))) != own and os.path.isdir(one.path(PACKAGE)):
                yield image


def _digest(package: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return found.hexdigest()


def _at_once(do: Any, each: Iterable[Any]) -> None:
    """Several at a time; all have ended when this raises what the first raised that failed."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for done in [pool.submit(do, one) for one in each]:
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _archive(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def _await_ready(client: Any, lab: str, limit_s: float, say: _Say) -> None:
    """All that run and say when they are. Raises CheckFailed with the last words of one that does not become it."""
    until = time.monotonic() + limit_s
    tell = time.monotonic() + _TELL_S
    while waiting := [one for one in found(client, lab) if one.pid and not _is_ready(one)]:
        if time.monotonic() > tell:
            say(_progress(found(client, lab), waiting))
            tell += _TELL_S
        look = min(time.monotonic() + _ASK_S, until)
        while waiting and time.monotonic() < look:
            for one in waiting:
                if one.has(FAILED_FILE) or not os.path.exists(f"/proc/{one.pid}"):
                    raise CheckFailed(f"{one.node} cannot be set up; {_last_words(client, one)}")
            time.sleep(_LOOK_S)
            waiting = [one for one in waiting if not _is_ready(one)]
        if waiting and time.monotonic() > until:
            raise CheckFailed(f"{waiting[0].node} is not ready after {limit_s:g} s; {_last_words(client, waiting[0])}")


def _progress(there: Sequence[Found], waiting: Sequence[Found]) -> str:
    own = sum(one.has(str(INSIDE)) for one in there if one.pid)
    on = f" ({own} on kernels of their own)" if own else ""
    names = ", ".join(one.node for one in waiting[:_NAMED]) + (" ..." if len(waiting) > _NAMED else "")
    return f"{len(there) - len(waiting)} of {counted(len(there), 'node')}{on} are set up; waiting for {names}"


def _is_ready(one: Found) -> bool:
    """By its own word, of which docker hears later; one that docker does not ask is ready at once."""
    return one.health in ("", "healthy") or one.has(READY_FILE)


def said(client: Any, one: Found, lines: int | str = "all") -> str:
    """The last lines of what a container has said."""
    told: bytes = client.api.logs(one.name, tail=lines)
    return told.decode(errors="replace").replace("\r\n", "\n")


def _last_words(client: Any, one: Found) -> str:
    lines = said(client, one, _LAST_LINES).splitlines()
    return "its last lines:\n" + "\n".join(f"    {line}" for line in lines) if lines else "it has said nothing"
