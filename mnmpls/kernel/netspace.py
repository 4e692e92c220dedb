"""The calling thread's network namespace: a new one made, another one visited, settings written where it is.

Only namespace.py uses this.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from ..state import sysctl_parts

CLONE_NEWNET = 0x40000000
OWN = "/proc/thread-self/ns/net"

_Made = TypeVar("_Made")
_libc = ctypes.CDLL(None, use_errno=True)


def create(make: Callable[[int], _Made]) -> _Made:
    """What ``make`` makes of the descriptor of a new namespace, while the thread is in it; afterwards it is back where
    it was. Raises OSError."""
    _make_room_for_descriptors()
    former = os.open(OWN, os.O_RDONLY)
    try:
        _checked(_libc.unshare(CLONE_NEWNET))
        try:
            _take_link_locals_at_once()
            return make(os.open(OWN, os.O_RDONLY))
        finally:
            _checked(_libc.setns(former, CLONE_NEWNET))
    finally:
        os.close(former)


@contextmanager
def entered(fd: int) -> Iterator[None]:
    """The thread is in the namespace that ``fd`` stands for, and back in its former one afterwards. Where it is there
    already nothing is to be done, for which a container may lack the right. Raises OSError."""
    former = os.open(OWN, os.O_RDONLY)
    try:
        if os.path.samestat(os.fstat(former), os.fstat(fd)):
            yield
            return
        _checked(_libc.setns(fd, CLONE_NEWNET))
        try:
            yield
        finally:
            _checked(_libc.setns(former, CLONE_NEWNET))
    finally:
        os.close(former)


def read_sysctl(key: str) -> str:
    """Its value, with single spaces. /proc/sys/net shows the namespace of the thread that opens it. Raises OSError."""
    with open(_path(key)) as file:
        return " ".join(file.read().split())


def write_sysctl(key: str, value: str) -> None:
    """Raises OSError when the kernel refuses it: nothing is buffered."""
    fd = os.open(_path(key), os.O_WRONLY)
    try:
        os.write(fd, value.encode() + b"\n")
    finally:
        os.close(fd)


def _path(key: str) -> str:
    return "/".join(("/proc/sys", *sysctl_parts(key)))


def _make_room_for_descriptors() -> None:
    """A namespace takes two, and many a machine lets a process have 1024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _take_link_locals_at_once() -> None:
    """In the calling thread's new namespace: without duplicate address detection, which would keep every link-local
    address, and with it neighbour discovery on behalf of others, from use for its first second or two. The greater
    of the two settings counts (net/ipv6/addrconf.c, addrconf_dad_begin); later interfaces copy ``default``."""
    for which in ("all", "default"):
        try:
            write_sysctl(f"net.ipv6.conf.{which}.accept_dad", "0")
        except FileNotFoundError:  # a kernel without IPv6
            return


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def load_fou() -> None:
    """No netlink request loads these modules; being asked for an interface of its name, the kernel does so for who may
    load modules (net/core/dev_ioctl.c, dev_load)."""
    for module in ("fou", "fou6"):
        if not os.path.exists(f"/sys/module/{module}"):
            with suppress(OSError):  # there is no such interface
                socket.if_nametoindex(module)
