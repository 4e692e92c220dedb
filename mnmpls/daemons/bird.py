"""BIRD 2 (https://bird.network.cz) in the place of FRR's daemons: at CEs, at routers without labels, and as a route
reflector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..asking import BIRD
from ..state import RTPROT_MNMPLS
from .bgp import Speaker
from .ospf_edges import Edge
from .routers import Router
from .service import BIRD_ARGV, BIRD_USER, Service
from .templating import templates

CHANNELS = {"ipv4 vpn": "vpn4", "ipv6 vpn": "vpn6", "ipv4 labeled-unicast": "ipv4", "ipv6 labeled-unicast": "ipv6"}
"""What BIRD calls the routes of a reflector's, which are for none of its own tables."""

EDGE_HELLO_S, EDGE_DEAD_S, EDGE_COST = 1, 4, 10
"""Of FRR's OSPF between PE and CE."""


@dataclass(frozen=True, slots=True)
class _Port:
    name: str
    stub: bool
    direct: bool = False
    cost: int = EDGE_COST
    hello_s: int = EDGE_HELLO_S
    dead_s: int = EDGE_DEAD_S
    bfd: bool = False


def bird(
    name: str, router: Router | None, edges: tuple[Edge, ...], speaker: Speaker | None, stub: bool
) -> tuple[Service, ...]:
    """The one service of a node that speaks what these say; with ``stub`` nothing is to go through it."""
    peers = speaker.instances[0].peers if speaker else ()
    number = router.v4 if router else (speaker.router_id if speaker else edges[0].router_id)
    ospf = {version: _areas(router, edges, version) for version in (4, 6)}
    has = {
        "name": name,
        "id": number,
        "asn": speaker.asn if speaker else 0,
        "versions": (4, 6),
        "planned": RTPROT_MNMPLS,
        "bfd": router is not None and any(port.bfd for port in router.ports),
        "ospf": {version: areas for version, areas in ospf.items() if areas},
        "loopbacks": _loopbacks(router) if router else {},
        "stub": stub and router is not None,
        "peers": peers,
        "told": {name: kind for name, kind in CHANNELS.items() if any(name in peer.families for peer in peers)},
        "channels": CHANNELS,
    }
    return (Service(BIRD, (*BIRD_ARGV, *BIRD_USER), templates().get_template("bird.conf").render(has)),)


def _loopbacks(router: Router) -> Mapping[int, Mapping[str, list[str]]]:
    """By IP version and area. OSPFv3 would not take them from lo, which has no link-local address."""
    found = {4: [f"{router.v4}/32"], 6: [f"{router.v6}/128"] if router.v6 else []}
    return {version: {router.area: some} for version, some in found.items()}


def _areas(router: Router | None, edges: tuple[Edge, ...], version: int) -> Mapping[str, list[_Port]]:
    found: dict[str, list[_Port]] = {}
    if router and router.igp == "ospf" and (version == 4 or router.v6):
        found.setdefault(router.area, [])  # for its loopbacks
        for port in router.ports:
            one = _Port(port.name, False, port.direct, port.metric, port.hello_s, port.dead_s, port.bfd)
            found.setdefault(port.area, []).append(one)
        found[router.area] += (_Port(name, True) for name in router.outer)
    for edge in edges:
        for at in edge.ports[version]:
            found.setdefault(at.area, []).append(_Port(at.name, at.passive, at.direct))
    return found
