"""What can be wrong with label switched paths that a lab asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from ..errors import nearest
from ..model import NO_LOOPBACK, POPS, Lab, Lsp
from . import ttl
from .check_labels import incoming_fault
from .check_links import vrf_fault
from .graph import ROUTERS, Network
from .lsps import receivers, steps, wires_with_labels
from .spelling import cidr

Fault = tuple[str, str]


def lsp_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of every path; an incoming label means one thing per node (RFC 3031 3.14, per platform)."""
    taken = _by_hand(lab)
    for i, lsp in enumerate(lab.lsps):
        where = f"lsps[{i}]"
        found = [*_way_faults(net, lsp, where), *_form_faults(lsp, where)]
        yield from found
        if lsp.ends[1] in net.nodes and not any(path in (f"{where}.path", where) for path, _ in found):
            yield from _end_faults(net, lsp, where)
        for label in lsp.labels:
            if fault := incoming_fault(lab, label):
                yield f"{where}.labels", fault
        if found:
            continue
        way = steps(net, lsp)
        yield from _count_faults(lsp, len(way), where)
        arriving = zip(receivers(lsp, way), lsp.labels, strict=False)
        for node, label in ((node, label) for nodes, label in arriving for node in nodes):
            first = taken.setdefault((node, label), where)
            if first != where:
                text = f"{node} takes in label {label} already, {lab.told(first)}: pin another on the wire to {node}"
                yield f"{where}.labels", text


def _way_faults(net: Network, lsp: Lsp, where: str) -> Iterator[Fault]:
    if lsp.path and (lsp.ingress or lsp.egress):
        yield f"{where}.path", "a path says itself where it begins and ends: take it out, or ingress and egress"
    elif len(lsp.path) == 1:
        yield f"{where}.path", "a path has two nodes at least: where labels are pushed, and where they are popped"
    elif lsp.path:
        yield from _path_faults(net, lsp, f"{where}.path")
    elif not lsp.ingress or not lsp.egress:
        yield f"{where}.path", "where does it lead? Give path, or ingress and egress for the shortest one"
    else:
        ends = (("ingress", lsp.ingress), ("egress", lsp.egress))
        found = [(f"{where}.{key}", fault) for key, name in ends if (fault := _router_fault(net, name))]
        yield from found
        if lsp.ingress == lsp.egress:
            yield f"{where}.egress", f"{lsp.egress} is where it begins, too: a path has two routers at least"
        elif not found and not steps(net, lsp):
            yield where, f"there is no way from {lsp.ingress} to {lsp.egress}: no links of p and pe join them"


def _form_faults(lsp: Lsp, where: str) -> Iterator[Fault]:
    """What does not go together, whatever the lab."""
    if lsp.pop not in POPS:
        yield f"{where}.pop", f"there is no way {lsp.pop!r} to pop; {nearest(lsp.pop, POPS)}"
    elif lsp.vrf and lsp.pop != "egress":
        text = f"with {lsp.pop} no label would tell the last router that the packet is for VRF {lsp.vrf}"
        yield f"{where}.pop", f"{text}: take one of the two out"
    if lsp.vrf and lsp.fec:
        yield f"{where}.fec", "with a VRF its exports are what takes the path: take one of the two out"
    if fault := ttl.fault(lsp.ttl, numbers=True):
        yield f"{where}.ttl", fault
    elif lsp.ttl and lsp.pop == "explicit-null":
        text = "explicit null is popped as net.mpls.ip_ttl_propagate says, the kernel's entry for it being its own"
        yield f"{where}.ttl", f"{text}: give the lab a ttl, or pop otherwise"
    for prefix in lsp.fec:
        address = cidr(prefix)
        if address is None:
            yield f"{where}.fec", f"{prefix!r} is not a prefix, such as 10.9.0.0/16"
        elif address.ip != address.network.network_address:
            yield f"{where}.fec", f"{prefix} is an address inside the prefix {address.network}: write that"
    if lsp.pop == "explicit-null" and len(_versions(lsp.fec)) > 1:
        yield f"{where}.fec", "explicit null is one label for IPv4 and another for IPv6: make two paths of it"


