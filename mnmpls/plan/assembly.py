"""All records of a complete lab, node by node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..errors import LabError
from ..model import Lab
from ..state import LabelRoute, Record
from . import alloc, labels, lsps
from .core import plain
from .devices import devices
from .graph import CUSTOMERS, ROUTERS, network
from .instances import flows, instances
from .ranges import bounds
from .routes import Routes
from .sites import customer_routes, global_routes
from .static import user_routes
from .vpn import mute_links, vpn_routes


def assemble(lab: Lab) -> dict[str, frozenset[Record]]:
    """Node name -> its records. Raises LabError for what only the routes show."""
    net, routes = network(lab), Routes()
    known = instances(net)
    wanted, paths = flows(known), lsps.laid(lab, net)
    hand = lsps.by_hand(net, paths)
    carried, mute = vpn_routes(net, routes, known, wanted, labels.planned(lab, wanted, hand, paths), hand)
    if mute:
        raise LabError(mute_links(lab, mute))
    lsps.label_routes(routes, paths)
    plain(net, routes, carried)
    for node in lab.nodes:
        if node.role in CUSTOMERS:
            customer_routes(net, routes, node)
        elif node.role in ROUTERS:
            global_routes(net, routes, node)
    lsps.entries(routes, paths)
    for node in lab.nodes:
        user_routes(net, routes, node)
    known_routes = {node.name: tuple(routes.of(node.name)) for node in lab.nodes}
    sized = replace(lab, platform_labels=lab.platform_labels or _label_table(lab, known_routes))
    return {node.name: frozenset([*devices(net, node, sized), *known_routes[node.name]]) for node in lab.nodes}


def _label_table(lab: Lab, routes: Mapping[str, Iterable[Record]]) -> int:
    used = (record.label for some in routes.values() for record in some if isinstance(record, LabelRoute))
    ranges = (bounds(node).stop - 1 for node in lab.nodes if node.label_range)
    return alloc.label_table(max((*used, *ranges), default=0))
