"""The way of a packet as the records alone would have it: a pure simulation of what the kernel does with them.

Routing follows net/ipv4/fib_rules.c (own addresses, then the VRF's table, then main) and label switching
net/mpls/af_mpls.c. Where several next hops are equal, every way is a prediction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_address, ip_interface, ip_network
from itertools import islice

from ..model import Lab
from ..state import MAIN_TABLE, Address, Bridge, LabelRoute, Member, NextHop, Port, Record, Route, Sysctl, VrfDevice
from .vpn import call

MAX_HOPS = 64
"""The initial TTL of what Linux sends: a longer way is a loop."""

MAX_WAYS = 64
"""Alternatives looked at where next hops are equal."""


@dataclass(frozen=True, slots=True)
class Hop:
    """What one node does: ``operation`` is push, swap, pop, forward, deliver or drop. ``labels_in`` came in on
    ``in_port`` (empty: made here), ``labels_out`` leave on ``out_port`` towards ``peer``, outermost first. ``vrf``
    is the VRF into which labels were popped; ``reason`` says why it was dropped; ``others`` are the next hops that
    were as good as ``peer``."""

    node: str
    operation: str
    in_port: str = ""
    labels_in: tuple[int, ...] = ()
    out_port: str = ""
    labels_out: tuple[int, ...] = ()
    peer: str = ""
    vrf: str = ""
    reason: str = ""
    others: tuple[str, ...] = ()


def operation(labels_in: tuple[int, ...], labels_out: tuple[int, ...]) -> str:
    """The label operation that made one stack of the other."""
    if len(labels_out) > len(labels_in):
        return "push"
    if len(labels_out) < len(labels_in):
        return "pop"
    return "swap" if labels_in else "forward"


def predict(lab: Lab, records: Mapping[str, frozenset[Record]], src: str, dst: str) -> tuple[Hop, ...]:
    """The way from node ``src`` to ``dst``, a node's name or an address; of several equal ways the first.
    Raises ValueError for a dst that is neither."""
    return predictions(lab, records, src, dst)[0]


def predictions(
    lab: Lab, records: Mapping[str, frozenset[Record]], src: str, dst: str, vrf: str | None = None
) -> tuple[tuple[Hop, ...], ...]:
    """Every way that the records allow, MAX_WAYS at most. ``vrf`` is the VRF device of ``src`` from which the packet
    is sent, empty for none; left out, it is the one that reaches ``dst`` (see `call`)."""
    world = _World(lab, {name: _View(name, found) for name, found in records.items()})
    meant = call(lab, src, dst)
    start = _Packet(src, "", (), meant.address, origin=meant.vrf if vrf is None else vrf)
    return tuple(islice(_ways(world, start, MAX_HOPS), MAX_WAYS))


def vrf_at(records: frozenset[Record], hop: Hop) -> str:
    """The VRF device in which a hop took a packet in: it popped labels into it, or the port is a member."""
    view = _View(hop.node, records)
    master = view.members.get(hop.in_port, "")
    return hop.vrf or (master if master in view.vrfs else "")


@dataclass(frozen=True, slots=True)
class _Packet:
    node: str
    in_port: str
    labels: tuple[int, ...]
    dst: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """What a node decides: send to ``hop``, or deliver (hop None, no reason), or drop (reason)."""

    labels: tuple[int, ...] = ()
    hop: NextHop | None = None
    vrf: str = ""
    reason: str = ""


class _View:
    """One node's records, looked up as a kernel would."""

    def __init__(self, name: str, records: frozenset[Record]) -> None:
        self.name, self._records = name, records

    @cached_property
    def sysctls(self) -> dict[str, str]:
        return {one.key: one.value for one in self._records if isinstance(one, Sysctl)}

    @cached_property
    def vrfs(self) -> dict[str, int]:
        return {one.name: one.table for one in self._records if isinstance(one, VrfDevice)}

    @cached_property
    def members(self) -> dict[str, str]:
        return {one.port: one.master for one in self._records if isinstance(one, Member)}

    @cached_property
    def bridges(self) -> set[str]:
        return {one.name for one in self._records if isinstance(one, Bridge)}

    @cached_property
    def down(self) -> set[str]:
        return {one.name for one in self._records if isinstance(one, Port | VrfDevice | Bridge) and not one.up}

    @cached_property
    def labels(self) -> dict[int, LabelRoute]:
        return {one.label: one for one in self._records if isinstance(one, LabelRoute)}

    @cached_property
    def addresses(self) -> set[tuple[str, str]]:
        """(address, port): two VRFs' ports may well have the same address."""
        return {(str(ip_interface(a.cidr).ip), a.port) for a in self._records if isinstance(a, Address)}

    def table_of(self, port: str) -> int:
        return self.vrfs.get(self.members.get(port, port), MAIN_TABLE)

    @cached_property
    def _routes(self) -> list[Route]:
        """Ours, and those the kernel adds for each address's subnet (fib_frontend.c, fib_add_ifaddr)."""
        connected = [
            Route(self.table_of(a.port), str(ip_interface(a.cidr).network), (NextHop("", a.port),))
            for a in self._records
            if isinstance(a, Address)
        ]
        ours = [one for one in self._records if isinstance(one, Route)]
        return sorted(connected + ours, key=lambda one: (-ip_network(one.dst).prefixlen, one.metric, one))

    def route(self, table: int, dst: str) -> Route | None:
        """The longest match in a VRF's table and, when that has none, in main."""
        for one_table in dict.fromkeys((table, MAIN_TABLE)):
            for route in self._routes:
                if route.table == one_table and ip_address(dst) in ip_network(route.dst):
                    return route
        return None

    def local(self, dst: str, table: int) -> bool:
        return any(here == dst and self.table_of(port) in (table, MAIN_TABLE) for here, port in self.addresses)


