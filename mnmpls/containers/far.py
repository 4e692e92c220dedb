"""The network namespace and the daemons of a node that has a kernel of its own, for those outside: what they want done
there a process in the guest does (near.py). Nothing else of a check, a trace or a drill knows that it is not here."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import KernelRefused, MnmplsError
from ..kernel.forwarding import Entry
from ..state import Address, LabelRoute, Record, Route, Rule
from .line import packed, take
from .space import NodeNamespace

_CHUNK = 1 << 17
_ROOM_BYTES = 1 << 20
"""Of a socket, for what has come in and nobody has read."""
_LATER = 0
_LOOK_S = 1.0


_Answer = Mapping[str, Any]


class Far:
    """The line to the process in the guest of the node ``name``, which ``start`` starts when it is wanted. It may be
    used by several threads, and by a forked child, which gets one of its own."""

    def __init__(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._name, self._start = name, start
        self._owner = 0
        self._process: subprocess.Popen[bytes] | None = None

    def _open(self) -> subprocess.Popen[bytes]:
        if self._process and self._owner == os.getpid():
            return self._process
        self._owner, self._process = os.getpid(), self._start()
        self._lock, self._last = threading.Lock(), 0
        self._waiting: dict[int, SimpleQueue[_Answer]] = {}
        self._ends: dict[int, socket.socket] = {}
        self._last_words = ""
        self._thread = threading.Thread(target=self._hear, args=(self._process,), name=f"{self._name}'s", daemon=True)
        self._thread.start()
        return self._process

    def begin(self) -> None:
        """Several of them start at the same time then."""
        self._open()

    def ask(self, do: str, words: Sequence[Any] = (), body: bytes = b"") -> Any:
        """What the process in the guest answers. Raises KernelRefused and OSError as it would have been raised here,
        MnmplsError where nobody answers."""
        process = self._open()
        answer: SimpleQueue[_Answer] = SimpleQueue()
        with self._lock:
            self._last += 1
            number = self._last
            self._waiting[number] = answer
        self._say(process, {"id": number, "do": do, "words": words}, body)
        while True:
            with suppress(Empty):
                return self._found(answer.get(timeout=_LOOK_S))
            if not self._thread.is_alive():
                raise self._silent()

    def tell(self, do: str, words: Sequence[Any], body: bytes = b"") -> None:
        """The same without an answer."""
        self._say(self._open(), {"id": _LATER, "do": do, "words": words}, body)

    def _say(self, process: subprocess.Popen[bytes], head: Mapping[str, Any], body: bytes) -> None:
        assert process.stdin
        data = memoryview(packed(head, body))
        with self._lock, suppress(BrokenPipeError, ValueError):  # its end is heard of
            while data:
                data = data[os.write(process.stdin.fileno(), data) :]

    def _found(self, answer: _Answer) -> Any:
        if "refused" in answer:
            what, why, remedy, errno = answer["refused"]
            raise KernelRefused(None, what, why, remedy, errno)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"] or 0))
        if "found" not in answer:
            raise self._silent()
        return answer["found"]

    def _silent(self) -> MnmplsError:
        return MnmplsError(f"{self._name}: its own kernel cannot be asked: {self._last_words}")

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        """In a thread of its own: answers to who waits for them, and what came in into the sockets' own ends here."""
        assert process.stdout and process.stderr and process.stdin
        buffer = bytearray()
        try:
            while data := os.read(process.stdout.fileno(), _CHUNK):
                buffer += data
                for head, body in take(buffer):
                    self._sort(head, body)
        except (ValueError, KeyError, TypeError) as error:  # which no process of ours writes
            self._last_words = f"it says {error}"
        with process, suppress(BrokenPipeError):
            process.kill()
            lines = process.stderr.read().decode(errors="replace").splitlines()
        self._last_words = self._last_words or (lines[-1] if lines else f"it ended with status {process.returncode}")
        for answer in list(self._waiting.values()):
            answer.put({})

    def _sort(self, head: Mapping[str, Any], body: bytes) -> None:
        if "of" not in head:
            self._waiting.pop(head["id"]).put(head)
        elif end := self._ends.get(head["of"]):
            with suppress(OSError):  # full, as a socket can be, or closed
                end.send(packed(head, body), socket.MSG_DONTWAIT)

    def socket(self, family: int, kind: int, protocol: int) -> FarSocket:
        """One in there."""
        number = self.ask("socket", (int(family), int(kind), protocol))
        theirs, mine = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM_BYTES)
        self._ends[number] = theirs
        return FarSocket(self, number, family, kind, mine)

    def forget(self, number: int) -> None:
        """The socket is closed."""
        if self._process and (end := self._ends.pop(number, None)):
            end.close()
            self.tell("close", (number,))

    def close(self) -> None:
        """Harmless when done before."""
        if self._process and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()  # a zombie in a container would keep that from ending
            self._thread.join(_LOOK_S)
        self._process = None


