"""Devices as records, and tunnels' own settings as rtnetlink attributes and back. Pure
(include/uapi/linux/{if_tunnel,if_link}.h)."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..state import (
    FALLBACK_DEVICES,
    GATEWAY_MAC,
    MPLS_IN_IP,
    Address,
    Bridge,
    Dummy,
    Member,
    Port,
    Qdisc,
    Record,
    Tunnel,
    VrfDevice,
)
from .messages import Interface, bridge_port, spanning_tree, spelled, vrf_table
from .netlink import NLM_F_CREATE, NLM_F_REPLACE, Message, attribute, attributes, text

_GRE_KEY = struct.pack(">H", 0x2000)
_NO_FLAGS = bytes(2)
_NO_ENCAP_LIMIT = 1
"""IP6_TNL_F_IGN_ENCAP_LIMIT (include/uapi/linux/ip6_tunnel.h)."""
_VXLAN_PORT = struct.pack(">H", 4789)
"""RFC 7348 5; the kernel's own default is another, older than that."""
_FOU = 1
"""TUNNEL_ENCAP_FOU; a source port of 0 is chosen for each flow."""
_UDP6_CHECKSUM = 2
"""TUNNEL_ENCAP_FLAG_CSUM6: IPv6 has no checksum of its own (RFC 7510 3)."""
_ON, _ANY = b"\1", b"\0"


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The attributes' numbers of one kind of device; 0 for what it has not."""

    local: int
    remote: int
    ttl: int
    pmtudisc: int = 0
    protocol: int = 0
    encap_limit: int = 0
    flags: int = 0
    key: bool = False
    encap: int = 0
    """The first of four: type, flags, source port, destination port."""


_GRE = _Numbers(local=6, remote=7, ttl=8, pmtudisc=10, key=True)
_IP6GRE = _Numbers(local=6, remote=7, ttl=8, encap_limit=11, flags=13, key=True)
_GRE_IFLAGS, _GRE_OFLAGS, _GRE_IKEY, _GRE_OKEY = 2, 3, 4, 5
_VXLAN_ID, _VXLAN_LEARNING, _VXLAN_PORT_AT, _VXLAN_DF = 1, 7, 15, 29
_KINDS = {
    "gre": _GRE,
    "gretap": _GRE,
    "ip6gre": _IP6GRE,
    "ip6gretap": _IP6GRE,
    "sit": _Numbers(local=2, remote=3, ttl=4, protocol=9, pmtudisc=10),
    "ip6tnl": _Numbers(local=2, remote=3, ttl=4, encap_limit=6, flags=8, protocol=9, encap=15),
    "ipip": _Numbers(local=2, remote=3, ttl=4, protocol=9, pmtudisc=10, encap=15),
    "vxlan": _Numbers(local=4, remote=2, ttl=5),
}
_VXLAN6 = _Numbers(local=17, remote=16, ttl=5)
ANEW = frozenset(_KINDS) | {Dummy.kind}
"""Devices that are made anew where one is in the way."""


RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
TC_H_ROOT = 0xFFFFFFFF
TCA_KIND, TCA_OPTIONS = 1, 2
_TC = struct.Struct("=BxxxiIII")
_NETEM = struct.Struct("=IIIIII")
_NETEM_RATE, _NETEM_RATE64, _NETEM_LATENCY64, _NETEM_JITTER64 = 6, 8, 10, 11
_TIMES = _NETEM_LATENCY64, _NETEM_JITTER64
_NETEM_OTHERS = {1: 12, 3: 8, 4: 8, 7: 4}
"""Correlations, reordering, corruption and ECN marks, with the sizes of their structures: off."""
_ALWAYS = 2**32 - 1
"""A loss of 100 % (include/uapi/linux/pkt_sched.h, tc_netem_qopt)."""


