"""What the kernel tells of itself: that links, routes or labels of some namespaces have changed."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable
from contextlib import suppress

from .namespace import Namespace

_GROUPS = sum(1 << group - 1 for group in (1, 7, 11, 27))
"""RTNLGRP_LINK, IPV4_ROUTE, IPV6_ROUTE, MPLS_ROUTE (include/uapi/linux/rtnetlink.h)."""


class Notices:
    """Hears all of these namespaces, without asking them anything."""

    def __init__(self, namespaces: Iterable[Namespace]) -> None:
        self._sockets: list[socket.socket] = []
        for namespace in namespaces:
            one = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            one.bind((0, _GROUPS))
            one.setblocking(False)
            self._sockets.append(one)

    def wait(self, limit_s: float) -> bool:
        """Until something has changed since the last call; False if nothing did so within ``limit_s``."""
        poll = select.poll()
        for one in self._sockets:
            poll.register(one, select.POLLIN)
        known = {one.fileno(): one for one in self._sockets}
        ready = poll.poll(limit_s * 1000)
        for fd, _ in ready:
            with suppress(BlockingIOError):
                while True:
                    self._take(known[fd])
        return bool(ready)

    @staticmethod
    def _take(one: socket.socket) -> None:
        try:
            one.recv(1 << 16)
        except BlockingIOError:
            raise
        except OSError:  # ENOBUFS: there was more than it could keep, which says the same
            return

    def close(self) -> None:
        for one in self._sockets:
            one.close()
