"""The core's own reachability: plain routes as an IGP would leave them, and the transport LSPs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..model import NO_LOOPBACK, Node
from ..state import MAIN_TABLE
from .graph import Edge, Network, interface, search, subnets
from .routes import Routes, labelled, merged, towards, version

IGP_ROUTERS = 32
"""Up to this many routers each one reaches every loopback and core wire, as with an IGP. In a larger core that
would be most of all records, so there only what carries an LSP has a route."""

Edges = Mapping[str, tuple[Edge, ...]]

Into = Callable[[str, str], int]
"""The label that comes in at a router, on the way to an egress."""

Ways = Sequence[tuple[Sequence[Edge], tuple[int, ...]]]
"""Wires, and the labels on a packet that leaves by them."""


def transport(
    net: Network, routes: Routes, egress: str, into: Into, ingresses: Iterable[str], edges: Edges
) -> list[str]:
    """The LSP from every ingress to ``egress`` along all shortest paths, the label popped by the last but one
    (penultimate hop popping, RFC 3031 3.16). Gives the routers that have it."""
    on_path, transit = _walk(egress, ingresses, edges)
    for node in transit:
        hops = merged(labelled(way, pushed) for way, pushed in outgoing(edges[node], egress, into))
        routes.add_label(node, into(node, egress), hops)
    for node in on_path:
        ways = outgoing(edges[node], egress, into)
        for loopback in loopbacks(net.nodes[egress]):
            hops = merged(towards(way, version(loopback), pushed) for way, pushed in ways)
            routes.add(node, MAIN_TABLE, [loopback], hops)
    return on_path


def outgoing(edges: Sequence[Edge], egress: str, into: Into) -> Ways:
    """``edges`` by the transport label on a packet that leaves by them: none when the neighbour is the egress itself.
    Edges of one node are of equal length, so that all or none lead to the egress."""
    found: dict[tuple[int, ...], list[Edge]] = {}
    for edge in edges:
        there = edge[1].node
        found.setdefault(() if there == egress else (into(there, egress),), []).append(edge)
    return [(way, labels) for labels, way in found.items()]


def _walk(egress: str, ingresses: Iterable[str], edges: Edges) -> tuple[list[str], list[str]]:
    """Routers with an LSP to the egress, and those of them that get its packets with a label."""
    on_path = {node: None for node in ingresses if node in edges}
    transit: dict[str, None] = {}
    queue = list(on_path)
    for node in queue:
        for _, theirs in edges[node]:
            if theirs.node != egress:
                transit[theirs.node] = None
                if theirs.node not in on_path:
                    on_path[theirs.node] = None
                    queue.append(theirs.node)
    return list(on_path), list(transit)


def plain(net: Network, routes: Routes, known: Mapping[str, Iterable[str]]) -> None:
    """Routes without labels to every loopback and core wire, in a core that is small enough. ``known`` tells per
    loopback's node who has an LSP there and so a route already."""
    if len(net.core) > IGP_ROUTERS:
        return
    for target in net.core:
        have_it = set(known.get(target, ()))
        for node, edges in search(net.core, [target]).items():
            if node not in have_it:
                for loopback in loopbacks(net.nodes[target]):
                    routes.add(node, MAIN_TABLE, [loopback], towards(edges, version(loopback)))
    for segment in net.segments:
        members = {port.node for port in segment.ports}
        if members <= net.core.keys() and not any(port.vrf for port in segment.ports):
            for node, edges in search(net.core, sorted(members)).items():
                for subnet in subnets(segment):
                    routes.add(node, MAIN_TABLE, [subnet], towards(edges, version(subnet)))


def loopbacks(node: Node) -> list[str]:
    """The prefixes of a node's loopbacks, as a route spells them."""
    return [str(interface(cidr).network) for cidr in node.loopbacks if cidr != NO_LOOPBACK]
