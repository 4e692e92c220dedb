"""One network namespace of the Linux kernel: records written into it and read back."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count, groupby
from typing import TypeVar

from ..errors import KernelRefused
from ..state import (
    GATEWAY_MAC,
    RTPROT_MNMPLS,
    Address,
    Bridge,
    Dummy,
    Guard,
    LabelRoute,
    Member,
    Port,
    Qdisc,
    Record,
    Route,
    Rule,
    Sysctl,
    Tunnel,
    UdpPort,
    VrfDevice,
)
from . import apart, forwarding, messages, messages_devices, messages_rules, netspace, strangers
from .messages import Interface
from .messages_devices import device_records
from .netlink import Message, Refused, Socket, attributes
from .refusals import missing_interface, refusal, refused

_INDICES = count(1000)
"""Of the interfaces that this process makes: known without asking, and far from what the kernel counts out itself.

No two are the same: with one number at both ends of a wire (the kernel counts from 2 in each namespace), the kernel
takes a veth's coming up for not urgent and tells a bridge of it up to a second late (linkwatch_urgent_event in
net/core/link_watch.c).
"""

_GONE = frozenset((errno.ESRCH, errno.ENODEV, errno.ENOENT, errno.EADDRNOTAVAIL))
"""Answers to a removal which say that there is nothing left to remove."""

_NOT_AS_KNOWN = frozenset((errno.ENODEV, errno.EEXIST, errno.EBUSY))
"""Answers which say that the interfaces, their names or numbers are not what they were when last looked at."""

_LO = Interface(1, "lo", False, 65536, 0, "", {})
"""All that there is in a new namespace (include/net/net_namespace.h, LOOPBACK_IFINDEX)."""

_APART = frozenset((Sysctl, UdpPort, Guard))
"""Kinds of records that are not rtnetlink's."""

_Asked = TypeVar("_Asked")


