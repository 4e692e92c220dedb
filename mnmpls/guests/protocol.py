"""The frames on the one serial line between host and guest. Used on both sides; it imports little, because each import
costs the guest's start 5 to 50 ms.

A frame is a kind, a session number (0: the guest itself), a length and that many bytes. Texts in it are separated by
NUL, which neither arguments nor environment nor paths can hold.
"""

from __future__ import annotations

import struct

# guest to host
READY = 1  # release of the kernel
OUT = 2  # bytes of the session's stdout (of its terminal)
ERR = 3  # bytes of its stderr
EXIT = 4  # status as a shell has it, in digits; last frame of a session
TOOK = 5  # so many bytes of IN or FILE have gone into the command: room for more
ALIVE = 6  # answer to PING
LOST = 7  # paths written in the guest that go with it; last frame of all
CALL = 8  # somebody in the guest calls the display of that number: a session that the guest has opened
HEARD = 9  # so many bytes have come over the line: room for more
# host to guest
SETUP = 16  # host name, then path, file system, source and options of each door
OPEN = 17  # see session.py, ``opening``
IN = 18  # bytes for stdin; none: end of file
FILE = 19  # the same, in a file of that path: for a line that is slow in this direction
SIZE = 20  # rows and columns
SIGNAL = 21  # number
PING = 22
WROTE = 24  # so many bytes of OUT and ERR have been passed on: room for more
DISPLAY = 25  # number of a display that programs in the guest may call
END = 23  # write everything back, then say LOST

HEADER = struct.Struct(">BII")

FIRST_CALL = 1 << 31
"""Sessions that the guest opens are numbered from here, those of the host below."""

WINDOW_BYTES = 1 << 18
"""Output of a session that is on its way at most; beyond it the command has to wait."""


def frame(kind: int, session: int, data: bytes = b"") -> bytes:
    return HEADER.pack(kind, session, len(data)) + data


def take(buffer: bytearray) -> list[tuple[int, int, bytes]]:
    """The whole frames at the buffer's beginning, which are removed from it."""
    frames, at = [], 0
    while len(buffer) - at >= HEADER.size:
        kind, session, length = HEADER.unpack_from(buffer, at)
        end = at + HEADER.size + length
        if end > len(buffer):
            break
        frames.append((kind, session, bytes(buffer[at + HEADER.size : end])))
        at = end
    del buffer[:at]
    return frames


def join(texts: list[bytes]) -> bytes:
    return b"\0".join(texts)


def split(data: bytes) -> list[bytes]:
    return data.split(b"\0") if data else []
