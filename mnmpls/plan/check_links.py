"""What can be wrong with links, their ports and the addresses on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ..errors import nearest
from ..model import Lab, Port
from .graph import Interface, Network
from .spelling import MAC, cidr, name_fault

Fault = tuple[str, str]

LEAST_MTU_BYTES, MOST_MTU_BYTES = 68, 65535
"""What a veth takes (net/core/dev.c: ETH_MIN_MTU, ETH_MAX_MTU)."""


def link_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of ports, and of ports that do not fit together."""
    names: dict[tuple[str, str], str] = {}
    for i, link in enumerate(lab.links):
        if link.type != "veth":
            yield f"links[{i}].type", f"there is no link type {link.type!r}; there is veth"
        if link.a.node == link.b.node and link.a.node:
            yield f"links[{i}]", f"both ends are at {link.a.node}"
        for port, where in ((link.a, f"links[{i}].a"), (link.b, f"links[{i}].b")):
            if not port.node:
                if not lab.faults:  # of a link that it did not understand the reader has said so
                    yield where, "which node is this end at?"
                continue
            if port.node not in net.nodes:
                yield where, f"there is no node {port.node!r}; {nearest(port.node, net.nodes)}"
                continue
            yield from _port_faults(net, port, where)
            if port.name and (port.node, port.name) in names:
                yield where, f"{port.node} has a port {port.name!r} at {names[port.node, port.name]} already"
            names.setdefault((port.node, port.name), where)
    yield from _address_faults(lab, net)
    yield from _segment_faults(lab, net)


def _port_faults(net: Network, port: Port, where: str) -> Iterator[Fault]:
    node = net.nodes[port.node]
    vrfs = {vrf.name for vrf in node.vrfs}
    if port.name and (fault := name_fault(port.name, "port")):
        yield f"{where}.port", fault
    if port.name in vrfs or (node.role == "bridge" and port.name == node.name):
        yield f"{where}.port", f"{port.name!r} is the name of a VRF or bridge of {port.node} too"
    if port.vrf is not None and port.vrf not in vrfs:
        yield f"{where}.vrf", f"{port.vrf!r} is not a VRF of {port.node}; {nearest(port.vrf, vrfs)}"
    if node.role == "bridge" and port.addresses:
        yield f"{where}.ip", f"{port.node} is a bridge: its ports have no addresses"
    if port.mtu_bytes is not None and not LEAST_MTU_BYTES <= port.mtu_bytes <= MOST_MTU_BYTES:
        yield f"{where}.mtu", f"an MTU of {port.mtu_bytes} is not possible: {LEAST_MTU_BYTES} to {MOST_MTU_BYTES} bytes"
    if port.mac is not None and (not MAC.fullmatch(port.mac) or int(port.mac[:2], 16) & 1):
        yield f"{where}.mac", f"{port.mac!r} is not a MAC address of one interface, such as 02:00:00:00:00:01"
    for text in port.addresses or ():
        if fault := _cidr_fault(text):
            yield f"{where}.ip", fault


def _cidr_fault(text: str) -> str:
    address = cidr(text)
    if address is None:
        return f"{text!r} is not an address with a prefix length, such as 10.0.0.1/30"
    if "/" not in text:
        return f"{text} lacks its prefix length, such as {text}/30"
    if address.ip.is_multicast or address.ip.is_unspecified:
        return f"{text} is not the address of one interface"
    ends = (address.network.network_address, address.network.broadcast_address)
    if address.version == 4 and address.network.prefixlen < 31 and address.ip in ends:
        return f"{text} is the subnet's own {'first' if address.ip == ends[0] else 'broadcast'} address"
    return ""


def _given(lab: Lab, net: Network) -> Iterator[tuple[str, Port, Interface]]:
    for i, link in enumerate(lab.links):
        for port, side in ((link.a, "a"), (link.b, "b")):
            if port.node in net.nodes:
                found = (cidr(text) for text in port.addresses or () if "/" in text)
                yield from ((f"links[{i}].{side}", port, address) for address in found if address is not None)


def _address_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """An address twice in one VRF of a node: the kernel would answer at either port."""
    seen: dict[tuple[str, str | None, str], str] = {}
    for where, port, address in _given(lab, net):
        key = port.node, port.vrf, str(address.ip)
        if key in seen and not address.is_link_local:
            scope = f" in {port.vrf}" if port.vrf else ""
            yield f"{where}.ip", f"{port.node} has {address.ip}{scope} at {seen[key]} already"
        seen.setdefault(key, where)


def _segment_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """An address twice on one LAN, and neighbours that share no subnet."""
    segment_at = {id(port): i for i, segment in enumerate(net.segments) for port in segment.ports}
    members: dict[int, list[tuple[str, Port, Interface]]] = defaultdict(list)
    for where, port, address in _given(lab, net):
        if id(port) in segment_at and not address.is_link_local:
            members[segment_at[id(port)]].append((where, port, address))
    for entries in members.values():
        seen: dict[str, Port] = {}
        for where, port, address in entries:
            other = seen.setdefault(str(address.ip), port)
            if other.node != port.node:
                yield f"{where}.ip", f"{address.ip} is {other.node}'s on this LAN already"
        for version in (4, 6):
            yield from _lonely([entry for entry in entries if entry[2].version == version])


def _lonely(entries: list[tuple[str, Port, Interface]]) -> Iterator[Fault]:
    """Ports of one LAN and one IP version that have no subnet in common with any other."""
    nodes_in: Mapping[str, set[str]] = defaultdict(set)
    subnets_of: dict[str, list[str]] = defaultdict(list)
    for where, _, address in entries:
        nodes_in[str(address.network)].add(where)
        subnets_of[where].append(str(address.network))
    for where, subnets in subnets_of.items():
        if len(subnets_of) > 1 and all(len(nodes_in[subnet]) == 1 for subnet in subnets):
            others = dict.fromkeys(s for w, found in subnets_of.items() if w != where for s in found)
            yield f"{where}.ip", f"no neighbour is in {', '.join(subnets)}: this link has {', '.join(others)}"
