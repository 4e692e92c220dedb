"""OSPF between PE and CE: OSPFv2 (RFC 4577) and OSPFv3 (RFC 6565), in the PE's VRF and in the CE's main table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..model import NO_LOOPBACK, Lab, Node, Port
from ..plan.graph import Network, interface, interfaces, network
from ..plan.igp import area
from ..plan.spoken import Spoken, asns, spoken
from .bgp import router_id

TAG = 0xD0000000
"""With the lower 16 bits of the AS number (RFC 4577 4.2.5.2)."""


@dataclass(frozen=True, slots=True)
class EdgePort:
    """``direct``: there is one other at the wire; ``passive``: nobody that speaks OSPF is there. ``neighbours`` are
    the others' nodes."""

    name: str
    area: str
    direct: bool = False
    passive: bool = False
    neighbours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """The OSPF of one VRF, or of a CE's main table (``vrf`` empty). ``ports`` are by IP version; ``tag`` is what a PE's
    routes are known by."""

    vrf: str
    router_id: str
    ports: dict[int, tuple[EdgePort, ...]]
    redistributed: tuple[str, ...]
    tag: int


def edges(lab: Lab) -> dict[str, tuple[Edge, ...]]:
    """Node -> where it speaks OSPF outside of the core, for a completed lab."""
    net, within = network(lab), asns(lab)
    found: dict[str, dict[str, list[tuple[Port, Spoken]]]] = {}
    for pair in spoken(net):
        if pair.routing.protocol == "ospf":
            for port in (pair.near, pair.far):
                found.setdefault(port.node, {}).setdefault(port.vrf or "", []).append((port, pair))
    return {
        name: tuple(_edge(net, net.nodes[name], vrf, pairs, within[name]) for vrf, pairs in by_vrf.items())
        for name, by_vrf in found.items()
    }


def _edge(net: Network, node: Node, vrf: str, pairs: Sequence[tuple[Port, Spoken]], asn: int) -> Edge:
    ports = {version: tuple(_ports(net, node, vrf, pairs, version)) for version in (4, 6)}
    told = ("kernel route-map SITES", "connected route-map TOLD", "bgp route-map TOLD") if vrf else ("kernel",)
    return Edge(vrf, router_id(net, node), ports, told, TAG | asn & 0xFFFF)


def _ports(
    net: Network, node: Node, vrf: str, pairs: Sequence[tuple[Port, Spoken]], version: int
) -> Iterator[EdgePort]:
    speaking: dict[str, list[str]] = {}
    for port, pair in pairs:
        if _speaks(pair.near, version) and _speaks(pair.far, version):
            other = pair.far if port == pair.near else pair.near
            speaking.setdefault(port.name, []).append(other.node)
    if not speaking:
        return
    first = area("ospf", pairs[0][1].routing.area)
    for port in net.members.get((node.name, vrf or None), ()):
        if port.name in speaking:
            alone = len(net.segments[net.segment_of[port.node, port.name]].ports) == 2
            own = next(pair.routing.area for at, pair in pairs if at == port)
            yield EdgePort(port.name, area("ospf", own), alone, neighbours=tuple(speaking[port.name]))
        elif not vrf and _speaks(port, version):
            yield EdgePort(port.name, first, passive=True)
    loopbacks = (interface(cidr) for cidr in node.loopbacks if cidr != NO_LOOPBACK)
    if not vrf and any(address.version == version for address in loopbacks):
        yield EdgePort("lo", first, passive=True)


def _speaks(port: Port, version: int) -> bool:
    return any(address.version == version for address in interfaces(port))
