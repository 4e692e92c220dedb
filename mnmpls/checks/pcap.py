"""Everything on one port as a capture file, for tcpdump and Wireshark (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import errno
import math
import select
import socket
import struct
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from ..errors import CheckFailed
from .capture import ETH_P_ALL, stamp, timestamped

if TYPE_CHECKING:
    from ..kernel import Namespace

_MAGIC_NANOSECONDS = 0xA1B23C4D
_LINKTYPE_ETHERNET = 1
_SNAP_BYTES = 1 << 18
"""More than any frame has."""

_LOOK_S = 0.2
"""A port that has gone is noticed within this time."""


def record(
    namespace: Namespace, port: str, file: IO[bytes], count: int | None = None, seconds: float | None = None
) -> int:
    """Writes each frame that comes in on or goes out of ``port`` to ``file`` at once: until ``count`` of them, for
    ``seconds``, or until interrupted, the reader of a pipe goes, or the port does. Gives how many. Raises CheckFailed
    for a port that is not there."""
    until = math.inf if seconds is None else time.monotonic() + seconds
    written = 0
    with _listening(namespace, port) as listener, suppress(BrokenPipeError, KeyboardInterrupt):
        _write(file, struct.pack("=IHHiIII", _MAGIC_NANOSECONDS, 2, 4, 0, 0, _SNAP_BYTES, _LINKTYPE_ETHERNET))
        while written < (math.inf if count is None else count) and _more(listener, file, until, namespace, port):
            if frame := _frame(listener):
                _write(file, frame)
                written += 1
    return written


def _more(listener: socket.socket, file: IO[bytes], until: float, namespace: Namespace, port: str) -> bool:
    """Waits for a frame; False when the time is up, the reader of a pipe has gone, or the port."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    with suppress(OSError):  # what is in memory only has no descriptor
        poll.register(file.fileno(), 0)  # says when nobody reads any more
    while (left_s := until - time.monotonic()) > 0:
        ready = poll.poll(min(left_s, _LOOK_S) * 1000)
        if ready:
            return all(fd == listener.fileno() for fd, _ in ready)
        if port not in namespace.ports():
            return False
    return False


def _listening(namespace: Namespace, port: str) -> socket.socket:
    listener = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # hears nothing before it is bound
    try:
        timestamped(listener)
        listener.bind((port, ETH_P_ALL))
    except OSError as error:
        listener.close()
        raise CheckFailed(f"capture: {error.strerror} on port {port}: it has {_names(namespace)}") from error
    return listener


def _names(namespace: Namespace) -> str:
    return ", ".join(sorted(namespace.ports()))


def _frame(listener: socket.socket) -> bytes:
    """With its header; empty if the port went down instead."""
    try:
        data, extra, _, _ = listener.recvmsg(_SNAP_BYTES, 64)
    except OSError as error:
        if error.errno != errno.ENETDOWN:
            raise
        return b""
    seconds, nanoseconds = divmod(stamp(extra), 1_000_000_000)
    return struct.pack("=IIII", seconds, nanoseconds, len(data), len(data)) + data


def _write(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()
