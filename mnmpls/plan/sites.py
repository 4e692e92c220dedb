"""Routes of customers' nodes, and what a provider's router reaches behind its own ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from ..model import NO_LOOPBACK, Node, Port
from ..state import MAIN_TABLE, NextHop
from .graph import ROUTERS, Network, interfaces, subnet_of, subnets, via, ways
from .routes import Routes, towards, version
from .spoken import is_planned

Local = Mapping[str, NextHop]
"""Prefix -> the way there from the router that has it behind a port."""


def local(net: Network, node: Node, vrf: str | None) -> tuple[Local, Local]:
    """What ``node`` has behind its ports in ``vrf``: subnets at the ports, subnets behind CEs."""
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
    for index, way in found.items():
        segment, edge = net.segments[index], way
        if any(net.is_end(cidr) for port in segment.ports for cidr in port.addresses or ()):
            edge = wired.get(index, way)
            if index not in wired or net.is_tunnel(edge[0]):
                continue  # the tunnel would run through itself
        for subnet in subnets(segment):
            for hop in towards([edge], version(subnet)):
                if subnet not in connected:
                    behind.setdefault(subnet, hop)
    return connected, behind


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
