"""Who speaks BGP (RFC 4271) in a lab, with whom, and what they tell: routes of VRFs between PEs (RFC 4364), plain ones
between PE and CE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..model import BY_EVPN, NO_LOOPBACK, Evpn, Lab, Node, Routing, Vrf
from ..plan.evpn import at, carried, usual_target
from ..plan.graph import Network, interface, network, via
from ..plan.instances import main_table
from ..plan.spoken import Spoken, asns, has_vpns, labelled, spoken
from ..state import MAIN_TABLE

PLAIN = Routing()
MAIN_RD = 65535
"""Behind a PE's address, the route distinguisher of its main table's routes."""
VERSIONS = ((4, "ipv4"), (6, "ipv6"))


@dataclass(frozen=True, slots=True)
class Peer:
    """``node`` is its name, ``source`` the interface to call it from (empty: any), ``families`` what is told to it, and
    ``routing`` how. A ``client`` is told what others of the same AS tell (RFC 4456)."""

    address: str
    asn: int
    node: str
    families: tuple[str, ...]
    source: str = ""
    routing: Routing = PLAIN
    client: bool = False


EVPN = "l2vpn evpn"


@dataclass(frozen=True, slots=True)
class Vni:
    """A stretched LAN at one PE, or a VRF there, whose routes ``told`` EVPN has: of these families."""

    number: int
    rd: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """Routes of one kind: where else they are taken from, and for those of a VRF that VRF (without a name: for those of
    the main table that VRFs have). ``networks`` are told, or ``exported``, as the only ones of what is taken. ``vnis``
    are EVPN's; at the one which is a VRF's own, ``routed`` is that VRF's."""

    name: str
    redistributed: tuple[str, ...] = ()
    vrf: Vrf | None = None
    networks: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()
    vnis: tuple[Vni, ...] = ()
    routed: Vni | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """The BGP of one VRF, or of the main table (``vrf`` empty)."""

    vrf: str
    peers: tuple[Peer, ...]
    families: tuple[Family, ...]


@dataclass(frozen=True, slots=True)
class Speaker:
    """A node and all its BGP."""

    name: str
    asn: int
    router_id: str
    instances: tuple[Instance, ...]

    @property
    def origins(self) -> tuple[str, ...]:
        """The sites of origin that routes are marked with."""
        marks = (peer.routing.site_of_origin for each in self.instances for peer in each.peers)
        return tuple(dict.fromkeys(mark for mark in marks if mark))

    @property
    def exported(self) -> dict[str, tuple[str, ...]]:
        """What of the main table VRFs have, by FRR's words for its IP version."""
        found = {family.name: family.exported for each in self.instances for family in each.families if family.exported}
        words = {"ip": "ipv4 unicast", "ipv6": "ipv6 unicast"}
        return {word: found[name] for word, name in words.items() if name in found}

    @property
    def has_sites(self) -> bool:
        """Whether it tells what the planner knows of VRFs."""
        return any(each.vrf for each in self.instances)

    @property
    def vnis(self) -> dict[str, int]:
        """VRF -> the number of its VNI, of those that EVPN tells of."""
        found = ((each.vrf, family.routed) for each in self.instances for family in each.families)
        return {vrf: vni.number for vrf, vni in found if vni}


def speakers(lab: Lab) -> dict[str, Speaker]:
    """Node -> its BGP, for a completed lab; nodes without any are absent."""
    if not lab.vpn.is_told:
        return {}
    net = network(lab)
    pairs: dict[str, list[Spoken]] = {}
    for pair in spoken(net):
        if pair.routing.protocol == "bgp":
            for port in (pair.near, pair.far) if not pair.far.vrf else (pair.near,):
                pairs.setdefault(port.node, []).append(pair)
    within = asns(lab)
    found: list[Speaker] = []
    for node in lab.nodes:
        own = pairs.get(node.name, [])
        instances: tuple[Instance, ...] = ()
        if _is_edge(lab, net, node) or node.name in lab.vpn.reflectors:
            vrfs = (_of_vrf(lab, net, node, vrf, own, within) for vrf in node.vrfs)
            instances = (_core(lab, net, node, within), *vrfs)
        elif own:
            instances = (_of_ce(net, own, within),)
        if instances:
            found.append(Speaker(node.name, within[node.name], router_id(net, node), instances))
    return {one.name: one for one in found}


def _core(lab: Lab, net: Network, node: Node, within: Mapping[str, int]) -> Instance:
    """Between the routers of one AS: with all PEs, or with its reflectors."""
    routing = Routing("bgp", allow_own_as=any(link.routing.allow_own_as for link in lab.links))
    here = [other for other in lab.nodes if within[other.name] == within[node.name] and other != node]
    top = [other for other in here if other.name in lab.vpn.reflectors]
    reflects = node.name in lab.vpn.reflectors
    by_labels = labelled(lab)
    pes = [other for other in here if other not in top and _is_edge(lab, net, other)]
    told = [f"{name} vpn" for name in _names(node)] if has_vpns(lab) else []
    families = list(map(Family, told))
    if by_labels:
        told += (f"{name} labeled-unicast" for name in _names(node))
        exports = main_table(net, node).exports if node in by_labels else {}
        for version, name in VERSIONS if loopback(node, 6) else VERSIONS[:1]:
            families.append(Family(f"{name} unicast", networks=tuple(exports.get(version, ()))))
            families.append(Family(f"{name} labeled-unicast"))
    if node.imports or node.exports:
        families += _of_main(net, node)
    if lab.evpns or lab.vpn.protocol == BY_EVPN:
        told.append(EVPN)
        families.append(Family(EVPN, vnis=tuple(_vnis(lab, net, node))))
    peers = (
        Peer(loopback(other, 4), within[node.name], other.name, tuple(told), "lo", routing, reflects and other in pes)
        for other in (top if top and not reflects else top + pes)
        if loopback(other, 4)  # a node with its own configuration may have none
    )
    return Instance("", tuple(peers), tuple(families))


