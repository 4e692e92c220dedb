"""The routes that the user wrote: they win over what is planned for the same destination."""

from __future__ import annotations

from ..model import Node, StaticRoute
from ..state import IPV6_CONNECTED_METRIC, MAIN_TABLE, NextHop
from . import ttl
from .graph import Network, interface, interfaces, prefix_of
from .routes import Routes, destination


def user_routes(net: Network, routes: Routes, node: Node) -> None:
    """Adds every route of ``node``; several with one destination are one multipath route."""
    tables = {vrf.name: vrf.table or 0 for vrf in node.vrfs}
    seen: set[tuple[int, str]] = set()
    for route in node.routes:
        if route.label is not None:
            routes.add_label(node.name, route.label, (_label_hop(net, node, route),), ttl.popped(route.ttl))
            continue
        table = route.table or (MAIN_TABLE if route.vrf is None else tables[route.vrf])
        dst = prefix(route)
        if (table, dst) in seen:
            routes.add(node.name, table, [dst], (hop(net, node, route),))
        else:
            routes.put(node.name, table, dst, (hop(net, node, route),), _metric(net, node, dst))
        seen.add((table, dst))


def prefix(route: StaticRoute) -> str:
    """Where a route that is not of a label leads to, as a record spells it."""
    return prefix_of(destination(route))


def hop(net: Network, node: Node, route: StaticRoute) -> NextHop:
    """The way that it takes."""
    port = route.port or port_towards(net, node, route)
    return NextHop(route.via, port, route.labels, ttl=ttl.pushed(route.ttl))


def _metric(net: Network, node: Node, dst: str) -> int | None:
    """Before the route that an address brings along, which for IPv4 a route of ours just replaces."""
    if ":" not in dst:
        return None
    own = any(prefix_of(cidr) == dst for port in net.ports[node.name] for cidr in port.addresses or ())
    return IPV6_CONNECTED_METRIC - 1 if own else None


def _label_hop(net: Network, node: Node, route: StaticRoute) -> NextHop:
    if route.vrf is not None:
        return NextHop("", route.vrf)
    return NextHop(route.via, route.port or port_towards(net, node, route), route.labels)


def port_towards(net: Network, node: Node, route: StaticRoute) -> str:
    """The port in whose subnet ``via`` lies: one of the route's own VRF first; empty when there is none."""
    address = interface(route.via).ip
    fitting = [p for p in net.ports[node.name] if any(address in cidr.network for cidr in interfaces(p))]
    pushes = route.label is not None or route.labels
    best = [p for p in fitting if p.vrf == route.vrf] or [p for p in fitting if p.vrf is None or pushes]
    return best[0].name if best else ""
