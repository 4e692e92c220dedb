"""Routes of customers' nodes, and what a provider's router reaches behind its own ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

from ..model import NO_LOOPBACK, Node, Port
from ..state import MAIN_TABLE, NextHop
from .graph import CUSTOMERS, ROUTERS, Edge, Network, interfaces, subnet_of, subnets, via, ways
from .routes import Routes, towards, version
from .spoken import is_planned

Local = Mapping[str, NextHop]
"""Prefix -> the way there from the router that has it behind a port."""


def local(net: Network, node: Node, vrf: str | None) -> tuple[Local, Local]:
    """What ``node`` has behind its ports in ``vrf``: subnets at the ports; subnets behind CEs and loopbacks."""
    ports = net.members.get((node.name, vrf), ())
    connected = {
        subnet: NextHop("", port.name)
        for port in reversed(ports)
        for cidr in port.addresses or ()
        if (subnet := subnet_of(cidr))
    }
    behind: dict[str, NextHop] = {}
    ports = [port for port in ports if not port.vrf or is_planned(net, port)]
    found = ways(net, ports, net.overlays) if node.role in ROUTERS else ways(net, ports)
    wired = ways(net, ports, net.among_customers) if net.among_customers else found
    own = _loopback_prefixes(node) if vrf is None else {}
    for edge, prefix in (*_lans(net, found, wired), *_loopbacks(net, ports, found, wired)):
        for hop in towards([edge], version(prefix)):
            if prefix not in connected and prefix not in own:
                behind.setdefault(prefix, hop)
    return connected, behind


def _lans(net: Network, found: Mapping[int, Edge], wired: Mapping[int, Edge]) -> Iterator[tuple[Edge, str]]:
    """Subnets, and the way there."""
    for index, way in found.items():
        segment = net.segments[index]
        outer = any(net.is_end(cidr) for port in segment.ports for cidr in port.addresses or ())
        if edge := _outside(net, wired.get(index)) if outer else way:
            yield from ((edge, subnet) for subnet in subnets(segment))


def _outside(net: Network, edge: Edge | None) -> Edge | None:
    """The way for a tunnel's own packets: none where it would run through itself."""
    return edge if edge and not net.is_tunnel(edge[0]) else None


def _loopbacks(
    net: Network, ports: Sequence[Port], found: Mapping[int, Edge], wired: Mapping[int, Edge]
) -> Iterator[tuple[Edge, str]]:
    """Those of customers' nodes; but none that several nodes of a site have, which may all be meant."""
    here = {net.segment_of[port.node, port.name]: port for port in reversed(ports)}
    holders: dict[str, dict[str, Edge]] = {}
    for index in (*here, *(index for index in found if index not in here)):
        for other in net.segments[index].ports:
            if net.role(other.node) not in CUSTOMERS or (index in here and other.node == here[index].node):
                continue
            straight = (here[index], other) if index in here else None
            for prefix, cidr in _loopback_prefixes(net.nodes[other.node]).items():
                outer = net.is_end(cidr)
                edge = _outside(net, straight or wired.get(index)) if outer else straight or found[index]
                if edge:
                    holders.setdefault(prefix, {}).setdefault(other.node, edge)
    yield from ((edge, prefix) for prefix, nodes in holders.items() if len(nodes) == 1 for edge in nodes.values())


def _loopback_prefixes(node: Node) -> dict[str, str]:
    """And the address in each."""
    return {prefix: cidr for cidr in node.loopbacks if cidr != NO_LOOPBACK and (prefix := subnet_of(cidr))}


def customer_routes(net: Network, routes: Routes, node: Node) -> None:
    """A default route, and from a CE the subnets of its own site that lie another way."""
    defaults = {hop.via: hop for _, hop in _defaults(net, node)}
    for dst, hop in _defaults(net, node):
        routes.add(node.name, MAIN_TABLE, [dst], (hop,))
    if node.role == "ce":
        _, behind = local(net, node, None)
        for dst, hop in behind.items():
            if hop.via not in defaults:
                routes.add(node.name, MAIN_TABLE, [dst], (hop,))


def _defaults(net: Network, node: Node) -> Iterator[tuple[str, NextHop]]:
    """The gateway, and the gateway node's address of the other IP version where both ends have one."""
    if node.gateway in ("", NO_LOOPBACK):
        return
    gateway = ip_address(node.gateway)
    for port in net.ports[node.name]:
        if any(gateway in address.network for address in interfaces(port)):
            yield ("0.0.0.0/0" if gateway.version == 4 else "::/0"), NextHop(str(gateway), port.name)
            for other in net.segments[net.segment_of[port.node, port.name]].ports:
                if any(gateway == address.ip for address in interfaces(other)):
                    yield from _sideways(port, other, 6 if gateway.version == 4 else 4)
            return


def _sideways(port: Port, gateway: Port, version: int) -> Iterator[tuple[str, NextHop]]:
    address = via(port, gateway, version)
    if address:
        yield ("0.0.0.0/0" if version == 4 else "::/0"), NextHop(address, port.name)


def global_routes(net: Network, routes: Routes, node: Node) -> None:
    """From a router the subnets behind customers that are connected to it outside any VRF."""
    _, behind = local(net, node, None)
    for dst, hop in behind.items():
        routes.add(node.name, MAIN_TABLE, [dst], (hop,))