def qdisc_new(record: Qdisc, index: int) -> Message:
    """In the place of what is at the port. A tick of the kernel's is 64 ns (PSCHED_SHIFT), and the 64-bit times win."""
    ticks = (record.delay_us * 1000 >> 6, record.jitter_us * 1000 >> 6)
    loss = (record.loss_ppm * _ALWAYS + 500_000) // 1_000_000
    options = _NETEM.pack(min(ticks[0], _ALWAYS), record.queue_packets, loss, 0, 0, min(ticks[1], _ALWAYS))
    options += attribute(_NETEM_LATENCY64, struct.pack("=q", record.delay_us * 1000))
    options += attribute(_NETEM_JITTER64, struct.pack("=q", record.jitter_us * 1000))
    # What is not given, a netem that is there already would keep (net/sched/sch_netem.c, netem_change).
    options += b"".join(attribute(at, bytes(size)) for at, size in _NETEM_OTHERS.items())
    rate = record.rate_kbit * 125
    options += attribute(_NETEM_RATE, struct.pack("=IiIi", min(rate, _ALWAYS), 0, 0, 0))
    options += attribute(_NETEM_RATE64, struct.pack("=Q", rate)) if rate > _ALWAYS else b""
    body = _TC.pack(0, index, 0, TC_H_ROOT, 0) + text(TCA_KIND, "netem") + attribute(TCA_OPTIONS, options)
    return Message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, body)


def qdisc_delete(index: int) -> Message:
    return Message(RTM_DELQDISC, 0, _TC.pack(0, index, 0, TC_H_ROOT, 0))


def qdisc_dump() -> Message:
    return Message(RTM_GETQDISC, 0, _TC.pack(0, 0, 0, 0, 0))


