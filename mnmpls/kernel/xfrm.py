"""Guards, and what ESP is tried with, as messages of NETLINK_XFRM and back. Pure (include/uapi/linux/xfrm.h)."""

from __future__ import annotations

import socket
import struct

from ..state import GUARD_PRIORITY, Guard
from .netlink import Message, attribute

NETLINK_XFRM = 6

_NEWSA, _DELPOLICY, _GETPOLICY, _UPDPOLICY, _FLUSHSA = 0x10, 0x14, 0x15, 0x19, 0x1C
_XFRMA_ALG_CRYPT, _XFRMA_ENCAP, _XFRMA_ALG_AEAD = 2, 4, 18
_DIRECTIONS = ("in", "out")
"""XFRM_POLICY_IN, XFRM_POLICY_OUT"""
_FORWARD = 2
_BLOCK = 1
_ESP = 50
_UDP_ENCAP_ESPINUDP, _ESP_PORT = 2, 4500
_KEY_BYTES = 36
"""256 bits, and a salt."""
_FAMILIES: dict[int, int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_WHOLE = 0xFFFF

_OURS = 201
"""The user in a guard's selector, which matches all packets alike. Without it the selector would be that of IKE's own
policy, and two with one selector the kernel does not keep apart (net/xfrm/xfrm_policy.c, xfrm_policy_insert)."""

_SELECTOR = struct.Struct("=16s16sHHHHHBBB3xiI")
_LIFETIMES = struct.pack("=8Q", *[2**64 - 1] * 4, *[0] * 4) + bytes(32)
"""No limits (XFRM_INF; those in seconds are 0), and nothing used up."""
_POLICY = struct.Struct("=IIBBBB4x")


def _address(text: str) -> bytes:
    family = _FAMILIES[6 if ":" in text else 4]
    return socket.inet_pton(family, text).ljust(16, b"\0")


def _selector(record: Guard) -> bytes:
    version = 6 if ":" in record.src else 4
    length = 128 if version == 6 else 32
    port = socket.htons(record.port)
    return _SELECTOR.pack(
        _address(record.dst), _address(record.src), port, _WHOLE if port else 0, 0, 0,
        _FAMILIES[version], length, length, record.protocol, 0, _OURS,
    )  # fmt: skip


def guard_new(record: Guard) -> Message:
    policy = _POLICY.pack(GUARD_PRIORITY, 0, _DIRECTIONS.index(record.direction), _BLOCK, 0, 0)
    return Message(_UPDPOLICY, 0, _selector(record) + _LIFETIMES + policy)


def guard_delete(record: Guard) -> Message:
    return Message(_DELPOLICY, 0, _selector(record) + struct.pack("=IB3x", 0, _DIRECTIONS.index(record.direction)))


def policy_dump() -> Message:
    return Message(_GETPOLICY, 0, b"")


def guard(body: bytes) -> Guard | None:
    """None for a policy of somebody else's."""
    dst, src, port, _, _, _, family, _, _, protocol, _, _ = _SELECTOR.unpack_from(body)
    priority, _, direction, action, _, _ = _POLICY.unpack_from(body, _SELECTOR.size + len(_LIFETIMES))
    if priority != GUARD_PRIORITY or action != _BLOCK or direction >= len(_DIRECTIONS):
        return None
    size = 16 if family == socket.AF_INET6 else 4
    src, dst = (socket.inet_ntop(family, address[:size]) for address in (src, dst))
    return Guard(_DIRECTIONS[direction], src, dst, protocol, socket.ntohs(port))


def policy_delete(body: bytes) -> Message:
    """One that a dump told of, whoever's it is."""
    direction = _POLICY.unpack_from(body, _SELECTOR.size + len(_LIFETIMES))[2]
    return Message(_DELPOLICY, 0, body[: _SELECTOR.size] + struct.pack("=IB3x", 0, direction))


def is_others(body: bytes) -> bool:
    """Of the node, not of one socket, and no guard."""
    direction = _POLICY.unpack_from(body, _SELECTOR.size + len(_LIFETIMES))[2]
    return direction <= _FORWARD and guard(body) is None


def esp_new(version: int, algorithm: str, in_udp: bool) -> Message:
    """A security association of no use, between addresses for documentation. A kernel takes it that has ESP for this
    IP version, with this algorithm (crypto/ has its name; empty for none) and, if so asked, in UDP."""
    src, dst = ("2001:db8::1", "2001:db8::2") if version == 6 else ("192.0.2.1", "192.0.2.2")
    state = bytes(_SELECTOR.size) + struct.pack("=16sIB3x16s", _address(dst), socket.htonl(0x6D6E), _ESP, _address(src))
    state += _LIFETIMES + bytes(12) + struct.pack("=IIHBBB7x", 0, 0, _FAMILIES[version], 0, 0, 0)
    if algorithm:
        key = struct.pack("=II", 8 * _KEY_BYTES, 128) + bytes(_KEY_BYTES)
        state += attribute(_XFRMA_ALG_AEAD, algorithm.encode().ljust(64, b"\0"), key)
    else:
        state += attribute(_XFRMA_ALG_CRYPT, b"ecb(cipher_null)".ljust(64, b"\0"), bytes(4))
    ports = struct.pack("=HHH2x16s", _UDP_ENCAP_ESPINUDP, *[socket.htons(_ESP_PORT)] * 2, bytes(16))
    return Message(_NEWSA, 0, state + (attribute(_XFRMA_ENCAP, ports) if in_udp else b""))


def esp_flush() -> Message:
    """All of the namespace's security associations go."""
    return Message(_FLUSHSA, 0, bytes(4))
