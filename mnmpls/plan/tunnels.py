"""Tunnels: what each one runs over, what its headers cost, and the device at each end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..errors import LabError, Problem
from ..model import NO_LOOPBACK, Lab, Link, Node, Port
from ..state import MPLS_IN_IP, Guard, Tunnel, UdpPort
from .check_links import link_text
from .graph import ROUTERS, Network, interface, network, search, via

KINDS: dict[str, dict[int, str]] = {
    "gre": {4: "gre"},
    "ip6gre": {6: "ip6gre"},
    "gretap": {4: "gretap", 6: "ip6gretap"},
    "vxlan": {4: "vxlan", 6: "vxlan"},
    "mpls-ip": {4: "sit", 6: "ip6tnl"},
    "mpls-udp": {4: "ipip", 6: "ip6tnl"},
}
"""Link type -> the kernel's kind of device by the IP version that it runs over. Of the devices that take MPLS in IP,
sit and ip6tnl take unlabelled IP packets of both versions as well; in UDP the receiver takes all for MPLS."""

MPLS_UDP_PORT = 6635
"""RFC 7510 3."""

OUTER_BYTES = {4: 20, 6: 40}
INNER_BYTES = {"gre": 4, "ip6gre": 4, "gretap": 4 + 14, "vxlan": 8 + 8 + 14, "mpls-ip": 0, "mpls-udp": 8}
"""GRE's header (RFC 2784) and, for VXLAN, UDP's and its own (RFC 7348 5); Ethernet's inside."""
KEY_BYTES, ENCAP_LIMIT_BYTES = 4, 8

ESP_BYTES, ESP_TRAILER_BYTES, UDP_BYTES = 8 + 8 + 16, 2, 8
"""Header, initialization vector and integrity check value of both ciphers (RFC 7634 2, RFC 4106 3); what comes behind
the packet and its padding to 4 bytes (RFC 4303 2.4); RFC 3948's header."""

ENCRYPTED = {"gre": (47, 0), "ip6gre": (47, 0), "gretap": (47, 0), "vxlan": (17, 4789)}
"""Link types that IPsec goes with: the IP protocol of a tunnel's packets, and the UDP port that they go to."""

LEAST_MTU_BYTES = {"sit": 1280}
"""Smaller ones the kernel refuses (net/ipv6/sit.c: IPV6_MIN_MTU)."""


def underlaid(lab: Lab) -> Lab:
    """``lab`` (addressed) with the two addresses that each tunnel runs between. Raises LabError for one that finds
    none."""
    if not lab.has_tunnels:
        return lab
    net = network(lab)
    found = [_addresses(lab, net, link) for link in lab.links]
    lacking = {f"links[{i}].over": each for i, each in enumerate(found) if isinstance(each, str)}
    if lacking:
        raise LabError(Problem(path, text, lab.place(path)) for path, text in lacking.items())
    known = (each for each in found if not isinstance(each, str))
    return replace(lab, links=tuple(replace(link, over=over) for link, over in zip(lab.links, known, strict=True)))


def _addresses(lab: Lab, net: Network, link: Link) -> tuple[str, ...] | str:
    """What the tunnel runs between, or why it cannot be told."""
    if link.is_wire:
        return link.over
    if len(link.over) == 2:
        return _reached(net, link, tuple(str(interface(address).ip) for address in link.over))
    versions = sorted(KINDS[link.type])
    for a, b in _ways(lab, link):
        for version in versions:
            mine, theirs = via(b, a, version), via(a, b, version)
            if mine and theirs:
                return mine, theirs
    spoken = " or ".join(f"IPv{version}" for version in versions)
    if link.over:
        return f"{link_text(link)}: link {link.over[0]} has no subnet of {spoken}: give both of its ends an address"
    both = [loopback(net.nodes[port.node], versions) for port in link.ports]
    if all(both):
        return _reached(net, link, tuple(both))
    text = f"{link.a.node} and {link.b.node} share no link outside VRFs with {spoken}, nor has each a loopback of it"
    return f"{link_text(link)}: what does this {link.type} tunnel run over? {text}: give over, the two addresses"


