"""Probes from every end point at once, in one process without a fork: raw ICMP sockets, one in each namespace.

A raw socket gets a copy of every ICMP packet that its namespace takes in (raw(7)): a request seen there was
delivered there, a reply seen at the asker came back.
"""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from .clock import Clock
from .packets import RUN_BYTES, echo_request, kind_of, number
from .patience import NONE, Patience

if TYPE_CHECKING:
    from ..kernel import Namespace

RESEND_AFTER_S = (0.4, 1.0)
"""A first packet can be lost to address resolution: a probe without an answer is sent again after so long."""

RESEND_EVERY_S = 0.4
"""On links that lose packets."""

GRACE_S = 0.3
"""How long a packet that must not arrive is waited for once all expected answers are in."""

_TURN_S = 0.02
_BATCH = 24
"""Requests sent between two readings, so that no socket's or neighbour entry's queue overflows."""

_BUFFER_BYTES = 1 << 20
_SO_RCVBUFFORCE = 33
"""include/uapi/asm-generic/socket.h: as SO_RCVBUF, not bounded by net.core.rmem_max."""

Pair = tuple[str, str]
"""Who asks, and the address."""

Socket = tuple[str, int]
"""Whose, and the IP version."""

Place: TypeAlias = "tuple[Namespace, str]"
"""Where one asks from and is asked: a namespace and, if not empty, a VRF device in it. What is asked outside of all
VRFs hears what arrives in them, too."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a probe is waited for: that its request arrives somewhere, that an answer comes back."""

    arrival: bool
    answer: bool

    def granted(self, seen: Sighting) -> bool:
        return (seen.rtt_ms is not None) >= self.answer and bool(seen.received) >= self.arrival


@dataclass(slots=True)
class Sighting:
    """What was seen of one probe; ``said`` is what a router or the own kernel said about it, as a clause."""

    received: set[str] = field(default_factory=set)
    rtt_ms: float | None = None
    said: str = ""
    sent_s: list[float] = field(default_factory=list)


def ask(
    wanted: Mapping[Pair, Wish],
    ends: Mapping[str, Place],
    deadline_s: float = 2.0,
    until: float = math.inf,
    patience: Patience = NONE,
) -> dict[Pair, Sighting]:
    """Probes each pair in turn until this time (of time.monotonic); what is wished for is waited for up to the deadline
    (which counts from the end of the first round), and longer with ``patience``. Gives the pairs that were probed."""
    versions: list[int] = sorted({ip_address(target).version for _, target in wanted})
    with _sockets(ends, versions) as sockets:
        run = _Run(sockets, list(wanted))
        run.send(list(wanted), until)
        _wait(run, wanted, deadline_s, patience)
        for namespace, _ in ends.values():
            namespace.settle()
        run.read(0)
        found = zip(run.pairs, run.sightings, strict=True)
        return {pair: one for pair, one in found if one.sent_s}


def _wait(run: _Run, wanted: Mapping[Pair, Wish], deadline_s: float, patience: Patience) -> None:
    clock = Clock()
    last_answer_s, resends = 0.0, _resends(patience)
    deadline_s += resends[-1] - RESEND_AFTER_S[-1] + patience.rtt_s
    grace_s = GRACE_S if not all(wish.answer for wish in wanted.values()) else 0.0
    while True:
        now_s = clock.turn(_TURN_S)
        open_pairs = run.waiting(wanted)
        quiet = now_s - last_answer_s >= grace_s and (not grace_s or now_s >= grace_s + patience.rtt_s)
        if now_s >= deadline_s or (not open_pairs and quiet):
            return
        if resends and now_s >= resends[0]:
            resends.pop(0)
            run.send(open_pairs)
        if run.read(_TURN_S):
            last_answer_s = clock.turn(_TURN_S)


