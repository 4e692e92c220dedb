"""What can be wrong with what PEs and CEs speak: ``routing`` of links, ``asn`` of nodes."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import nearest
from ..model import LABELLED, ROUTINGS, Lab, Link, Node, Routing
from .check_links import link_text
from .graph import ROUTERS, Network, interfaces
from .igp import area
from .spelling import pair_fault
from .spoken import asns, speakers, spoken

Fault = tuple[str, str]

NO_LABELS_ABROAD = "labels over the border (option B) need FRR 9.1 or newer, and Debian 12 has 8.4"
"""Before it a border router tells VPN routes on without a label of its own (FRR 9.1: mpls bgp
l3vpn-multi-domain-switching). For option C it would label PEs' loopbacks for the other AS: FRR 8.4 has such labels in
the kernel for BGP's routes alone, not for OSPF's (zebra/zebra_rib.c:645, zebra_rib_labeled_unicast), and of these only
for next hops that are neighbours: "we deliberately skip recursive nexthops" (zebra/zebra_mpls.c:192, lsp_install)."""

LARGEST_ASN = 2**32 - 2
"""65535 and the last are reserved (RFC 7300), 0 is nobody's (RFC 7607)."""


def routing_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of these keys."""
    yield from _lab_faults(lab, net)
    yield from _core_faults(lab, net)
    for i, link in enumerate(lab.links):
        for key, text in _of_link(lab, net, link) if link.routing != Routing() else ():
            yield f"links[{i}].routing{key}", f"{link_text(link)}: {text}"
    for node in lab.nodes:
        if node.asn is not None and not node.routes_itself and (text := _asn_fault(lab, net, node, node.asn)):
            yield f"nodes.{node.name}.asn", text


def _of_link(lab: Lab, net: Network, link: Link) -> Iterator[Fault]:
    routing = link.routing
    if routing.protocol not in ROUTINGS:
        yield "", f"there is no routing: {routing.protocol}; {nearest(routing.protocol, ROUTINGS)}"
        return
    if not any(port.vrf for port in link.ports):
        yield "", "routing is what a PE does at a port in a VRF: add vrf to the PE's end, or take routing out"
    elif routing.is_spoken:
        yield from _spoken_faults(lab, net, link)
    yield from _settings_faults(routing)


def _spoken_faults(lab: Lab, net: Network, link: Link) -> Iterator[Fault]:
    protocol = link.routing.protocol
    if not lab.vpn.is_told:
        yield "", f"what a CE tells by {protocol} can only BGP tell to other PEs: add vpn: bgp, or leave it static"
    pairs = [pair for pair in spoken(net) if pair.near in link.ports] if all(port.name for port in link.ports) else None
    if pairs is None:
        return
    if not pairs:
        yield "", f"nobody is there to speak {protocol} with: only a ce does, or another pe's port in a VRF"
    for pair in pairs:
        if pair.far.vrf and protocol != "bgp":
            yield "", f"two PEs speak bgp with each other, not {protocol}: write routing: bgp"
        elif pair.far.vrf and len({asns(lab)[port.node] for port in (pair.near, pair.far)}) == 1:
            yield "", "two VRFs of one provider have each other's routes by route targets: give one router another asn"
        ces = [net.nodes[pair.far.node]] if not pair.far.vrf else []
        addresses = [cidr.version for node in ces for port in net.ports[node.name] for cidr in interfaces(port)]
        known = all(port.addresses is not None for node in ces for port in net.ports[node.name])
        if ces and known and 4 not in addresses and not any("." in cidr for cidr in ces[0].loopbacks):
            text = f"{ces[0].name} needs an IPv4 address, by which {protocol} calls it even where it tells IPv6"
            yield "", f"{text}: give it one, such as loopback: 10.9.0.1/32"


def _settings_faults(routing: Routing) -> Iterator[Fault]:
    if routing.area and routing.protocol != "ospf":
        yield ".area", f"areas are OSPF's, and this is {routing.protocol}: take it out"
    elif routing.area and not _is_area(routing.area):
        yield ".area", f"{routing.area!r} is no OSPF area: write it as 0.0.0.1, or as a number"
    for key in ("as_override", "site_of_origin", "allow_own_as"):
        if getattr(routing, key) and routing.protocol != "bgp":
            yield f".{key}", f"{key} is BGP's, and this is {routing.protocol}: take it out"
    if routing.site_of_origin and (fault := pair_fault(routing.site_of_origin, "site of origin")):
        yield ".site_of_origin", fault


def _is_area(text: str) -> bool:
    try:
        area("ospf", text)
    except ValueError:
        return False
    return True


def _lab_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    vpn = lab.vpn
    if not vpn.is_told and (vpn.asn is not None or vpn.reflectors or vpn.unicast):
        yield "vpn", "asn, reflectors and unicast are BGP's: add protocol: bgp, or take them out"
    if vpn.asn is not None and (fault := _number_fault(vpn.asn)):
        yield "vpn.asn", fault
    if vpn.unicast not in ("", LABELLED):
        yield "vpn.unicast", f"there is no unicast: {vpn.unicast}; there is {LABELLED}"
    for i, name in enumerate(vpn.reflectors):
        where = f"vpn.reflectors[{i}]"
        if name not in net.nodes:
            yield where, f"there is no node {name!r}; {nearest(name, net.nodes)}"
        elif net.role(name) not in ROUTERS:
            yield where, f"only a p or a pe reflects routes, and {name} is a {net.role(name)}"
        elif name in vpn.reflectors[:i]:
            yield where, f"{name} is named twice: once is enough"


def _core_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Providers meet in VRFs only."""
    within = asns(lab)
    for i, link in enumerate(lab.links):
        a, b = (within.get(port.node) for port in link.ports)
        routers = all(port.node in net.nodes and net.role(port.node) in ROUTERS for port in link.ports)
        if routers and a != b and not all(port.vrf for port in link.ports):
            way = "two providers meet between VRFs: give both ends a vrf and the link routing: bgp (inter-AS option A)"
            text = f"{link_text(link)}: it joins AS {a} and AS {b}; {way}"
            yield f"links[{i}]", f"{text}; {NO_LABELS_ABROAD}"


def _number_fault(asn: int) -> str:
    if 0 < asn <= LARGEST_ASN and asn != 65535:
        return ""
    return f"{asn} is no AS number: give 1 to {LARGEST_ASN}, of which 64512 to 65534 are private"


def _asn_fault(lab: Lab, net: Network, node: Node, asn: int) -> str:
    if fault := _number_fault(asn):
        return fault
    if node.role not in (*ROUTERS, "ce"):
        return f"only routers are in an autonomous system of their own, and {node.name} is a {node.role}: take it out"
    if node.role in ROUTERS and not lab.vpn.is_told:
        return "AS numbers are for BGP: add vpn: bgp, or take it out"
    if node.role in ROUTERS or not all(port.name for ports in net.ports.values() for port in ports):
        return ""
    pairs = [pair for pair in speakers(net).get(node.name, ()) if pair.routing.protocol == "bgp"]
    if not pairs:
        return f"{node.name} speaks no BGP: write routing: bgp at its link to a PE, or take asn out"
    if asn in (asns(lab)[pair.near.node] for pair in pairs):
        return f"{asn} is the provider's own: give {node.name} another, or leave it out to have one planned"
    return ""
