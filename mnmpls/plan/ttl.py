"""What TTL labels begin with, and what the packet under them has afterwards (RFC 3443): one continuous count, or a
pipe through which the packet passes as if it were one hop."""

from __future__ import annotations

from ..state import TTL_AS_SET

UNIFORM, PIPE = "uniform", "pipe"
LARGEST = 255


def pushed(ttl: str) -> int:
    """For a next hop that pushes labels: the packet's own, the largest there is, or the number."""
    if ttl == UNIFORM:
        return 0
    return LARGEST if ttl == PIPE else int(ttl) if ttl else TTL_AS_SET


def popped(ttl: str) -> str:
    """For a label route: a number, too, makes a pipe of the path that it begins."""
    return PIPE if ttl.isdigit() else ttl


def fault(ttl: str, numbers: bool) -> str:
    """What is wrong with a ``ttl`` as given; empty when nothing is. ``numbers`` tells whether it may be one."""
    number = ttl.isascii() and ttl.isdigit() and len(ttl) <= 3 and 1 <= int(ttl) <= LARGEST and str(int(ttl)) == ttl
    if ttl in ("", UNIFORM, PIPE) or (numbers and number):
        return ""
    known = f"{UNIFORM}, {PIPE} or 1 to {LARGEST}" if numbers else f"{UNIFORM} or {PIPE}"
    return f"{ttl!r} is no way to count: give {known}"