class Namespace:
    """A network namespace held by a descriptor: no mount, no process. It ends when nobody holds it any more."""

    def __init__(self, fd: int, new: bool = False) -> None:
        self._fd = fd
        self._socket: Socket | None = None
        self._seen = {_LO.name: _LO}
        self._ours_to_number = new
        self._fresh: set[Record] | None = set(device_records([_LO])) if new else None

    @classmethod
    def create(cls, settings: Iterable[Sysctl] = ()) -> Namespace:
        """A new one; the calling thread stays where it is. ``settings`` are written before there is any port, in
        order: entering again costs more, and so does every port that the kernel has to go through. What it refuses of
        them is left out. Raises KernelRefused without the right to a namespace."""
        try:
            return netspace.create(lambda fd: cls._new(fd, settings))
        except OSError as error:
            raise refused("a new network namespace", error.errno or 0, "") from error

    @classmethod
    def _new(cls, fd: int, settings: Iterable[Sysctl]) -> Namespace:
        """The calling thread is in it."""
        created = cls(fd, new=True)
        created._socket = Socket()
        assert created._fresh is not None
        for setting in settings:
            with suppress(OSError):
                netspace.write_sysctl(setting.key, setting.value)
                created._fresh.add(setting)
        return created

    @classmethod
    def open(cls, path: str) -> Namespace:
        """An existing one, such as ``/proc/PID/ns/net``. Raises KernelRefused if it cannot be opened."""
        try:
            return cls(os.open(path, os.O_RDONLY))
        except OSError as error:
            raise refused(f"network namespace {path}", error.errno or 0, "") from error

    def close(self) -> None:
        """Lets go; harmless when done before."""
        if self._socket:
            self._socket.close()
            self._socket = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def fd(self) -> int:
        """The descriptor. Whoever has it may change what is inside: nothing counts as known from then on."""
        self._fresh = None
        return self._fd

    @property
    def fresh(self) -> frozenset[Record] | None:
        """What observe() would find, without asking the kernel: known as long as nothing but wires was made here
        and nobody was let in (a wire whose other end is gone by now is in it still). None afterwards, and for a
        namespace that was opened."""
        return None if self._fresh is None else frozenset(self._fresh)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside, and back in its former namespace afterwards."""
        with netspace.entered(self.fd):
            yield

    def socket(self, family: int, type: int, proto: int = 0) -> socket.socket:
        """A socket that lives inside, whoever uses it later."""
        with self.entered():
            return socket.socket(family, type, proto)

    def settle(self) -> None:
        """Afterwards what has come in at its sockets by now can be read: here that is so in any case."""

    def ports(self, kind: str = "") -> frozenset[str]:
        """The names of all interfaces, or of those of one kind (as ip(8) names it)."""
        return frozenset(interface.name for interface in self._interfaces() if kind in ("", interface.kind))

    def addresses(self, vrf: str) -> frozenset[str]:
        """Those on a VRF's device and its ports, without the ones that the kernel itself made."""
        interfaces = self._interfaces()
        numbers = {each.number for each in interfaces if each.name == vrf}
        names = {each.number: each.name for each in interfaces if each.number in numbers or each.master in numbers}
        found = (messages.address(body, names) for body in self._netlink.dump(messages.address_dump()))
        return frozenset(each.cidr for each in found if each)

    def indexes(self, up: bool = False) -> dict[str, int]:
        """Name -> index of all interfaces, or of those that are ``up``."""
        return {each.name: each.number for each in self._interfaces() if each.up or not up}

    def carriers(self) -> frozenset[str]:
        """Interfaces that are up and have a carrier."""
        return frozenset(each.name for each in self._interfaces() if each.carrier)

    def set_up(self, port: str, up: bool) -> None:
        """Raises KernelRefused for a port that is not there."""
        self._fresh = None
        self._carry_out([f"port {port}"], lambda _: [messages.link_set(self._index(port), up=up)])

    def set_dormant(self, port: str, dormant: bool) -> None:
        """As if it had no carrier, for a driver that cannot tell. Raises KernelRefused for a port that is not there."""
        self._carry_out([f"port {port}"], lambda _: [messages.link_dormant(self._index(port), dormant)])

    def add_name(self, port: str, name: str) -> None:
        """One more name for it. Raises KernelRefused, before Linux 5.5 always."""
        self._fresh = None
        self._carry_out([f"name {name} of port {port}"], lambda _: [messages.link_name_new(self._index(port), name)])

    def delete_port(self, port: str) -> None:
        """The port and its other end go. Raises KernelRefused for one that is not there."""
        self._fresh = None
        self._carry_out([f"port {port}"], lambda _: [messages.link_delete(self._index(port))])
        self._seen.pop(port, None)

    # Reading.

    def observe(self, sysctls: Iterable[str] = ()) -> frozenset[Record]:
        """What of the records' kinds is true here; sysctls only as asked for, routes only ours."""
        interfaces = self._interfaces()
        names = {interface.number: interface.name for interface in interfaces}
        found: set[Record] = set(device_records(interfaces))
        for body in self._netlink.dump(messages_devices.qdisc_dump()):
            if each := messages_devices.qdisc(body, names):
                found.add(each)
        found.update(apart.observed(self._fd, any(isinstance(each, Tunnel) and each.udp_port for each in found)))
        not_ours = {messages_devices.own_address(record) for record in found if isinstance(record, Tunnel)}
        for body in self._netlink.dump(messages.address_dump()):
            if (record := messages.address(body, names)) and record not in not_ours:
                found.add(record)
        found.update(filter(None, map(messages_rules.rule, self._netlink.dump(messages_rules.rule_dump()))))
        found.update(self._routes(names, RTPROT_MNMPLS))
        found.update(self._read_sysctls(sysctls))
        return frozenset(found)

    def routes_by_hand(self) -> frozenset[Route | LabelRoute]:
        """Routes of all tables that were made by ip(8) or the like without naming a routing protocol."""
        names = {interface.number: interface.name for interface in self._interfaces()}
        return frozenset(self._routes(names, messages.RTPROT_BOOT))

    def learned(self) -> frozenset[Route | LabelRoute | Address]:
        """What routing daemons made in all tables, and the link-local addresses that their routes lead to."""
        names = {interface.number: interface.name for interface in self._interfaces()}
        made = (one for protocol in messages.RTPROTS_DAEMONS for one in self._routes(names, protocol))
        links = (messages.link_local(body, names) for body in self._netlink.dump(messages.address_dump()))
        return frozenset([*made, *filter(None, links)])

    def rules_by_hand(self) -> frozenset[Rule]:
        """Policy routing rules that were made by ip(8) or the like without naming a routing protocol."""
        return strangers.rules_by_hand(self)

    def lost_rules(self) -> tuple[Rule, ...]:
        """The rules that lead each VRF's packets to its table, as far as they are not there."""
        return strangers.lost_rules(self)

    def queues(self) -> tuple[tuple[str, str], ...]:
        """(port, kind) of each qdisc that is neither the kernel's own nor a netem, sorted."""
        return strangers.queues(self)

    def filters(self) -> tuple[str, ...]:
        """The tables of packet filters, none of which a lab makes: `nft table inet filter`, `iptables table filter`."""
        return strangers.filters(self)

    def bridged(self) -> frozenset[forwarding.Entry]:
        """All entries of forwarding tables but the ports' own addresses."""
        return forwarding.forwarding(self)

    def _routes(self, names: dict[int, str], protocol: int) -> Iterator[Route | LabelRoute]:
        for family in (socket.AF_INET, socket.AF_INET6):
            yield from messages.routes(self._netlink.dump(messages.route_dump(family, protocol)), names, protocol)
        bodies = self._netlink.dump(messages.route_dump(messages.AF_MPLS, protocol))
        yield from messages.label_routes(bodies, names, protocol)

    def _interfaces(self) -> list[Interface]:
        """All of them, as the kernel has them now: the only place where what is known of them is renewed."""
        interfaces = [messages.interface(body) for body in self._netlink.dump(messages.link_dump())]
        self._seen = {interface.name: interface for interface in interfaces}
        return interfaces

    def _read_sysctls(self, keys: Iterable[str]) -> Iterator[Sysctl]:
        """Those that exist."""
        wanted = sorted(set(keys))
        if not wanted:
            return
        with netspace.entered(self._fd):
            for key in wanted:
                try:
                    yield Sysctl(key, netspace.read_sysctl(key))
                except OSError:  # Not there, or not to be read: writing it will tell.
                    continue

    # Writing.

    def write(self, *records: Record) -> None:
        """Makes the records true, one after the other, replacing what they contradict. Raises KernelRefused for the
        first that is refused; some of those behind it may have been written."""
        self._fresh = None
        for kind, run in groupby(records, lambda record: type(record) if type(record) in _APART else None):
            if kind is Sysctl:
                self._write_sysctls([record for record in run if isinstance(record, Sysctl)])
            elif kind:
                self._change_apart(run, wanted=True)
            else:
                self._carry_out(list(run), self._messages)

    def _messages(self, record: Record) -> list[Message]:
        index = self._index
        match record:  # Those of which there are many come first.
            case Address():
                return [messages.address_new(record, index)]
            case Route():
                return [messages.route_new(record, index)]
            case LabelRoute():
                return [messages.label_new(record, index)]
            case VrfDevice(_, table):
                return self._device_messages(record, "vrf", messages.vrf_data(table))
            case Bridge():
                return self._device_messages(record, "bridge", messages.bridge_data())
            case Tunnel() | Dummy():
                return self._tunnel_messages(record)
            case Member(port, master, learns, suppresses):
                of_bridge = index(master) and self._seen[master].kind == "bridge"
                own = [messages.bridge_port_set(index(port), learns, suppresses)] if of_bridge else []
                return [messages.link_set(index(port), master=index(master)), *own]
            case Port(name, up, mtu_bytes):
                return [messages.link_set(index(name), up=up, mtu_bytes=mtu_bytes)]
            case Qdisc(port):
                return [messages_devices.qdisc_new(record, index(port))]
            case Rule():
                return [messages_rules.rule_new(record)]
            case Sysctl() | UdpPort() | Guard():
                return []  # They are not rtnetlink's.

    def _device_messages(self, record: VrfDevice | Bridge, kind: str, data: bytes) -> list[Message]:
        """A device in the way that is ours by name and kind is put right; a VRF's table cannot be, nor can a bridge be
        given an address of the kernel's choice: it is made anew."""
        there, before = self._seen.get(record.name), []
        mac = record.mac if isinstance(record, Bridge) else ""
        if there and there.kind == kind:
            if kind == "bridge" and (mac or there.mac != GATEWAY_MAC):
                return [messages.link_kind_set(there.number, kind, data, record.up, mac)]
            if kind == "vrf" and there.data.items() >= attributes(data).items():
                return [messages.link_set(there.number, up=record.up)]
            before = [messages.link_delete(there.number)]
        return [*before, self._new_device(record.name, kind, data, record.up, mac)]

    def _tunnel_messages(self, record: Tunnel | Dummy) -> list[Message]:
        """A tunnel in the way is made anew: not every kind lets its settings be changed."""
        there = self._seen.get(record.name)
        gone = [messages.link_delete(there.number)] if there and there.kind in messages_devices.ANEW else []
        return [*gone, self._new_device(record.name, record.kind, messages_devices.tunnel_data(record), up=False)]

    def _new_device(self, name: str, kind: str, data: bytes, up: bool, mac: str = "") -> Message:
        index = next(_INDICES) if self._ours_to_number else 0
        if index:
            self._seen[name] = Interface(index, name, up, 0, 0, kind, attributes(data))
        return messages.link_new(name, kind, data, up, index, mac)

    def _write_sysctls(self, records: Sequence[Sysctl]) -> None:
        for record in records:
            if not record.key.startswith("net.") or "/" in record.key:
                why = "it is no setting of a network namespace"
                raise refusal(record, why, "only net.* keys belong to a node")
        with netspace.entered(self._fd):
            for record in records:
                try:
                    netspace.write_sysctl(record.key, record.value)
                except OSError as error:
                    raise refused(record, error.errno or 0, "") from error

    # Removing.

    def remove(self, *records: Record, by_hand: bool = False) -> None:
        """Makes the records untrue, one after the other; what is gone already is no error. With ``by_hand`` they are
        routes as routes_by_hand() tells them, not ours. Raises KernelRefused."""
        protocol = messages.RTPROT_BOOT if by_hand else RTPROT_MNMPLS
        self._fresh = None
        self._interfaces()
        self._carry_out(records, lambda record: self._removals(record, protocol), _GONE)
        self._change_apart(records, wanted=False)
        self._interfaces()

    def _removals(self, record: Record, protocol: int) -> list[Message]:
        match record:
            case VrfDevice(name) | Bridge(name) | Dummy(name) | Tunnel(name):
                return [messages.link_delete(self._index(name))]
            case Member(port):
                return [messages.link_set(self._index(port), master=0)]
            case Qdisc(port):
                return [messages_devices.qdisc_delete(self._index(port))]
            case Address():
                return [messages.address_delete(record, self._index)]
            case Route():
                return messages.route_deletes(record, protocol)
            case LabelRoute():
                return [messages.label_delete(record)]
            case Rule():
                return [messages_rules.rule_delete(record, protocol)]
            case UdpPort() | Guard():
                return []
            case Port() | Sysctl():
                raise refusal(record, "it can be changed, but not removed", "")

    # Netlink.

    @property
    def _netlink(self) -> Socket:
        if self._socket is None:
            with netspace.entered(self._fd):
                self._socket = Socket()
        return self._socket

    def _change_apart(self, records: Iterable[Record], wanted: bool) -> None:
        """Those of ``records`` that are neither rtnetlink's nor settings. Raises KernelRefused."""
        for record in records:
            if isinstance(record, UdpPort | Guard):
                try:
                    apart.change(self._fd, record, wanted)
                except Refused as error:
                    raise refused(record, error.code, error.said) from error

    def _index(self, name: str) -> int:
        """Raises Refused (ENODEV) that names the interface."""
        if name not in self._seen:
            raise Refused(errno.ENODEV, "", name)
        return self._seen[name].number

    def _new_port(self, name: str, mac: str, mtu_bytes: int, numbered: bool) -> messages.VethEnd:
        index = next(_INDICES) if numbered else 0
        if numbered:
            self._seen[name] = Interface(index, name, False, mtu_bytes, 0, "veth", {})
        return messages.VethEnd(name, self._fd, mac, mtu_bytes, index)

    def _carry_out(
        self, asked: Sequence[_Asked], encode: Callable[[_Asked], list[Message]], forgiven: frozenset[int] = frozenset()
    ) -> None:
        """Sends what ``encode`` gives for all that is asked. Where the interfaces turn out not to be as known, they
        are looked at, and the rest is asked again. Raises KernelRefused."""
        looked = False
        while refusal := self._first_refusal(asked, encode, forgiven):
            at, error = refusal
            if error.code not in _NOT_AS_KNOWN or (looked and at == 0):
                raise _refusal(asked[at], error) from error
            self._interfaces()
            self._ours_to_number = False  # A number of ours may be taken: from now on the kernel chooses here.
            looked, asked = True, asked[at:]

    def _first_refusal(
        self, asked: Sequence[_Asked], encode: Callable[[_Asked], list[Message]], forgiven: frozenset[int]
    ) -> tuple[int, Refused] | None:
        """Sends everything at once; stops short of what cannot be encoded, for its interface is unknown."""
        owners: list[int] = []
        unknown: list[tuple[int, Refused]] = []

        def encoded() -> Iterator[Message]:
            for at, each in enumerate(asked):
                try:
                    found = encode(each)
                except Refused as error:
                    if error.code in forgiven:
                        continue
                    unknown.append((at, error))
                    return
                for message in found:
                    owners.append(at)
                    yield message

        refusals = self._netlink.write(encoded())
        bad = ((owners[position], error) for position, error in refusals.items() if error.code not in forgiven)
        return min((*bad, *unknown), key=lambda each: each[0], default=None)


def _refusal(record: object, error: Refused) -> KernelRefused:
    if error.code == errno.ENODEV and error.name:
        return missing_interface(record, error.name)
    return refused(record, error.code, error.said)