class _World:
    def __init__(self, lab: Lab, views: dict[str, _View]) -> None:
        self.views = views
        self.peers = {(near.node, near.name): far for link in lab.links for near, far in (link.ports, link.ports[::-1])}

    def towards(self, node: str, port: str, owner: str) -> tuple[str, str] | None:
        """Is the address ``owner`` on the LAN behind this port? Then the node and the port that have it."""
        todo, seen = [(node, port)], {(node, port)}
        while todo:
            far = self.peers.get(todo.pop(0))
            if far is None:
                continue
            view = self.views[far.node]
            if (owner, far.name) in view.addresses:
                return far.node, far.name
            for other in self.beyond(view, far.name):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return None

    def beyond(self, view: _View, in_port: str) -> list[tuple[str, str]]:
        master = view.members.get(in_port)
        same = [port for port, other in sorted(view.members.items()) if other == master and port != in_port]
        return [(view.name, port) for port in same] if master in view.bridges else []


def _ways(world: _World, packet: _Packet, left: int) -> Iterator[tuple[Hop, ...]]:
    view = world.views[packet.node]
    for step in _decide(view, packet):
        hop = Hop(packet.node, "deliver", packet.in_port, packet.labels, vrf=step.vrf)
        if step.reason or left == 0:
            yield (replace(hop, operation="drop", reason=step.reason or "the TTL ran out: the packet goes in a loop"),)
        elif step.hop is None:
            yield (hop,)
        else:
            yield from _onwards(world, packet, step, left)


def _onwards(world: _World, packet: _Packet, step: _Step, left: int) -> Iterator[tuple[Hop, ...]]:
    assert step.hop is not None
    port, wanted = step.hop.port, step.hop.via or packet.dst
    kind = operation(packet.labels, step.labels)
    hop = Hop(packet.node, kind, packet.in_port, packet.labels, port, step.labels, vrf=step.vrf)
    if port in world.views[packet.node].down:
        yield (replace(hop, operation="drop", out_port="", labels_out=(), reason=f"port {port} is down"),)
    elif world.towards(packet.node, port, wanted) is None:
        reason = f"nobody on the link of {port} has the address {wanted}"
        yield (replace(hop, operation="drop", out_port="", labels_out=(), reason=reason),)
    else:
        hops, arrived = _across(world, hop, wanted)
        for rest in _ways(world, _Packet(*arrived, step.labels, packet.dst), left - 1):
            yield hops + rest


def _across(world: _World, hop: Hop, wanted: str) -> tuple[tuple[Hop, ...], tuple[str, str]]:
    """From the hop's port over bridges to the node that has the address: the hops with their peers, and where
    (node, port) the packet arrives."""
    hops: list[Hop] = []
    while True:
        far = world.peers[hop.node, hop.out_port]
        hops.append(replace(hop, peer=far.node))
        view = world.views[far.node]
        if (wanted, far.name) in view.addresses:
            return tuple(hops), (far.node, far.name)
        out = next(port for node, port in world.beyond(view, far.name) if world.towards(node, port, wanted))
        hop = Hop(far.node, "forward", far.name, hop.labels_out, out, hop.labels_out)


def _decide(view: _View, packet: _Packet) -> Iterator[_Step]:
    if not packet.labels:
        yield from _route(view, packet, view.table_of(packet.in_port or packet.origin), "")
    elif view.sysctls.get(f"net.mpls.conf.{packet.in_port}.input") != "1":
        key = f"net.mpls.conf.{packet.in_port}.input"
        yield _Step(reason=f"labels are not accepted on {packet.in_port}: {key} is not 1")
    else:
        yield from _switch(view, packet)


def _switch(view: _View, packet: _Packet) -> Iterator[_Step]:
    found = view.labels.get(packet.labels[0])
    if found is None:
        yield _Step(reason=f"label {packet.labels[0]} unknown at {view.name}")
        return
    for hop in found.hops:
        labels = hop.labels + packet.labels[1:]
        if hop.via:
            yield _Step(labels, hop)
        elif hop.port in view.down:
            yield _Step(reason=f"{hop.port} is down")
        elif labels:
            yield from _decide(view, replace(packet, in_port=hop.port, labels=labels))
        else:
            vrf = hop.port if hop.port in view.vrfs else ""
            yield from _route(view, packet, view.table_of(hop.port), vrf)


def _route(view: _View, packet: _Packet, table: int, vrf: str) -> Iterator[_Step]:
    if view.local(packet.dst, table):
        yield _Step(vrf=vrf)
        return
    forwarding = "net.ipv6.conf.all.forwarding" if ":" in packet.dst else "net.ipv4.ip_forward"
    if packet.in_port and view.sysctls.get(forwarding) != "1":
        yield _Step(vrf=vrf, reason=f"{view.name} does not forward: {forwarding} is not 1")
        return
    route = view.route(table, packet.dst)
    if route is None:
        yield _Step(vrf=vrf, reason=f"no route to {packet.dst}")
    elif not route.hops:
        yield _Step(vrf=vrf, reason=f"{route.kind} by route {route.dst} in table {route.table}")
    for hop in route.hops if route else ():
        if hop.port in view.vrfs and not hop.via and hop.port != vrf:
            yield from _route(view, packet, view.vrfs[hop.port], hop.port)
        else:
            yield _Step(hop.labels, hop, vrf)
