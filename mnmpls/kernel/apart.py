"""Records that are not rtnetlink's, read and written by sockets of their own: labs with them are few. UDP ports that
take packets out of UDP (FOU), and guards (XFRM)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ..state import Guard, UdpPort
from . import fou, netspace, xfrm
from .netlink import NETLINK_GENERIC, NLM_F_ACK, Message, Refused, Socket

_FOU_LOADED = "/sys/module/fou"
_PROTOCOLS = "/proc/net/netlink"

_Asked = TypeVar("_Asked")


def observed(fd: int, udp_tunnels: bool) -> Iterator[UdpPort | Guard]:
    """Those in the namespace behind ``fd``. Raises Refused."""
    if udp_tunnels or os.path.exists(_FOU_LOADED):
        yield from _udp_ports(fd)
    if _has_xfrm():  # asking would have the kernel load the module
        try:
            yield from _guards(fd)
        except Refused as error:
            if error.code != errno.EPERM:  # who may not look at policies has made none (net/xfrm/xfrm_user.c)
                raise


def change(fd: int, record: UdpPort | Guard, wanted: bool) -> None:
    """What is there already, or is gone, stays so. Raises Refused."""
    if isinstance(record, Guard):
        if wanted or (_has_xfrm() and record in _guards(fd)):
            xfrm_write(fd, [xfrm.guard_new(record) if wanted else xfrm.guard_delete(record)])
    elif (record in _udp_ports(fd)) != wanted:
        message = fou.port_new if wanted else fou.port_delete
        _raise_first(_with_udp(fd, lambda one, number: one.write([message(number, record)])))


def xfrm_write(fd: int, messages: Sequence[Message]) -> None:
    """Raises Refused for the first that is refused, OSError where the kernel has nothing of the kind."""
    _raise_first(_with_xfrm(fd, lambda one: one.write(messages)))


def forget_esp(fd: int) -> None:
    """All security associations go, and all policies but guards."""
    if _has_xfrm():
        others = [body for body in _with_xfrm(fd, lambda one: one.dump(xfrm.policy_dump())) if xfrm.is_others(body)]
        xfrm_write(fd, [xfrm.esp_flush(), *map(xfrm.policy_delete, others)])


def _has_xfrm() -> bool:
    """Whether the kernel answers to NETLINK_XFRM: its own socket is listed then in each namespace."""
    with open(_PROTOCOLS, encoding="ascii") as lines:
        return any(line.split()[1] == str(xfrm.NETLINK_XFRM) for line in lines)


def _guards(fd: int) -> frozenset[Guard]:
    return frozenset(filter(None, map(xfrm.guard, _with_xfrm(fd, lambda one: one.dump(xfrm.policy_dump())))))


def _with_xfrm(fd: int, ask: Callable[[Socket], _Asked]) -> _Asked:
    with netspace.entered(fd):
        try:
            one = Socket(xfrm.NETLINK_XFRM)
        except OSError as error:
            raise Refused(error.errno or 0, "") from error
    try:
        return ask(one)
    finally:
        one.close()


def _udp_ports(fd: int) -> frozenset[UdpPort]:
    return _with_udp(fd, lambda one, number: frozenset(fou.ports(one.dump(fou.ports_asked(number)))))


def _with_udp(fd: int, ask: Callable[[Socket, int], _Asked]) -> _Asked:
    netspace.load_fou()
    with netspace.entered(fd):
        one = Socket(NETLINK_GENERIC)
    try:
        return ask(one, fou.family(one.dump(fou.family_asked(), NLM_F_ACK)))
    finally:
        one.close()


def _raise_first(refusals: dict[int, Refused]) -> None:
    if refusals:
        raise refusals[min(refusals)]
