"""VPN routes: what an ingress PE pushes to reach another PE's VRF (RFC 4364 5), and who swaps and pops it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..errors import Problem
from ..model import Lab, Node, Port
from ..state import MAIN_TABLE, NextHop
from .check_links import link_text
from .core import outgoing, transport
from .graph import ROUTERS, Edge, Edges, Network, interfaces, search, subnet_of
from .instances import Flows, Instance, Key
from .labels import Labels
from .lsps import ByHand, Laid, entry
from .routes import Hops, Routes, merged, towards, version

Way = tuple[Sequence[Edge], Callable[[int], Hops]]
"""How an importer reaches an exporter's PE: wires, and the next hops over them by IP version."""


def sites_routes(routes: Routes, known: Mapping[Key, Instance]) -> None:
    """What each VRF reaches behind its own CEs."""
    for instance in known.values():
        for prefix, hop in instance.behind.items():
            routes.add(instance.node.name, instance.table, [prefix], (hop,))


def routes_of_several(net: Network, routes: Routes, node: Node, known: Mapping[Key, Instance], wanted: Flows) -> None:
    """From a CE at several VRFs what each of them imports: its default route leads to one only."""
    ends = [(near, far) for near in net.ports[node.name] for far in _providers(net, near)]
    vrfs = [known[far.node, far.vrf or ""] for _, far in ends if (far.node, far.vrf or "") in known]
    if len({each.vrf.imports for each in vrfs}) < 2:
        return
    here = {subnet_of(cidr) for port in net.ports[node.name] for cidr in port.addresses or ()}
    for near, far in ends:
        own = known.get((far.node, far.vrf or ""))
        if own and all(str(address.ip) != node.gateway for address in interfaces(far)):
            imported = (prefix for key in wanted if own in wanted[key] for prefix in known[key].known)
            for prefix in (prefix for prefix in imported if prefix not in own.known and prefix not in here):
                routes.add(node.name, MAIN_TABLE, [prefix], towards([(near, far)], version(prefix)))


def _providers(net: Network, port: Port) -> Iterator[Port]:
    """Those that it has planned routes by."""
    others = net.segments[net.segment_of[port.node, port.name]].ports
    routers = (other for other in others if net.role(other.node) in ROUTERS)
    return (other for other in routers if not net.links[other.node, other.name].routing.is_spoken)


def vpn_routes(
    net: Network,
    routes: Routes,
    known: Mapping[Key, Instance],
    wanted: Flows,
    labels: Labels,
    hand: ByHand,
    to_loopbacks: bool = True,
) -> tuple[dict[str, list[str]], list[tuple[Edge, str]]]:
    """Adds every imported route and every planned LSP, ``to_loopbacks``: with its routes in main tables. Gives who has
    a transport LSP to each egress, and the core edges that cannot carry a prefix because the link does not speak its
    IP version."""
    carried: dict[str, list[str]] = {}
    mute: list[tuple[Edge, str]] = []
    by_egress: dict[str, list[Key]] = {}
    for key in wanted:
        by_egress.setdefault(key[0], []).append(key)
    for egress, keys in by_egress.items():
        edges = search(net.core, [egress])
        for key in keys:
            for importer in wanted[key]:
                mute += _import(routes, importer, known[key], edges, labels, hand)
        if labels.has_transport(egress):
            ingresses = dict.fromkeys(_planned_ingresses(egress, keys, wanted, hand))
            carried[egress] = transport(net, routes, egress, labels.into, ingresses, edges, to_loopbacks)
    for (node, vrf), label in labels.vpn.items():
        routes.add_label(node, label, (NextHop("", vrf or "lo"),))
    return carried, mute


def _planned_ingresses(egress: str, keys: Iterable[Key], wanted: Flows, hand: ByHand) -> Iterator[str]:
    for key in keys:
        for importer in wanted[key]:
            node = importer.node.name
            if node != egress and not hand.leads(node, key):
                yield node


def _import(
    routes: Routes, importer: Instance, exporter: Instance, edges: Edges, labels: Labels, hand: ByHand
) -> list[tuple[Edge, str]]:
    node = importer.node.name
    news = {ip: [p for p in found if p not in importer.known] for ip, found in exporter.exports.items()}
    if node == exporter.node.name:
        for prefix in (prefix for found in news.values() for prefix in found):
            hop = exporter.given.get(prefix) or exporter.near.get(prefix) or exporter.behind.get(prefix)
            routes.add(node, importer.table, [prefix], (hop,) if hop else ())
            # What goes to the exporter's own address on that port is not for the wire.
            routes.add(node, importer.table, exporter.own.get(prefix, ()), (NextHop("", exporter.vrf.name),))
        return []
    ways = list(_ways(node, exporter.key, edges, labels, hand))
    mute: list[tuple[Edge, str]] = []
    for ip, prefixes in news.items():
        hops = merged(hops_of(ip) for _, hops_of in ways)
        routes.add(node, importer.table, prefixes, hops)
        if not hops:
            mute += [(edge, prefix) for prefix in prefixes[:1] for way, _ in ways for edge in way]
    return mute


def _ways(node: str, exporter: Key, edges: Edges, labels: Labels, hand: ByHand) -> Iterator[Way]:
    egress = exporter[0]
    if into_vrf := hand.vpn.get((node, exporter)):
        yield from (_entered(each) for each in into_vrf)
    elif through := hand.core.get((node, egress)):
        for each in through:
            yield _sent(each.steps[0][node], (*each.out[0], labels.vpn[exporter]))
    elif node in edges:
        for way, pushed in outgoing(edges[node], egress, labels.into):
            yield _sent(way, (*pushed, labels.vpn[exporter]))


def _entered(path: Laid) -> Way:
    ((_, edges),) = path.steps[0].items()
    return edges, lambda ip: entry(path, edges, ip)


def _sent(edges: Sequence[Edge], pushed: tuple[int, ...]) -> Way:
    return edges, lambda ip: towards(edges, ip, pushed)


def mute_links(lab: Lab, mute: Iterable[tuple[Edge, str]]) -> list[Problem]:
    """One problem per core link and IP version that it lacks."""
    lacking: dict[tuple[str, str, int], str] = {}
    for (mine, _), prefix in mute:
        lacking.setdefault((mine.node, mine.name, version(prefix)), prefix)
    found: list[Problem] = []
    for i, link in enumerate(lab.links):
        for side, port, other in (("a", link.a, link.b), ("b", link.b, link.a)):
            for number in (4, 6):
                prefix = lacking.get((port.node, port.name, number), "")
                if prefix:
                    bare = not (port.addresses or other.addresses)
                    text = (
                        f"{link_text(link)}: {port.node} has to send packets for {prefix} over it to {other.node}, but "
                        f"it has no subnet of IPv{number}: give both of its ends an IPv{number} address"
                        f"{', or take their ip out and write unnumbered: true' if bare else ''}"
                    )
                    found.append(Problem(f"links[{i}].{side}", text, lab.place(f"links[{i}].{side}")))
    return found
