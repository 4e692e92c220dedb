"""Small C programs beside the guests: built with the set-up; else once, into the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence

HERE = os.path.dirname(os.path.abspath(__file__))
AGENT = f'"{HERE}/agent.py"'
"""As a word of a kernel's command line, which may have blanks (lib/cmdline.c, next_arg)."""


def built(source: str, name: str, options: Sequence[str]) -> str:
    """The path of the program (or library) ``name`` made from ``source`` beside this file; empty if it cannot be."""
    beside = f"{HERE}/{name}"
    if os.path.exists(beside):
        return beside
    folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mnmpls")
    cached = f"{folder}/{name}"
    if os.path.exists(cached) and os.path.getmtime(cached) >= os.path.getmtime(f"{HERE}/{source}"):
        return cached
    return cached if shutil.which("gcc") and compiled(f"{HERE}/{source}", cached, options) else ""


def compiled(source: str, target: str, options: Sequence[str]) -> bool:
    """Build into the target's folder and move into place, since others may do so at the same time."""
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
            command = ["gcc", "-O2", *options, "-o", f"{folder}/new", source]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return False
            os.replace(f"{folder}/new", target)
    except OSError:
        return False
    return True
