"""The daemons of running nodes: started, watched, asked and ended. Nothing else starts a daemon.

Their folders are private to the node (homes.py), they are held by the lab's PID namespace (processes.py), so that all
of it ends with the lab, however that comes.
"""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .asking import CHARON, EVENTS, answers, ask, initiate, log_lines, ports, refusals
from .daemons import (
    QUESTIONS,
    ZEBRA,
    Secret,
    Service,
    Session,
    cause,
    established,
    secrets_conf,
    services,
    sessions,
)
from .daemons.peers import CHILDREN
from .errors import CheckFailed, MnmplsError, Problem
from .homes import ETC, Home, confine, confine_reader, confine_urgent
from .kernel import Namespace, forget
from .model import Lab
from .processes import Folders, Processes
from .programs import path_of

READER = "vtysh"
"""Hands a configuration out to daemons that have read none."""
_GIVEN_UP = ("Can't fork", "Failure to initialize pam")
"""What it says before it ends by itself; the former of a command that starts a program (vtysh.c, execute_command)."""

_VTYSH = "hostname {}\nno service integrated-vtysh-config\n"
"""Without its name, the prompt would be the machine's."""
_START_S, _STOP_S, _AGAIN_S = 60.0, 3.0, 0.02
_LAST_LINES = 5
_URGENT = frozenset({"bfdd"})  # whose being late is a failure to others
_SHOWN = 6


@dataclass(slots=True)
class _Daemon:
    node: str
    service: Service
    process: subprocess.Popen[bytes]
    pidfd: int
    again: bool = True


@dataclass(slots=True)
class _Node:
    home: Home
    netns: int
    services: tuple[Service, ...] = ()
    daemons: dict[str, _Daemon] = field(default_factory=dict)


