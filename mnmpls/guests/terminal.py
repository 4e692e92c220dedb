"""The user's terminal while a guest has it: raw, and always given back as it was."""

from __future__ import annotations

import os
import signal
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

OUTPUT, LOCAL, CHARACTERS = 1, 3, 6
"""Where tcgetattr has them."""


def is_terminal() -> bool:
    """A command gets a terminal when its input and its output are one, as on the host."""
    return os.isatty(0) and os.isatty(1)


def size() -> tuple[int, int]:
    """Rows and columns of the window."""
    columns, rows = os.get_terminal_size(1)
    return rows, columns


def unblocked(fd: int) -> int:
    """A terminal, opened once more so that a write to it never waits: one that its user has stopped must not stop the
    others' sessions. Pipes are written so that they do not wait, and files never do."""
    if not os.isatty(fd):
        return fd
    try:
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # somebody else's, handed down by su(1)
        return fd
    os.close(fd)
    return again


@contextmanager
def raw(wanted: bool) -> Iterator[None]:
    """Keys pass as they are; but Ctrl-C and Ctrl-\\ are still signals to us, and what we say is still lines, until
    ``give_all``."""
    if not wanted:
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSANOW)
    mode = termios.tcgetattr(0)
    mode[OUTPUT] |= termios.OPOST
    mode[LOCAL] |= termios.ISIG
    mode[CHARACTERS][termios.VSUSP] = b"\0"  # none (_POSIX_VDISABLE): a stopped boot would be taken for a hang
    termios.tcsetattr(0, termios.TCSANOW, mode)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def give_all() -> None:
    """From now on the guest's terminal makes signals of keys and ends lines."""
    mode = termios.tcgetattr(0)
    mode[OUTPUT] &= ~termios.OPOST
    mode[LOCAL] &= ~termios.ISIG
    termios.tcsetattr(0, termios.TCSANOW, mode)


@contextmanager
def signals() -> Iterator[int]:
    """Signals to us as bytes, one a signal, on the descriptor given; handlers are as before afterwards."""
    end, start = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    numbers = (*FORWARDED, signal.SIGWINCH, signal.SIGCONT)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    before[signal.SIGTTIN] = signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # a read in the background then fails
    wakeup = signal.set_wakeup_fd(start, warn_on_full_buffer=False)
    try:
        yield end
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(end)
        os.close(start)
