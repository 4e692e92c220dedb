"""One session of a guest, seen from the host: where its bytes come from and go to here, and what is on its way."""

from __future__ import annotations

import errno
import os
import signal
from collections import deque
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from mnmpls.guests import protocol

CHUNK = 16384
INLINE_BYTES = 512
"""Input up to this goes over a slow line, more through files."""
CREDIT_BYTES = 1 << 20
"""Input on its way to the command at most."""
LAST_BYTES = 2048

GONE = (errno.EPIPE, errno.ECONNRESET, errno.EIO)
"""A write that fails in one of these ways has no reader any more."""

Send = Callable[[int, int, bytes], None]
"""Takes a frame's kind, session number and bytes."""


@dataclass(frozen=True)
class Command:
    """What to run: ``env`` is its whole environment; ``window`` rows and columns of its terminal, none for pipes;
    ``apart``: its errors are not for the terminal."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    window: tuple[int, int] | None = None
    apart: bool = False


def opening(what: Command) -> bytes:
    """The texts of an OPEN frame (agent.py, Agent.open)."""
    rows, columns = map(str, what.window) if what.window else ("", "")
    texts = [what.cwd, rows, columns, "1" if what.apart else "", str(len(what.argv)), *what.argv]
    texts += [f"{key}={value}" for key, value in what.env.items()]
    return protocol.join([os.fsencode(text) for text in texts])


class Session:
    """A command in the guest, or a call of the user's display. ``streams`` are our descriptors of its input, output and
    errors, ``owned`` those that end with it; ``lasting``: its command goes on when nobody takes its output any more;
    ``spool`` is there for a slow line: it puts bulk input into a file and
    gives the guest's path."""

    def __init__(
        self, number: int, streams: tuple[int, int, int], send: Send, spool: Callable[[bytes], str] | None,
        owned: tuple[int, ...] = (), lasting: bool = False,
    ) -> None:
        self.number, self.send, self.spool, self.owned, self.lasting = number, send, spool, owned, lasting
        self.stdin, stdout, stderr = streams
        self.outputs = {protocol.ERR: stderr, protocol.OUT: stdout}
        self.held: dict[int, deque[bytes]] = {protocol.ERR: deque(), protocol.OUT: deque()}
        self.on_the_way = self.written = 0
        self.input_open = True
        self.muted = False
        self.problem = ""
        self.status: int | None = None
        self.last_words = b""
        """The end of what a lasting one wrote to its errors: nobody may have taken it."""

    @property
    def reads(self) -> list[int]:
        takes = self.status is None and self.input_open and self.on_the_way < CREDIT_BYTES
        return [self.stdin] if takes else []

    @property
    def writes(self) -> list[int]:
        return [fd for kind, fd in self.outputs.items() if self.held[kind]]

    @property
    def finished(self) -> bool:
        return self.status is not None and not any(self.held.values())

    def move(self, readable: Container[int], writable: Container[int]) -> None:
        for kind, fd in self.outputs.items():
            if fd in writable and self.held[kind]:
                self.write(kind, fd)
        if self.stdin in readable and self.reads:
            self.read()

    def read(self) -> None:
        try:
            data = os.read(self.stdin, CREDIT_BYTES // 4 if self.spool else CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: a terminal that is not ours to read, or has gone
            data = b""
        self.input_open = bool(data)
        self.on_the_way += len(data)
        if self.spool and len(data) > INLINE_BYTES:
            self.send(protocol.FILE, self.number, os.fsencode(self.spool(data)))
        else:
            self.send(protocol.IN, self.number, data)

    def write(self, kind: int, fd: int) -> None:
        """A bit at a time: a pipe that poll calls writable takes 4096 bytes without waiting (PIPE_BUF, pipe(7))."""
        queue = self.held[kind]
        data = queue.popleft()
        try:
            written = os.write(fd, data[:4096])
        except BlockingIOError:
            written = 0
        except OSError as error:  # nobody reads it, or there is no room
            if not self.lasting:
                self.send(protocol.SIGNAL, self.number, str(int(signal.SIGPIPE)).encode())
            self.problem = "" if error.errno in GONE else os.strerror(error.errno or 0)
            written = len(data) + sum(map(len, queue))
            queue.clear()
        if data[written:]:
            queue.appendleft(data[written:])
        self.account(written)

    def mute(self) -> None:
        """From now on nobody is there for it."""
        self.input_open, self.muted = False, True
        for queue in self.held.values():
            self.account(sum(map(len, queue)))
            queue.clear()

    def account(self, written: int) -> None:
        """Tell the guest, now and then, that there is room for more."""
        self.written += written
        if self.written >= protocol.WINDOW_BYTES // 4:
            self.send(protocol.WROTE, self.number, b"%d" % self.written)
            self.written = 0

    def hear(self, kind: int, data: bytes) -> None:
        if kind == protocol.ERR and self.lasting:
            self.last_words = (self.last_words + data)[-LAST_BYTES:]
        if kind in self.held and self.muted:
            self.account(len(data))
        elif kind in self.held:
            self.held[kind].append(data)
        elif kind == protocol.TOOK:
            self.on_the_way -= int(data)
        elif kind == protocol.EXIT:
            self.status = int(data)

    def close(self) -> None:
        for fd in self.owned:
            os.close(fd)
