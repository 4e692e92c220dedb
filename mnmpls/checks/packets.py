"""Probe packets: an echo request with a cookie, and a decoder for what is seen of it on a wire.

Ethernet, 802.1Q, MPLS (RFC 3032 2.1), IPv4, IPv6, ICMP (RFC 792) and ICMPv6 (RFC 4443), as far as a probe goes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address

RUN_BYTES = 8
COOKIE_BYTES = 16
"""A cookie is the run's 8 random bytes, by which a packet is known as ours, and a number of 8 bytes."""

_MPLS_UNICAST = 0x8847
_VLAN = (0x8100, 0x88A8)
_IP = (0x0800, 0x86DD)
_ICMP, _ICMPV6 = 1, 58
_KINDS = {(4, 8): "request", (4, 0): "reply", (6, 128): "request", (6, 129): "reply"}
_ERRORS = {
    (4, 3): "destination unreachable",
    (4, 11): "time exceeded",
    (6, 1): "destination unreachable",
    (6, 2): "packet too big",
    (6, 3): "time exceeded",
}


@dataclass(frozen=True, slots=True)
class Label:
    """One entry of a label stack."""

    value: int
    traffic_class: int
    bottom: bool
    ttl: int


@dataclass(frozen=True, slots=True)
class Packet:
    """A probe as seen: ``stack`` outermost first; ``kind`` is request, reply, or the name of the ICMP error that
    quotes the probe."""

    stack: tuple[Label, ...]
    src: str
    dst: str
    ttl: int
    kind: str

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(entry.value for entry in self.stack)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total >> 16) + (total & 0xFFFF)
    return int(~(total + (total >> 16)) & 0xFFFF)


HEADER_BYTES = {4: 20 + 8, 6: 40 + 8}
"""IP and ICMP."""


def echo_request(version: int, cookie: bytes, sequence: int, size_bytes: int = 0) -> bytes:
    """The ICMP message, padded so that the IP packet has ``size_bytes``; for IPv6 the kernel fills the checksum in
    (RFC 3542 3.1)."""
    kind = 8 if version == 4 else 128
    identifier = int.from_bytes(cookie[:2], "big")
    padding = bytes(max(0, size_bytes - HEADER_BYTES[version] - len(cookie)))
    blank = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence & 0xFFFF) + cookie + padding
    return blank if version == 6 else blank[:2] + struct.pack("!H", checksum(blank)) + blank[4:]


def number(data: bytes, run: bytes) -> int | None:
    """The number in the cookie of this run, wherever in ``data`` it stands (ICMP errors quote it)."""
    at = data.find(run)
    if at < 0 or len(data) < at + COOKIE_BYTES:
        return None
    return int.from_bytes(data[at + RUN_BYTES : at + COOKIE_BYTES], "big")


def kind_of(version: int, icmp_type: int, code: int = 0) -> str:
    """request, reply, the name of an ICMP error, or empty."""
    if (version, icmp_type, code) == (4, 3, 4):
        return "packet too big"  # "fragmentation needed", as IPv6 calls it (RFC 1191 4)
    return _KINDS.get((version, icmp_type), _ERRORS.get((version, icmp_type), ""))


_ARPHRD = frozenset({1, 772})
"""ARPHRD_ETHER and ARPHRD_LOOPBACK (include/uapi/linux/if_arp.h): frames with an Ethernet header."""


def decode(frame: bytes, hardware: int = 1, protocol: int = 0) -> Packet | None:
    """The probe in a frame, or None if it is something else, inside a tunnel's packet or cut short. ``hardware`` is the
    device's ARPHRD number: where it is none with an Ethernet header, as with a tunnel of IP, ``protocol`` is the
    EtherType of what the frame begins with."""
    try:
        return _ethernet(frame) if hardware in _ARPHRD else _content(protocol, frame)
    except (struct.error, IndexError):
        return None


def _ethernet(frame: bytes) -> Packet | None:
    at, (protocol,) = 14, struct.unpack_from("!H", frame, 12)
    while protocol in _VLAN:
        at, (protocol,) = at + 4, struct.unpack_from("!H", frame, at + 2)
    return _content(protocol, frame[at:])


def _content(protocol: int, data: bytes) -> Packet | None:
    if protocol == _MPLS_UNICAST:
        stack = label_stack(data)
        return _ip(data[4 * len(stack) :], stack)
    return _ip(data, ()) if protocol in _IP else None


def label_stack(data: bytes) -> tuple[Label, ...]:
    """The entries down to the one with the bottom-of-stack bit."""
    entries: list[Label] = []
    while not entries or not entries[-1].bottom:
        (word,) = struct.unpack_from("!I", data, 4 * len(entries))
        entries.append(Label(word >> 12, word >> 9 & 7, bool(word >> 8 & 1), word & 0xFF))
    return tuple(entries)


def _ip(data: bytes, stack: tuple[Label, ...]) -> Packet | None:
    """MPLS does not say what is below the stack: the IP version does."""
    version = data[0] >> 4
    if version == 4 and data[9] == _ICMP:
        start, ttl, src, dst = (data[0] & 15) * 4, data[8], data[12:16], data[16:20]
    elif version == 6 and data[6] == _ICMPV6:
        start, ttl, src, dst = 40, data[7], data[8:24], data[24:40]
    else:
        return None
    kind = kind_of(version, data[start], data[start + 1])
    return Packet(stack, str(ip_address(src)), str(ip_address(dst)), ttl, kind) if kind else None
