"""One network namespace of the Linux kernel: records written into it and read back. The only user of netlink."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count

from . import messages
from .errors import KernelRefused
from .messages import RTPROT_MNMPLS, Interface
from .netlink import Message, Refused, Socket
from .refusals import missing_interface, refused
from .state import Address, Bridge, LabelRoute, Member, Port, Record, Route, Sysctl, VrfDevice, sysctl_parts

__all__ = ["RTPROT_MNMPLS", "Namespace", "wire"]

CLONE_NEWNET = 0x40000000
_OWN_NAMESPACE = "/proc/thread-self/ns/net"

_INDICES = count(1000)
"""Of the interfaces that this process makes, far from those that the kernel counts out itself."""

_FALLBACK_DEVICES = frozenset(
    ("tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0")
)
"""What tunnel modules make in each namespace by themselves (net.core.fb_tunnels_only_for_init_net)."""

_GONE = {errno.ESRCH, errno.ENODEV, errno.ENOENT, errno.EADDRNOTAVAIL}
"""Answers to a removal which say that there is nothing left to remove."""

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace held by a descriptor: no mount, no process. It ends when nobody holds it any more."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._socket: Socket | None = None
        self._indices: dict[str, int] = {}

    @classmethod
    def create(cls) -> Namespace:
        """A new one; the calling thread stays where it is. Raises KernelRefused without the right to."""
        former = os.open(_OWN_NAMESPACE, os.O_RDONLY)
        try:
            _checked(_libc.unshare(CLONE_NEWNET))
            try:
                _take_link_locals_at_once()
                return cls(os.open(_OWN_NAMESPACE, os.O_RDONLY))
            finally:
                _checked(_libc.setns(former, CLONE_NEWNET))
        except OSError as error:
            raise refused("a new network namespace", error.errno or 0, "") from error
        finally:
            os.close(former)

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
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside, and back in its former namespace afterwards."""
        former = os.open(_OWN_NAMESPACE, os.O_RDONLY)
        try:
            _checked(_libc.setns(self.fd, CLONE_NEWNET))
            try:
                yield
            finally:
                _checked(_libc.setns(former, CLONE_NEWNET))
        finally:
            os.close(former)

    def socket(self, family: int, type: int, proto: int = 0) -> socket.socket:
        """A socket that lives inside, whoever uses it later."""
        with self.entered():
            return socket.socket(family, type, proto)

    def ports(self) -> frozenset[str]:
        """The names of all interfaces."""
        return frozenset(interface.name for interface in self._interfaces())

    def set_up(self, port: str, up: bool) -> None:
        """Raises KernelRefused for a port that is not there."""
        self._ask(f"port {port}", lambda: messages.link_set(self._index(port), up=up))

    def delete_port(self, port: str) -> None:
        """The port and its other end go. Raises KernelRefused for one that is not there."""
        self._ask(f"port {port}", lambda: messages.link_delete(self._index(port)))
        self._indices.pop(port, None)

    # Reading.

    def observe(self, sysctls: Iterable[str] = ()) -> frozenset[Record]:
        """What of the records' kinds is true here; sysctls only as asked for, routes only ours."""
        interfaces = self._interfaces()
        names = {interface.index: interface.name for interface in interfaces}
        found: set[Record] = set(_device_records(interfaces, names))
        for body in self._netlink.dump(messages.address_dump()):
            if record := messages.address(body, names):
                found.add(record)
        for family in (socket.AF_INET, socket.AF_INET6):
            found.update(messages.routes(self._netlink.dump(messages.route_dump(family)), names))
        found.update(messages.label_routes(self._netlink.dump(messages.route_dump(messages.AF_MPLS)), names))
        found.update(self._read_sysctls(sysctls))
        return frozenset(found)

    def _interfaces(self) -> list[Interface]:
        """All of them; the only place where known indices are renewed as a whole."""
        interfaces = [messages.interface(body) for body in self._netlink.dump(messages.link_dump())]
        self._indices = {interface.name: interface.index for interface in interfaces}
        return interfaces

    def _read_sysctls(self, keys: Iterable[str]) -> Iterator[Sysctl]:
        """Those that exist. /proc/sys/net shows the namespace of the thread that opens it."""
        wanted = sorted(set(keys))
        if not wanted:
            return
        with self.entered():
            for key in wanted:
                try:
                    with open(_sysctl_path(key)) as file:
                        yield Sysctl(key, " ".join(file.read().split()))
                except OSError:  # Not there, or not to be read: writing it will tell.
                    continue

    # Writing.

    def write(self, record: Record) -> None:
        """Makes the record true, replacing what it contradicts. Raises KernelRefused."""
        if isinstance(record, Sysctl):
            self._write_sysctl(record)
        elif isinstance(record, VrfDevice):
            self._write_device(record, "vrf", messages.vrf_data(record.table))
        elif isinstance(record, Bridge):
            self._write_device(record, "bridge", messages.bridge_data())
        else:
            self._ask(record, lambda: self._message(record))

    def _message(self, record: Member | Port | Address | Route | LabelRoute) -> Message:
        index = self._index
        match record:
            case Member(port, master):
                return messages.link_set(index(port), master=index(master))
            case Port(name, up, mtu_bytes):
                return messages.link_set(index(name), up=up, mtu_bytes=mtu_bytes)
            case Address():
                return messages.address_new(record, index)
            case Route():
                return messages.route_new(record, index)
            case LabelRoute():
                return messages.label_new(record, index)

    def _write_device(self, record: VrfDevice | Bridge, kind: str, data: bytes) -> None:
        """A device in the way that is ours by name and kind is put right; a VRF's table cannot be: it is made anew."""
        there = next((each for each in self._interfaces() if each.name == record.name), None)
        if there and there.kind == kind:
            if isinstance(record, Bridge):
                return self._ask(record, lambda: messages.link_kind_set(there.index, kind, data, record.up))
            if messages.vrf_table(there) == record.table:
                return self._ask(record, lambda: messages.link_set(there.index, up=record.up))
            self.remove(record)
        self._ask(record, lambda: messages.link_new(record.name, kind, data, record.up))

    def _write_sysctl(self, record: Sysctl) -> None:
        if not record.key.startswith("net.") or "/" in record.key:
            raise KernelRefused(record, "it is no setting of a network namespace", "only net.* keys belong to a node")
        with self.entered():
            try:
                # Unbuffered, so that the kernel's refusal comes from here.
                with open(_sysctl_path(record.key), "wb", buffering=0) as file:
                    file.write(record.value.encode() + b"\n")
            except OSError as error:
                raise refused(record, error.errno or 0, "") from error

    # Removing.

    def remove(self, record: Record) -> None:
        """Makes the record untrue; what is gone already is no error. Raises KernelRefused."""
        try:
            for _ in range(_legs(record)):
                self._ask(record, lambda: self._removal(record))
        except KernelRefused as error:
            if error.errno not in _GONE:
                raise
        if isinstance(record, VrfDevice | Bridge):
            self._indices.pop(record.name, None)

    def _removal(self, record: Record) -> Message:
        match record:
            case VrfDevice(name) | Bridge(name):
                return messages.link_delete(self._index(name))
            case Member(port):
                return messages.link_set(self._index(port), master=0)
            case Address():
                return messages.address_delete(record, self._index)
            case Route():
                return messages.route_delete(record)
            case LabelRoute():
                return messages.label_delete(record)
            case Port() | Sysctl():
                raise KernelRefused(record, "it can be changed, but not removed")

    # Netlink.

    @property
    def _netlink(self) -> Socket:
        if self._socket is None:
            with self.entered():
                self._socket = Socket()
        return self._socket

    def _index(self, name: str) -> int:
        """Raises Refused (ENODEV) that names the interface."""
        if name not in self._indices:
            try:
                body = self._netlink.request(messages.link_get(name))[0]
            except Refused as error:
                raise Refused(error.code, error.said, name) from error
            self._indices[name] = messages.interface(body).index
        return self._indices[name]

    def _ask(self, record: object, message: Callable[[], Message]) -> None:
        """Sends what ``message`` gives; once more with fresh indices if an interface was made anew meanwhile."""
        try:
            self._netlink.request(message())
        except Refused as error:
            if error.code != errno.ENODEV or error.name:
                raise _refusal(record, error) from error
            self._indices.clear()
            self._ask_last(record, message)

    def _ask_last(self, record: object, message: Callable[[], Message]) -> None:
        try:
            self._netlink.request(message())
        except Refused as error:
            raise _refusal(record, error) from error


