"""What can be wrong with links and their ports, each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from ..errors import nearest
from ..model import Dummy, Impairment, Lab, Link, Node, Port
from .graph import Network, switch_of
from .spelling import MAC, cidr, name_fault

Fault = tuple[str, str]

LEAST_MTU_BYTES, MOST_MTU_BYTES = 68, 65535
"""What a veth takes (net/core/dev.c: ETH_MIN_MTU, ETH_MAX_MTU)."""
LEAST_MTU_OF_IPV6_BYTES = 1280
"""RFC 8200 5; with less the kernel has no IPv6 at a port (net/ipv6/addrconf.c: IPV6_MIN_MTU)."""


def link_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of every link by itself; the text begins with the link's ends, since its number is no name."""
    names = {(node.name, dummy.name): f"nodes.{node.name}.dummies.{dummy.name}" for node, dummy in _dummies(lab)}
    yield from _dummy_faults(lab, net)
    for i, link in enumerate(lab.links):
        for path, text in _of_link(lab, net, link, f"links[{i}]", names):
            yield path, f"{link_text(link)}: {text}"
    yield from _loops(lab, net)


def _dummies(lab: Lab) -> Iterator[tuple[Node, Dummy]]:
    return ((node, dummy) for node in lab.nodes for dummy in node.dummies)


def _dummy_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    for node, dummy in _dummies(lab):
        where = f"nodes.{node.name}.dummies.{dummy.name}"
        if (node.name, dummy.name) in seen:
            yield where, f"{node.name} has two dummies called {dummy.name}: rename one"
        seen.add((node.name, dummy.name))
        if not dummy.name:
            yield where, f"a dummy of {node.name} has no name: give it one"
        yield from _port_faults(net, node, dummy.port(node.name), where)


def link_text(link: Link) -> str:
    return f"link {link.a.node or '?'} - {link.b.node or '?'}"


def _of_link(lab: Lab, net: Network, link: Link, where: str, names: dict[tuple[str, str], str]) -> Iterator[Fault]:
    if link.a.node == link.b.node and link.a.node:
        yield where, f"both ends are at {link.a.node}; a link joins two nodes"
    for port, path in ((link.a, f"{where}.a"), (link.b, f"{where}.b")):
        if not port.node:
            if not lab.faults:  # of a link that it did not understand the reader has said so
                yield path, "which node is this end at? Give it the name of one"
        elif port.node not in net.nodes:
            yield path, f"there is no node {port.node!r}; {nearest(port.node, net.nodes)}"
        else:
            yield from _port_faults(net, net.nodes[port.node], port, path)
            first = names.setdefault((port.node, port.name), path)
            if port.name and first != path:
                text = f"{port.node} has a port {port.name!r} already, {lab.told(first)}"
                yield f"{path}.port", f"{text}: name this one otherwise, or leave its name out"


def _port_faults(net: Network, node: Node, port: Port, where: str) -> Iterator[Fault]:
    addresses = port.addresses or ()
    if port.name and (fault := name_fault(port.name, "port")):
        yield f"{where}.port", fault
    vrf, bridge = port.name in net.vrfs[node.name], node.role == "bridge" and port.name == node.name
    if vrf or bridge:
        taken = f"a VRF of {node.name}" if vrf else "the bridge itself"
        yield f"{where}.port", f"{port.name!r} is {taken}, an interface too: name the port otherwise"
    if port.vrf is not None and (fault := vrf_fault(net, node, port.vrf)):
        yield f"{where}.vrf", fault
    if port.mtu_bytes is not None and not LEAST_MTU_BYTES <= port.mtu_bytes <= MOST_MTU_BYTES:
        yield f"{where}.mtu", f"an MTU of {port.mtu_bytes} is not possible: give {LEAST_MTU_BYTES} to {MOST_MTU_BYTES}"
    elif port.mtu_bytes is not None and port.mtu_bytes < LEAST_MTU_OF_IPV6_BYTES and any(map(_is_ipv6, addresses)):
        text = f"IPv6 needs an MTU of {LEAST_MTU_OF_IPV6_BYTES} bytes, and {node.name} has {port.mtu_bytes}"
        yield f"{where}.mtu", f"{text}: give it more, a tunnel by what it runs over, or no IPv6 address"
    yield from _impairment_faults(port.impairment, where)
    if port.mac is not None and not _is_of_one(port.mac):
        yield f"{where}.mac", f"{port.mac!r} is not a MAC address of one interface, such as 02:00:00:00:00:01"
    if node.role == "bridge" and port.addresses:
        yield f"{where}.ip", f"{node.name} is a bridge, whose ports have no addresses: give them to the nodes around it"
    for text in addresses:
        if fault := _cidr_fault(text):
            yield f"{where}.ip", fault


