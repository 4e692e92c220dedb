"""A container whose node has a kernel of its own has each port twice, and both are kept alike. Outside is what the
runtime makes: whenever that is another one, the guest's is opened anew. One that is down there, or has no carrier, is
so in the guest; and one that is shut in the guest is shut outside: whoever is at its other end has no carrier then.

A process in the guest (``python -m mnmpls.containers.ports``) reads lines such as ``open eth1 eth2``, answers each with
``done``, and says ``shut eth1`` and ``up eth1`` when somebody else in there has done that."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import MnmplsError
from ..kernel import Namespace
from ..kernel.events import LinkEvents

_PYTHON = (sys.executable, "-m", "mnmpls.containers.ports")
_OPEN, _CLOSE, _DARK, _LIT, _DONE, _SHUT, _UP = "open", "close", "dark", "lit", "done", "shut", "up"
_LOOK_S, _TOLD_S = 0.05, 30.0
_CHUNK = 4096


def follow(ports: Sequence[str], lab: str, say: Callable[[str], None]) -> int:
    """For as long as the guest of ``lab`` lives. A process of its own."""
    namespace = Namespace.open("/proc/self/ns/net")
    while _Pair(namespace, ports, _Line(lab), say).keep():
        pass  # somebody in there has ended the process that listens to us
    return 0


class _Line:
    """To the process in the guest."""

    def __init__(self, lab: str) -> None:
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        self._child = os.fork()
        if self._child == 0:
            for mine in (self._out, self._in):
                os.close(mine)
            os._exit(_visit(lab, theirs_in, theirs_out))
        for theirs in (theirs_in, theirs_out):
            os.close(theirs)
        self._buffer = b""
        self._heard: list[tuple[str, str]] = []

    def fileno(self) -> int:
        return self._in

    def tell(self, what: str, ports: Collection[str]) -> None:
        """Until it is done. Raises EOFError."""
        if not ports:
            return
        with suppress(BrokenPipeError):
            os.write(self._out, f"{' '.join((what, *sorted(ports)))}\n".encode())
        while (_DONE, "") not in self._heard:
            self._read()
        self._heard.remove((_DONE, ""))

    def heard(self) -> list[tuple[str, str]]:
        """What it has said by itself, and which port that is of. Raises EOFError."""
        if select.select([self._in], [], [], 0)[0]:
            self._read()
        found, self._heard = self._heard, []
        return found

    def _read(self) -> None:
        data = os.read(self._in, _CHUNK)
        if not data:
            raise EOFError
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            what, _, port = line.decode().partition(" ")
            self._heard.append((what, port))

    def close(self) -> bool:
        """Whether there is still a guest."""
        os.close(self._out)
        os.close(self._in)
        return os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1]) != _GONE


_GONE = 125


def _visit(lab: str, theirs_in: int, theirs_out: int) -> int:
    from ..guests import run_in_lab  # not for the guest, where it would take a second

    os.dup2(theirs_in, 0)
    os.dup2(theirs_out, 1)
    try:
        return run_in_lab(lab, _PYTHON, writes=False)
    except MnmplsError:  # which whoever holds the guest tells
        return _GONE


class _Pair:
    """The container's ports and the guest's."""

    def __init__(self, namespace: Namespace, ports: Sequence[str], line: _Line, say: Callable[[str], None]) -> None:
        self._namespace, self._ports, self._line, self._say = namespace, ports, line, say
        self._events = LinkEvents(namespace)
        self._known: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._dark: set[str] = set()
        self._shut: set[str] = set()

    def keep(self) -> bool:
        """Until nobody in the guest listens any more; whether there is still one."""
        with suppress(EOFError):
            while True:
                self._take_over()
                self._wait()
                for what, port in self._line.heard():
                    self._pass_on(what, port)
        self._events.close()
        return self._line.close()

    def _take_over(self) -> None:
        """From outside."""
        there = self._namespace.indexes()
        for port in self._ports:
            if port in there and there[port] != self._known.get(port):
                _set_up_outside(self._namespace, port)
                self._shut.discard(port)
        self._known = there
        up, lit = self._namespace.indexes(up=True), self._namespace.carriers()
        self._shut &= there.keys()
        # One that has come since `there` was seen has its turn next: that is an event, which is still to be heard.
        here = {port: there[port] for port in self._ports if port in there and (port in up or port in self._shut)}
        self._line.tell(_CLOSE, [port for port in self._open if port not in here])
        self._line.tell(_OPEN, new := [port for port in here if here[port] != self._open.get(port)])
        self._dark = (self._dark & here.keys()) - {*new}
        self._open = here
        dark = {port for port in here if (port in self._dark if port in self._shut else port not in lit)}
        self._line.tell(_DARK, dark - self._dark)
        self._line.tell(_LIT, self._dark - dark)
        self._dark = dark

    def _wait(self) -> None:
        """Until something happens to a port."""
        down = [port for port in self._ports if port in self._known and port not in self._open]
        limit_s = _TOLD_S if down else None
        if not select.select([self._events.fileno(), self._line.fileno()], [], [], limit_s)[0]:
            self._say(f"{', '.join(down)}: down in this container, which may not set it up; whoever made it has to")
        self._events.wait(0)

    def _pass_on(self, what: str, port: str) -> None:
        """Out of the guest."""
        if port not in self._open:
            return
        with suppress(MnmplsError):  # it is gone, or not ours to set
            self._namespace.set_up(port, what == _UP)
        if what == _SHUT:
            self._shut.add(port)
        else:  # while it was down here its socket in the guest has failed (packet(7), ENETDOWN)
            self._shut.discard(port)
            del self._open[port]


def _set_up_outside(namespace: Namespace, port: str) -> None:
    """Frames come in only where it is up. The container's own kernel shall not have an address there, nor forward."""
    for key in (f"ipv6/conf/{port}/disable_ipv6", f"ipv6/conf/{port}/forwarding", f"ipv4/conf/{port}/forwarding"):
        with suppress(OSError):  # read-only without privileges: nothing there is addressed to it in any case
            Path(f"/proc/sys/net/{key}").write_text("1" if "disable" in key else "0", encoding="ascii")
    with suppress(MnmplsError):  # it is gone again, or not ours to set up
        namespace.set_up(port, True)


