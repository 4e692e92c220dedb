"""Other processes of this machine, looked at while they come and go, and shells on terminals."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pexpect

LIMIT_S = 180.0
"""What a test waits for at most: on a slow machine with much else to do."""


def until(true: Callable[[], object], what: str = "not in time") -> None:
    """Waits for it."""
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def busy(shell: pexpect.spawn[Any]) -> None:
    """Has it a program in front that has answered, whose Ctrl-C is then. Before that a shell's child may lose it: bash
    and dash catch the signal themselves until execve(2)."""
    shell.sendline("sed -u s/there/here/")
    shell.expect(r"/here/[^\n]*\n")
    shell.sendline("I am there")
    shell.expect_exact("I am here\r\n")


def descendants(pid: int) -> dict[int, str]:
    """All processes below this one with the names of their programs. Those that end meanwhile may be among them or
    not."""
    found: dict[int, str] = {}
    for child in children(pid):
        if name := read(child, "comm").strip():
            found[child] = name
            found.update(descendants(child))
    return found


def children(pid: int) -> list[int]:
    """Of all its threads."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for thread in threads for child in read(pid, f"task/{thread}/children").split()]


def alive(pid: int) -> bool:
    """Whether it is there and not merely waiting for its parent to take note of its end."""
    state = read(pid, "stat").rpartition(")")[2].split()
    return bool(state) and state[0] not in "ZX"


def words(pid: int) -> list[str]:
    """Its command line, nothing if it has ended."""
    return read(pid, "cmdline").split("\0")[:-1]


def read(pid: int, file: str) -> str:
    """Of what the kernel tells of a process, nothing if that has ended."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
