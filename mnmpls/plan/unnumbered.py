"""Links of routers without addresses of their own. Their ends borrow the routers' loopback addresses, as `ip address
add LOOPBACK/32 dev PORT` does; what is sent to the neighbour's finds it by a route without a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..model import NO_LOOPBACK, STATIC, Lab, Node, Port
from ..state import MAIN_TABLE, NextHop, Route
from .graph import Network, interface, interfaces
from .igp import takes_part

FIRST_METRIC = 1024
"""Of the routes to neighbours' loopbacks: behind planned and given ones for the same address, which may push labels.
The kernel finds a gateway by them all the same, because it looks for one among routes of link scope only
(net/ipv4/fib_semantics.c, fib_check_nh_v4_gw). Each further link to the same neighbour takes the next number."""


def lent(node: Node, version: int) -> str:
    """The loopback address of that IP version that its unnumbered links borrow; empty for none."""
    found = (interface(cidr).ip for cidr in node.loopbacks if cidr != NO_LOOPBACK)
    return next((str(ip) for ip in found if ip.version == version), "")


def with_borrowed(lab: Lab) -> Lab:
    """``lab`` (its loopbacks known) with the IPv4 loopback address at each end of an unnumbered link. IPv6 is left to
    link-local addresses."""
    if not any(link.unnumbered for link in lab.links):
        return lab
    nodes = {node.name: node for node in lab.nodes}

    def done(port: Port, other: Port) -> Port:
        own, theirs = lent(nodes[port.node], 4), lent(nodes[other.node], 4)
        return replace(port, addresses=(f"{own}/32",) if own and theirs else ()) if not port.addresses else port

    links = (k.between(done(k.a, k.b), done(k.b, k.a)) if k.unnumbered else k for k in lab.links)
    return replace(lab, links=tuple(links))


def on_link_routes(lab: Lab, net: Network, node: Node) -> Iterator[Route]:
    """To what each neighbour lends the unnumbered links of ``node``; a routing protocol finds that by itself."""
    number: dict[str, int] = {}
    for port in net.ports[node.name]:
        link = net.links[node.name, port.name]
        far = link.b if port == link.a else link.a
        address = lent(net.nodes[far.node], 4)
        if lab.igp.protocol != STATIC and takes_part(net, port):
            continue
        if link.unnumbered and address and any(each.version == 4 for each in interfaces(port)):
            metric = FIRST_METRIC + number.setdefault(far.node, 0)
            number[far.node] += 1
            yield Route(MAIN_TABLE, f"{address}/32", (NextHop("", port.name),), metric=metric)
