"""From what was typed for LAB to a running lab, and on into the guest that it runs in."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence

from .. import registry
from ..errors import printable
from ..live import finding


def name_of(given: str) -> str:
    """The name of a running lab, from its name or its file's. Raises NotRunning."""
    running = registry.names()
    if given in running:
        return given
    if "/" in given or os.path.exists(given):
        file = os.path.realpath(given)
        same = [each.name for each in finding.labs()[0] if each.file == file]
        if len(same) == 1:
            return same[0]
        if same:
            raise registry.NotRunning(f"{given} runs under several names: {', '.join(same)}; say which")
        shown = printable(given)
        raise registry.NotRunning(f"no lab of the file {shown} runs here; `mnmpls up {shown}` starts it")
    there = f"running: {', '.join(running)}" if running else "no lab runs here"
    raise registry.NotRunning(f"there is no running lab {given!r}; {there}")


def in_guest(name: str) -> bool:
    return finding.about(name).runtime == finding.GUEST


def again_inside(
    name: str, words: Sequence[str], stdin: str | None = None, stdout: int = 1, writes: bool = False
) -> int:
    """This command with these words, in the guest in which lab ``name`` runs; its exit status. It reads ``stdin`` if
    that is given, and writes to the descriptor ``stdout``. ``writes``: it may write files, too."""
    if stdin is not None:
        with tempfile.TemporaryFile("w") as file:
            file.write(stdin)
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            os.dup2(file.fileno(), 0)
    if stdout != 1:
        os.dup2(stdout, 1)
    from ..guests import run_in_lab  # not for those who never get here: it takes as long as all the rest

    return run_in_lab(name, [sys.executable, "-m", "mnmpls", *words], writes=writes)