class FarSocket(socket.socket):
    """A socket in the guest: what comes in is read here, from one of this kernel's that can be waited for."""

    def __init__(self, far: Far, number: int, family: int, kind: int, mine: socket.socket) -> None:
        super().__init__(fileno=mine.detach())
        self._far, self._number, self._family, self._kind = far, number, family, kind

    @property
    def family(self) -> int:  # type: ignore[override]
        return self._family

    def setsockopt(self, *words: Any) -> None:
        self._far.ask("setsockopt", (self._number, *words))

    def bind(self, address: Any) -> None:
        self._far.ask("bind", (self._number, address))

    def getsockname(self) -> Any:
        return self._far.ask("getsockname", (self._number,))

    def sendto(self, data: Any, *words: Any) -> int:
        """One of UDP says nothing of what became of it, as its kernel often could not."""
        if self._kind == socket.SOCK_DGRAM:
            self._far.tell("sendto", (self._number, *words), bytes(data))
        else:
            self._far.ask("sendto", (self._number, *words), bytes(data))
        return len(data)

    def recvmsg(self, size: int, extra: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        frame = bytearray(super().recv(_CHUNK, flags))
        head, body = next(take(frame))
        return body[:size], list(head["extra"]), 0, head["sender"]

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, Any]:
        data, _, _, sender = self.recvmsg(size, 0, flags)
        return data, sender

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self.recvmsg(size, 0, flags)[0]

    def close(self) -> None:
        if self.fileno() >= 0:
            self._far.forget(self._number)
        super().close()


class FarNamespace(NodeNamespace):
    """What is seen and done is the guest's. Its descriptor is the container's namespace, for the processes that are
    started there."""

    far: Far

    def socket(self, family: int, type: int, proto: int = 0) -> socket.socket:
        return self.far.socket(family, type, proto)

    def settle(self) -> None:
        self.far.ask("settle")

    def ports(self, kind: str = "") -> frozenset[str]:
        return frozenset(self.far.ask("ports", (kind,)))

    def addresses(self, vrf: str) -> frozenset[str]:
        return frozenset(self.far.ask("addresses", (vrf,)))

    def indexes(self, up: bool = False) -> dict[str, int]:
        return dict(self.far.ask("indexes", (up,)))

    def set_up(self, port: str, up: bool) -> None:
        self.far.ask("set_up", (port, up))

    def delete_port(self, port: str) -> None:
        self.far.ask("delete_port", (port,))

    def observed(self, sysctls: Iterable[str]) -> frozenset[Record]:
        return frozenset(self.far.ask("observe", (sorted(sysctls),)))

    def routes_by_hand(self) -> frozenset[Route | LabelRoute]:
        return frozenset(self.far.ask("routes_by_hand"))

    def learned(self) -> frozenset[Route | LabelRoute | Address]:
        return frozenset(self.far.ask("learned"))

    def rules_by_hand(self) -> frozenset[Rule]:
        return frozenset(self.far.ask("rules_by_hand"))

    def lost_rules(self) -> tuple[Rule, ...]:
        return tuple(self.far.ask("lost_rules"))

    def queues(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.far.ask("queues"))

    def filters(self) -> tuple[str, ...]:
        return tuple(self.far.ask("filters"))

    def bridged(self) -> frozenset[Entry]:
        return frozenset(Entry(*each) for each in self.far.ask("bridged"))

    def write(self, *records: Record) -> None:
        self.far.ask("write", records)

    def remove(self, *records: Record, by_hand: bool = False) -> None:
        self.far.ask("remove", (*records, by_hand))

    def close(self) -> None:
        self.far.close()
        super().close()