class Services:
    """The daemons of a lab's nodes. ``report`` hears of each that dies; a thread of ours watches them."""

    def __init__(
        self, processes: Processes, report: Callable[[str], None] = lambda _: None, own_folders: bool = True
    ) -> None:
        """``own_folders``: each node has FRR's folders to itself; without, there is one node, and these are its."""
        self._processes, self.report, self._own_folders = processes, report, own_folders
        self.folders: dict[str, Folders] = {}
        """Of each node that has daemons."""
        self._nodes: dict[str, _Node] = {}
        self._told: Callable[[str], str] = str
        self._lock = threading.RLock()
        self._wake: tuple[int, int] | None = None
        self._drawn: dict[frozenset[str], str] = {}

    def end_others(self, lab: Lab) -> None:
        """End the daemons of each node for which the completed ``lab`` has others or none. To be done before ``lab`` is
        applied: they take their routes and labels along, whoever may have put something in their place."""
        wanted = services(lab)
        with self._lock:
            for name in [name for name, node in self._nodes.items() if node.services != wanted.get(name)]:
                self._stop(name)

    def fit(self, lab: Lab, namespaces: Mapping[str, Namespace], off: Container[str] = ()) -> None:
        """Have exactly the daemons that the completed ``lab`` asks for, but at the nodes that are ``off``: those of a
        node whose configuration differs are started anew. Raises CheckFailed for one that does not start,
        MissingFeature for one that is not installed."""
        wanted = services(lab)
        with self._lock:
            self.end_others(lab)
            self._told = lab.told
            new = [name for name in wanted if name not in self._nodes and name not in off]
            for name in new:
                netns = namespaces[name].fd
                home = Home(self._processes, netns, self._own_folders)
                home.write("vtysh.conf", _VTYSH.format(name))
                self._nodes[name] = _Node(home, netns, wanted[name])
                self.folders[name] = home.folders
            self._start(new)

    def _start(self, names: Iterable[str]) -> None:
        """First what others need, on all nodes at once; then the others."""
        every = [(name, service) for name in names for service in self._nodes[name].services]
        for name, service in every:
            self._nodes[name].home.furnish(service, self._secrets(service))
            if service.name == CHARON:
                forget(self._nodes[name].netns)
            if not service.needs:
                self._spawn(name, service)
        new = {name: None for name, service in every if service.name == CHARON}
        for name in new:
            self._await_socket(name, CHARON)
        for name in new:
            self._agree(name, new)
        for name, service in every:
            if service.needs:
                for need in service.needs:
                    self._await_socket(name, need)
                self._spawn(name, service)
        for name, service in every:
            self._await_socket(name, service.name)
        handed = {(name, service.file_name): service for name, service in every if service.is_handed}
        for (name, _), service in handed.items():
            self._hand_out(name, service, to_all=service.is_integrated)

    def _hand_out(self, name: str, service: Service, to_all: bool = False) -> None:
        """Its configuration, to this daemon or to all of the node's."""
        node, file = self._nodes[name], service.file_name
        node.home.write(file, service.config)
        whose = [] if to_all else ["-d", service.name]
        which = ["-b"] if service.is_integrated else ["-f", f"{ETC}/{file}"]
        log = node.home.log(READER)
        try:
            process = self._processes.spawn(
                [path_of(READER, name), *whose, *which], node.netns, node.home.path("mounts"),
                preexec_fn=confine_reader, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        finally:
            os.close(log)
        try:
            process.wait(_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        said = "".join(self._log(name, READER))
        if process.returncode < 0 or any(words in said for words in _GIVEN_UP):
            why = f"{READER} did not hand all of {file} out"
            raise CheckFailed(f"{name}: {why} (nothing in it may start a program); {self._last_words(name, READER)}")

    def _spawn(self, name: str, service: Service, again: bool = True) -> None:
        node = self._nodes[name]
        if service.needs_ports and not service.is_integrated:
            node.home.write(service.file_name, service.at_start)
        log = node.home.log(service.name)
        try:
            process = self._processes.spawn(
                [path_of(service.argv[0], name), *service.argv[1:]], node.netns, node.home.path("mounts"),
                preexec_fn=confine_urgent if service.name in _URGENT else confine,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        finally:
            os.close(log)
        node.daemons[service.name] = _Daemon(name, service, process, os.pidfd_open(process.pid), again)
        self._watch()

    def _secrets(self, service: Service) -> str:
        """The file that has them. What the lab leaves open is drawn once for each two addresses."""
        wanted = [peer.secret for peer in service.peers]
        if not self._own_folders and not all(one.text for one in wanted):
            raise CheckFailed("a node of its own draws no secret that its peer has, too: give `secret` at each `ipsec`")
        known = ((one, one.text or self._drawn.setdefault(frozenset(one.ids), secrets.token_hex(32))) for one in wanted)
        return secrets_conf(Secret(one.ids, text) for one, text in known)

    def _agree(self, name: str, new: Container[str]) -> None:
        """Has a new charon agree on keys with its peers; of two new ones one asks."""
        node = self._nodes[name]
        for peer in (peer for service in node.services for peer in service.peers):
            if peer.begins or peer.node not in new:
                for child, _, _ in peer.children:
                    initiate(node.home.folders, peer.name, child)

    def _await_socket(self, name: str, daemon: str) -> None:
        """Until it takes questions, and knows the ports if it needs to; one that is killed before that is started once
        more. Raises CheckFailed with its last words."""
        node, until = self._nodes[name], time.monotonic() + _START_S
        while not _is_ready(node, daemon):
            one = node.daemons[daemon]
            if (one.process.poll() or 0) < 0 and one.again:
                self._died(one)
            elif one.process.poll() is not None or time.monotonic() > until:
                lacks = "know the VRFs of its ports" if answers(node.home.folders, daemon) else "answer"
                how, own = _ending(one.process.poll(), lacks), one.service.where
                told = f" as told {self._told(own)}" if own else ""
                raise CheckFailed(f"{name}: {daemon} did not start{told} ({how}); {self._last_words(name, daemon)}")
            time.sleep(_AGAIN_S)

    # Watching

    def _watch(self) -> None:
        if self._wake is None:
            self._wake = os.pipe2(os.O_CLOEXEC)
            threading.Thread(target=self._look, args=(self._wake[0],), name="lab's daemons", daemon=True).start()
        os.write(self._wake[1], b"!")

    def _look(self, wake: int) -> None:
        while True:
            watched = select.poll()
            with self._lock:
                if self._wake is None:
                    break
                known = {daemon.pidfd: daemon for daemon in self._daemons()}
                for fd in known:
                    watched.register(fd, select.POLLIN)
                watched.register(wake, select.POLLIN)
            ended = {fd for fd, _ in watched.poll()}
            with self._lock:
                if wake in ended:
                    os.read(wake, 4096)
                for daemon in self._daemons():
                    if known.get(daemon.pidfd) is daemon and daemon.pidfd in ended:
                        self._died(daemon)
        os.close(wake)

    def _daemons(self) -> list[_Daemon]:
        return [daemon for node in self._nodes.values() for daemon in node.daemons.values()]

    def _died(self, daemon: _Daemon) -> None:
        status = daemon.process.wait()
        node, name = self._nodes[daemon.node], daemon.service.name
        os.close(daemon.pidfd)
        del node.daemons[name]
        what = "started once more" if daemon.again else "it stays down, since this was the second time"
        text = f"{daemon.node}: {name} died ({_ending(status)}), {what}; {self._last_words(daemon.node, name)}"
        log = node.home.log(EVENTS.removesuffix(".log"))
        os.write(log, f"{time.strftime('%H:%M:%S')} {text}\n".encode())
        os.close(log)
        try:
            if daemon.again:
                self._revive(daemon.node, daemon.service, again=False)
        except MnmplsError as error:
            text += f"\n{error}"
        self.report(text)

    def _revive(self, name: str, service: Service, again: bool) -> None:
        """Where others need it, they start anew with it: what zebra had of them is lost with it (watchfrr(8) does the
        same)."""
        leaning = [each for each in self._nodes[name].daemons.values() if service.name in each.service.needs]
        for each in leaning:
            self._kill(each)
            del self._nodes[name].daemons[each.service.name]
        self._spawn(name, service, again)
        if leaning or service.name == CHARON:
            self._await_socket(name, service.name)
        if service.name == CHARON:
            self._agree(name, ())
        for each in leaning:
            self._spawn(name, each.service, each.again)
        for one in (service, *(each.service for each in leaning)):
            if one.is_handed:
                self._await_socket(name, one.name)
                self._hand_out(name, one)

    def _last_words(self, name: str, daemon: str) -> str:
        lines = self._log(name, daemon)[-_LAST_LINES:]
        return "its last lines:\n" + "\n".join(f"    {line}" for line in lines) if lines else "it has logged nothing"

    def _log(self, name: str, daemon: str) -> list[str]:
        return log_lines(self._nodes[name].home.folders, daemon)

    def of(self, name: str) -> tuple[Service, ...]:
        """The node's services; none for a node without any."""
        return self._nodes[name].services if name in self._nodes else ()

    # Ending

    def _stop(self, name: str) -> None:
        """First those that lean on others, by a signal upon which they take their routes along."""
        node = self._nodes.pop(name)
        del self.folders[name]
        for daemon in reversed(node.daemons.values()):
            daemon.process.terminate()
            try:
                daemon.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                daemon.process.kill()
                daemon.process.wait()
            os.close(daemon.pidfd)
        node.home.close()

    def cut(self, name: str) -> None:
        """The node's daemons end at once and say nothing to others. Harmless for a node without any."""
        with self._lock:
            if node := self._nodes.pop(name, None):
                del self.folders[name]
                for daemon in node.daemons.values():
                    self._kill(daemon)
                node.home.close()

    def renew(self, name: str) -> None:
        """Those of the node's daemons that stayed down are started, and each may die once more. Raises CheckFailed."""
        with self._lock:
            node = self._nodes.get(name)
            for daemon in node.daemons.values() if node else ():
                daemon.again = True
            for service in [one for one in node.services if one.name not in node.daemons] if node else ():
                self._revive(name, service, again=True)
                self._await_socket(name, service.name)

    @staticmethod
    def _kill(daemon: _Daemon) -> None:
        daemon.process.kill()
        daemon.process.wait()
        os.close(daemon.pidfd)

    def close(self) -> None:
        """Everything is gone afterwards. Harmless when done before."""
        with self._lock:
            for daemon in self._daemons():
                self._kill(daemon)
            for node in self._nodes.values():
                node.home.close()
            self._nodes.clear()
            self.folders.clear()
            wake, self._wake = self._wake, None
        if wake:
            os.close(wake[1])  # the thread hears that


def _is_ready(node: _Node, daemon: str) -> bool:
    home, needs_ports = node.home.folders, node.daemons[daemon].service.needs_ports
    return answers(home, daemon) and (not needs_ports or ports(home, ZEBRA) <= ports(home, daemon))


def _ending(status: int | None, lacks: str = "answer") -> str:
    if status is None:
        return f"it does not {lacks} after {_START_S:g} s"
    return f"signal {-status}" if status < 0 else f"status {status}"


def wants_any(lab: Lab) -> bool:
    """Does any node of the completed ``lab`` have daemons?"""
    return bool(services(lab))


def why_missing(lab: Lab, one: Session, folders: Mapping[str, Folders]) -> str:
    """What the logs of both ends say about a session that is missing, and where the lab asks for it; empty if they say
    nothing."""
    both = [each for each in sessions(lab) if each.where == one.where] if one.where else []
    logs = ((each, log_lines(folders[each.node], each.daemon)) for each in both if each.node in folders)
    said = next(filter(None, (cause(each, lines) for each, lines in logs)), "")
    return f"{said}, {lab.told(one.where)}" if said else ""


def missing(lab: Lab, folders: Mapping[str, Folders]) -> tuple[Session, ...]:
    """Those sessions of ``lab`` that the daemons of its nodes do not have."""
    asked: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}
    lacking: list[Session] = []
    for one in sessions(lab):
        key = one.node, one.daemon
        if key not in asked:
            home = folders.get(one.node)
            answer = ask(home, one.daemon, QUESTIONS[one.daemon]) if home else None
            asked[key] = established(one.daemon, answer or "")
        if one.key not in asked[key]:
            lacking.append(one)
    return tuple(lacking)


def agree_again(lab: Lab, folders: Mapping[str, Folders], lacking: Iterable[Session]) -> None:
    """Has each charon that begins ask once more for what it lacks: the first time may have met the other's own start,
    and what was refused then charon would try anew only for a packet."""
    wanted = {(one.node, one.peer) for one in lacking if one.daemon == CHARON}
    known = services(lab) if wanted else {}
    for node in {node for node, _ in wanted} & folders.keys():
        for peer in (peer for service in known[node] for peer in service.peers if peer.begins):
            for protocol in peer.links:
                if (node, f"{peer.name}/{protocol}") in wanted:
                    for child, _, _ in CHILDREN[protocol]:
                        initiate(folders[node], peer.name, child)


def refused(lab: Lab, folders: Mapping[str, Folders]) -> Iterator[tuple[Service, str, tuple[Problem, ...]]]:
    """Each configuration of the user's in ``lab``, its node, and the lines of it that nobody took who read them."""
    for node, some in services(lab).items():
        files: dict[str, list[Service]] = {}
        for service in some if node in folders else ():
            if service.where:
                files.setdefault(service.file_name, []).append(service)
        for readers in files.values():
            first = readers[0]
            who = [READER] if first.is_handed else [one.name for one in readers]
            heard = [dict(refusals(log_lines(folders[node], one))) for one in who]
            lines = sorted(set.intersection(*(set(each) for each in heard)))
            text = f"{who[0]} does not take line {{}} of {first.path or 'its text'}: {{}}"
            place = lab.place(first.where)
            yield first, node, tuple(Problem(first.where, text.format(n, heard[0][n]), place) for n in lines)


def awaited(lacking: Sequence[Session]) -> str:
    """What is missing, for one line: the first kind of it, since the others need that."""
    kind = lacking[0].kind
    same = [one for one in lacking if one.kind == kind]
    pairs = dict.fromkeys(" - ".join(sorted((one.node, one.peer_node))) for one in same)
    shown = ", ".join([*list(pairs)[:_SHOWN], *(["..."] if len(pairs) > _SHOWN else [])])
    return f"waiting for {kind}: {shown}"
