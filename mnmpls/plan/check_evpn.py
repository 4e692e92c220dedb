"""What can be wrong with EVPNs: the key ``evpns`` of the lab, ``evpn`` of links' ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..errors import nearest
from ..model import Evpn, Igp, Lab, Link, Node, Port
from .check_links import LEAST_MTU_BYTES, MOST_MTU_BYTES, link_text
from .evpn import at, device
from .graph import ROUTERS, Network
from .spelling import name_fault, pair_fault

Fault = tuple[str, str]

LARGEST_VNI = 2**24 - 1


def evpn_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of these keys."""
    names = Counter(evpn.name for evpn in lab.evpns)
    for evpn in lab.evpns:
        for key, text in _of_evpn(lab, net, evpn):
            yield f"evpns.{evpn.name}{key}", text
        if names[evpn.name] > 1:
            yield f"evpns.{evpn.name}", f"there are two EVPNs called {evpn.name}: rename one"
    if lab.evpns and lab.vpn.protocol != "bgp":
        text = "who is where on a stretched LAN, only BGP tells: add vpn: bgp, and igp: ospf for the way there"
        yield "evpns", f"{text}; or take evpns out"
    for i, link in enumerate(lab.links):
        for side, port in zip("ab", link.ports, strict=True):
            if port.evpn is not None and port.node in net.nodes:
                yield from (
                    (f"links[{i}].{side}.{key}", f"{link_text(link)}: {text}")
                    for key, text in _of_port(lab, net, link, port)
                )
    for node in lab.nodes:
        yield from _of_node(lab, net, node)
        tells = at(lab, net, node.name) or (lab.evpns and node.name in lab.vpn.reflectors)
        if node.daemon == "bird" and tells:
            yield f"nodes.{node.name}.daemon", f"BIRD 2.0 has no EVPN: {node.name} needs daemon: frr"


def _of_evpn(lab: Lab, net: Network, evpn: Evpn) -> Iterator[Fault]:
    if fault := name_fault(evpn.name, "EVPN"):
        yield "", fault
    if not net.stretched.get(evpn.name):
        like = f"[pe1: {{evpn: {evpn.name}}}, h1]"
        text = f"no port is in it: write evpn: {evpn.name} at a pe's end of a link, as {like}, or take it out"
        yield "", text
    if evpn.vni is not None and not 1 <= evpn.vni <= LARGEST_VNI:
        yield ".vni", f"{evpn.vni} is no VNI: give 1 to {LARGEST_VNI}"
    elif evpn.vni is not None and (other := _same_vni(lab, evpn)):
        yield ".vni", f"VNI {evpn.vni} is that of {other}: give another, or leave it out"
    for target in dict.fromkeys(evpn.imports + evpn.exports):
        if fault := pair_fault(target, "route target"):
            yield ".rt", fault
    if bool(evpn.imports) != bool(evpn.exports):
        yield ".rt", "what one PE tells another has to take: give both import and export, or rt for both"
    if evpn.mtu_bytes is not None and not LEAST_MTU_BYTES <= evpn.mtu_bytes <= MOST_MTU_BYTES:
        text = f"an MTU of {evpn.mtu_bytes} is not possible: give {LEAST_MTU_BYTES} to {MOST_MTU_BYTES}"
        yield ".mtu", text


def _same_vni(lab: Lab, evpn: Evpn) -> str:
    """Who else has its VNI."""
    others = [f"EVPN {each.name}" for each in lab.evpns if each is not evpn and each.vni == evpn.vni]
    tunnels = (link for link in lab.links if link.type == "vxlan" and (link.vni or 0) == evpn.vni)
    return next(iter([*others, *map(link_text, tunnels)]), "")


def _of_port(lab: Lab, net: Network, link: Link, port: Port) -> Iterator[Fault]:
    other = link.b if port is link.a else link.a
    known = [evpn.name for evpn in lab.evpns]
    if port.evpn not in known:
        text = f"{nearest(port.evpn or '', known)}" if known else "name it in the lab's evpns"
        yield "evpn", f"the lab has no EVPN {port.evpn!r}; {text}"
    if net.role(port.node) != "pe":
        yield "evpn", f"{port.node} is a {net.role(port.node)}: only a pe stretches LANs over the core"
    if port.vrf:
        yield "vrf", f"an EVPN switches and a VRF routes, and this is in {port.evpn} and in {port.vrf}: take one out"
    if port.addresses:
        text = f"{port.node} hands on what comes in here and has no address: give it to the nodes around"
        yield "ip", text
    if not link.is_wire:
        yield "evpn", f"a port in an EVPN is the end of a wire, and this is a {link.type} tunnel: make it a veth"
    if other.evpn is None and other.node in net.nodes and net.role(other.node) in ROUTERS:
        yield "evpn", f"{other.node} is a {net.role(other.node)}: at the other end is a host, a ce or a bridge"
    if link.igp != Igp():
        yield "evpn", "the core's routing protocol does not run on customers' LANs: take igp out"


def _of_node(lab: Lab, net: Network, node: Node) -> Iterator[Fault]:
    """What a PE's devices for its EVPNs would meet there."""
    for evpn in at(lab, net, node.name):
        taken = {vrf.name: f"VRF {vrf.name}" for vrf in node.vrfs} | {each.name: "dummy" for each in node.dummies}
        taken |= {port.name: f"port {port.name}" for port in net.ports[node.name] if port.name}
        for name in (evpn.name, device(evpn)):
            if name in taken:
                text = f"{node.name} would have a device {name} for it, and has its {taken[name]}"
                yield f"evpns.{evpn.name}", f"{text}: rename one of the two"
