"""What can be wrong with label switched paths written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ..errors import nearest
from ..model import Lab, Lsp
from .alloc import FIRST_LABEL, LAST_LABEL
from .check_nodes import label_text
from .graph import ROUTERS, Network

Fault = tuple[str, str]


def lsp_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of every path; an incoming label means one thing per node (RFC 3031 3.14, per platform)."""
    taken: dict[tuple[str, int], str] = {}
    for i, lsp in enumerate(lab.lsps):
        where = f"lsps[{i}]"
        if len(lsp.path) < 2:
            yield f"{where}.path", "a path has two nodes at least: where labels are pushed, and where they are popped"
            continue
        yield from _path_faults(net, lsp, f"{where}.path")
        yield from _end_faults(net, lsp, f"{where}.vrf")
        if len(lsp.labels) != len(lsp.path) - 1:
            text = f"{len(lsp.path)} nodes have {len(lsp.path) - 1} wires between them, and as many labels"
            yield f"{where}.labels", f"{text}; here are {len(lsp.labels)}"
        for node, label in zip(lsp.path[1:], lsp.labels, strict=False):
            yield from _label_faults(lab, label, f"{where}.labels")
            if (node, label) in taken:
                text = f"{node} takes in label {label} for {taken[node, label]} already: pin another"
                yield f"{where}.labels", text
            taken.setdefault((node, label), where)


def _label_faults(lab: Lab, label: int, path: str) -> Iterator[Fault]:
    if not FIRST_LABEL <= label <= LAST_LABEL:
        yield path, label_text(label)
    elif lab.platform_labels is not None and label >= lab.platform_labels:
        yield path, f"label {label} needs platform_labels above it, which is {lab.platform_labels}"


def _path_faults(net: Network, lsp: Lsp, path: str) -> Iterator[Fault]:
    for node in dict.fromkeys(lsp.path):
        if node not in net.nodes:
            yield path, f"there is no node {node!r}; {nearest(node, net.nodes)}"
        elif net.role(node) not in ROUTERS:
            yield path, f"{node} is a {net.role(node)}: labels travel between p and pe"
        if lsp.path.count(node) > 1:
            yield path, f"{node} is in the path twice"
    for here, there in pairwise(lsp.path):
        known = all(node in net.nodes and net.role(node) in ROUTERS for node in (here, there))
        if known and here != there and not any(edge[1].node == there for edge in net.core.get(here, ())):
            yield path, f"there is no core link between {here} and {there}"


def _end_faults(net: Network, lsp: Lsp, path: str) -> Iterator[Fault]:
    end = net.nodes.get(lsp.path[-1])
    if end and lsp.vrf not in {vrf.name for vrf in end.vrfs}:
        yield path, f"{end.name} has no VRF {lsp.vrf!r}; {nearest(lsp.vrf, [vrf.name for vrf in end.vrfs])}"
