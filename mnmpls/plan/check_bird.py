"""What BIRD 2.0 cannot be asked for: it takes labels from nobody and gives none (that came with 2.14), has no LDP and
no IS-IS. It can pass on what others say of theirs, as a route reflector."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import nearest
from ..model import STATIC, Lab, Node
from .graph import ROUTERS, Network, spread
from .igp import areas_of, beside, outer_ports
from .spoken import labelled, speakers

Fault = tuple[str, str]

FAMILIES = ("frr", "bird")
"""Whose daemons a node may run."""


def bird_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of the key ``daemon``."""
    speaking = speakers(net) if all(port.name for link in lab.links for port in link.ports) else None
    for node in lab.nodes:
        if text := _fault(lab, net, node, speaking is None or node.name in speaking):
            yield f"nodes.{node.name}.daemon", text


def _fault(lab: Lab, net: Network, node: Node, speaks: bool) -> str:
    if not node.daemon:
        return ""
    if node.daemon not in FAMILIES:
        return f"there is no daemon: {node.daemon}; {nearest(node.daemon, FAMILIES)}"
    if node.routes_itself:
        return f"what {node.name} runs, its own configuration says: take one of the two out"
    if node.role in ROUTERS:
        return _of_router(lab, net, node) if lab.igp.protocol != STATIC else _idle(node)
    return "" if node.role == "ce" and speaks else _idle(node)


def _idle(node: Node) -> str:
    return f"no daemon runs at {node.name}, whose routes are planned: take this out"


def _of_router(lab: Lab, net: Network, node: Node) -> str:
    if node.daemon != "bird":
        return ""
    if lab.igp.protocol == "isis":
        return "BIRD has no IS-IS: write igp: ospf, or daemon: frr"
    if lab.vpn.protocol == "bgp" and (node.vrfs or node.imports or node.exports or node in labelled(lab)):
        return f"BIRD 2.0 gives VPNs no labels of its own, and has no LDP: {node.name} as a pe needs daemon: frr"
    if not all(port.name for link in lab.links for port in link.ports):  # which the planner sees to
        return ""
    if lab.labels.protocol != STATIC and _is_between(lab, net, node):
        return f"BIRD 2.0 has no labels of LDP or SR, and packets with some have no way around {node.name}: daemon: frr"
    if outer_ports(net, node):
        return f"customers are at {node.name} outside VRFs, of whom BIRD is not told: move them, or daemon: frr"
    return ""


def _is_between(lab: Lab, net: Network, node: Node) -> bool:
    """Whether routers with labels have no way to each other but through BIRD, to which OSPF prefers any other; what
    goes from area to area has no choice."""
    near = beside(net)
    birds = {other.name for other in lab.nodes if other.daemon == "bird"}
    ours = spread([node.name], {name: some for name, some in near.items() if name in birds})
    ends = [name for name in ours if name not in birds]
    others = {name: [each for each in some if each not in birds] for name, some in near.items()}
    apart = len(set(near[node.name])) > 1 and not set(ends) <= set(spread(ends[:1], others))
    return apart or len(areas_of(lab, net, node)) > 1
