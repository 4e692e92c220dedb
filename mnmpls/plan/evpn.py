"""LANs that PEs stretch over the core by EVPN-VXLAN (RFC 8365), and VRFs whose packets cross it so (RFC 9136): what is
planned of them, and each PE's devices. BGP tells who is behind which PE; nothing is learnt from packets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..model import BY_EVPN, DEFAULT_MTU_BYTES, STATIC, Evpn, Lab, Node, Vrf
from ..state import GATEWAY_MAC, Bridge, Member, Port, Record, Sysctl, Tunnel
from . import alloc
from .graph import Network, canonical, network
from .tunnels import INNER_BYTES, OUTER_BYTES, loopback

HEADERS_BYTES = OUTER_BYTES[4] + INNER_BYTES["vxlan"]
"""FRR has VXLAN between IPv4 addresses only (zebra/zebra_evpn.h, local_vtep_ip)."""

LABEL_BYTES = 4
"""A label stack entry (RFC 3032 2.1)."""

_TWO_BYTES = 2**16


def stretched(lab: Lab) -> Lab:
    """``lab`` with VNI and route targets on every EVPN, and with a VNI on every VRF that EVPN tells of: the same on
    those of one name, since a packet arrives with the VNI of the VRF that it left."""
    if not lab.evpns and lab.vpn.protocol != BY_EVPN:
        return lab
    of_vrfs = {vrf.name: vrf.vni for node in reversed(lab.nodes) for vrf in node.vrfs if vrf.vni is not None}
    given = {evpn.vni for evpn in lab.evpns} | {link.vni for link in lab.links} | {*of_vrfs.values()}
    numbers = alloc.free(alloc.VNIS, {number for number in given if number is not None})
    lab = replace(lab, evpns=tuple(_identified(lab, evpn, numbers) for evpn in lab.evpns))
    if lab.vpn.protocol != BY_EVPN:
        return lab
    for vrf in (vrf for node in lab.nodes for vrf in node.vrfs):
        if vrf.name not in of_vrfs:
            of_vrfs[vrf.name] = next(numbers)
    return replace(lab, nodes=tuple(_with_vnis(node, of_vrfs) for node in lab.nodes))


def _with_vnis(node: Node, planned: Mapping[str, int | None]) -> Node:
    vrfs = (vrf if vrf.vni is not None else replace(vrf, vni=planned[vrf.name]) for vrf in node.vrfs)
    return replace(node, vrfs=tuple(vrfs)) if node.vrfs else node


def _identified(lab: Lab, evpn: Evpn, numbers: Iterator[int]) -> Evpn:
    evpn = replace(evpn, gateway=tuple(map(canonical, evpn.gateway)))
    evpn = evpn if evpn.vni is not None else replace(evpn, vni=next(numbers))
    if evpn.imports or evpn.exports:
        return evpn
    planned = (usual_target(lab.vpn.asn or alloc.ASN, evpn.vni or 0),)
    return replace(evpn, imports=planned, exports=planned)


def usual_target(asn: int, vni: int) -> str:
    """The route target that PEs agree on by themselves: two bytes of the AS number, and the VNI (RFC 8365 5.1.2.1, in
    FRR's way: bgpd/bgp_evpn.c, form_auto_rt)."""
    return f"{asn % _TWO_BYTES}:{vni}"


def at(lab: Lab, net: Network, node: str) -> Sequence[Evpn]:
    """Those that a PE has ports in."""
    return [evpn for evpn in lab.evpns if node in net.stretched.get(evpn.name, ())]


def device(of: Evpn | Vrf) -> str:
    """The name of its VXLAN device."""
    return f"vni{of.vni}"


def carrier(vrf: Vrf) -> str:
    """The name of the bridge by which a VRF sends to other PEs: from its MAC address, to that of theirs."""
    return f"br{vrf.vni}"


def carried(lab: Lab, node: Node) -> Sequence[Vrf]:
    """Those of a PE's VRFs whose packets cross the core in VXLAN."""
    return node.vrfs if lab.vpn.protocol == BY_EVPN else ()


def ends(lab: Lab) -> Mapping[tuple[str, str], tuple[tuple[str, str], ...]]:
    """Of each VXLAN device, by its node and name, the others with its VNI."""
    together: dict[str, list[tuple[str, str]]] = {}
    found = network(lab).stretched if lab.evpns else {}
    for evpn in lab.evpns:
        together[device(evpn)] = [(node, device(evpn)) for node in found.get(evpn.name, ())]
    for node in lab.nodes:
        for vrf in carried(lab, node):
            together.setdefault(device(vrf), []).append((node.name, device(vrf)))
    return {each: tuple(other for other in every if other != each) for every in together.values() for each in every}


def devices(lab: Lab, net: Network, node: Node) -> Iterator[Record]:
    """A bridge with the PE's ports (which are members of it elsewhere), and the VXLAN device to all other PEs. Nobody
    on the LAN gets at the PE itself by it, unless that routes for it. For a VRF a bridge in it, with such a device as
    its only port."""
    for evpn in at(lab, net, node.name):
        yield from _bridge(node, evpn, evpn.name, evpn.mtu_bytes or DEFAULT_MTU_BYTES)
        if evpn.gateway:  # link-local addresses are the same everywhere, as the MAC address is
            yield Sysctl(f"net.ipv6.conf.{evpn.name}.accept_dad", "0")
        else:
            yield Sysctl(f"net.ipv4.conf.{evpn.name}.forwarding", "0")
            yield Sysctl(f"net.ipv6.conf.{evpn.name}.disable_ipv6", "1")
    for vrf in carried(lab, node):
        yield from _bridge(node, vrf, carrier(vrf), left_bytes(lab, net))
        yield Member(carrier(vrf), vrf.name)
        yield Sysctl(f"net.ipv4.conf.{carrier(vrf)}.rp_filter", "0")


def _bridge(node: Node, of: Evpn | Vrf, name: str, mtu_bytes: int) -> Iterator[Record]:
    yield Bridge(name, mac=GATEWAY_MAC if isinstance(of, Evpn) and of.gateway else "")
    yield Tunnel(device(of), "vxlan", loopback(node, (4,)), "", of.vni)
    yield Member(device(of), name, learns=False, suppresses=True)
    yield Port(device(of), True, mtu_bytes)


def left_bytes(lab: Lab, net: Network) -> int:
    """The largest packet that VXLAN takes over the narrowest link of the core, since routing may lead by any."""
    core = (port for edges in net.core.values() for edge in edges for port in edge)
    narrowest = min((port.mtu_bytes or DEFAULT_MTU_BYTES for port in core), default=DEFAULT_MTU_BYTES)
    return narrowest - beneath_bytes(lab) - HEADERS_BYTES


def beneath_bytes(lab: Lab) -> int:
    """Of the label that leads VXLAN's packets from one PE to the other."""
    return LABEL_BYTES if lab.lsps or lab.labels.protocol != STATIC else 0
