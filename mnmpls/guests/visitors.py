"""Other processes of this machine that want something of a guest which runs: who they are and what they say.

They come to the socket that has the lab's name (mnmpls/registry.py) and write one JSON object on a line.

``{"about": true}`` is answered with what is known of the guest, and so are ``{"off": [NODE, …]}`` and ``{"on": [NODE,
…]}``, which tell of nodes that were turned off or on in there. ``{"run": [ARGUMENT, …], "env": {…}, "cwd": FOLDER,
"tty": [ROWS, COLUMNS] or null, "apart": BOOL}``, with three descriptors by SCM_RIGHTS, is one more session with these
as its input, output and errors. It is answered twice: ``{"opened": true, "writable": [FOLDER, …]}`` and, at its end,
``{"status": N}``; where the guest ends first, ``{"why": TEXT}`` may come. Between these the visitor may write
``{"signal": N}`` and ``{"size": [ROWS, COLUMNS]}``. A visitor who goes away takes the session along. ``{"error": TEXT,
"exit_code": N}`` is the answer to everything else.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mnmpls import registry
from mnmpls.guests import terminal
from mnmpls.guests.session import Command

STREAMS = 3


@dataclass(frozen=True)
class Offer:
    """``listener`` has the lab's name (registry.claim); visitors come there. ``about`` is what they are told beside
    the guest's own."""

    listener: socket.socket
    about: Mapping[str, Any]


class Visitor:
    """One connection, and what came over it. ``number`` is its session's, 0 before that."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.line.setblocking(False)
        self.buffer = bytearray()
        self.streams: list[int] = []
        self.number = 0

    def hear(self) -> Iterator[Mapping[str, Any] | None]:
        """What the visitor says, an object a line; None: no more will come."""
        try:
            data, fds, _, _ = socket.recv_fds(self.line, 1 << 16, STREAMS, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self.streams += fds
        self.buffer += data
        *lines, rest = self.buffer.split(b"\n")
        self.buffer = rest
        try:
            yield from (said for said in map(json.loads, lines) if isinstance(said, dict))
        except ValueError as error:
            self.refuse(f"not understood: {error}", 1)
            data = b""
        if not data:
            yield None

    def tell(self, what: Mapping[str, Any]) -> None:
        with suppress(OSError):  # gone: that is heard of soon
            self.line.send(json.dumps(what).encode() + b"\n")

    def refuse(self, text: str, exit_code: int) -> None:
        self.tell({"error": text, "exit_code": exit_code})

    def take_streams(self) -> tuple[int, int, int]:
        """The descriptors that came along, whose end is from now on the taker's business."""
        stdin, stdout, stderr = map(terminal.unblocked, self.streams)
        self.streams = []
        return stdin, stdout, stderr

    def close(self) -> None:
        for fd in self.streams:
            os.close(fd)
        self.line.close()


class Visitors:
    """All of them, and the socket to which more of them come."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.listener.setblocking(False)
        self.listener.listen(64)  # here: callers are told of the process that does so
        self.present: list[Visitor] = []

    @property
    def reads(self) -> list[int]:
        return [self.listener.fileno(), *(each.line.fileno() for each in self.present)]

    def hear(self, readable: Container[int]) -> Iterator[tuple[Visitor, Mapping[str, Any] | None]]:
        for visitor in [each for each in self.present if each.line.fileno() in readable]:
            for said in visitor.hear():
                if visitor in self.present:
                    yield visitor, said
        if self.listener.fileno() in readable:
            self.let_in()

    def let_in(self) -> None:
        """Whoever is of our user, or root."""
        try:
            line, _ = self.listener.accept()
        except OSError:
            return
        if registry.peer(line)[1] in (0, os.geteuid()):
            self.present.append(Visitor(line))
        else:
            line.close()

    def of(self, number: int) -> Visitor | None:
        return next((each for each in self.present if each.number == number), None)

    def part(self, visitor: Visitor) -> None:
        self.present.remove(visitor)
        visitor.close()


def asked(request: Mapping[str, Any]) -> Command:
    """The command in a ``run`` request. Raises ValueError for one that is none."""
    try:
        argv: Sequence[object] = request["run"]
        if not argv:
            raise ValueError("no command given")
        env: Mapping[object, object] = request["env"]
        window = request["tty"]
        return Command(
            tuple(map(text, argv)), {text(key): text(value) for key, value in env.items()}, text(request["cwd"]),
            size(window) if window else None, bool(request.get("apart")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a run wants argv, env, cwd and tty ({type(error).__name__}: {error})") from error


def text(value: object) -> str:
    if not isinstance(value, str) or b"\0" in os.fsencode(value):
        raise ValueError(f"{value!r} is no text for a command")
    return value


def size(value: object) -> tuple[int, int]:
    """Rows and columns. Raises ValueError."""
    match value:
        case [int(rows), int(columns)] if 0 <= rows < 1 << 16 and 0 <= columns < 1 << 16:
            return rows, columns
    raise ValueError(f"{value!r} is no size of a window")