_IMPAIRMENTS = {
    "rate_kbit": ("bw", 1, 2**32 - 1, "0.001 to 4294967 Mbit/s"),
    "delay_us": ("delay", 0, 2**31, "at most 2147s"),
    "jitter_us": ("jitter", 0, 2**31, "at most 2147s"),
    "loss_ppm": ("loss", 0, 1_000_000, "0 to 100 per cent"),
    "queue_packets": ("max_queue_size", 1, 2**32 - 1, "1 packet or more"),
}


def _impairment_faults(given: Impairment, where: str) -> Iterator[Fault]:
    for field, (key, least, most, range_) in _IMPAIRMENTS.items():
        value = getattr(given, field)
        if value is not None and not least <= value <= most:
            yield f"{where}.{key}", f"this {key} is not possible: give {range_}"
    if given.jitter_us and not given.delay_us:
        yield f"{where}.jitter", "jitter is what a delay varies by: give a delay too"
    elif given.jitter_us and given.delay_us and given.jitter_us > given.delay_us:
        yield f"{where}.jitter", "a delay cannot vary by more than itself: give less jitter, or more delay"


def vrf_fault(net: Network, node: Node, vrf: str) -> str:
    """Why ``vrf`` cannot be named at ``node``; empty when it can."""
    known = net.vrfs[node.name]
    if vrf in known:
        return ""
    if node.role != "pe":
        return f"{node.name} is a {node.role} and has no VRF {vrf!r}: only a pe has VRFs"
    if not known:
        return f"{node.name} has no VRF {vrf!r}, and no other: name it in the node's vrfs"
    return f"{node.name} has no VRF {vrf!r}; {nearest(vrf, known)}"


def _is_of_one(mac: str) -> bool:
    """Neither a group's nor nobody's (include/linux/etherdevice.h, is_valid_ether_addr)."""
    return bool(MAC.fullmatch(mac)) and not int(mac[:2], 16) & 1 and bool(mac.strip("0:"))


def _is_ipv6(text: str) -> bool:
    return ":" in text


@lru_cache(maxsize=65536)
def _cidr_fault(text: str) -> str:
    address = cidr(text)
    if address is None:
        return f"{text!r} is not an address with a prefix length, such as 10.0.0.1/30"
    if "/" not in text:
        length = 30 if address.version == 4 else 64
        return f"{text} lacks its prefix length: write {text}/{length}, or how long it is"
    ip = address.ip
    if ip.is_multicast or ip.is_unspecified:
        return f"{text} is not the address of one interface"
    if ip.is_loopback:  # net/ipv4/route.c: packets from and to 127.0.0.0/8 are taken from no link
        return f"{text} is for a machine's packets to itself, which take no link: give another"
    if address.version == 4 and address.network.prefixlen < 31:
        ends = (address.network.network_address, address.network.broadcast_address)
        if ip in ends:
            kind = "the subnet's own address" if ip == ends[0] else "the subnet's broadcast address"
            return f"{text} is {kind}: give one of {ends[0] + 1} to {ends[1] - 1}"
    return ""


def _loops(lab: Lab, net: Network) -> Iterator[Fault]:
    """Bridges and EVPNs joined in a ring: without spanning tree one broadcast would circle for ever."""
    leader = {node.name: node.name for node in lab.nodes if node.role == "bridge"}
    leader |= {f"evpn {name}": f"evpn {name}" for name in net.stretched}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for i, link in enumerate(lab.links):
        known = all(port.node in net.nodes for port in link.ports)
        ends = [switch_of(net.nodes, port) for port in link.ports] if known else []
        if all(end in leader for end in ends) and len(set(ends)) == 2:
            a, b = map(find, ends)
            if a == b:
                what = "this LAN is" if any(port.evpn for port in link.ports) else "these bridges are"
                text = f"{what} joined already; a second way would be a loop, and no spanning tree cuts it"
                yield f"links[{i}]", f"{link_text(link)}: {text}: take a link out"
            leader[a] = b
