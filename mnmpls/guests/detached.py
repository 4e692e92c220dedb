"""A guest that stays when the command which started it has ended well.

Until that command lets it go it ends with it, also when that is killed: a lab is up and everybody was told, or is not.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from mnmpls.errors import MnmplsError
from mnmpls.guests import terminal
from mnmpls.processes import dying_with_us, outlive_parent

READY = "mnmpls: ready"
"""The line by which a command in a guest says that whoever waits for it may go; behind it stands a number, the status
with which that one is to end."""

LET_GO = signal.SIGUSR1
CHUNK = 65536


def start(run: Callable[[], int]) -> tuple[int, int]:
    """Call ``run`` in a process of its own, without a terminal; gives its id and the status behind READY once that was
    on its output. What it writes before that is written here. Raises SystemExit with its status when it ends before,
    and when we are told to end, which is its end too. From the main thread only."""
    sys.stdout.flush()
    sys.stderr.flush()
    (out, their_out), (err, their_err), (gone, their_gone) = os.pipe(), os.pipe(), os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, terminal.FORWARDED)  # until we are there to hear them
    with dying_with_us(signal.SIGTERM) as die_with_us:
        pid = os.fork()
        if not pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            become(run, (their_out, their_err, their_gone), (out, err, gone), die_with_us)
    for fd in (their_out, their_err, their_gone):
        os.close(fd)
    try:
        with terminal.signals() as signals:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            status = pass_on_until_ready(out, err, signals)
        if status is not None:
            os.kill(pid, LET_GO)
            os.read(gone, 1)  # nothing if it ended meanwhile, which is its business now
    except BaseException:  # it is not in our terminal's foreground, so it does not know of a Ctrl-C
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise
    finally:
        for fd in (out, err, gone):
            os.close(fd)
    if status is None:
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return pid, status


def become(
    run: Callable[[], int], ours: tuple[int, int, int], not_ours: tuple[int, ...], die_with_parent: Callable[[], None]
) -> None:
    """In the forked child: the process that stays. Its text goes nowhere once nobody waits."""
    out, err, gone = ours

    def go(*_: object) -> None:
        outlive_parent()
        os.write(gone, b"!")

    status = 1
    try:
        signal.signal(LET_GO, go)
        die_with_parent()
        os.setsid()
        for fd in not_ours:
            os.close(fd)
        for number, fd in enumerate((os.open(os.devnull, os.O_RDONLY), out, err)):
            os.dup2(fd, number)
        for fd in (out, err):
            os.close(fd)
        try:
            status = run()
        except MnmplsError as error:
            status = error.exit_code
            print(f"mnmpls: {error}", file=sys.stderr)
        with suppress(OSError):
            sys.stderr.flush()
    finally:
        os._exit(status)


def pass_on_until_ready(out: int, err: int, signals: int) -> int | None:
    """Write what comes to our own streams; the status behind READY, None if that never came. Its line is for us. Raises
    SystemExit for a signal."""
    marker, begun = READY.encode(), b""
    open_ones = {out, err}
    while open_ones:
        readable = select.select([*open_ones, signals], [], [])[0]
        if signals in readable:
            give_up(os.read(signals, 64))
        for fd in [each for each in (err, out) if each in readable]:  # a complaint before what was written after it
            data = os.read(fd, CHUNK)
            if not data:
                open_ones.remove(fd)
            if fd == err:
                write_all(2, data)
                continue
            *lines, begun = (begun + data).splitlines(keepends=True) or [b""]
            if begun.endswith(b"\n") or not data:
                lines, begun = [*lines, begun], b""
            write_all(1, b"".join(line for line in lines if not line.startswith(marker)))
            for line in lines:
                if line.startswith(marker):
                    return int(line[len(marker) :].strip() or 0)
    return None


def give_up(signals: bytes) -> None:
    for number in signals:
        if number in terminal.FORWARDED:
            raise SystemExit(128 + number)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
