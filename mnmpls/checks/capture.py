"""What really crosses the wires: packet sockets in every node, and the way they saw one probe take."""

from __future__ import annotations

import os
import selectors
import socket
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ..model import Lab
from ..plan.evpn import ends
from .clock import Clock
from .packets import RUN_BYTES, Packet, decode, echo_request, kind_of, number
from .predict import MAX_HOPS, Hop, operation
from .vpn import Call

if TYPE_CHECKING:
    from ..kernel import Namespace

ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
"""include/uapi/asm-generic/socket.h: the time at which the kernel took the frame in, as a struct timespec."""

_NEVER_FRAGMENT = {
    socket.AF_INET: ((socket.IPPROTO_IP, 10, 3),),
    socket.AF_INET6: ((socket.IPPROTO_IPV6, 23, 3), (socket.IPPROTO_IPV6, 62, 1)),
}
"""IP_MTU_DISCOVER and IPV6_MTU_DISCOVER = PROBE: whatever path MTU was learned before, and IPV6_DONTFRAG
(include/uapi/linux/in.h, in6.h)."""

_BUFFER_BYTES = 1 << 20
_TURN_S = 0.05
_SETTLE_S = 0.005
"""After the answer is back, nothing of the probe is under way any more but what is in our own sockets."""


@dataclass(frozen=True, order=True, slots=True)
class Sighting:
    """One frame with the probe in it, going out of or coming in on a node's port."""

    time_ns: int
    node: str
    port: str
    out: bool
    packet: Packet


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one probe: all sightings, whether the asker's own socket got the answer, which of the nodes that were to take
    the request in did, and why the asker's kernel did not send it, if so."""

    sightings: tuple[Sighting, ...]
    answered: bool
    taken: frozenset[str] = frozenset()
    refused: str = ""


class Tap:
    """Packet sockets in all namespaces, and raw sockets to send probes with."""

    def __init__(self, namespaces: Mapping[str, Namespace], stack: ExitStack) -> None:
        self._namespaces, self._stack = namespaces, stack
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._run, self._count = os.urandom(RUN_BYTES), 0
        for node, namespace in namespaces.items():
            self._selector.register(self._listen(namespace), selectors.EVENT_READ, node)

    def _listen(self, namespace: Namespace) -> socket.socket:
        one: socket.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._stack.enter_context(one)
        one.setblocking(False)
        timestamped(one)
        return one

    def probe(
        self, call: Call, deadline_s: float, takers: Iterable[str] = (), size_bytes: int = 0, arrival: str = ""
    ) -> Seen:
        """Sends one echo request and gives all that was seen of it, in the kernel's time order: until the answer is
        back or, if given, until the request is at the node ``arrival``. ``takers`` are the nodes that are to take it
        in. ``size_bytes`` is that of the IP packet, which is never fragmented."""
        self._count += 1
        version = ip_address(call.address).version
        cookie = self._run + self._count.to_bytes(8, "big")
        with ExitStack() as stack:
            sender = stack.enter_context(self._sender(call))
            ears = {node: stack.enter_context(self._raw(node, version)) for node in takers}
            try:
                sender.sendto(echo_request(version, cookie, self._count, size_bytes), (call.address, 0))
            except OSError as error:  # no route here, or too big for the first wire
                return Seen((), False, refused=os.strerror(error.errno or 0))
            found = tuple(sorted(self._follow(call.src, arrival, deadline_s), key=lambda one: one.time_ns))
            taken = frozenset(node for node, ear in ears.items() if self._got(ear, "request"))
            return Seen(found, self._got(sender, "reply"), taken)

    def _follow(self, src: str, arrival: str, deadline_s: float) -> Iterator[Sighting]:
        clock, end_s = Clock(), deadline_s
        while (left_s := end_s - clock.turn(_TURN_S)) > 0:
            for one in self._read(min(left_s, _TURN_S)):
                yield one
                back = one.packet.kind != "request" and one.node == src
                if not one.out and (back or one.node == arrival):
                    end_s = min(end_s, clock.turn(_TURN_S) + _SETTLE_S)
        for namespace in self._namespaces.values():
            namespace.settle()
        yield from self._read(0)

    def _raw(self, node: str, version: int) -> socket.socket:
        kinds = {4: (socket.AF_INET, socket.IPPROTO_ICMP), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6)}
        family, protocol = kinds[version]
        one: socket.socket = self._namespaces[node].socket(family, socket.SOCK_RAW, protocol)
        one.setblocking(False)
        return one

    @contextmanager
    def _sender(self, call: Call) -> Iterator[socket.socket]:
        """A raw socket where the probe is sent from: in the node's VRF, if it has one."""
        with self._raw(call.src, ip_address(call.address).version) as one:
            if call.vrf:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, call.vrf.encode())
                one.bind((call.source, 0))
            for level, option, value in _NEVER_FRAGMENT[one.family]:
                one.setsockopt(level, option, value)
            yield one

    def _got(self, ear: socket.socket, kind: str) -> bool:
        """Whether a request or a reply was not only seen on the wire, but delivered."""
        version = 4 if ear.family == socket.AF_INET else 6
        while True:
            try:
                data = ear.recv(2048)
            except BlockingIOError:
                return False
            at = (data[0] & 15) * 4 if version == 4 else 0  # an IPv4 header comes along, an IPv6 one does not (raw(7))
            if number(data, self._run) == self._count and kind_of(version, data[at]) == kind:
                return True

    def _read(self, timeout_s: float) -> Iterator[Sighting]:
        for key, _ in self._selector.select(timeout_s):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            while True:
                try:
                    frame, extra, _, sender = one.recvmsg(2048, 64)
                except BlockingIOError:
                    break
                _, protocol, kind, hardware, *_ = sender
                packet = decode(frame, hardware, protocol) if number(frame, self._run) == self._count else None
                if packet:
                    yield Sighting(stamp(extra), key.data, sender[0], kind == socket.PACKET_OUTGOING, packet)


