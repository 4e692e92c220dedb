"""VPN routes: what an ingress PE pushes to reach another PE's VRF (RFC 4364 5), and who swaps and pops it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from ..errors import Problem
from ..model import Lab, Lsp
from ..state import NextHop
from .check_links import link_text
from .core import Edges, outgoing, transport
from .graph import Edge, Network, search
from .instances import Flows, Instance, Key
from .labels import Labels, Pinned
from .routes import Routes, labelled, merged, towards, version

Ways = Sequence[tuple[Sequence[Edge], tuple[int, ...]]]
"""How an importer reaches an exporter's PE: edges, and the labels on a packet that leaves by them."""


def vpn_routes(
    net: Network, routes: Routes, known: Mapping[Key, Instance], wanted: Flows, labels: Labels, by_hand: Pinned
) -> tuple[dict[str, list[str]], list[tuple[Edge, str]]]:
    """Adds every imported route and every planned LSP. Gives who has a transport LSP to each egress, and the core
    edges that cannot carry a prefix because the link does not speak its IP version."""
    for instance in known.values():
        for prefix, hop in instance.behind.items():
            routes.add(instance.node.name, instance.table, [prefix], (hop,))
    carried: dict[str, list[str]] = {}
    mute: list[tuple[Edge, str]] = []
    by_egress: dict[str, list[Key]] = {}
    for key in wanted:
        by_egress.setdefault(key[0], []).append(key)
    for egress, keys in by_egress.items():
        edges = search(net.core, [egress])
        for key in keys:
            for importer in wanted[key]:
                mute += _import(net, routes, importer, known[key], edges, labels, by_hand)
        if egress in labels.transport:
            ingresses = dict.fromkeys(_planned_ingresses(egress, keys, wanted, by_hand))
            carried[egress] = transport(net, routes, egress, labels.transport[egress], ingresses, edges)
    for (node, vrf), label in labels.vpn.items():
        routes.add_label(node, label, (NextHop("", vrf),))
    return carried, mute


def _planned_ingresses(egress: str, keys: Iterable[Key], wanted: Flows, by_hand: Pinned) -> Iterator[str]:
    for key in keys:
        for importer in wanted[key]:
            node = importer.node.name
            if node != egress and (node, key) not in by_hand:
                yield node


def _import(
    net: Network, routes: Routes, importer: Instance, exporter: Instance, edges: Edges, labels: Labels, by_hand: Pinned
) -> list[tuple[Edge, str]]:
    node = importer.node.name
    news = {ip: [p for p in found if p not in importer.known] for ip, found in exporter.exports.items()}
    if node == exporter.node.name:
        for prefix in (prefix for found in news.values() for prefix in found):
            hop = exporter.near.get(prefix) or exporter.behind.get(prefix)
            routes.add(node, importer.table, [prefix], (hop,) if hop else ())
        return []
    ways = _ways(net, node, exporter.key, edges, labels, by_hand)
    mute: list[tuple[Edge, str]] = []
    for ip, prefixes in news.items():
        hops = merged(towards(way, ip, pushed) for way, pushed in ways)
        routes.add(node, importer.table, prefixes, hops)
        if not hops:
            mute += [(edge, prefix) for prefix in prefixes[:1] for way, _ in ways for edge in way]
    return mute


def _ways(net: Network, node: str, exporter: Key, edges: Edges, labels: Labels, by_hand: Pinned) -> Ways:
    lsps = by_hand.get((node, exporter))
    if lsps:
        return [(_first(net, lsp.path[0], lsp.path[1]), lsp.labels[:1]) for lsp in lsps]
    here = edges.get(node, ())
    egress = exporter[0]
    return [(here, (*outgoing(here, egress, labels.transport[egress]), labels.vpn[exporter]))] if here else []


def _first(net: Network, here: str, there: str) -> tuple[Edge, ...]:
    """The first wire between two neighbours: a path written by hand is one path."""
    return tuple(edge for edge in net.core.get(here, ()) if edge[1].node == there)[:1]


def pinned_lsps(lab: Lab, net: Network, routes: Routes) -> None:
    """Swaps along each pinned path, and the pop into the VRF at its end."""
    for lsp in lab.lsps:
        for node, after, label, swapped in _swaps(lsp):
            routes.add_label(node, label, labelled(_first(net, node, after), (swapped,)))
        routes.add_label(lsp.path[-1], lsp.labels[-1], (NextHop("", lsp.vrf),))


def _swaps(lsp: Lsp) -> Iterator[tuple[str, str, int, int]]:
    for (node, after), (label, swapped) in zip(pairwise(lsp.path[1:]), pairwise(lsp.labels), strict=True):
        yield node, after, label, swapped


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
                    text = (
                        f"{link_text(link)}: {port.node} has to send packets for {prefix} over it to {other.node}, but "
                        f"it has no subnet of IPv{number}: give both of its ends an IPv{number} address"
                    )
                    found.append(Problem(f"links[{i}].{side}", text, lab.place(f"links[{i}].{side}")))
    return found
