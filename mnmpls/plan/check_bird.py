"""What BIRD 2.0 cannot be asked for: it takes labels from nobody and gives none (that came with 2.14), has no LDP and
no IS-IS."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import nearest
from ..model import STATIC, Lab, Node
from .graph import ROUTERS, Network
from .igp import outer_ports
from .spoken import speakers

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
    if node.vrfs and lab.vpn.protocol != STATIC:
        return f"BIRD 2.0 gives VPNs no labels of its own, and has no LDP: {node.name} as a pe needs daemon: frr"
    if node.name in lab.vpn.reflectors:
        return f"BIRD is no route reflector here: not all that FRR's PEs told it came to others: {node.name} needs frr"
    if lab.labels.protocol != STATIC:
        return f"BIRD 2.0 has no labels of LDP or SR, and packets go through {node.name} with some: daemon: frr"
    if outer_ports(net, node) if net.ports[node.name] and all(p.name for p in net.ports[node.name]) else ():
        return f"customers are at {node.name} outside VRFs, of whom BIRD is not told: move them, or daemon: frr"
    return ""
