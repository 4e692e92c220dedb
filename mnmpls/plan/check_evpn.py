"""What can be wrong with EVPNs: ``evpns`` and ``vpn: evpn`` of the lab, ``evpn`` of links' ends, VRFs' ``vni``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..errors import nearest
from ..model import BY_EVPN, Evpn, Igp, Lab, Link, Node, Port, Vrf
from .check_links import LEAST_MTU_BYTES, MOST_MTU_BYTES, link_text, vrf_fault
from .evpn import at, carried, carrier, device
from .graph import IRB, ROUTERS, Network
from .spelling import cidr, name_fault, pair_fault

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
    if lab.evpns and not lab.vpn.is_told:
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
        reflects = (lab.evpns or lab.vpn.protocol == BY_EVPN) and node.name in lab.vpn.reflectors
        tells = at(lab, net, node.name) or carried(lab, node) or reflects
        if node.daemon == "bird" and tells:
            yield f"nodes.{node.name}.daemon", f"BIRD 2.0 has no EVPN: {node.name} needs daemon: frr"
    yield from _of_vrfs(lab)


def _of_vrfs(lab: Lab) -> Iterator[Fault]:
    """What only labels do, and what VNIs are to say."""
    if lab.vpn.protocol != BY_EVPN:
        for node in lab.nodes:
            for vrf in (vrf for vrf in node.vrfs if vrf.vni is not None):
                text = "a VRF's packets have a VNI where VXLAN carries them: write vpn: evpn, or take it out"
                yield f"nodes.{node.name}.vrfs.{vrf.name}.vni", text
        return
    text = "labels have no part in VPNs by EVPN, and this needs them: write vpn: bgp and labels: ldp, or take it out"
    if lab.vpn.unicast:
        yield "vpn.unicast", text
    for i, lsp in enumerate(lab.lsps):
        if lsp.vrf:
            yield f"lsps[{i}].vrf", text
    known: dict[int, str] = {}
    for node in lab.nodes:
        if node.imports or node.exports:
            yield f"nodes.{node.name}.main", text
        for vrf in node.vrfs:
            yield from ((f"nodes.{node.name}.vrfs.{vrf.name}{key}", text) for key, text in _of_vrf(lab, vrf, known))
    yield from _strangers(lab)


def _of_vrf(lab: Lab, vrf: Vrf, known: dict[int, str]) -> Iterator[Fault]:
    if bool(vrf.imports) != bool(vrf.exports):
        yield ".rt", _BOTH
    if vrf.vni is None:
        return
    if not 1 <= vrf.vni <= LARGEST_VNI:
        yield ".vni", f"{vrf.vni} is no VNI: give 1 to {LARGEST_VNI}"
    elif other := _same_vni(lab, vrf):
        yield ".vni", f"VNI {vrf.vni} is that of {other}: give another, or leave it out"
    elif (first := known.setdefault(vrf.vni, vrf.name)) != vrf.name:
        yield ".vni", f"VNI {vrf.vni} is VRF {first}'s: give another, or give the two VRFs one name"


def _strangers(lab: Lab) -> Iterator[Fault]:
    """VRFs that take each other's routes, and would not get each other's packets."""
    names: dict[str, dict[str, None]] = {}
    for vrf in (vrf for node in lab.nodes for vrf in node.vrfs):
        for target in vrf.exports:
            names.setdefault(target, {})[vrf.name] = None
    vnis: dict[str, int] = {}
    for node in lab.nodes:
        for vrf in node.vrfs:
            where = f"nodes.{node.name}.vrfs.{vrf.name}"
            if vrf.vni is not None and vnis.setdefault(vrf.name, vrf.vni) != vrf.vni:
                text = f"VRF {vrf.name} has VNI {vnis[vrf.name]} elsewhere, and its packets would not be known here"
                yield f"{where}.vni", f"{text}: give one, or the VRFs different names and targets"
            for other in dict.fromkeys(name for target in vrf.imports for name in names.get(target, ())):
                if other != vrf.name:
                    text = f"it takes routes of VRF {other}, whose packets have another VNI"
                    yield f"{where}.rt", f"{text}: give both one name, or write vpn: bgp and labels: ldp"


_BOTH = "what one PE tells another has to take: give both import and export, or rt for both"


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
        yield ".rt", _BOTH
    if evpn.mtu_bytes is not None and not LEAST_MTU_BYTES <= evpn.mtu_bytes <= MOST_MTU_BYTES:
        text = f"an MTU of {evpn.mtu_bytes} is not possible: give {LEAST_MTU_BYTES} to {MOST_MTU_BYTES}"
        yield ".mtu", text
    yield from _of_gateway(lab, net, evpn)


def _of_gateway(lab: Lab, net: Network, evpn: Evpn) -> Iterator[Fault]:
    if evpn.vrf and lab.vpn.protocol != BY_EVPN:
        yield ".vrf", "PEs route for a LAN where EVPN tells of VRFs, too: write vpn: evpn, or take vrf and gateway out"
    elif bool(evpn.vrf) != bool(evpn.gateway):
        text = "PEs that route for a LAN do so in a VRF, by an address: give both, {vrf: red, gateway: 10.1.0.254/24}"
        yield ".vrf" if evpn.vrf else ".gateway", text
    for text in evpn.gateway:
        address = cidr(text)
        if address is None or address.network.num_addresses == 1 or address.is_link_local:
            yield ".gateway", f"{text!r} is no address with the length of the LAN's subnet, such as 10.1.0.254/24"
    for name in net.stretched.get(evpn.name, ()) if evpn.vrf else ():
        if fault := vrf_fault(net, net.nodes[name], evpn.vrf or ""):
            yield ".vrf", fault


def _same_vni(lab: Lab, of: Evpn | Vrf) -> str:
    """What LAN or tunnel else has its VNI."""
    others = [f"EVPN {each.name}" for each in lab.evpns if each is not of and each.vni == of.vni]
    tunnels = (link for link in lab.links if link.type == "vxlan" and (link.vni or 0) == of.vni)
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
        text = f"this port is switched, to {port.evpn}, or routed, in {port.vrf}"
        yield "vrf", f"{text}: take one out, or give the LAN the vrf"
    if port.addresses:
        text = f"{port.node} hands on what comes in here: give it to the nodes around, or the LAN a vrf and a gateway"
        yield "ip", text
    if not link.is_wire:
        yield "evpn", f"a port in an EVPN is the end of a wire, and this is a {link.type} tunnel: make it a veth"
    if other.evpn is None and other.node in net.nodes and net.role(other.node) in ROUTERS:
        yield "evpn", f"{other.node} is a {net.role(other.node)}: at the other end is a host, a ce or a bridge"
    if link.igp != Igp():
        yield "evpn", "the core's routing protocol does not run on customers' LANs: take igp out"


def _of_node(lab: Lab, net: Network, node: Node) -> Iterator[Fault]:
    """What a PE's devices for its EVPNs would meet there."""
    wanted = {f"evpns.{evpn.name}": (evpn.name, device(evpn)) for evpn in at(lab, net, node.name)}
    for vrf in (vrf for vrf in carried(lab, node) if vrf.vni is not None):
        wanted[f"nodes.{node.name}.vrfs.{vrf.name}.vni"] = (carrier(vrf), device(vrf))
    for where, names in wanted.items():
        taken = {vrf.name: f"VRF {vrf.name}" for vrf in node.vrfs} | {each.name: "dummy" for each in node.dummies}
        own = (port for port in net.ports[node.name] if net.links[node.name, port.name].type != IRB)
        taken |= {port.name: f"port {port.name}" for port in own if port.name}
        for name in names:
            if name in taken:
                text = f"{node.name} would have a device {name} for it, and has its {taken[name]}"
                yield where, f"{text}: rename one of the two"
