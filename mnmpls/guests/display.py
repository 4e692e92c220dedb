"""The user's X display, for programs in a guest: they call a socket there, and each call is led to the display here.

The cookies of xauth(1) need no help: the guest sees the user's files and has this machine's name.
"""

from __future__ import annotations

import re
import socket

FORM = re.compile(r"(?P<host>.*?):(?P<number>\d+)(?P<screen>\.\d+)?")
CALL_S = 3.0


def number(display: str) -> int | None:
    """The N of ``[HOST]:N[.SCREEN]`` (X(7)); None for any other text."""
    match = FORM.fullmatch(display)
    return int(match["number"]) if match else None


def inside(display: str) -> str:
    """What to call the display in the guest."""
    match = FORM.fullmatch(display)
    return f":{match['number']}{match['screen'] or ''}" if match else display


def call(display: str) -> socket.socket:
    """A connection to the display's server. Raises OSError when nobody is there."""
    match = FORM.fullmatch(display)
    if not match:
        raise OSError(f"{display}: not a display's name")
    if match["host"] not in ("", "unix"):
        return socket.create_connection((match["host"].strip("[]"), 6000 + int(match["number"])), CALL_S)
    path = f"/tmp/.X11-unix/X{match['number']}"
    try:
        return call_local("\0" + path)  # as Xlib does: the abstract name first
    except OSError:
        return call_local(path)


def call_local(path: str) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(path)
    except OSError:
        line.close()
        raise
    return line