def _reached(net: Network, link: Link, over: tuple[str, ...]) -> tuple[str, ...] | str:
    """``over``, or why no packets get there: a router's loopback and its core wires are known to other routers that
    wires join to it, and beyond those the only way there would be the tunnel itself."""
    a, b = (net.nodes[port.node] for port in link.ports)
    for here, there, address in ((a, b, over[1]), (b, a, over[0])):
        both = {here.role, there.role} <= ROUTERS and address in _in_the_core(net, there)
        if both and not here.routes and here.name not in search(net.wired, [there.name]):
            text = f"it would run to {address} of {there.name}, and from {here.name} no wires of p and pe lead there"
            return f"{link_text(link)}: {text}: give over, two addresses that have a way"
    return over


def _in_the_core(net: Network, node: Node) -> set[str]:
    """A router's addresses whose routes the core's wires make."""
    wires = (port for port in net.ports[node.name] if net.is_core(port) and not net.is_tunnel(port))
    cidrs = (*node.loopbacks, *(cidr for port in wires for cidr in port.addresses or ()))
    return {cidr.partition("/")[0] for cidr in cidrs}


def _ways(lab: Lab, tunnel: Link) -> Iterator[tuple[Port, Port]]:
    """The ends of the named link, or of each wire that joins the two nodes outside VRFs."""
    ends = tunnel.a.node, tunnel.b.node
    for link in lab.links:
        wanted = link.name == tunnel.over[0] if tunnel.over else link.is_wire
        if not wanted or link is tunnel or any(port.vrf for port in link.ports):
            continue
        for a, b in (link.ports, link.ports[::-1]):
            if (a.node, b.node) == ends:
                yield a, b


def loopback(node: Node, versions: Iterable[int]) -> str:
    """The address of its first loopback of the first of these IP versions that it has one of; empty for none."""
    found = [interface(cidr).ip for cidr in node.loopbacks if cidr != NO_LOOPBACK]
    return next((str(ip) for version in versions for ip in found if ip.version == version), "")


def tunnel(link: Link, port: Port) -> Tunnel:
    """The device that ``port`` is, of a tunnel whose addresses are known."""
    local, remote = link.over if port == link.a else link.over[::-1]
    kind = KINDS[link.type][version_of(link)]
    key = link.vni if link.type == "vxlan" else link.key
    udp_port = MPLS_UDP_PORT if link.type == "mpls-udp" else 0
    return Tunnel(port.name, kind, local, remote, key, link.ttl or 0, link.encap_limit, udp_port)


def receiver(link: Link) -> UdpPort | None:
    """What takes a tunnel's packets out of UDP."""
    return UdpPort(MPLS_UDP_PORT, version_of(link), MPLS_IN_IP) if link.type == "mpls-udp" else None


def guards(link: Link, port: Port) -> tuple[Guard, ...]:
    """What keeps a tunnel's packets back that are not encrypted, for a link with IPsec."""
    if not link.ipsec:
        return ()
    local, remote = link.over if port == link.a else link.over[::-1]
    packets = ENCRYPTED[link.type]
    return Guard("out", local, remote, *packets), Guard("in", remote, local, *packets)


def version_of(link: Link) -> int:
    """The IP version that a tunnel runs over."""
    return 6 if ":" in link.over[0] else 4


def overhead_bytes(link: Link) -> int:
    """What a tunnel puts before the packets that its MTU counts."""
    options = KEY_BYTES * (link.key is not None) + ENCAP_LIMIT_BYTES * (link.encap_limit is not None)
    return OUTER_BYTES[version_of(link)] + INNER_BYTES[link.type] + options


def is_fatal(link: Link) -> bool:
    """Does a kernel panic over packets of this tunnel that are larger than fits (__xfrm6_output, reached from
    udp_tunnel6_xmit_skb; seen on 6.1.176)?"""
    in_tunnel = link.ipsec is not None and link.ipsec.mode.endswith("tunnel")
    return in_tunnel and link.type == "vxlan" and version_of(link) == 6


def fits_bytes(link: Link, carried: int) -> int:
    """What of the largest IP packet that is ``carried`` between a tunnel's ends is left for a packet by the tunnel."""
    if not link.ipsec:
        return carried - overhead_bytes(link)
    outer = OUTER_BYTES[version_of(link)]
    esp = carried - outer - (UDP_BYTES if link.ipsec.mode.startswith("udp") else 0) - ESP_BYTES
    whole = esp // 4 * 4 - ESP_TRAILER_BYTES + (0 if link.ipsec.mode.endswith("tunnel") else outer)
    return whole - overhead_bytes(link)
