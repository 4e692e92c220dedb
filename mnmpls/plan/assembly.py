"""All records of a complete lab, node by node."""

from __future__ import annotations

from ..errors import LabError
from ..model import Lab
from ..state import Record
from . import alloc, labels
from .core import plain
from .devices import devices
from .graph import CUSTOMERS, ROUTERS, network
from .instances import flows, instances
from .routes import Routes
from .sites import customer_routes, global_routes
from .static import user_routes
from .vpn import mute_links, pinned_lsps, vpn_routes


def assemble(lab: Lab) -> dict[str, frozenset[Record]]:
    """Node name -> its records. Raises LabError for what only the routes show."""
    net, routes = network(lab), Routes()
    known = instances(net)
    wanted, by_hand = flows(known), labels.pinned(lab)
    carried, mute = vpn_routes(net, routes, known, wanted, labels.planned(lab, wanted, by_hand), by_hand)
    if mute:
        raise LabError(mute_links(lab, mute))
    pinned_lsps(lab, net, routes)
    plain(net, routes, carried)
    for node in lab.nodes:
        if node.role in CUSTOMERS:
            customer_routes(net, routes, node)
        elif node.role in ROUTERS:
            global_routes(net, routes, node)
        user_routes(net, routes, node)
    limit = lab.platform_labels or alloc.PLATFORM_LABELS
    return {node.name: frozenset([*devices(net, node, limit), *routes.of(node.name)]) for node in lab.nodes}
