"""The verb that runs a command in a node. It takes in little: people wait for its start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ..errors import UsageError
from ..node import RunningNode
from ..processes import dying_with_us
from .naming import again_inside, entered, in_guest, name_of

_NOT_FOUND, _NOT_RUNNABLE = 127, 126  # as a shell says it


def verb_exec(options: Namespace) -> int:
    if not options.command:
        raise UsageError("exec: no command given (mnmpls exec LAB NODE -- CMD …)")
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words, writes=True)
    with entered(name, options.node) as one:
        return run_attached(one, options.command, options.vrf)


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Our process group has the terminal again if it had it before. A shell in the node that takes it cannot give it
    back: in its PID namespace, there is no such group (tcsetpgrp(3): ESRCH). Else a script would read no more."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # we have none
        yield
        return
    had_it = os.tcgetpgrp(terminal) == os.getpgrp()
    try:
        yield
    finally:
        if had_it:
            _take_back(terminal)
        os.close(terminal)


def _take_back(terminal: int) -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with suppress(OSError):
        try:
            os.killpg(os.tcgetpgrp(terminal), 0)
        except ProcessLookupError:
            os.tcsetpgrp(terminal, os.getpgrp())
    signal.signal(signal.SIGTTOU, before)


@_terminal_kept()
def run_attached(node: RunningNode, argv: Sequence[str], vrf: str) -> int:
    """With our terminal and our streams themselves, so that nothing has to be carried to and fro. Ctrl-C and its like
    reach the command by the terminal; what others send to us is passed on. It dies with us, and with its lab."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _: object) -> None:
        if number in (signal.SIGTERM, signal.SIGHUP):
            if process:
                process.send_signal(number)
            else:
                early.append(number)

    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        with dying_with_us() as die_with_us:
            process = node.popen(argv, vrf=vrf, start_new_session=False, preexec_fn=die_with_us)
        for number in early:
            process.send_signal(number)
        if vrf and (text := node.mute(vrf)):
            print(f"mnmpls: {text}", file=sys.stderr)
        status = process.wait()
    except OSError as error:
        print(f"mnmpls: {node.name}: {argv[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUNNABLE
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status