def qdisc(body: bytes, names: Mapping[int, str]) -> Qdisc | None:
    """None for what is no netem at a port's root."""
    _, index, _, parent, _ = _TC.unpack_from(body)
    found = attributes(body[_TC.size :])
    if parent != TC_H_ROOT or found.get(TCA_KIND) != b"netem\0" or index not in names:
        return None
    options = found[TCA_OPTIONS]
    _, queue, loss, gap, duplicate, _ = _NETEM.unpack_from(options)
    more = attributes(options[_NETEM.size :])
    rate = more.get(_NETEM_RATE64) or more.get(_NETEM_RATE, b"")[:4]
    delay, jitter = (int.from_bytes(more.get(at, b""), sys.byteorder) + 500 for at in _TIMES)
    others = any(any(data) for at, data in more.items() if at not in (_NETEM_RATE, _NETEM_RATE64, *_TIMES))
    ppm = (loss * 1_000_000 + _ALWAYS // 2) // _ALWAYS
    kbit = int.from_bytes(rate, sys.byteorder) // 125
    is_more = bool(gap or duplicate or others)
    return Qdisc(names[index], kbit, delay // 1000, jitter // 1000, ppm, queue, is_more)


_USUAL = frozenset(("noqueue", "pfifo_fast", "fq_codel", "fq", "mq", "netem"))
"""Of the kernel's own choice (net/core/net-sysfs, default_qdisc), and what a Qdisc tells."""


def queue(body: bytes, names: Mapping[int, str]) -> tuple[str, str] | None:
    """Port and kind of a qdisc that nobody but a person would have put there."""
    _, index, _, _, _ = _TC.unpack_from(body)
    kind = attributes(body[_TC.size :])[TCA_KIND].rstrip(b"\0").decode()
    return (names[index], kind) if index in names and kind not in _USUAL else None


def device_records(interfaces: Sequence[Interface]) -> Iterator[Record]:
    """What all the interfaces of a namespace are."""
    names = {interface.number: interface.name for interface in interfaces}
    for each in interfaces:
        if each.kind == "vrf":
            yield VrfDevice(each.name, vrf_table(each), each.up)
        elif each.kind == "bridge":
            if not spanning_tree(each):
                yield Bridge(each.name, each.up, each.mac if each.mac == GATEWAY_MAC else "")
            if each.master in names:  # a VRF
                yield Member(each.name, names[each.master])
        elif each.name not in FALLBACK_DEVICES:
            if each.kind == Dummy.kind:
                yield Dummy(each.name)
            if device := tunnel(each):
                yield device
            yield Port(each.name, each.up, each.mtu_bytes)
            if each.master in names:
                yield Member(each.name, names[each.master], *bridge_port(each))


def _numbers(kind: str, six: bool) -> _Numbers:
    return _VXLAN6 if kind == "vxlan" and six else _KINDS[kind]


def tunnel_data(record: Tunnel | Dummy) -> bytes:
    """What the kernel is told of it, and tells again."""
    if isinstance(record, Dummy):
        return b""
    six = ":" in record.local
    at, family = _numbers(record.kind, six), socket.AF_INET6 if six else socket.AF_INET
    data = attribute(at.local, socket.inet_pton(family, record.local))
    data += attribute(at.remote, socket.inet_pton(family, record.remote)) if record.remote else b""
    data += attribute(at.ttl, bytes([record.ttl]))
    if at.key:
        flags, key = (_NO_FLAGS, 0) if record.key is None else (_GRE_KEY, record.key)
        data += attribute(_GRE_IFLAGS, flags) + attribute(_GRE_OFLAGS, flags)
        data += b"".join(attribute(number, struct.pack(">I", key)) for number in (_GRE_IKEY, _GRE_OKEY))
    if record.kind == "vxlan":
        data += attribute(_VXLAN_ID, struct.pack("=I", record.key or 0)) + attribute(_VXLAN_PORT_AT, _VXLAN_PORT)
        data += b"" if six else attribute(_VXLAN_DF, _ON)  # no fragments (RFC 7348 4.3)
        data += b"" if record.remote else attribute(_VXLAN_LEARNING, _ANY)
    if at.pmtudisc:
        data += attribute(at.pmtudisc, _ON)
    if at.protocol:
        # Of MPLS alone ip6tnl has no mode (net/ipv6/ip6_tunnel.c, ip6_tnl_validate).
        data += attribute(at.protocol, bytes([MPLS_IN_IP]) if record.udp_port and not six else _ANY)
    if at.encap:
        kind, to = struct.pack("=H", _FOU if record.udp_port else 0), struct.pack(">H", record.udp_port)
        flags = struct.pack("=H", _UDP6_CHECKSUM if record.udp_port and six else 0)
        data += attribute(at.encap, kind) + attribute(at.encap + 1, flags)
        data += attribute(at.encap + 2, bytes(2)) + attribute(at.encap + 3, to)
    if at.encap_limit:
        none = record.encap_limit is None
        data += attribute(at.encap_limit, bytes([record.encap_limit or 0]))
        data += attribute(at.flags, struct.pack("=I", _NO_ENCAP_LIMIT if none else 0))
    return data


def tunnel(device: Interface) -> Tunnel | None:
    """The record that a device is, if its kind is one of ours and it is a tunnel between two addresses, or VXLAN from
    one."""
    if device.kind not in _KINDS:
        return None
    at = _numbers(device.kind, _VXLAN6.local in device.data)
    data = {**device.data, at.flags: _settable(device.data.get(at.flags, b""))}
    if at.flags and _limit(at, data) is None:
        data[at.encap_limit] = b"\0"  # of no account, and iproute2 leaves something there
    if at.encap and not any(data.get(at.encap, b"")):
        data[at.encap + 1] = bytes(2)  # the same
    remote = data.get(at.remote, b"")
    if not any(data.get(at.local, b"")) or not (any(remote) or device.kind == "vxlan"):
        return None
    found = Tunnel(
        device.name,
        device.kind,
        spelled(data[at.local]),
        spelled(remote) if any(remote) else "",
        _key(device.kind, data),
        data[at.ttl][0],
        _limit(at, data),
        int.from_bytes(data.get(at.encap + 3, b"") if at.encap else b"", "big"),
    )
    return found if data.items() >= attributes(tunnel_data(found)).items() else _otherwise(found)


def own_address(record: Tunnel) -> Address | None:
    """A sit device's link-local address, which the kernel makes of its IPv4 address and does not mark as its own
    (net/ipv6/addrconf.c, add_v4_addrs)."""
    if record.kind != "sit":
        return None
    return Address(record.name, f"{spelled(bytes([0xFE, 0x80, *bytes(10)]) + socket.inet_aton(record.local))}/64")


def _settable(flags: bytes) -> bytes:
    """Without what the kernel itself finds out (IP6_TNL_F_CAP_XMIT and above)."""
    return struct.pack("=I", struct.unpack("=I", flags)[0] & 0xFFFF) if len(flags) == 4 else flags


def _otherwise(record: Tunnel) -> Tunnel:
    """A device with settings that no record of ours has: it equals none, and is replaced as a whole."""
    return Tunnel(record.name, f"{record.kind} with other settings", record.local, record.remote)


def _key(kind: str, data: Mapping[int, bytes]) -> int | None:
    if kind == "vxlan":
        return int(struct.unpack("=I", data[_VXLAN_ID])[0])
    keyed = _KINDS[kind].key and data.get(_GRE_OFLAGS) == _GRE_KEY
    return int.from_bytes(data[_GRE_OKEY], "big") if keyed else None


def _limit(at: _Numbers, data: Mapping[int, bytes]) -> int | None:
    flags = struct.unpack("=I", data[at.flags])[0] if at.flags else _NO_ENCAP_LIMIT
    return None if flags & _NO_ENCAP_LIMIT else data[at.encap_limit][0]
