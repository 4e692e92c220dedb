"""What can be wrong with label switched paths written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ..errors import nearest
from ..model import Lab, Lsp
from .check_labels import incoming_fault
from .check_links import vrf_fault
from .graph import ROUTERS, Network

Fault = tuple[str, str]


def lsp_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of every path; an incoming label means one thing per node (RFC 3031 3.14, per platform)."""
    taken = _by_hand(lab)
    for i, lsp in enumerate(lab.lsps):
        where = f"lsps[{i}]"
        if len(lsp.path) < 2:
            yield f"{where}.path", "a path has two nodes at least: where labels are pushed, and where they are popped"
        else:
            yield from _path_faults(net, lsp, f"{where}.path")
            yield from _end_faults(net, lsp, where)
        if len(lsp.labels) != len(lsp.path) - 1 and len(lsp.path) > 1:
            text = f"each of the {len(lsp.path) - 1} wires of the path {' - '.join(lsp.path)} needs a label"
            yield f"{where}.labels", f"{text}: here {'is' if len(lsp.labels) == 1 else 'are'} {len(lsp.labels)}"
        for label in lsp.labels:
            if fault := incoming_fault(lab, label):
                yield f"{where}.labels", fault
        for node, label in zip(lsp.path[1:], lsp.labels, strict=False):
            first = taken.setdefault((node, label), where)
            if first != where:
                text = f"{node} takes in label {label} already, {lab.told(first)}: pin another on the wire to {node}"
                yield f"{where}.labels", text


def _by_hand(lab: Lab) -> dict[tuple[str, int], str]:
    """(node, label) -> where a route says what becomes of it."""
    return {
        (node.name, route.label): f"nodes.{node.name}.routes[{i}]"
        for node in lab.nodes
        for i, route in enumerate(node.routes)
        if route.label is not None
    }


def _path_faults(net: Network, lsp: Lsp, path: str) -> Iterator[Fault]:
    for node in dict.fromkeys(lsp.path):
        if node not in net.nodes:
            yield path, f"there is no node {node!r}; {nearest(node, net.nodes)}"
        elif net.role(node) not in ROUTERS:
            yield path, f"{node} is a {net.role(node)}: labels travel between p and pe only"
        if lsp.path.count(node) > 1:
            yield path, f"{node} is in the path twice: a packet would come by it again"
    for here, there in pairwise(lsp.path):
        known = all(node in net.nodes and net.role(node) in ROUTERS for node in (here, there))
        if known and here != there and not any(edge[1].node == there for edge in net.core.get(here, ())):
            beside = dict.fromkeys(theirs.node for _, theirs in net.core.get(here, ()))
            has = f"{here} has core links to {', '.join(beside)}" if beside else f"{here} has no core link at all"
            yield path, f"there is no core link between {here} and {there}; {has}"


def _end_faults(net: Network, lsp: Lsp, where: str) -> Iterator[Fault]:
    end = net.nodes.get(lsp.path[-1])
    if end and (fault := vrf_fault(end, lsp.vrf)):
        yield f"{where}.vrf", fault
    elif end:
        yield from _start_faults(net, lsp, f"{where}.path")


def _start_faults(net: Network, lsp: Lsp, path: str) -> Iterator[Fault]:
    """A path that nothing would ever enter. Open route targets are one per VRF name, so that they say nothing yet."""
    start, end = net.nodes.get(lsp.path[0]), net.nodes[lsp.path[-1]]
    exported = next(vrf.exports for vrf in end.vrfs if vrf.name == lsp.vrf)
    if start is None or start.role not in ROUTERS or not exported:
        return
    closed = all(vrf.imports or vrf.exports for vrf in start.vrfs)
    if closed and not any(set(vrf.imports) & set(exported) for vrf in start.vrfs):
        text = f"no VRF of {start.name} imports {', '.join(exported)} from {lsp.vrf} of {end.name}"
        yield path, f"{text}: no packet would enter this path"
