"""Streams of small packets between end points, each both ways, sent and received by one process: with one clock, a
packet that is lost is known by its direction and time."""

from __future__ import annotations

import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..kernel import Namespace

IN_FLIGHT_S = 0.3
"""What has not arrived after so long is lost."""

_HEAD = struct.Struct("!8sIHI")
_SO_RCVBUFFORCE = 33
"""include/uapi/asm-generic/socket.h: as SO_RCVBUF, not bounded by net.core.rmem_max."""
_BUFFER_BYTES = 1 << 20
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, order=True, slots=True)
class Pair:
    """One direction between two end points: ``dst`` is called by ``address``."""

    src: str
    dst: str
    address: str

    @property
    def version(self) -> int:
        return 6 if ":" in self.address else 4

    @property
    def text(self) -> str:
        return f"{self.src} -> {self.dst}" + (" IPv6" if self.version == 6 else "")


class Flow:
    """One stream while it was measured: when each packet was sent, and which arrived."""

    def __init__(self) -> None:
        self.sent_s: list[float] = []
        self.arrived = bytearray()

    @property
    def lost(self) -> int:
        return self.arrived.count(0)

    @property
    def gap_s(self) -> float:
        """The longest time in which everything that was sent was lost."""
        longest, began = 0.0, None
        for at, arrived in zip(self.sent_s, self.arrived, strict=True):
            if not arrived and began is None:
                began = at
            elif arrived and began is not None:
                longest, began = max(longest, at - began), None
        return max(longest, self.sent_s[-1] - began) if began is not None else longest

    @property
    def last_lost_s(self) -> float:
        """When the last packet that was lost was sent; 0 for none."""
        at = self.arrived.rfind(0)
        return self.sent_s[at] if at >= 0 else 0.0

    def flows(self, since_s: float, until_s: float) -> bool:
        """Whether all that was sent between these times has arrived, and anything was sent."""
        some = False
        for at, arrived in zip(reversed(self.sent_s), reversed(self.arrived), strict=True):
            if at < since_s:
                break
            if at <= until_s:
                if not arrived:
                    return False
                some = True
        return some


class Streams:
    """A socket in each end point's namespace, for each IP version."""

    def __init__(self, pairs: Sequence[Pair], namespaces: Mapping[str, Namespace], interval_s: float) -> None:
        self.pairs, self.interval_s = tuple(pairs), interval_s
        self._stack, self._selector = ExitStack(), selectors.DefaultSelector()
        self._run, self._window = os.urandom(8), 0
        self._flows: list[Flow] = []
        ends = {(name, pair.version): name for pair in pairs for name in (pair.src, pair.dst)}
        self._sockets = {end: self._open(namespaces[name], end[1]) for end, name in ends.items()}
        ports = {end: one.getsockname()[1] for end, one in self._sockets.items()}
        self._ways = [
            (self._sockets[pair.src, pair.version], (pair.address, ports[pair.dst, pair.version])) for pair in pairs
        ]

    def _open(self, namespace: Namespace, version: int) -> socket.socket:
        one = self._stack.enter_context(namespace.socket(_FAMILIES[version], socket.SOCK_DGRAM))
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        one.bind(("", 0))
        self._selector.register(one, selectors.EVENT_READ)
        return one

    def close(self) -> None:
        self._selector.close()
        self._stack.close()

    def measure(self, done: Callable[[Mapping[Pair, Flow]], bool]) -> dict[Pair, Flow]:
        """Sends until ``done``, which is asked now and then, says so, and once more when all has arrived."""
        self._window += 1
        self._flows = [Flow() for _ in self.pairs]
        found = dict(zip(self.pairs, self._flows, strict=True))
        is_done = False
        while not is_done:
            self._send_until(lambda: done(found))
            until = time.monotonic() + IN_FLIGHT_S
            while (left_s := until - time.monotonic()) > 0:
                self._read(left_s)
            is_done = done(found)
        return found

    def _send_until(self, done: Callable[[], bool]) -> None:
        due = asked = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= due:
                self._send(now)
                due = max(due + self.interval_s, now)  # whoever was held up does not catch up by a burst
            if now - asked >= 0.05:
                asked = now
                if done():
                    return
            self._read(max(0.0, due - time.monotonic()))

    def _send(self, now: float) -> None:
        for number, (one, way) in enumerate(self._ways):
            flow = self._flows[number]
            head = _HEAD.pack(self._run, self._window, number, len(flow.sent_s))
            flow.sent_s.append(now)
            flow.arrived.append(0)
            try:
                one.sendto(head, way)
            except OSError:  # no route, or a full queue: it is lost
                continue

    def _read(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            for _ in range(64):
                try:
                    data = one.recv(64)
                except BlockingIOError:
                    break
                self._note(data)

    def _note(self, data: bytes) -> None:
        if len(data) == _HEAD.size:
            run, window, number, count = _HEAD.unpack(data)
            if (run, window) == (self._run, self._window):
                self._flows[number].arrived[count] = 1
