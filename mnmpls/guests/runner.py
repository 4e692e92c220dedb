"""Runs one command in a guest kernel, as if it ran on the host: terminal or pipes, signals, exit status.

One process, one loop: the guest's line, its console, its end, our signals and our standard streams.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mnmpls.errors import GuestFailed
from mnmpls.guests import protocol, terminal
from mnmpls.guests.cage import PATH, Cage, choose_cage, command, groups
from mnmpls.guests.machine import SPOOL, Backend, Boot

MAIN = 1
LINE_FD = 64
"""The line's descriptor is at least this, out of the way of those that the cage's shell uses."""
TICK_S = 0.5
PING_S = 2.0
SAVE_S = 20.0
GRACE_S = 3.0
CHUNK = 16384
INLINE_BYTES = 512
"""Input up to this goes over a slow line, more through files."""
LINE_BYTES = 2048
"""On the line towards the guest at most. UML's serial line may stop for good when the guest's terminal buffer of 4096
bytes (N_TTY_BUF_SIZE) is full and it throttles the line (arch/um/drivers/line.c)."""
CREDIT_BYTES = 1 << 20
"""Input on its way to the command at most."""
HELD_BYTES = 1 << 18
"""Output that our own stdout has not taken; beyond it the guest has to wait."""
CONSOLE_BYTES = 1 << 15

TRACE = re.compile(r"(<\d>)?( *\[<[0-9a-f]+>\]| [0-9a-f]{8} )")
"""Lines of a kernel's call trace: numbers that tell a user nothing."""


