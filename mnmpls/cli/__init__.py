"""The command ``mnmpls``. Errors become a message and an exit status here, and nowhere else."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from ..errors import LabError, MnmplsError, printable
from .parser import parse

ROOMS = {
    "guest": "guest",
    "exec": "inside",
    "completion": "completion",
    **dict.fromkeys(("up", "down", "list", "apply", "stop", "start"), "labs"),
    **dict.fromkeys(("check", "trace", "drift", "capture"), "watch"),
    **dict.fromkeys(("vtysh", "logs"), "daemons"),
    **dict.fromkeys(("drill", "perf"), "drilling"),
    "doctor": "doctor",
    **dict.fromkeys(("export", "import"), "exporting"),
    **dict.fromkeys(("plan", "graph", "schema", "convert"), "show"),
}
"""Which module has which verb: a start takes in what it needs, which in an emulated kernel is half of its time."""


def main(argv: Sequence[str] | None = None) -> int:
    _fill_closed_streams()
    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        with _limit(getattr(options, "timeout", 0)):
            return _run(options)
    except MnmplsError as error:
        many = len(error.problems) if isinstance(error, LabError) else 1
        head = f"{many} problems, nothing was done:\n" if many > 1 else ""
        print(f"mnmpls: {head}{error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `mnmpls list | head`: Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except OSError as error:  # a full disk, a file that is not ours: the machine's own words are the message
        said = error.strerror or str(error)
        told = f"{error.filename}: {said}" if error.filename else f"`mnmpls {options.verb}` cannot go on: {said}"
        print(f"mnmpls: {printable(told)}", file=sys.stderr)
        return 1


def _fill_closed_streams() -> None:
    """A standard stream that was closed before we started would be the next thing opened: a lab's name, a namespace."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _run(options: argparse.Namespace) -> int:
    room = import_module(f".{ROOMS[options.verb]}", __name__)
    status: int = getattr(room, f"verb_{options.verb}")(options)
    sys.stdout.flush()
    return status


class TookTooLong(MnmplsError):
    """The verb's time is up."""

    exit_code = 124  # as timeout(1) says it


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """What is inside ends after so many seconds (0: no limit) with TookTooLong."""

    def ring(*_: object) -> None:
        raise TookTooLong(f"not done after {seconds:g} s, so it was ended; --timeout gives more time")

    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
