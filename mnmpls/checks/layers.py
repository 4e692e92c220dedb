"""A frame's headers from the outside in, tunnels and labels among them, for people and tests to read."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from .packets import label_stack

ETHERNET = 0x6558
"""Ethernet in GRE ("Transparent Ethernet Bridging", RFC 7637)."""
VXLAN_PORT, MPLS_PORT = 4789, 6635


def layers(frame: bytes, protocol: int = ETHERNET) -> tuple[str, ...]:
    """Such as ``ethernet``, ``ipv4 10.0.0.1 > 10.0.0.2``, ``gre key 7``, ``mpls 100/200``, ``ipv4 ...``, ``icmp``.
    ``protocol`` is the EtherType of what the frame begins with."""
    return tuple(_of(protocol, frame))


def _of(protocol: int, data: bytes) -> Iterator[str]:
    reader = _BY_ETHERTYPE.get(protocol)
    try:
        if reader:
            yield from reader(data)
    except (struct.error, IndexError, ValueError):
        yield "cut short"


def _ethernet(data: bytes) -> Iterator[str]:
    yield "ethernet"
    yield from _of(struct.unpack_from("!H", data, 12)[0], data[14:])


def _vlan(data: bytes) -> Iterator[str]:
    yield f"vlan {struct.unpack_from('!H', data)[0] & 0xFFF}"
    yield from _of(struct.unpack_from("!H", data, 2)[0], data[4:])


def _mpls(data: bytes) -> Iterator[str]:
    stack = label_stack(data)
    yield "mpls " + "/".join(str(entry.value) for entry in stack)
    rest = data[4 * len(stack) :]
    yield from _of({4: 0x0800, 6: 0x86DD}.get(rest[0] >> 4, 0), rest)


def _ipv4(data: bytes) -> Iterator[str]:
    yield f"ipv4 {ip_address(data[12:16])} > {ip_address(data[16:20])}"
    yield from _inside(data[9], data[(data[0] & 15) * 4 :])


def _ipv6(data: bytes) -> Iterator[str]:
    yield f"ipv6 {ip_address(data[8:24])} > {ip_address(data[24:40])}"
    yield from _inside(data[6], data[40:])


def _inside(protocol: int, data: bytes) -> Iterator[str]:
    reader = _BY_IP_PROTOCOL.get(protocol)
    yield from reader(data) if reader else iter((f"protocol {protocol}",))


def _options(data: bytes) -> Iterator[str]:
    """An IPv6 header of destination options, such as a tunnel encapsulation limit (RFC 2473 4.1.1)."""
    yield "options"
    yield from _inside(data[0], data[8 + 8 * data[1] :])


def _gre(data: bytes) -> Iterator[str]:
    """RFC 2784 with the key of RFC 2890."""
    flags, protocol = struct.unpack_from("!HH", data)
    at = 4 + 4 * bool(flags & 0x8000)
    key = f" key {struct.unpack_from('!I', data, at)[0]}" if flags & 0x2000 else ""
    yield "gre" + key
    yield from _of(protocol, data[at + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000) :])


def _udp(data: bytes) -> Iterator[str]:
    port = struct.unpack_from("!H", data, 2)[0]
    yield f"udp {port}"
    if port == VXLAN_PORT:
        yield f"vxlan {struct.unpack_from('!I', data, 12)[0] >> 8}"
        yield from _ethernet(data[16:])
    elif port == MPLS_PORT:
        yield from _mpls(data[8:])


_BY_ETHERTYPE: dict[int, Callable[[bytes], Iterator[str]]] = {
    ETHERNET: _ethernet, 0x8100: _vlan, 0x88A8: _vlan, 0x8847: _mpls, 0x0800: _ipv4, 0x86DD: _ipv6,
}  # fmt: skip
_BY_IP_PROTOCOL: dict[int, Callable[[bytes], Iterator[str]]] = {
    1: lambda _: iter(("icmp",)), 58: lambda _: iter(("icmpv6",)), 6: lambda _: iter(("tcp",)),
    4: _ipv4, 41: _ipv6, 137: _mpls, 47: _gre, 17: _udp, 60: _options,
}  # fmt: skip