@dataclass(frozen=True)
class Command:
    """What to run: ``env`` is its whole environment, ``writable`` the host's folders it writes through."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    writable: tuple[str, ...]


class Guest:
    """A started guest kernel: its process, line and console. ``kill`` ends it with everything in its cage."""

    def __init__(self, backend: Backend, memory_mib: int, writable: Sequence[str]) -> None:
        self.backend = backend
        self.cage: Cage = choose_cage(memory_mib)
        self.console = bytearray()
        self.dead = False
        self.line, theirs = socket.socketpair()
        self.alive_end, self.alive = os.pipe2(os.O_CLOEXEC)
        self.console_end, console = os.pipe2(os.O_CLOEXEC)
        folders = (*writable, self.cage.scratch) if backend.spools else tuple(writable)
        line_fd = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, LINE_FD)
        theirs.close()
        try:
            self.machine = backend.machine(Boot(line_fd, self.cage.scratch, memory_mib, folders))
            self.process = subprocess.Popen(
                command(self.cage, self.machine, memory_mib), env={"PATH": PATH}, cwd="/",
                stdin=self.alive_end, stdout=console, stderr=console,
                pass_fds=(line_fd, *self.machine.pass_fds), start_new_session=True,
            )
        finally:
            os.close(line_fd)
        os.close(self.alive_end)
        os.close(console)
        os.set_blocking(self.console_end, False)
        self.line.setblocking(False)
        self.pidfd = os.pidfd_open(self.process.pid)

    def set_up(self) -> bytes:
        """What the agent needs to know first."""
        doors = list(self.machine.doors)
        if self.backend.spools:
            doors[-1] = replace(doors[-1], path=SPOOL)
        words = [word for door in doors for word in (door.path, door.fstype, door.source, door.options)]
        return protocol.join([os.fsencode(word) for word in (socket.gethostname(), *words)])

    def hear_console(self) -> bool:
        """Keep what the kernel says; False at the end, when the last process that could say something is gone."""
        try:
            data = os.read(self.console_end, CHUNK)
        except BlockingIOError:
            return True
        self.console += data
        del self.console[:-CONSOLE_BYTES]
        return bool(data)

    def kill(self) -> None:
        """At once, and wait until every process of it is gone."""
        if self.dead:
            return
        self.dead = True
        self.line.close()
        os.close(self.alive)  # the cage ends itself now; if something in it is broken, we help
        if not self.cage.options:
            self.wait_silence()
        for group in {self.process.pid, *groups(self.process.pid)}:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.process.wait()
        self.wait_silence()
        os.close(self.console_end)
        os.close(self.pidfd)
        if not self.cage.private:
            shutil.rmtree(self.cage.scratch, ignore_errors=True)

    def wait_silence(self) -> None:
        """Until nothing is left that could write on the console, or a while."""
        until = time.monotonic() + GRACE_S
        while select.select([self.console_end], [], [], max(0, until - time.monotonic()))[0] and self.hear_console():
            pass

    def spool(self) -> str:
        """The host's path of the cage's scratch folder."""
        if not self.cage.private:
            return self.cage.scratch
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return f"/proc/{int(file.read().split()[0])}/root{self.cage.scratch}"

    def why_gone(self) -> str:
        """The cause of the guest's end, for a person, from its console's last lines."""
        text = self.console.decode(errors="replace")
        lines = [line.rstrip() for line in text.splitlines() if line.strip() and not TRACE.match(line)]
        cause = self.backend.explain(text)
        panic = [line for line in lines if "Kernel panic" in line]
        how = f"panicked ({panic[0]})" if panic else "ended unexpectedly"
        last = lines[: lines.index(panic[0])] if panic else lines
        first = f"{self.backend.title} guest: the guest kernel {how}"
        return "\n".join([first, *([cause] if cause else []), *(f"  | {line}" for line in last[-6:])])


class Run:
    """One command's way through a guest: what is on its way in either direction."""

    def __init__(self, guest: Guest, what: Command, announce: Callable[[str], None]) -> None:
        self.guest, self.what, self.announce = guest, what, announce
        self.terminal = terminal.is_terminal()
        self.outgoing = bytearray()
        self.incoming = bytearray()
        self.held: dict[int, deque[bytes]] = {1: deque(), 2: deque()}
        self.on_the_way = self.unheard = 0
        self.input_open = True
        self.opened = False
        self.saving = False
        self.status: int | None = None
        self.lost: list[str] | None = None
        self.started = self.heard = self.pinged = self.ticked = time.monotonic()
        self.stop_at = self.end_at = float("inf")
        self.spooled = 0

    # --- towards the guest

    def send(self, kind: int, session: int, data: bytes = b"") -> None:
        self.outgoing += protocol.frame(kind, session, data)

    def talk(self) -> None:
        sent = self.guest.line.send(self.outgoing[: LINE_BYTES - self.unheard])
        del self.outgoing[:sent]
        self.unheard += sent

    def open(self) -> None:
        rows, columns = map(str, terminal.size()) if self.terminal else ("", "")
        apart = "1" if self.terminal and not os.isatty(2) else ""
        texts = [self.what.cwd, rows, columns, apart, str(len(self.what.argv)), *self.what.argv]
        texts += [f"{key}={value}" for key, value in self.what.env.items()]
        self.send(protocol.OPEN, MAIN, protocol.join([os.fsencode(text) for text in texts]))
        self.opened = True

    def read_input(self) -> None:
        slow = self.guest.backend.spools
        try:
            data = os.read(0, CREDIT_BYTES // 4 if slow else CHUNK)
        except OSError:  # EIO: a terminal that is not ours to read, or has gone
            data = b""
        self.input_open = bool(data)
        self.on_the_way += len(data)
        if slow and len(data) > INLINE_BYTES:
            self.send(protocol.FILE, MAIN, os.fsencode(self.spool(data)))
        else:
            self.send(protocol.IN, MAIN, data)

    def spool(self, data: bytes) -> str:
        """Put input where the guest reads it; gives the guest's path. The guest's end takes the files away."""
        self.spooled += 1
        with open(f"{self.guest.spool()}/in{self.spooled}", "wb") as file:
            file.write(data)
        return f"{SPOOL}/in{self.spooled}"

    def hear_signal(self, number: int) -> None:
        if number == signal.SIGWINCH and self.opened and self.terminal:
            self.send(protocol.SIZE, MAIN, protocol.join([str(each).encode() for each in terminal.size()]))
        elif number in terminal.FORWARDED:
            self.pass_on(number)

    def pass_on(self, number: int) -> None:
        """Ctrl-C and its like are the command's business; before it runs, and for a second SIGTERM, they are ours."""
        if not self.opened or (self.stop_at < float("inf") and number != signal.SIGINT):
            raise Stopped(128 + number)
        self.send(protocol.SIGNAL, MAIN, str(number).encode())
        if number in (signal.SIGTERM, signal.SIGHUP):
            self.stop_at = time.monotonic() + GRACE_S
            self.end_at = self.stop_at

    # --- from the guest

    def hear_line(self) -> None:
        try:
            data = self.guest.line.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            raise GuestGone
        self.heard = time.monotonic()
        self.incoming += data
        for kind, _, data in protocol.take(self.incoming):
            self.hear(kind, data)

    def hear(self, kind: int, data: bytes) -> None:
        if kind == protocol.OUT:
            self.held[1].append(data)
        elif kind == protocol.ERR:
            self.held[2].append(data)
        elif kind == protocol.TOOK:
            self.on_the_way -= int(data)
        elif kind == protocol.HEARD:
            self.unheard -= int(data)
        elif kind == protocol.READY:
            self.announce(data.decode())
            self.send(protocol.SETUP, 0, self.guest.set_up())
            self.open()
        elif kind == protocol.EXIT:
            self.status = int(data)
            self.send(protocol.END, 0)
            self.end_at = time.monotonic() + SAVE_S
        elif kind == protocol.LOST:
            self.lost = [os.fsdecode(path) for path in protocol.split(data)]

    def write_output(self, fd: int) -> None:
        """A bit at a time: a pipe that poll calls writable takes 4096 bytes without waiting (PIPE_BUF, pipe(7))."""
        queue = self.held[fd]
        data = queue.popleft()
        try:
            written = os.write(fd, data[:4096])
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                raise
            self.send(protocol.SIGNAL, MAIN, str(int(signal.SIGPIPE)).encode())
            queue.clear()
            return
        if data[written:]:
            queue.appendleft(data[written:])

    # --- the loop

    @property
    def congested(self) -> bool:
        return sum(map(len, (*self.held[1], *self.held[2]))) > HELD_BYTES

    @property
    def finished(self) -> bool:
        return self.lost is not None and not any(self.held.values())

    @property
    def takes_input(self) -> bool:
        running = self.opened and self.status is None
        return running and self.input_open and not self.outgoing and self.on_the_way < CREDIT_BYTES

    def interests(self, signals: int) -> tuple[list[int], list[int]]:
        line = self.guest.line.fileno()
        reads = [signals, self.guest.console_end, self.guest.pidfd]
        reads += [] if self.congested else [line]
        reads += [0] if self.takes_input else []
        writes = [fd for fd, queue in self.held.items() if queue]
        return reads, writes + ([line] if self.outgoing and self.unheard < LINE_BYTES else [])

    def turn(self, signals: int) -> None:
        reads, writes = self.interests(signals)
        readable, writable, _ = select.select(reads, writes, [], TICK_S)
        for fd in writable:
            if fd in self.held:
                self.write_output(fd)
            else:
                self.talk()
        if self.guest.console_end in readable:
            self.guest.hear_console()
        if self.guest.line.fileno() in readable:
            self.hear_line()
        if self.guest.pidfd in readable:
            raise GuestGone
        if signals in readable:
            for number in os.read(signals, 64):
                self.hear_signal(number)
        if 0 in readable:
            self.read_input()
        self.watch_time()

    def watch_time(self) -> None:
        now = time.monotonic()
        if now - self.ticked > 5 * TICK_S or self.congested:
            self.heard = now  # we were stopped, or have not listened: no fault of the guest
        self.ticked = now
        if self.opened and now - self.pinged > PING_S:
            self.send(protocol.PING, 0)
            self.pinged = now
        limit_s = self.guest.backend.hang_s if self.opened else self.guest.backend.boot_s
        if now - self.heard > limit_s:
            doing = "has not answered" if self.opened else "did not come up"
            kind = GuestFailed if self.opened else NotUp
            raise kind(f"{self.guest.backend.title} guest: the guest kernel {doing} for {limit_s:.0f} s and was ended")
        if now > self.end_at:
            raise Stopped(self.status if self.status is not None else 128 + signal.SIGTERM)

    def until_finished(self) -> int:
        with terminal.signals() as signals, terminal.raw(self.terminal):
            while not self.finished:
                self.turn(signals)
        assert self.status is not None
        return self.status


class NotUp(GuestFailed):
    """The guest did not come up: nothing ran in it, so another one may be tried."""


class GuestGone(Exception):
    """The line is closed or the process has ended; ``Guest.why_gone`` knows more."""


class Stopped(Exception):
    """We were told to stop; the text is the exit status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


def run(backend: Backend, what: Command, memory_mib: int, announce: Callable[[str], None]) -> int:
    """The command's exit status; raises NotUp when the guest did not start, GuestFailed when it did not live.
    ``announce`` gets the kernel's release once it is up. From the main thread only: signals are ours meanwhile."""
    guest = Guest(backend, memory_mib, what.writable)
    course = Run(guest, what, announce)
    try:
        status = course.until_finished()
    except Stopped as stopped:
        return stopped.status
    except GuestGone as gone:
        guest.kill()
        raise (GuestFailed if course.opened else NotUp)(guest.why_gone()) from gone
    finally:
        guest.kill()
    tell_lost(course.lost or [])
    return status


def tell_lost(paths: Sequence[str], shown: int = 10) -> None:
    if paths:
        more = f" and {len(paths) - shown} more" if len(paths) > shown else ""
        print(f"mnmpls: lost with the guest: {', '.join(paths[:shown])}{more}", file=sys.stderr)
