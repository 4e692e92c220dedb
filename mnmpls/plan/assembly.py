"""All records of a complete lab, node by node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..errors import LabError
from ..model import BY_EVPN, SEGMENTS, STATIC, Lab
from ..state import LabelRoute, Record
from . import alloc, labels, lsps
from .core import plain
from .devices import devices
from .graph import CUSTOMERS, ROUTERS, Network, network
from .instances import Flows, Instance, Key, flows, instances
from .ranges import bounds
from .routes import Routes
from .segments import block, local_block
from .sites import customer_routes, global_routes
from .static import user_routes
from .vpn import mute_links, routes_of_several, sites_routes, vpn_routes


def assemble(lab: Lab) -> dict[str, frozenset[Record]]:
    """Node name -> its records. Raises LabError for what only the routes show."""
    net, routes = network(lab), Routes()
    known = instances(net)
    sites_routes(routes, known)
    paths = lsps.laid(lab, net)
    wanted = flows(known)
    if lab.labels.protocol == STATIC and not lab.has_own_routers:
        _core_and_vpns(lab, net, routes, known, wanted if lab.vpn.protocol != BY_EVPN else {}, paths)
    for node in lab.nodes:
        if node.routes_itself:
            routes.forget(node.name)
        elif node.role in CUSTOMERS:
            customer_routes(net, routes, node)
            if node.role == "ce":
                routes_of_several(net, routes, node, known, wanted)
        elif node.role in ROUTERS:
            global_routes(net, routes, node)
    lsps.entries(routes, paths)
    for node in lab.nodes:
        user_routes(net, routes, node)
    known_routes = {node.name: tuple(routes.of(node.name)) for node in lab.nodes}
    sized = replace(lab, platform_labels=lab.platform_labels or _label_table(lab, known_routes))
    return {node.name: frozenset([*devices(net, node, sized), *known_routes[node.name]]) for node in lab.nodes}


def _core_and_vpns(
    lab: Lab,
    net: Network,
    routes: Routes,
    known: Mapping[Key, Instance],
    wanted: Flows,
    paths: Sequence[lsps.Laid],
) -> None:
    """What routing daemons would make otherwise; the core's plain routes are a routing protocol's, if there is one."""
    hand = lsps.by_hand(net, paths)
    plain_too = lab.igp.protocol == STATIC
    carried, mute = vpn_routes(net, routes, known, wanted, labels.planned(lab, wanted, hand, paths), hand, plain_too)
    if mute:
        raise LabError(mute_links(lab, mute))
    lsps.label_routes(routes, paths)
    if plain_too:
        plain(net, routes, carried)


def _label_table(lab: Lab, routes: Mapping[str, Iterable[Record]]) -> int:
    """As large as labels need it; daemons may take any."""
    if lab.labels.protocol != STATIC or lab.has_own_routers:
        segments = (block(lab.labels)[-1], local_block(lab.labels)[-1]) if lab.labels.protocol == SEGMENTS else ()
        return max(alloc.DYNAMIC_LABELS, alloc.label_table(max(segments, default=0)))
    used = (record.label for some in routes.values() for record in some if isinstance(record, LabelRoute))
    ranges = (bounds(node).stop - 1 for node in lab.nodes if node.label_range)
    return alloc.label_table(max((*used, *ranges), default=0))
