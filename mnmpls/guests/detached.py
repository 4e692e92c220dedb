"""A guest that stays when the command which started it has ended."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from mnmpls.errors import MnmplsError
from mnmpls.guests import terminal

READY = "mnmpls: ready"
"""The line, alone, by which a command in a guest says that whoever waits for it may go."""

CHUNK = 65536


def start(run: Callable[[], int]) -> int:
    """Call ``run`` in a process of its own, without a terminal; gives its id once READY was on its output. What it
    writes before that is written here. Raises SystemExit with its status when it ends before, and when we are told to
    end, which is its end too. From the main thread only."""
    sys.stdout.flush()
    sys.stderr.flush()
    out, their_out = os.pipe()
    err, their_err = os.pipe()
    pid = os.fork()
    if not pid:
        become(run, their_out, their_err, (out, err))
    os.close(their_out)
    os.close(their_err)
    try:
        with terminal.signals() as signals:
            ready = pass_on_until_ready(out, err, signals)
    except BaseException:  # it is not in our terminal's foreground, so it does not know of a Ctrl-C
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(out)
        os.close(err)
    if not ready:
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return pid


def become(run: Callable[[], int], out: int, err: int, not_ours: tuple[int, int]) -> None:
    """In the forked child: the process that stays. Its text goes nowhere once nobody waits."""
    status = 1
    try:
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


def pass_on_until_ready(out: int, err: int, signals: int) -> bool:
    """Write what comes to our own streams; whether READY came before the end. That line itself is for us. Raises
    SystemExit for a signal."""
    marker, begun = f"{READY}\n".encode(), b""
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
            write_all(1, b"".join(line for line in lines if line != marker))
            if marker in lines:
                return True
    return False


def give_up(signals: bytes) -> None:
    for number in signals:
        if number in terminal.FORWARDED:
            raise SystemExit(128 + number)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
