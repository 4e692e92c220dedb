"""The core's own reachability: plain routes as an IGP would leave them, and the transport LSPs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from ..model import NO_LOOPBACK, Node, Port
from ..state import MAIN_TABLE
from .graph import Edge, Edges, Network, interface, search, subnets
from .routes import Routes, labelled, merged, towards, version

IGP_ROUTERS = 32
"""Up to this many routers each one reaches every loopback and core wire, as with an IGP. In a larger core that
would be most of all records, so there only what carries an LSP has a route."""

Into = Callable[[str, str], int]
"""The label that comes in at a router, on the way to an egress."""

Ways = Sequence[tuple[Sequence[Edge], tuple[int, ...]]]
"""Wires, and the labels on a packet that leaves by them."""


def transport(
    net: Network, routes: Routes, egress: str, into: Into, ingresses: Iterable[str], edges: Edges, to_loopbacks: bool
) -> list[str]:
    """The LSP from every ingress to ``egress`` along all shortest paths, the label popped by the last but one
    (penultimate hop popping, RFC 3031 3.16); ``to_loopbacks``: main tables use it, too. Gives the routers that have
    it."""
    on_path, transit = _walk(egress, ingresses, edges)
    for node in transit:
        hops = merged(labelled(way, pushed) for way, pushed in outgoing(edges[node], egress, into))
        routes.add_label(node, into(node, egress), hops)
    mute = {node for node in on_path if any(_is_mute(net, *edge, egress) for edge in edges[node])}
    for node in (node for node in on_path if node not in mute):
        ways = outgoing(edges[node], egress, into)
        for loopback in loopbacks(net.nodes[egress]) if to_loopbacks else ():
            if net.is_end(loopback):
                continue  # the way of tunnels, which must not lead through one
            hops = merged(towards(way, version(loopback), pushed) for way, pushed in ways)
            routes.add(node, MAIN_TABLE, [loopback], hops)
    return [node for node in on_path if node not in mute]


def _is_mute(net: Network, here: Port, there: Port, egress: str) -> bool:
    """Whether a packet would leave without a label where only labels get through."""
    return there.node == egress and not net.takes_ip(here)


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
    small = len(net.core) <= IGP_ROUTERS
    core = net.core if all(map(net.takes_ip, _ports(net))) else _without_labels(net)
    for target in net.core:
        every = loopbacks(net.nodes[target])
        outer = [loopback for loopback in every if net.is_end(loopback)]
        if outer:
            _carry(net, routes, [target], outer)
        if small and len(outer) < len(every):
            have_it = set(known.get(target, ()))
            inner = [loopback for loopback in every if loopback not in outer]
            _routes_to(routes, search(core, [target]), inner, have_it)
    for segment in net.segments:
        members = {port.node for port in segment.ports}
        if any(net.links[port.node, port.name].unnumbered for port in segment.ports):
            continue  # its addresses are loopbacks
        if members <= net.core.keys() and not any(port.vrf for port in segment.ports):
            if any(net.is_end(cidr) for port in segment.ports for cidr in port.addresses or ()):
                _carry(net, routes, sorted(members), subnets(segment))
            elif small:
                _routes_to(routes, search(core, sorted(members)), subnets(segment))


def _ports(net: Network) -> Iterator[Port]:
    return (here for edges in net.core.values() for here, _ in edges)


def _without_labels(net: Network) -> Edges:
    """The ways of packets without labels: wires that carry tunnels in the place of those that take labels only."""
    return {
        name: tuple(dict.fromkeys([*(edge for edge in edges if net.takes_ip(edge[0])), *net.wired.get(name, ())]))
        for name, edges in net.core.items()
    }


def _routes_to(routes: Routes, edges: Edges, prefixes: Sequence[str], but: Container[str] = ()) -> None:
    for node, ways in edges.items():
        if node not in but:
            for prefix in prefixes:
                routes.add(node, MAIN_TABLE, [prefix], towards(ways, version(prefix)))


def _carry(net: Network, routes: Routes, roots: Sequence[str], prefixes: Sequence[str]) -> None:
    """Routes for tunnels' own packets: over wires wherever wires lead there, or a tunnel would run through itself."""
    _routes_to(routes, {**search(net.core, roots), **search(net.wired, roots)}, prefixes)


def loopbacks(node: Node) -> list[str]:
    """The prefixes of a node's loopbacks, as a route spells them."""
    return [str(interface(cidr).network) for cidr in node.loopbacks if cidr != NO_LOOPBACK]
