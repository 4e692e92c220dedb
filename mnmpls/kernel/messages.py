"""Records to rtnetlink messages and back. Pure: no socket, no kernel (include/uapi/linux/{if_link,rtnetlink,mpls}.h).

Interfaces are numbers to the kernel: encoding takes name -> index, decoding index -> name.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from ..state import MAIN_TABLE, RTPROT_MNMPLS, TTL_AS_SET, Address, LabelRoute, NextHop, Route
from .netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Message, attribute, attributes, nest, text, u32

RTPROT_KERNEL, RTPROT_BOOT = 2, 3
RTPROTS_DAEMONS = (11, 12, 186, 187, 188, 193, 196)
"""Zebra, BIRD, BGP, IS-IS, OSPF (include/uapi/linux/rtnetlink.h), and FRR's own for LDP and static routes
(zebra/rt_netlink.h)."""

AF_MPLS = 28
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINKPROP = 16, 17, 18, 108
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
IFF_UP, IFF_LOWER_UP = 1, 1 << 16  # include/uapi/linux/if.h
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD, IFLA_EXT_MASK = 1, 3, 4, 10, 18, 28, 29
IFLA_OPERSTATE, IFLA_LINKMODE = 16, 17
IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES, IFLA_PROP_LIST, IFLA_ALT_IFNAME = 31, 32, 52, 53
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER, IFLA_VRF_TABLE, IFLA_BR_STP_STATE = 1, 2, 1, 1, 5
IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_LEARNING, IFLA_BRPORT_NEIGH_SUPPRESS = 4, 5, 8, 32
RTEXT_FILTER_SKIP_STATS = 8
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_PROTO = 1, 2, 8, 11
IFA_F_NODAD = 2
IFAPROT_KERNEL = {b"\1", b"\2", b"\3"}
"""lo's own, from a router advertisement, link-local (include/uapi/linux/if_addr.h; since Linux 5.18)."""
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_MULTIPATH, RTA_TABLE = 1, 4, 5, 6, 9, 15
RTA_VIA, RTA_NEWDST, RTA_ENCAP_TYPE, RTA_ENCAP, RTA_TTL_PROPAGATE = 18, 19, 21, 22, 26
LWTUNNEL_ENCAP_MPLS, MPLS_IPTUNNEL_DST, MPLS_IPTUNNEL_TTL = 1, 1, 2
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255
ROUTE_KINDS = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
_LABEL_BITS = 20
_KIND_NAMES = {number: name for name, number in ROUTE_KINDS.items()}
_TTL_MODES = {"uniform": b"\1", "pipe": b"\0"}
_TTL_NAMES = {value: name for name, value in _TTL_MODES.items()}

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_ROUTE = struct.Struct("=BBBBBBBBI")
_RTNEXTHOP = struct.Struct("=HBBi")
_ENTRY = struct.Struct(">I")

_LABEL_HEAD = _ROUTE.pack(
    AF_MPLS, _LABEL_BITS, 0, 0, MAIN_TABLE, RTPROT_MNMPLS, RT_SCOPE_UNIVERSE, ROUTE_KINDS["unicast"], 0
)

Index = Callable[[str], int]


class Interface(NamedTuple):
    """What a link dump tells of one interface; ``data`` is its kind's own attributes, ``port`` those that it has as its
    master's."""

    number: int
    name: str
    up: bool
    mtu_bytes: int
    master: int
    kind: str
    data: Mapping[int, bytes]
    port: Mapping[int, bytes] = {}
    mac: str = ""
    carrier: bool = False


# Links.


def link_new(name: str, kind: str, data: bytes, up: bool = True, index: int = 0, mac: str = "") -> Message:
    """A device of ``kind``, up from the start if wished; with ``index`` 0 the kernel chooses one."""
    body = _IFINFO.pack(0, 0, index, IFF_UP if up else 0, IFF_UP) + text(IFLA_IFNAME, name) + _mac(mac)
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body + _link_info(kind, data))


def _link_info(kind: str, data: bytes) -> bytes:
    return nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, kind), nest(IFLA_INFO_DATA, data))