def _resends(patience: Patience) -> list[float]:
    """When, in seconds after the first round. The first packet may wait for addresses to be resolved at every hop,
    which takes as long as the packet itself; where packets get lost, each try has its turn."""
    usual = [first + patience.rtt_s * rounds for rounds in (1, 2) for first in RESEND_AFTER_S]
    last = usual[-1]
    more = [last + RESEND_EVERY_S * (number + 1) for number in range(patience.tries - len(usual) - 1)]
    return sorted({*usual, *more})


@contextmanager
def _sockets(ends: Mapping[str, Place], versions: list[int]) -> Iterator[dict[Socket, socket.socket]]:
    kinds = {4: (socket.AF_INET, socket.IPPROTO_ICMP), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6)}
    with ExitStack() as stack:
        opened = {}
        for name, (namespace, vrf) in ends.items():
            for version in versions:
                family, protocol = kinds[version]
                one = stack.enter_context(namespace.socket(family, socket.SOCK_RAW, protocol))
                if vrf:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, vrf.encode())
                one.setblocking(False)
                one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
                opened[name, version] = one
        yield opened


class _Run:
    """The open sockets and what came in on them."""

    def __init__(self, sockets: dict[Socket, socket.socket], pairs: list[Pair]) -> None:
        self.pairs, self.sightings = pairs, [Sighting() for _ in pairs]
        self._numbers = {pair: i for i, pair in enumerate(pairs)}
        self._sockets = sockets
        self._run = os.urandom(RUN_BYTES)
        self._selector = selectors.DefaultSelector()
        for key, one in sockets.items():
            self._selector.register(one, selectors.EVENT_READ, key)

    def waiting(self, wanted: Mapping[Pair, Wish]) -> list[Pair]:
        """Those that were asked and do not have what is wished for them."""
        found = zip(self.pairs, self.sightings, strict=True)
        return [pair for pair, one in found if one.sent_s and not wanted[pair].granted(one)]

    def send(self, pairs: list[Pair], until: float = math.inf) -> None:
        for i, pair in enumerate(pairs):
            self._send_one(pair)
            if i % _BATCH == _BATCH - 1:
                self.read(0)
                if time.monotonic() > until:
                    return

    def _send_one(self, pair: Pair) -> None:
        src, target = pair
        at = self._numbers[pair]
        version = ip_address(target).version
        attempt = len(self.sightings[at].sent_s)
        packet = echo_request(version, self._run + (attempt << 32 | at).to_bytes(8, "big"), at)
        self.sightings[at].sent_s.append(time.monotonic())
        try:
            self._sockets[src, version].sendto(packet, (target, 0))
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                self.sightings[at].said = f" ({src}'s own kernel: {os.strerror(error.errno or 0)})"

    def read(self, timeout_s: float) -> bool:
        """Takes in what has arrived; True if something wanted was among it."""
        answered = False
        for key, _ in self._selector.select(timeout_s):
            one: socket.socket = self._sockets[key.data]
            for _ in range(256):
                try:
                    data, sender = one.recvfrom(2048)
                except BlockingIOError:
                    break
                answered |= self._note(key.data, data, sender[0])
        return answered

    def _note(self, at: Socket, data: bytes, sender: str) -> bool:
        node, version = at
        found = number(data, self._run)
        if found is None:
            return False
        attempt, found = found >> 32, found & 0xFFFFFFFF
        if found >= len(self.sightings) or attempt >= len(self.sightings[found].sent_s):
            return False  # damaged on its way: a raw socket gets it before the checksum is looked at
        sighting, start = self.sightings[found], (data[0] & 15) * 4 if version == 4 else 0
        kind = kind_of(version, data[start], data[start + 1])
        if kind == "request":
            sighting.received.add(node)
        elif kind == "reply" and node == self.pairs[found][0] and sighting.rtt_ms is None:
            sighting.rtt_ms = (time.monotonic() - sighting.sent_s[attempt]) * 1000
            return True
        elif kind and kind != "reply" and node == self.pairs[found][0]:
            sighting.said = f" ({sender} says: {kind})"
        return False