# Inside of the guest.


class _Inside:
    def __init__(self) -> None:
        self._namespace = Namespace.open("/proc/self/ns/net")
        self.events = LinkEvents(self._namespace)
        self._up: dict[str, bool] = {}
        """What each port is, as far as those outside know."""

    def do(self, what: str, ports: Sequence[str]) -> None:
        if what == _OPEN:
            self._reopen(ports)
        for port in ports:
            if what == _CLOSE:
                self._namespace.set_up(port, False)
            elif what in (_DARK, _LIT):
                self._namespace.set_dormant(port, what == _DARK)
        if what in (_OPEN, _CLOSE):
            self._up |= dict.fromkeys(ports, what == _OPEN)

    def _reopen(self, ports: Sequence[str]) -> None:
        """They go down first: the socket outside of one that was up may be another interface's by now (vector_raw)."""
        while not set(ports) <= self._namespace.indexes().keys():  # not renamed yet
            time.sleep(_LOOK_S)
        for port in ports:
            self._namespace.set_up(port, False)
            self._namespace.set_dormant(port, False)
            self._namespace.set_up(port, True)

    def changed(self) -> Iterator[str]:
        """By others, since it was asked last."""
        self.events.wait(0)
        up = self._namespace.indexes(up=True)
        for port, was in self._up.items():
            if (port in up) != was:
                self._up[port] = not was
                yield f"{_SHUT if was else _UP} {port}"


def main() -> int:
    inside, buffer = _Inside(), b""
    while True:
        if 0 in select.select([0, inside.events.fileno()], [], [])[0]:
            data = os.read(0, _CHUNK)
            if not data:
                return 0
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                what, *ports = line.decode().split()
                inside.do(what, ports)
                _say([_DONE])
        _say(inside.changed())


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