def vrf_data(table: int) -> bytes:
    return u32(IFLA_VRF_TABLE, table)


def bridge_data() -> bytes:
    return u32(IFLA_BR_STP_STATE, 0)


def link_set(index: int, *, up: bool | None = None, mtu_bytes: int = 0, master: int | None = None) -> Message:
    """Changes only what is given; ``master`` 0 frees the port."""
    body = _IFINFO.pack(0, 0, index, IFF_UP if up else 0, 0 if up is None else IFF_UP)
    if mtu_bytes:
        body += u32(IFLA_MTU, mtu_bytes)
    if master is not None:
        body += u32(IFLA_MASTER, master)
    return Message(RTM_NEWLINK, 0, body)


_DORMANT, _UP = 5, 6
"""Of RFC 2863's states as Linux counts them (include/uapi/linux/if.h)."""


def link_dormant(index: int, dormant: bool) -> Message:
    """Down for all who use it, whatever its driver says (RFC 2863, 3.1.12; rtnetlink.c, set_operstate)."""
    state, mode = (_DORMANT, 1) if dormant else (_UP, 0)
    body = attribute(IFLA_LINKMODE, bytes([mode])) + attribute(IFLA_OPERSTATE, bytes([state]))
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + body)


def link_kind_set(index: int, kind: str, data: bytes, up: bool, mac: str = "") -> Message:
    """An existing device's own settings, its address and its state."""
    body = _IFINFO.pack(0, 0, index, IFF_UP if up else 0, IFF_UP) + _mac(mac) + _link_info(kind, data)
    return Message(RTM_NEWLINK, 0, body)


def bridge_port_set(index: int, learns: bool, suppresses: bool) -> Message:
    """Of a port that is a bridge's already."""
    data = attribute(IFLA_BRPORT_LEARNING, bytes([learns])) + attribute(IFLA_BRPORT_NEIGH_SUPPRESS, bytes([suppresses]))
    info = nest(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, "bridge"), nest(IFLA_INFO_SLAVE_DATA, data))
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + info)


def _mac(mac: str) -> bytes:
    """Empty where the kernel is to choose, or has chosen, one."""
    return attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", ""))) if mac else b""


def link_delete(index: int) -> Message:
    return Message(RTM_DELLINK, 0, _IFINFO.pack(0, 0, index, 0, 0))


def link_name_new(index: int, name: str) -> Message:
    """One more name (ip(8): altname)."""
    body = _IFINFO.pack(0, 0, index, 0, 0) + nest(IFLA_PROP_LIST, text(IFLA_ALT_IFNAME, name))
    return Message(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL, body)


def link_dump() -> Message:
    return Message(RTM_GETLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS))


class VethEnd(NamedTuple):
    """``namespace`` is an open descriptor; ``mac`` empty and ``number`` 0 let the kernel choose."""

    name: str
    namespace: int
    mac: str
    mtu_bytes: int
    number: int = 0


def veth_new(a: VethEnd, b: VethEnd) -> Message:
    """Both ends where they belong, in one message. The kernel takes an index for b only together with one for a
    (drivers/net/veth.c, veth_newlink)."""
    peer = attribute(VETH_INFO_PEER, _IFINFO.pack(0, 0, b.number, 0, 0), _veth_end(b))
    body = _IFINFO.pack(0, 0, a.number, 0, 0) + _veth_end(a) + _link_info("veth", peer)
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def _veth_end(end: VethEnd) -> bytes:
    mtu = u32(IFLA_MTU, end.mtu_bytes)
    return text(IFLA_IFNAME, end.name) + _mac(end.mac) + mtu + u32(IFLA_NET_NS_FD, end.namespace) + _ONE_QUEUE


_ONE_QUEUE = u32(IFLA_NUM_TX_QUEUES, 1) + u32(IFLA_NUM_RX_QUEUES, 1)
"""As many as a veth uses. Left to itself the kernel makes one for each processor, and then waits twice for all of them
while it turns the others off (drivers/net/veth.c, veth_init_queues; netif_set_real_num_tx_queues)."""


