"""Label switched paths that the lab asks for: their wires, their labels, and what their routers do with these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..model import Lab, Lsp, Node
from ..state import MAIN_TABLE, NextHop
from . import alloc, ttl
from .core import loopbacks
from .graph import Edge, Network, interface, network, search
from .instances import Key
from .ranges import Ranges, given
from .routes import Hops, Routes, labelled, merged, towards, version

Step = Mapping[str, tuple[Edge, ...]]
"""Routers equally far along a path, each with the wires by which the path goes on."""

NULLS = {4: 0, 6: 2}
"""Explicit null by IP version (RFC 3032 2.1)."""


@dataclass(frozen=True)
class Laid:
    """A path with its wires: ``steps[i]`` are the routers that send over the path's i-th wires, with ``out[i]`` on the
    packet. ``prefixes`` are what the main table of its first router sends into it."""

    lsp: Lsp
    steps: tuple[Step, ...]
    prefixes: tuple[str, ...]

    @property
    def out(self) -> tuple[tuple[int, ...], ...]:
        last = {"egress": (), "php": ((),), "explicit-null": ((NULLS[self.version],),)}[self.lsp.pop]
        return (*((label,) for label in self.lsp.labels), *last)

    @property
    def version(self) -> int:
        """Of its prefixes, which are of one version where that matters."""
        return version(self.prefixes[0]) if self.prefixes else 4


def wires_with_labels(lsp: Lsp, wires: int) -> int:
    """How many of a path's ``wires`` carry a label of its own."""
    return wires if lsp.pop == "egress" else wires - 1


def steps(net: Network, lsp: Lsp) -> tuple[Step, ...]:
    """The wires of ``lsp``; none where there is no way."""
    if lsp.path:
        return tuple({here: first_wire(net, here, there)} for here, there in pairwise(lsp.path))
    ingress, egress = lsp.ends
    edges = search(net.core, [egress])
    found: list[Step] = []
    here = [ingress] if ingress in edges else []
    while here:
        found.append({node: edges[node] for node in here})
        beyond = dict.fromkeys(theirs.node for node in here for _, theirs in edges[node])
        here = [node for node in beyond if node != egress]
    return tuple(found)


def first_wire(net: Network, here: str, there: str) -> tuple[Edge, ...]:
    """Of several between two neighbours one: a path written out is one path."""
    return tuple(edge for edge in net.core.get(here, ()) if edge[1].node == there)[:1]


def receivers(lsp: Lsp, of: Sequence[Step]) -> Iterator[tuple[str, ...]]:
    """For each label of the path's own, in order, the routers that it comes in at."""
    for i in range(wires_with_labels(lsp, len(of))):
        yield tuple(of[i + 1]) if i + 1 < len(of) else (lsp.ends[1],)


def laid(lab: Lab, net: Network) -> tuple[Laid, ...]:
    """Every path of a completed lab."""
    nodes = {node.name: node for node in lab.nodes}
    return tuple(Laid(lsp, steps(net, lsp), fec(lsp, nodes[lsp.ends[1]])) for lsp in lab.lsps)


def fec(lsp: Lsp, egress: Node) -> tuple[str, ...]:
    """The prefixes that enter ``lsp`` from the main table (RFC 3031 3.10): with a VRF none, left open the loopbacks."""
    if lsp.vrf:
        return ()
    return tuple(str(interface(prefix).network) for prefix in lsp.fec) or tuple(loopbacks(egress))


# Labels that the user left open.


def with_labels(lab: Lab) -> Lab:
    """``lab`` (ports named) with labels on every path: one number on all its wires, from 16, or one for each wire where
    routers have ranges. Raises LabError where no number is left that all of a wire's routers can take in."""
    if not any(_is_open(lsp) for lsp in lab.lsps):
        return lab
    net = network(lab)
    taken = given(lab, [(lsp, steps(net, lsp)) for lsp in lab.lsps])
    ranges = Ranges(lab, taken)
    numbers = alloc.labels(alloc.FIRST_LABEL, {label for found in taken.values() for label in found})
    done = []
    for i, lsp in enumerate(lab.lsps):
        if _is_open(lsp):
            arrivals = list(receivers(lsp, steps(net, lsp)))
            own = [ranges.common(nodes, f"lsps[{i}]") for nodes in arrivals]
            rest = [node for nodes, label in zip(arrivals, own, strict=True) if label is None for node in nodes]
            common = next(number for number in numbers if ranges.use(number, rest)) if rest else 0
            lsp = replace(lsp, labels=tuple(common if label is None else label for label in own))
        done.append(lsp)
    return replace(lab, lsps=tuple(done))


def _is_open(lsp: Lsp) -> bool:
    return not lsp.labels


# What the routers do.


@dataclass(frozen=True)
class ByHand:
    """The paths by what they are for: into a VRF by their first router and that VRF, through the core by their first
    router and the one whose loopback they lead to."""

    vpn: Mapping[tuple[str, Key], Sequence[Laid]]
    core: Mapping[tuple[str, str], Sequence[Laid]]

    def leads(self, node: str, exporter: Key) -> bool:
        """Whether a path written by hand takes what ``node`` sends to a VRF."""
        return (node, exporter) in self.vpn or (node, exporter[0]) in self.core


def by_hand(net: Network, paths: Sequence[Laid]) -> ByHand:
    vpn: dict[tuple[str, Key], list[Laid]] = {}
    core: dict[tuple[str, str], list[Laid]] = {}
    for each in paths:
        ingress, egress = each.lsp.ends
        if each.lsp.vrf:
            vpn.setdefault((ingress, (egress, each.lsp.vrf)), []).append(each)
        elif set(each.prefixes) & set(loopbacks(net.nodes[egress])):
            core.setdefault((ingress, egress), []).append(each)
    return ByHand(vpn, core)


def label_routes(routes: Routes, paths: Sequence[Laid]) -> None:
    """What every router behind the first does with the label that comes in."""
    for each in paths:
        lsp, out = each.lsp, each.out
        for i, label in enumerate(lsp.labels):
            if i + 1 == len(each.steps):
                routes.add_label(lsp.ends[1], label, (NextHop("", lsp.vrf or "lo"),), ttl.popped(lsp.ttl))
            else:
                mode = ttl.popped(lsp.ttl) if not out[i + 1] else ""
                for node, edges in each.steps[i + 1].items():
                    routes.add_label(node, label, labelled(edges, out[i + 1]), mode)


def entries(routes: Routes, paths: Sequence[Laid]) -> None:
    """The prefixes of the first routers' main tables, in the place of what was planned for them; paths for the same
    prefix are equal."""
    found: dict[tuple[str, str], list[Hops]] = {}
    for each in paths:
        ((node, edges),) = each.steps[0].items()
        for prefix in each.prefixes:
            found.setdefault((node, prefix), []).append(entry(each, edges, version(prefix)))
    for (node, prefix), several in found.items():
        routes.put(node, MAIN_TABLE, prefix, merged(several))


def entry(path: Laid, edges: Sequence[Edge], ip_version: int) -> Hops:
    pushed = path.out[0]
    return towards(edges, ip_version, pushed, ttl.pushed(path.lsp.ttl) if pushed else ttl.pushed(""))
