"""All records of a complete lab, node by node."""

from __future__ import annotations

from ..errors import LabError
from ..model import Lab
from ..state import Record
from . import labels, lsps
from .core import plain
from .devices import devices
from .graph import CUSTOMERS, ROUTERS, network
from .instances import flows, instances
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
    return {node.name: frozenset([*devices(net, node, lab), *routes.of(node.name)]) for node in lab.nodes}