def interface(body: bytes) -> Interface:
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    found = attributes(body[_IFINFO.size :])
    info = attributes(found.get(IFLA_LINKINFO, b""))
    return Interface(
        number=index,
        name=_string(found[IFLA_IFNAME]),
        up=bool(flags & IFF_UP),
        mtu_bytes=_number(found.get(IFLA_MTU, b"")),
        master=_number(found.get(IFLA_MASTER, b"")),
        kind=_string(info.get(IFLA_INFO_KIND, b"")),
        data=attributes(info.get(IFLA_INFO_DATA, b"")),
        port=attributes(info.get(IFLA_INFO_SLAVE_DATA, b"")),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        carrier=bool(flags & IFF_LOWER_UP),
    )


def bridge_port(device: Interface) -> tuple[bool, bool]:
    """Whether a bridge learns by it, and whether it suppresses questions for neighbours."""
    learning, suppress = (device.port.get(at) for at in (IFLA_BRPORT_LEARNING, IFLA_BRPORT_NEIGH_SUPPRESS))
    return learning != b"\0", suppress == b"\1"


def vrf_table(device: Interface) -> int:
    return _number(device.data.get(IFLA_VRF_TABLE, b""))


def spanning_tree(device: Interface) -> bool:
    return bool(_number(device.data.get(IFLA_BR_STP_STATE, b"")))


# Addresses.


def address_new(record: Address, index: Index) -> Message:
    # Usable at once: nobody else can hold the address on a wire that the lab has just made.
    return _address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, record, index, u32(IFA_FLAGS, IFA_F_NODAD))


def address_delete(record: Address, index: Index) -> Message:
    return _address(RTM_DELADDR, 0, record, index, b"")


def _address(kind: int, flags: int, record: Address, index: Index, flags6: bytes) -> Message:
    family, packed, length = _prefix(record.cidr)
    body = _IFADDR.pack(family, length, 0, 0, index(record.port))
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    return Message(kind, flags, body + (flags6 if family == socket.AF_INET6 else b""))


def address_dump() -> Message:
    return Message(RTM_GETADDR, 0, _IFADDR.pack(0, 0, 0, 0, 0))


def address(body: bytes, names: Mapping[int, str]) -> Address | None:
    """None for what the kernel itself made."""
    _, length, _, _, index = _IFADDR.unpack_from(body)
    found = attributes(body[_IFADDR.size :])
    record = Address(names.get(index, ""), f"{spelled(found.get(IFA_LOCAL) or found[IFA_ADDRESS])}/{length}")
    loopback = record.port == "lo" and record.cidr in ("127.0.0.1/8", "::1/128")
    return None if loopback or found.get(IFA_PROTO) in IFAPROT_KERNEL or not record.port else record


def link_local(body: bytes, names: Mapping[int, str]) -> Address | None:
    """The address, whoever made it, if it is a port's IPv6 link-local one."""
    family, length, _, scope, index = _IFADDR.unpack_from(body)
    if family != socket.AF_INET6 or scope != RT_SCOPE_LINK or index not in names:
        return None
    return Address(names[index], f"{spelled(attributes(body[_IFADDR.size :])[IFA_ADDRESS])}/{length}")


# IP routes.


def route_new(record: Route, index: Index) -> Message:
    gateways = len(record.hops) > 1 or any(hop.via for hop in record.hops)
    scope = RT_SCOPE_UNIVERSE if gateways or not record.hops else RT_SCOPE_LINK
    family = _family(record.dst)
    hops = _hops(lambda hop: _route_hop(hop, family), record.hops, index)
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _route(record, scope) + hops)


def route_deletes(record: Route, protocol: int) -> list[Message]:
    """One for each route of the kernel's: IPv6 hops without a gateway are routes of their own to it."""
    apart = ":" in record.dst and any(not hop.via for hop in record.hops)
    return [Message(RTM_DELROUTE, 0, _route(record, RT_SCOPE_NOWHERE, protocol))] * (len(record.hops) if apart else 1)