def wire(
    a: Namespace,
    a_name: str,
    b: Namespace,
    b_name: str,
    *,
    a_mac: str | None = None,
    b_mac: str | None = None,
    mtu_bytes: int = 1500,
) -> None:
    """A veth pair made at once in both namespaces with its final names. Raises KernelRefused.

    The ends get different indices: with the same one in both namespaces (the kernel counts from 2 in each), the kernel
    takes a veth's coming up for not urgent and tells a bridge of it up to a second late (linkwatch_urgent_event in
    net/core/link_watch.c).
    """

    def make(a_index: int, b_index: int) -> None:
        ends = (
            messages.VethEnd(a_name, a.fd, a_mac or "", mtu_bytes, a_index),
            messages.VethEnd(b_name, b.fd, b_mac or "", mtu_bytes, b_index),
        )
        a._ask(f"wire {a_name} - {b_name}", lambda: messages.veth_new(*ends))

    try:
        make(next(_INDICES), next(_INDICES))
    except KernelRefused as error:
        if error.errno not in (errno.EBUSY, errno.EEXIST):
            raise
        make(0, 0)  # somebody else's interface has the index, or the name: then this is refused too


def _take_link_locals_at_once() -> None:
    """In the calling thread's new namespace: without duplicate address detection, which would keep every link-local
    address, and with it neighbour discovery on behalf of others, from use for its first second or two. The greater
    of the two settings counts (net/ipv6/addrconf.c, addrconf_dad_begin); later interfaces copy ``default``."""
    for which in ("all", "default"):
        try:
            with open(_sysctl_path(f"net.ipv6.conf.{which}.accept_dad"), "wb", buffering=0) as file:
                file.write(b"0\n")
        except FileNotFoundError:  # a kernel without IPv6
            return


def _device_records(interfaces: list[Interface], names: dict[int, str]) -> Iterator[Record]:
    for each in interfaces:
        if each.kind == "vrf":
            yield VrfDevice(each.name, messages.vrf_table(each), each.up)
        elif each.kind == "bridge":
            if not messages.spanning_tree(each):
                yield Bridge(each.name, each.up)
        elif each.name not in _FALLBACK_DEVICES:
            yield Port(each.name, each.up, each.mtu_bytes)
            if each.master in names:
                yield Member(each.name, names[each.master])


def _sysctl_path(key: str) -> str:
    return "/".join(("/proc/sys", *sysctl_parts(key)))


def _legs(record: Record) -> int:
    """How often a removal is asked for: IPv6 hops without a gateway are routes of their own to the kernel."""
    if isinstance(record, Route) and ":" in record.dst and any(not hop.via for hop in record.hops):
        return len(record.hops)
    return 1


def _refusal(record: object, error: Refused) -> KernelRefused:
    if error.code == errno.ENODEV and error.name:
        return missing_interface(record, error.name)
    return refused(record, error.code, error.said)


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