def _is_edge(lab: Lab, net: Network, node: Node) -> bool:
    """Whether it has routes to tell other PEs."""
    return bool(node.vrfs or node.imports or node.exports or at(lab, net, node.name)) or node in labelled(lab)


def _vnis(lab: Lab, net: Network, node: Node) -> Iterator[Vni]:
    """Its route distinguishers count behind its address."""
    for number, evpn in enumerate(lab.evpns, 1):
        if node.name in net.stretched.get(evpn.name, ()):
            yield _vni(lab, node, evpn, f"{loopback(node, 4)}:{number}")


def _vni(lab: Lab, node: Node, of: Evpn | Vrf, rd: str, told: tuple[str, ...] = ()) -> Vni:
    """bgpd takes no line with the target that it has by itself, but forgets that one with any other line
    (bgpd/bgp_evpn_vty.c, bgp_evpn_vni_rt and bgp_evpn_vrf_rt)."""
    usual = usual_target(asns(lab)[node.name], of.vni or 0)
    lists = (sorted(each, key=usual.__eq__) for each in (of.imports, of.exports))
    imports, exports = (() if each == [usual] else tuple(each) for each in lists)
    return Vni(of.vni or 0, rd, imports, exports, told)


def _of_main(net: Network, node: Node) -> Iterator[Family]:
    """What the main table and VRFs have of each other."""
    exports = main_table(net, node).exports
    main = Vrf("", MAIN_TABLE, f"{loopback(node, 4)}:{MAIN_RD}", node.imports, node.exports)
    for version, name in VERSIONS if loopback(node, 6) else VERSIONS[:1]:
        taken = ("kernel route-map MAIN", "connected route-map MAIN")
        yield Family(f"{name} unicast", taken, main, exported=tuple(exports.get(version, ())))


def _names(node: Node) -> list[str]:
    """The IP versions that it has loopbacks of."""
    return [name for version, name in VERSIONS if loopback(node, version)]


def _of_vrf(
    lab: Lab, net: Network, node: Node, vrf: Vrf, pairs: list[Spoken], within: Mapping[str, int]
) -> Instance:
    peers = (peer for pair in pairs if pair.near.vrf == vrf.name for peer in _towards(net, pair, within, True))
    ports = net.members.get((node.name, vrf.name), ())
    has_ospf = any(net.links[port.node, port.name].routing.protocol == "ospf" for port in ports)
    in_vxlan = vrf in carried(lab, node)  # between IPv4 addresses, whatever is inside
    families = [
        Family(f"{name} unicast", ("kernel route-map SITES", "connected", *([ospf] if has_ospf else [])), vrf)
        for version, name, ospf in ((4, "ipv4", "ospf"), (6, "ipv6", "ospf6"))
        if loopback(node, version) or in_vxlan
    ]
    if in_vxlan:
        families = [replace(family, vrf=None) for family in families]
        told = tuple(family.name for family in families)
        families.append(Family(EVPN, routed=_vni(lab, node, vrf, vrf.rd or "", told)))
    return Instance(vrf.name, tuple(peers), tuple(families))


def _of_ce(net: Network, pairs: list[Spoken], within: Mapping[str, int]) -> Instance:
    peers = tuple(peer for pair in pairs for peer in _towards(net, pair, within, False))
    names = dict.fromkeys(name for peer in peers for name in peer.families)
    return Instance("", peers, tuple(Family(name, ("kernel", "connected")) for name in names))


def _towards(net: Network, pair: Spoken, within: Mapping[str, int], near: bool) -> Iterator[Peer]:
    """The other one, by each IP version that both have; the PE where ``near`` is false."""
    mine, theirs = (pair.near, pair.far) if near else (pair.far, pair.near)
    node = net.nodes[theirs.node]
    for version, name in VERSIONS:
        if address := via(mine, theirs, version):
            routing = pair.routing if near else PLAIN
            yield Peer(address, within[node.name], node.name, (f"{name} unicast",), routing=routing)


def router_id(net: Network, node: Node) -> str:
    """Its first IPv4 address, loopbacks before ports; empty where it has none."""
    ports = (cidr for port in net.ports[node.name] for cidr in port.addresses or ())
    found = (interface(cidr) for cidr in (*node.loopbacks, *ports) if cidr != NO_LOOPBACK)
    return next((str(address.ip) for address in found if address.version == 4), "")


def loopback(node: Node, version: int) -> str:
    """The first of its loopbacks of that IP version; empty for none."""
    found = (interface(cidr) for cidr in node.loopbacks if cidr != NO_LOOPBACK)
    return next((str(address.ip) for address in found if address.version == version), "")