def _route(record: Route, scope: int, protocol: int = RTPROT_MNMPLS) -> bytes:
    family, packed, length = _prefix(record.dst)
    if family == socket.AF_INET6:
        scope = RT_SCOPE_UNIVERSE  # IPv6 knows no other
    head = _ROUTE.pack(family, length, 0, 0, 0, protocol, scope, ROUTE_KINDS[record.kind], 0)
    to = attribute(RTA_DST, packed) if length else b""
    return head + to + u32(RTA_TABLE, record.table) + u32(RTA_PRIORITY, record.metric)


def _route_hop(hop: NextHop, family: int) -> bytes:
    via = b""
    if hop.via:
        same = _family(hop.via) == family
        via = attribute(RTA_GATEWAY, socket.inet_pton(family, hop.via)) if same else _via(hop.via)
    if not hop.labels:
        return via
    ttl = attribute(MPLS_IPTUNNEL_TTL, bytes([hop.ttl])) if hop.ttl != TTL_AS_SET else b""
    encap = nest(RTA_ENCAP, _stack(MPLS_IPTUNNEL_DST, hop.labels), ttl)
    return via + attribute(RTA_ENCAP_TYPE, struct.pack("=H", LWTUNNEL_ENCAP_MPLS)) + encap


def _hops(encode: Callable[[NextHop], bytes], hops: tuple[NextHop, ...], index: Index) -> bytes:
    """One hop stands in the route itself, several in ``struct rtnexthop`` each."""
    if len(hops) == 1:
        return encode(hops[0]) + u32(RTA_OIF, index(hops[0].port))
    several = [
        _RTNEXTHOP.pack(_RTNEXTHOP.size + len(data), 0, hop.weight - 1, index(hop.port)) + data
        for hop in hops
        for data in [encode(hop)]
    ]
    return attribute(RTA_MULTIPATH, *several) if several else b""


def route_dump(family: int, protocol: int = RTPROT_MNMPLS) -> Message:
    """Only those of one protocol: the kernel leaves the others out (NETLINK_GET_STRICT_CHK)."""
    return Message(RTM_GETROUTE, 0, _ROUTE.pack(family, 0, 0, 0, 0, protocol, 0, 0, 0))


def routes(bodies: Iterable[bytes], names: Mapping[int, str], protocol: int = RTPROT_MNMPLS) -> Iterator[Route]:
    """IPv6 hops without a gateway are routes of their own to the kernel; here they are hops of one route."""
    found: dict[tuple[int, str, str, int], list[NextHop]] = {}
    for body in bodies:
        family, length, _, _, table, made_by, _, kind, _ = _ROUTE.unpack_from(body)
        if made_by != protocol or kind not in _KIND_NAMES:
            continue
        given = attributes(body[_ROUTE.size :])
        nowhere = bytes(16 if family == socket.AF_INET6 else 4)
        dst = f"{spelled(given.get(RTA_DST, nowhere))}/{length}"
        table = _number(given[RTA_TABLE]) if RTA_TABLE in given else table
        hops = found.setdefault((table, dst, _KIND_NAMES[kind], _number(given.get(RTA_PRIORITY, b""))), [])
        if kind == ROUTE_KINDS["unicast"]:
            hops.extend(_read_hops(given, names, _pushed))
    for (table, dst, name, metric), hops in found.items():
        yield Route(table, dst, tuple(sorted(hops)), name, metric)


def _pushed(given: Mapping[int, bytes]) -> tuple[tuple[int, ...], int]:
    if RTA_ENCAP not in given:
        return (), TTL_AS_SET
    encap = attributes(given[RTA_ENCAP])
    ttl = encap.get(MPLS_IPTUNNEL_TTL)
    return labels(encap.get(MPLS_IPTUNNEL_DST, b"")), TTL_AS_SET if ttl is None else ttl[0]


def _swapped(given: Mapping[int, bytes]) -> tuple[tuple[int, ...], int]:
    return labels(given.get(RTA_NEWDST, b"")), TTL_AS_SET


