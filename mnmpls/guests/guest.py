"""A started guest kernel on the host: its process, line and console, and its end."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from mnmpls.guests import protocol
from mnmpls.guests.cage import PATH, Cage, choose_cage, command, groups
from mnmpls.guests.machine import LOWEST_FD, SPOOL, Backend, Boot, HostPort

GRACE_S = 3.0
CHUNK = 16384
CONSOLE_BYTES = 1 << 15

TRACE = re.compile(r"(<\d>)?( *\[<[0-9a-f]+>\]| [0-9a-f]{8} )")
"""Lines of a kernel's call trace: numbers that tell a user nothing."""


class Guest:
    """A started guest kernel: its process, line and console. ``kill`` ends it with everything in its cage."""

    def __init__(
        self, backend: Backend, memory_mib: int, writable: Sequence[str], ports: Sequence[HostPort] = ()
    ) -> None:
        self.backend = backend
        self.cage: Cage = choose_cage(memory_mib)
        self.console = bytearray()
        self.dead = False
        self.spooled = 0
        self.line, theirs = socket.socketpair()
        self.alive_end, self.alive = os.pipe2(os.O_CLOEXEC)
        self.console_end, console = os.pipe2(os.O_CLOEXEC)
        folders = (*writable, self.cage.scratch) if backend.spools else tuple(writable)
        line_fd = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, LOWEST_FD)
        theirs.close()
        try:
            self.machine = backend.machine(Boot(line_fd, self.cage.scratch, memory_mib, folders, tuple(ports)))
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
        os.close(self.alive)  # the cage ends itself now; if something in it is broken, we help
        if not self.cage.options:
            self.wait_silence()
        for group in {self.process.pid, *groups(self.process.pid)}:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.process.wait()
        self.wait_silence()
        self.line.close()  # last: an agent that is still there would panic over it, as if that had been the cause
        os.close(self.console_end)
        os.close(self.pidfd)
        if not self.cage.private:
            shutil.rmtree(self.cage.scratch, ignore_errors=True)

    def wait_silence(self) -> None:
        """Until nothing is left that could write on the console, or a while."""
        until = time.monotonic() + GRACE_S
        while select.select([self.console_end], [], [], max(0, until - time.monotonic()))[0] and self.hear_console():
            pass

    def spool(self, data: bytes) -> str:
        """Put input where the guest reads it, and removes it; gives the guest's path."""
        self.spooled += 1
        with (
            suppress(FileNotFoundError, ProcessLookupError),  # the guest has ended: that is heard of soon
            open(f"{self.scratch()}/in{self.spooled}", "wb") as file,
        ):
            file.write(data)
        return f"{SPOOL}/in{self.spooled}"

    def scratch(self) -> str:
        """The host's path of the cage's scratch folder. Raises OSError when that has gone."""
        if not self.cage.private:
            return self.cage.scratch
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            children = file.read().split()
        if not children:
            raise ProcessLookupError(f"nothing is left of process {self.process.pid}'s guest")
        return f"/proc/{int(children[0])}/root{self.cage.scratch}"

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