def timestamped(one: socket.socket) -> None:
    """With room for many frames, each with the kernel's own time."""
    one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    one.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def stamp(extra: Iterable[tuple[int, int, bytes]]) -> int:
    """The time of a message from its ancillary data, in nanoseconds since 1970; 0 if it has none."""
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("ll", data[: struct.calcsize("ll")])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return 0


@contextmanager
def tap(namespaces: Mapping[str, Namespace]) -> Iterator[Tap]:
    """Listens in all these namespaces until the block ends."""
    with ExitStack() as stack:
        yield Tap(namespaces, stack)


def way(lab: Lab, sightings: Iterable[Sighting], kind: str, start: str) -> tuple[Hop, ...]:
    """The hops of the request or the reply, from ``start`` on. The last one is deliver or drop by what could be
    seen: which of the two it was is for the caller to tell (a deliver may be a loss inside the last node).

    Ordered by the wires, not by the clock: a veth pair may hand a frame over within one softirq. Where a bridge
    flooded a frame to several ports the longest way is the one."""
    return _Follower(lab, [one for one in sightings if one.packet.kind == kind]).onwards(start, None, frozenset())


class _Follower:
    """Walks along the wires from sighting to sighting; ``_left`` bounds its steps where frames went round and round."""

    def __init__(self, lab: Lab, frames: list[Sighting]) -> None:
        both = [(near, far) for link in lab.links for near, far in (link.ports, link.ports[::-1])]
        self._peers = dict(ends(lab))
        self._peers |= {(near.node, near.name): ((far.node, far.name),) for near, far in both}
        switching = (port.node for port, _ in both if port.evpn)
        self._lans = frozenset(node.name for node in lab.nodes if node.role == "bridge")
        self._bridges = self._lans.union(switching)
        self._outs: dict[str, list[Sighting]] = defaultdict(list)
        self._ins: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
        for one in frames:
            if (one.node, one.port) in self._peers:
                if one.out:
                    self._outs[one.node].append(one)
                else:
                    self._ins[one.node, one.port].append(one)
        self._left = 4 * MAX_HOPS

    def onwards(self, node: str, arrived: Sighting | None, used: frozenset[int]) -> tuple[Hop, ...]:
        """The way from ``node`` on, without the sightings (by id) that are behind it already."""
        labels_in, in_port = (arrived.packet.labels, arrived.port) if arrived else ((), "")
        best: tuple[Hop, ...] = (Hop(node, "deliver", in_port, labels_in),)
        for left in self._departures(node, used) if self._left > 0 else ():
            self._left -= 1
            every, labels = self._peers[node, left.port], left.packet.labels
            did = "forward" if node in self._lans else operation(labels_in, labels)
            ttls = tuple(entry.ttl for entry in left.packet.stack)
            hop = Hop(node, did, in_port, labels_in, left.port, labels, label_ttls=ttls, ttl=left.packet.ttl)
            for peer in every:
                landed = next((one for one in self._ins[peer] if id(one) not in used), None)
                further = self.onwards(peer[0], landed, used | {id(left), id(landed)}) if landed else ()
                if len(further) + 1 > len(best) or best[0].operation == "deliver":
                    best = (replace(hop, peer=peer[0]), *further)
        return best

    def _departures(self, node: str, used: frozenset[int]) -> list[Sighting]:
        """What left next: of a bridge by each port that it flooded, of any other node by one."""
        first: dict[str, Sighting] = {}
        for one in self._outs[node]:
            if id(one) not in used:
                first.setdefault(one.port, one)
        return list(first.values())[: None if node in self._bridges else 1]