def _read_hops(
    given: Mapping[int, bytes],
    names: Mapping[int, str],
    stack: Callable[[Mapping[int, bytes]], tuple[tuple[int, ...], int]],
) -> Iterator[NextHop]:
    """``stack`` reads a hop's labels and their TTL."""
    if RTA_MULTIPATH not in given:
        out, ttl = stack(given)
        yield NextHop(_read_via(given), names.get(_number(given.get(RTA_OIF, b"")), ""), out, ttl=ttl)
    data = given.get(RTA_MULTIPATH, b"")
    while len(data) >= _RTNEXTHOP.size:
        length, _, weight, index = _RTNEXTHOP.unpack_from(data)
        of_hop = attributes(data[_RTNEXTHOP.size : length])
        out, ttl = stack(of_hop)
        yield NextHop(_read_via(of_hop), names.get(index, ""), out, weight + 1, ttl)
        data = data[length + 3 & ~3 :]


def _read_via(given: Mapping[int, bytes]) -> str:
    if RTA_GATEWAY in given:
        return spelled(given[RTA_GATEWAY])
    via = given.get(RTA_VIA, b"")
    known = via[:2] in (struct.pack("=H", socket.AF_INET), struct.pack("=H", socket.AF_INET6))
    return spelled(via[2:]) if known else ""


@lru_cache(1024)
def _via(gateway: str) -> bytes:
    """``struct rtvia``: a gateway of another family than the route's."""
    family = _family(gateway)
    return attribute(RTA_VIA, struct.pack("=H", family), socket.inet_pton(family, gateway))


# Label routes.


def label_new(record: LabelRoute, index: Index) -> Message:
    ttl = attribute(RTA_TTL_PROPAGATE, _TTL_MODES[record.ttl]) if record.ttl else b""
    hops = _hops(_label_hop, record.hops, index)
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _label(record) + ttl + hops)


def label_delete(record: LabelRoute) -> Message:
    return Message(RTM_DELROUTE, 0, _label(record))


def _label(record: LabelRoute) -> bytes:
    return _LABEL_HEAD + _stack(RTA_DST, (record.label,))


def _label_hop(hop: NextHop) -> bytes:
    swap = _stack(RTA_NEWDST, hop.labels) if hop.labels else b""
    return (_via(hop.via) if hop.via else b"") + swap


def label_routes(
    bodies: Iterable[bytes], names: Mapping[int, str], protocol: int = RTPROT_MNMPLS
) -> Iterator[LabelRoute]:
    for body in bodies:
        family, _, _, _, _, made_by, _, _, _ = _ROUTE.unpack_from(body)
        if family == AF_MPLS and made_by == protocol:
            given = attributes(body[_ROUTE.size :])
            hops = tuple(sorted(_read_hops(given, names, _swapped)))
            yield LabelRoute(labels(given[RTA_DST])[0], hops, _TTL_NAMES.get(given.get(RTA_TTL_PROPAGATE, b""), ""))


def _stack(kind: int, stack: tuple[int, ...]) -> bytes:
    """An attribute of label stack entries (RFC 3032 2.1), outermost first, the last with the bottom-of-stack bit."""
    if len(stack) == 1:
        return u32(kind, socket.htonl(stack[0] << 12 | 0x100))
    return attribute(kind, *(_ENTRY.pack(label << 12) for label in stack[:-1]), _ENTRY.pack(stack[-1] << 12 | 0x100))


def labels(stack: bytes) -> tuple[int, ...]:
    return tuple(entry[0] >> 12 for entry in struct.iter_unpack(">I", stack))


# The C library's inet_pton and inet_ntop take a twentieth of what the ipaddress module does.


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _prefix(cidr: str) -> tuple[int, bytes, int]:
    """Family, address and prefix length."""
    address, _, length = cidr.partition("/")
    family = _family(address)
    return family, socket.inet_pton(family, address), int(length)


def spelled(packed: bytes) -> str:
    """As the ipaddress module spells it, and so the plan: it never uses a dotted end (``::ffff:10.0.0.1``)."""
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    text = socket.inet_ntop(socket.AF_INET6, packed)
    return str(ip_address(packed)) if "." in text else text


def _number(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


def _string(data: bytes) -> str:
    return data.split(b"\0")[0].decode()
