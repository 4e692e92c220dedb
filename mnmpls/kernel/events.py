"""What the kernel tells of its own accord: interfaces that come, go or change in a namespace."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable

from .messages import RTM_NEWLINK, interface
from .namespace import Namespace
from .netlink import unpacked

_RTMGRP_LINK = 1  # include/uapi/linux/rtnetlink.h
_CHUNK = 1 << 16


class LinkEvents:
    """From when it is made; to be made before one looks at what is there, so that nothing is missed in between."""

    def __init__(self, namespace: Namespace) -> None:
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._socket.bind((0, _RTMGRP_LINK))
        self._downs: set[str] = set()
        self._lost = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until there was one; False where the time was up before. Those that have come by then count as one."""
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return False
        while True:
            try:
                self._learn(self._socket.recv(_CHUNK))
            except BlockingIOError:
                return True
            except OSError:  # ENOBUFS: there were more than it keeps, which is an event as well
                self._lost = True

    def _learn(self, data: bytes) -> None:
        for kind, _, _, body in unpacked(data):
            if not (each := interface(body)).up or kind != RTM_NEWLINK:
                self._downs.add(each.name)

    def downs(self, of: Iterable[str]) -> frozenset[str]:
        """Those that were down or gone meanwhile, since this was asked last and by what was waited for; all of them,
        where the kernel could not keep what it had to tell."""
        found = frozenset(name for name in of if self._lost or name in self._downs)
        self._downs, self._lost = set(), False
        return found

    def close(self) -> None:
        self._socket.close()
