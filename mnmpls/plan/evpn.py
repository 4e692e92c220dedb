"""LANs that PEs stretch over the core by EVPN-VXLAN (RFC 8365): what is planned of them, and each PE's devices. BGP
tells who is behind which PE; nothing is learnt from packets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..model import DEFAULT_MTU_BYTES, Evpn, Lab, Node
from ..state import Bridge, Member, Port, Record, Sysctl, Tunnel
from . import alloc
from .graph import Network
from .tunnels import INNER_BYTES, OUTER_BYTES, loopback

HEADERS_BYTES = OUTER_BYTES[4] + INNER_BYTES["vxlan"]
"""FRR has VXLAN between IPv4 addresses only (zebra/zebra_evpn.h, local_vtep_ip)."""

_TWO_BYTES = 2**16


def stretched(lab: Lab) -> Lab:
    """``lab`` with VNI and route targets on every EVPN."""
    if not lab.evpns:
        return lab
    given = {evpn.vni for evpn in lab.evpns} | {link.vni for link in lab.links}
    numbers = alloc.free(alloc.VNIS, {number for number in given if number is not None})
    return replace(lab, evpns=tuple(_identified(lab, evpn, numbers) for evpn in lab.evpns))


def _identified(lab: Lab, evpn: Evpn, numbers: Iterator[int]) -> Evpn:
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


def device(evpn: Evpn) -> str:
    """The name of its VXLAN device."""
    return f"vni{evpn.vni}"


def ends(lab: Lab, net: Network) -> Mapping[tuple[str, str], tuple[tuple[str, str], ...]]:
    """Of each VXLAN device, by its node and name, the others of its EVPN."""
    found: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    for evpn in lab.evpns:
        every = [(node, device(evpn)) for node in net.stretched.get(evpn.name, ())]
        found |= {each: tuple(other for other in every if other != each) for each in every}
    return found


def devices(lab: Lab, net: Network, node: Node) -> Iterator[Record]:
    """A bridge with the PE's ports (which are members of it elsewhere), and the VXLAN device to all other PEs. Nobody
    on the LAN gets at the PE itself by it."""
    for evpn in at(lab, net, node.name):
        yield Bridge(evpn.name)
        yield Tunnel(device(evpn), "vxlan", loopback(node, (4,)), "", evpn.vni)
        yield Member(device(evpn), evpn.name, learns=False, suppresses=True)
        yield Port(device(evpn), True, evpn.mtu_bytes or DEFAULT_MTU_BYTES)
        yield Sysctl(f"net.ipv4.conf.{evpn.name}.forwarding", "0")
        yield Sysctl(f"net.ipv6.conf.{evpn.name}.disable_ipv6", "1")