def _count_faults(lsp: Lsp, wires: int, where: str) -> Iterator[Fault]:
    wanted = wires_with_labels(lsp, wires)
    if lsp.labels and len(lsp.labels) != wanted:
        path = " - ".join(lsp.path or lsp.ends)
        shown = f"each of the {wanted} wires of the path {path} needs a label"
        if not lsp.path:
            shown = f"each of the {wanted} wires of the shortest path {path} needs a label"
        if lsp.pop != "egress":
            shown = f"with {lsp.pop} the path {path} has {wanted or 'no'} label{'s' * (wanted != 1)} of its own"
        yield f"{where}.labels", f"{shown}: here {'is' if len(lsp.labels) == 1 else 'are'} {len(lsp.labels)}"


def _by_hand(lab: Lab) -> dict[tuple[str, int], str]:
    """(node, label) -> where a route says what becomes of it."""
    return {
        (node.name, route.label): f"nodes.{node.name}.routes[{i}]"
        for node in lab.nodes
        for i, route in enumerate(node.routes)
        if route.label is not None
    }


def _router_fault(net: Network, node: str) -> str:
    if node not in net.nodes:
        return f"there is no node {node!r}; {nearest(node, net.nodes)}"
    role = net.role(node)
    return "" if role in ROUTERS else f"{node} is a {role}: labels travel between p and pe only"


def _path_faults(net: Network, lsp: Lsp, path: str) -> Iterator[Fault]:
    for node in dict.fromkeys(lsp.path):
        if fault := _router_fault(net, node):
            yield path, fault
        if lsp.path.count(node) > 1:
            yield path, f"{node} is in the path twice: a packet would come by it again"
    for here, there in pairwise(lsp.path):
        known = all(node in net.nodes and net.role(node) in ROUTERS for node in (here, there))
        if known and here != there and not any(edge[1].node == there for edge in net.core.get(here, ())):
            beside = dict.fromkeys(theirs.node for _, theirs in net.core.get(here, ()))
            has = f"{here} has core links to {', '.join(beside)}" if beside else f"{here} has no core link at all"
            yield path, f"there is no core link between {here} and {there}; {has}"


def _end_faults(net: Network, lsp: Lsp, where: str) -> Iterator[Fault]:
    end = net.nodes[lsp.ends[1]]
    if lsp.vrf and (fault := vrf_fault(net, end, lsp.vrf)):
        yield f"{where}.vrf", fault
    elif lsp.vrf:
        yield from _start_faults(net, lsp, f"{where}.path")
    elif not lsp.fec and end.loopbacks == (NO_LOOPBACK,):
        text = f"{end.name} has no loopback that it could lead to: give a vrf of it, or as fec the prefixes"
        yield where, f"{text} that are to take the path"
    elif lsp.pop == "explicit-null" and not lsp.fec and len(_versions(end.loopbacks)) > 1:
        text = f"{end.name} has loopbacks of IPv4 and IPv6, and explicit null is one label for each"
        yield f"{where}.fec", f"{text}: say in fec which of them takes the path"


def _versions(prefixes: Iterable[str]) -> set[int]:
    return {address.version for address in map(cidr, prefixes) if address}


def _start_faults(net: Network, lsp: Lsp, path: str) -> Iterator[Fault]:
    """A path that nothing would ever enter. Open route targets are one per VRF name, so that they say nothing yet."""
    start, end = net.nodes.get(lsp.ends[0]), net.nodes[lsp.ends[1]]
    exported = next(vrf.exports for vrf in end.vrfs if vrf.name == lsp.vrf)
    if start is None or start.role not in ROUTERS or not exported:
        return
    closed = all(vrf.imports or vrf.exports for vrf in start.vrfs)
    if closed and not any(set(has.imports) & set(exported) for has in start.tables):
        text = f"no VRF of {start.name} imports {', '.join(exported)} from {lsp.vrf} of {end.name}"
        yield path, f"{text}: no packet would enter this path"
