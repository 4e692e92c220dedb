"""A command of ours in a guest that somebody else has started. What is on its side of the line is in visitors.py."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from mnmpls import registry
from mnmpls.errors import GuestFailed
from mnmpls.guests import terminal

CHUNK = 4096


def run_in_lab(name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, writes: bool = True) -> int:
    """Run a command in the guest of lab ``name``, as if it ran here: streams, terminal, signals; gives its exit status.
    ``env`` is added to our own environment. ``writes``: say so when what it writes in the current folder will stay in
    the guest. Raises NotRunning, and GuestFailed when the guest ends before the command does."""
    window = terminal.size() if terminal.is_terminal() else None
    request = {
        "run": list(argv), "env": {**os.environ, **(env or {})}, "cwd": os.getcwd(), "tty": window,
        "apart": not os.isatty(2),
    }  # fmt: skip
    with ExitStack() as stack:
        line = stack.enter_context(registry.connect(name))
        line.settimeout(None)
        signals = stack.enter_context(terminal.signals())
        stack.enter_context(terminal.raw(window is not None))
        keys = Keys() if not window and os.isatty(0) else None
        message = json.dumps(request).encode() + b"\n"
        with suppress(BrokenPipeError, ConnectionResetError):  # the guest ends: what it still says is heard next
            sent = socket.send_fds(line, [message], [keys.end if keys else 0, 1, 2])
            if rest := message[sent:]:
                line.sendall(rest)
        return Visit(name, line, window is not None, writes).until_finished(signals, keys)


class Keys:
    """What is typed for a command without a terminal, read by us: the guest would go on reading the terminal when
    somebody else, the shell that started us, has its turn."""

    def __init__(self) -> None:
        self.end, self.start = os.pipe()
        self.open = True

    def pass_on(self) -> None:
        try:
            data = os.read(0, CHUNK)
        except OSError:  # EIO: it is not our turn, or it has gone
            data = b""
        with suppress(BrokenPipeError):
            self.open = bool(data and os.write(self.start, data))
        if not self.open:
            os.close(self.start)


class Visit:
    """Our session there, as far as we have to do with it: the streams go by themselves."""

    def __init__(self, name: str, line: socket.socket, has_window: bool, writes: bool) -> None:
        self.name, self.line, self.has_window, self.writes = name, line, has_window, writes
        self.buffer = bytearray()
        self.opened = self.ending = False
        self.status: int | None = None
        self.why = ""

    def until_finished(self, signals: int, keys: Keys | None) -> int:
        while self.status is None:
            reads = [self.line.fileno(), signals, *([0] if keys and keys.open else [])]
            readable, _, _ = select.select(reads, [], [])
            if self.line.fileno() in readable:  # first: whose a signal is depends on what was said before it
                self.hear()
            if signals in readable and self.status is None:
                for number in os.read(signals, 64):
                    self.hear_signal(number)
            if keys and 0 in readable:
                keys.pass_on()
        return self.status

    def hear_signal(self, number: int) -> None:
        """Ctrl-C and its like are the command's business; before it runs, and for a second SIGTERM, they are ours: the
        guest ends the command of a visitor who goes away."""
        if number == signal.SIGWINCH and self.has_window:
            self.tell({"size": terminal.size()})
        elif number in terminal.FORWARDED and (not self.opened or (self.ending and number != signal.SIGINT)):
            self.status = 128 + number
        elif number in terminal.FORWARDED:
            self.tell({"signal": number})
            self.ending = self.ending or number in (signal.SIGTERM, signal.SIGHUP)

    def tell(self, what: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # its end is heard next
            self.line.sendall(json.dumps(what).encode() + b"\n")

    def hear(self) -> None:
        try:
            data = self.line.recv(CHUNK)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        if not data:
            why = f": {self.why}" if self.why else ""
            raise GuestFailed(f"lab {self.name!r}: its guest has ended, and the command with it{why}")
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            self.take(json.loads(line))

    def take(self, answer: Mapping[str, Any]) -> None:
        if "error" in answer:
            raise registry.remote(answer)
        if "opened" in answer:
            self.opened = True
            self.warn(answer["writable"])
            if self.has_window:
                terminal.give_all()
        self.status = answer.get("status", self.status)
        self.why = answer.get("why", self.why)

    def warn(self, writable: Sequence[str]) -> None:
        here = os.getcwd()
        if self.writes and not any(os.path.commonpath((here, folder)) == folder for folder in writable):
            where = ", ".join(writable) or "nowhere"
            print(f"mnmpls: what is written in {here} stays in the guest: it writes through to {where} only",
                  file=sys.stderr, flush=True)  # fmt: skip
