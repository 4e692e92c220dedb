"""The labs that run on this machine, by name.

Whoever owns a lab listens on an abstract unix socket that is called like it (unix(7)): the kernel lets one process
have a name, and takes the name back when that process ends, however it ends. There is no file to go stale. Such
names belong to a network namespace: a shell inside a node sees none of its host's labs.

A client writes one JSON object on a line and reads one back. ``{"about": true}`` is answered by all.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import struct
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from .errors import CheckFailed, LabError, MnmplsError, Problem

PREFIX = "mnmpls/lab/"
NAME_OUTSIDE = "MNMPLS_LAB"
"""Environment of a command in a guest: the lab's name on the machine that the guest runs on."""

ANSWER_S = 5.0
LARGEST_BYTES = 1 << 28
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class NotRunning(CheckFailed):
    """No lab of this name runs here."""


class Taken(LabError):
    """Another lab has this name."""


class NotYours(MnmplsError):
    """The lab belongs to another user."""


def claim(name: str) -> socket.socket:
    """A socket that has ``name`` as long as somebody holds it. Whoever answers on it calls ``listen``, in the process
    that the lab belongs to: that is the one which callers are told of (SO_PEERCRED, unix(7)). Raises Taken, and
    LabError for a name that is none."""
    if not _NAME.fullmatch(name):
        text = f"{name!r} is no name for a lab: up to 63 letters, digits, '_', '.' and '-', not a sign first"
        raise LabError([Problem("name", text)])
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        ours.bind(f"\0{PREFIX}{name}")
    except OSError as error:
        ours.close()
        if error.errno != errno.EADDRINUSE:
            raise
        text = f"a lab named {name!r} runs already: `mnmpls down {name}` ends it, --name gives this one another name"
        raise Taken([Problem("name", text)]) from error
    return ours


def claim_free(name: str) -> tuple[str, socket.socket]:
    """The same for ``name``, or if it is taken for ``name-2`` and so on; with the name that it got. In a guest the
    name that its lab has outside comes first."""
    name = os.environ.get(NAME_OUTSIDE, name)
    for number in range(1, 1000):
        one = name if number == 1 else f"{name}-{number}"
        with suppress(Taken):
            return one, claim(one)
    raise LabError([Problem("name", f"a thousand labs named {name!r} run already")])


def names() -> list[str]:
    """Of all labs that run here, sorted."""
    sockets = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
    found = (line.partition(f" @{PREFIX}")[2] for line in sockets)
    return sorted({name for name in found if name})


def connect(name: str, timeout_s: float = ANSWER_S) -> socket.socket:
    """To the owner of a lab. Raises NotRunning, and NotYours for an owner that is not to be trusted."""
    theirs = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    theirs.settimeout(timeout_s)
    try:
        theirs.connect(f"\0{PREFIX}{name}")
    except OSError as error:
        theirs.close()
        if error.errno == errno.ECONNREFUSED:
            running = names()
            if name in running:
                raise MnmplsError(f"lab {name!r} is still starting, or ending: it cannot be asked yet") from error
            there = f"running: {', '.join(running)}" if running else "no lab runs here"
            raise NotRunning(f"there is no running lab {name!r}; {there}") from error
        raise MnmplsError(f"lab {name!r} does not answer: {os.strerror(error.errno or 0) or error}") from error
    _, uid = peer(theirs)
    if uid not in (0, os.geteuid()):
        theirs.close()
        raise NotYours(f"lab {name!r} belongs to user {uid}, who is neither you nor root: not used")
    return theirs


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end, by the kernel's word (SO_PEERCRED, unix(7))."""
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def owner(name: str) -> int:
    """The process that has the lab, by the kernel's word, even if it answers nothing. Raises NotRunning."""
    with closing(connect(name)) as connection:
        return peer(connection)[0]


def ask(name: str, request: Mapping[str, Any], timeout_s: float = ANSWER_S) -> dict[str, Any]:
    """One question to the owner of a lab, and its answer. Raises NotRunning, and MnmplsError when no answer comes or
    when the answer is an error."""
    with closing(connect(name, timeout_s)) as connection:
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(_whole(read_line(connection)))
        except (OSError, ValueError) as error:
            raise MnmplsError(f"lab {name!r} (process {peer(connection)[0]}) gave no answer: {error}") from error
    if "error" in answer:
        raise remote(answer)
    return answer


def _whole(line: str) -> str:
    """The same. Raises ConnectionError for one that has no end."""
    if not line.endswith("\n"):
        raise ConnectionError("it ended before it did")
    return line


def read_line(connection: socket.socket) -> str:
    """Up to the line's end; what was read when the other side closes early. Raises OSError, ValueError."""
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = connection.recv(1 << 16)
        if not piece:
            break
        data += piece
        if len(data) > LARGEST_BYTES:
            raise ValueError(f"more than {LARGEST_BYTES} bytes on one line")
    return data.decode()


def problem(error: MnmplsError) -> dict[str, Any]:
    """An error as an answer."""
    return {"error": str(error), "exit_code": error.exit_code}


def remote(answer: Mapping[str, Any]) -> MnmplsError:
    """The error in such an answer."""
    error = MnmplsError(str(answer["error"]))
    error.exit_code = int(answer.get("exit_code", 1))
    return error
