"""What the kernel tells of its own accord: interfaces that come, go or change in a namespace."""

from __future__ import annotations

import select
import socket

from .namespace import Namespace

_RTMGRP_LINK = 1  # include/uapi/linux/rtnetlink.h
_CHUNK = 1 << 16


class LinkEvents:
    """From when it is made; to be made before one looks at what is there, so that nothing is missed in between."""

    def __init__(self, namespace: Namespace) -> None:
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._socket.bind((0, _RTMGRP_LINK))

    def fileno(self) -> int:
        return self._socket.fileno()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until there was one; False where the time was up before. Those that have come by then count as one."""
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return False
        while True:
            try:
                self._socket.recv(_CHUNK)
            except BlockingIOError:
                return True
            except OSError:  # ENOBUFS: there were more than it keeps, which is an event as well
                continue

    def close(self) -> None:
        self._socket.close()
