"""Where the time of a start goes, from Enter on, across the step into a guest."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BEGAN = "MNMPLS_BEGAN"
"""Environment of a command that was sent into a guest: when it was begun outside and when it was sent, as seconds
since the epoch with a space between."""

_marks: list[tuple[str, float]] = []


@contextmanager
def uncollected() -> Iterator[None]:
    """Python's collector of cyclic garbage rests: a lab that comes up makes much that stays, which it would go through
    again and again."""
    rested = not gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not rested:
            gc.enable()


def process_began() -> float:
    """When this process was started, in seconds since the epoch (proc(5): field 22 of stat, in clock ticks)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    ago_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - ago_s


def hand_over() -> dict[str, str]:
    """What a command in a guest is told, for it to count from the beginning."""
    return {BEGAN: f"{process_began()} {time.time()}"}


def mark(phase: str) -> None:
    """``phase`` ends now; it began where the one before it ended."""
    if not _marks:
        _begin()
    _marks.append((phase, time.time()))


def taken() -> list[tuple[str, float]]:
    """Each phase so far with its seconds."""
    return [(name, max(0.0, end - start)) for (_, start), (name, end) in zip(_marks, _marks[1:], strict=False)]


def _begin() -> None:
    outside = [float(word) for word in os.environ.get(BEGAN, "").split()]
    began = process_began()
    if outside:
        _marks.extend([("", outside[0]), ("command started, kernel chosen", outside[1]), ("guest booted", began)])
    else:
        _marks.append(("", began))
