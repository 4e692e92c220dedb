"""The way of a packet as the records alone would have it: a pure simulation of what the kernel does with them.

Routing follows net/ipv4/fib_rules.c (own addresses, then the VRF's table, then main) and label switching
net/mpls/af_mpls.c. Where several next hops are equal, every way is a prediction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from ..model import Lab
from ..state import LabelRoute, NextHop, Record
from .views import View, World
from .vpn import Call

MAX_HOPS = 64
"""The initial TTL of what Linux sends: a longer way is a loop."""

MAX_WAYS = 64
"""Alternatives looked at where next hops are equal."""


@dataclass(frozen=True, slots=True)
class Hop:
    """What one node does: ``operation`` is push, swap, pop, forward, deliver or drop. ``labels_in`` came in on
    ``in_port`` (empty: made here), ``labels_out`` leave on ``out_port`` towards ``peer``, outermost first. ``vrf``
    is the VRF into which labels were popped; ``reason`` says why it was dropped; ``others`` are the next hops that
    were as good as ``peer``. ``label_ttls`` are those of ``labels_out``, ``ttl`` that of the IP packet as it leaves."""

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
    label_ttls: tuple[int, ...] = ()
    ttl: int = 0


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


def predictions(lab: Lab, records: Mapping[str, frozenset[Record]], src: str, dst: str) -> tuple[tuple[Hop, ...], ...]:
    """Every way that the records allow, MAX_WAYS at most."""
    world = World(lab, records)
    return ways(world, world.vpns.call(src, dst))


def ways(world: World, of: Call) -> tuple[tuple[Hop, ...], ...]:
    """The same for many calls in one world."""
    packet = _Packet(of.src, "", (), of.address, of.vrf, source=world.source(of))
    return tuple(islice(_ways(world, packet, MAX_HOPS), MAX_WAYS))


def vrf_at(view: View, hop: Hop) -> str:
    """The VRF device in which a hop took a packet in: it popped labels into it, or the port is a member."""
    return hop.vrf or view.vrf_of(hop.in_port)


@dataclass(frozen=True, slots=True)
class _Packet:
    """``ttl`` is the IP header's, once the packet has left its first node. ``popped`` tells that the node has taken the
    last label off itself, and with it a hop off the TTL."""

    node: str
    in_port: str
    labels: tuple[int, ...]
    dst: str
    origin: str = ""
    label_ttls: tuple[int, ...] = ()
    ttl: int = 0
    popped: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """What a node decides: send to ``hop``, or deliver (hop None, no reason), or drop (reason)."""

    labels: tuple[int, ...] = ()
    hop: NextHop | None = None
    vrf: str = ""
    reason: str = ""
    label_ttls: tuple[int, ...] = ()
    ttl: int = 0


_RAN_OUT = "ran out"
_LOOP = ": the packet goes in a loop"
_LONG = 30
"""Hops after which a packet whose TTL runs out has been somewhere twice."""


def _ways(world: World, packet: _Packet, left: int) -> Iterator[tuple[Hop, ...]]:
    view = world.views[packet.node]
    for step in _decide(view, packet):
        hop = Hop(packet.node, "deliver", packet.in_port, packet.labels, vrf=step.vrf)
        if step.reason or left == 0:
            reason = step.reason or f"the TTL {_RAN_OUT}"
            loop = _LOOP if reason.endswith(_RAN_OUT) and MAX_HOPS - left > _LONG else ""
            yield (replace(hop, operation="drop", reason=reason + loop),)
        elif step.hop is None:
            yield (hop,)
        else:
            yield from _onwards(world, packet, step, left)


def _onwards(world: World, packet: _Packet, step: _Step, left: int) -> Iterator[tuple[Hop, ...]]:
    assert step.hop is not None
    port, wanted = step.hop.port, step.hop.via or packet.dst
    kind = operation(packet.labels, step.labels)
    hop = Hop(packet.node, kind, packet.in_port, packet.labels, vrf=step.vrf)
    if port in world.views[packet.node].down:
        yield (replace(hop, operation="drop", reason=f"port {port} is down"),)
    elif world.towards(packet.node, port, wanted) is None:
        reason = f"nobody on the link of {port} has the address {wanted}"
        yield (replace(hop, operation="drop", reason=reason),)
    else:
        port = world.leaving(packet.node, port, wanted)
        hop = replace(hop, out_port=port, labels_out=step.labels, label_ttls=step.label_ttls, ttl=step.ttl)
        hops, (node, in_port) = _across(world, hop, wanted)
        there = _Packet(
            node, in_port, step.labels, packet.dst, label_ttls=step.label_ttls, ttl=step.ttl, source=packet.source
        )
        for rest in _ways(world, there, left - 1):
            yield hops + rest


def _across(world: World, hop: Hop, wanted: str) -> tuple[tuple[Hop, ...], tuple[str, str]]:
    """From the hop's port over bridges to the node that has the address: the hops with their peers, and where
    (node, port) the packet arrives."""
    hops: list[Hop] = []
    straight = hop.out_port in world.views[hop.node].point_to_point
    while True:
        every = world.fars(hop.node, hop.out_port)
        far, port = every[0] if len(every) == 1 else next(each for each in every if world.leads(each, wanted))
        hops.append(replace(hop, peer=far))
        view = world.views[far]
        if straight or view.takes(wanted, port):
            return tuple(hops), (far, port)
        out = next(out for node, out in world.beyond(view, port) if world.towards(node, out, wanted))
        hop = replace(hop, node=far, operation="forward", in_port=port, labels_in=hop.labels_out, out_port=out)


def _decide(view: View, packet: _Packet) -> Iterator[_Step]:
    if not packet.labels:
        yield from _route(view, packet, view.table_of(packet.in_port or packet.origin), "")
    elif view.sysctls.get(f"net.mpls.conf.{packet.in_port}.input") != "1":
        key = f"net.mpls.conf.{packet.in_port}.input"
        yield _Step(reason=f"labels are not accepted on {packet.in_port}: {key} is not 1")
    else:
        yield from _switch(view, packet)


def _switch(view: View, packet: _Packet) -> Iterator[_Step]:
    found = view.labels.get(packet.labels[0])
    if found is None:
        yield _Step(reason=f"label {packet.labels[0]} unknown at {view.name}")
        return
    left = packet.label_ttls[0] - 1
    if left < 1:
        yield _Step(reason=f"the TTL of label {packet.labels[0]} {_RAN_OUT}")
        return
    for hop in found.hops:
        labels, label_ttls = hop.labels + packet.labels[1:], (left,) * len(hop.labels) + packet.label_ttls[1:]
        ttl = packet.ttl if labels else _popped(view, found, packet.ttl, left)
        inner = replace(packet, in_port=hop.port, labels=labels, label_ttls=label_ttls, ttl=ttl)
        if hop.via:
            yield _Step(labels, hop, label_ttls=label_ttls, ttl=ttl)
        elif hop.port in view.down:
            yield _Step(reason=f"{hop.port} is down")
        elif labels:
            yield from _decide(view, inner)
        else:
            vrf = hop.port if hop.port in view.vrfs else ""
            yield from _route(view, replace(inner, popped=bool(vrf)), view.table_of(hop.port), vrf)


def _popped(view: View, popped: LabelRoute, ttl: int, label_ttl: int) -> int:
    """The TTL of the IP packet without its last label (mpls_egress in net/mpls/af_mpls.c)."""
    uniform = popped.ttl == "uniform" or (not popped.ttl and view.sysctls.get(_PROPAGATE) != "0")
    return label_ttl if uniform else max(ttl - 1, 0)


def _pushed(view: View, hop: NextHop, ttl: int) -> int:
    """The TTL of labels that a route pushes (mpls_output in net/mpls/mpls_iptunnel.c)."""
    if hop.ttl > 0:
        return hop.ttl
    if hop.ttl == 0 or view.sysctls.get(_PROPAGATE) != "0":
        return ttl
    return int(view.sysctls.get("net.mpls.default_ttl", "255"))


_PROPAGATE = "net.mpls.ip_ttl_propagate"


def _route(view: View, packet: _Packet, table: int, vrf: str) -> Iterator[_Step]:
    if view.local(packet.dst, table):
        yield _Step(vrf=vrf)
        return
    forwarding = "net.ipv6.conf.all.forwarding" if ":" in packet.dst else "net.ipv4.ip_forward"
    if packet.in_port and view.sysctls.get(forwarding) != "1":
        yield _Step(vrf=vrf, reason=f"{view.name} does not forward: {forwarding} is not 1")
        return
    if packet.in_port and not packet.popped:
        if packet.ttl <= 1:
            yield _Step(vrf=vrf, reason=f"the TTL {_RAN_OUT}")
            return
        packet = replace(packet, ttl=packet.ttl - 1, popped=True)
    route = view.route(table, packet.dst, packet.source if packet.in_port else "", packet.in_port)
    if route is None:
        yield _Step(vrf=vrf, reason=f"no route to {packet.dst}")
    elif not route.hops:
        yield _Step(vrf=vrf, reason=f"{route.kind} by route {route.dst} in table {route.table}")
    for hop in route.hops if route else ():
        if hop.port in view.vrfs and not hop.via and hop.port != vrf:
            yield from _route(view, packet, view.vrfs[hop.port], hop.port)
        else:
            ttl = packet.ttl if packet.in_port else _first_ttl(view, hop.port, packet.dst)
            label_ttls = (_pushed(view, hop, ttl),) * len(hop.labels)
            yield _Step(hop.labels, hop, vrf, label_ttls=label_ttls, ttl=ttl)


def _first_ttl(view: View, port: str, dst: str) -> int:
    """The TTL with which a node sends: IPv4's is the namespace's, IPv6's the port's."""
    key = f"net.ipv6.conf.{port}.hop_limit" if ":" in dst else "net.ipv4.ip_default_ttl"
    return int(view.sysctls.get(key, "64"))
