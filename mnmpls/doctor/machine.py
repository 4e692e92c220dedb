"""What can be asked of the machine itself."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from .report import Item, State

_VERSION_S = 5.0
_LEAST_MIB = 100
_FRR = "/usr/lib/frr:/usr/libexec/frr"
"""Its daemons are on nobody's PATH."""

VERSIONS = {
    "setpriv": ("--version",),
    "unshare": ("--version",),
    "env": ("--version",),
    "cat": ("--version",),
    "ip": ("-V",),
    "tcpdump": ("--version",),
    "iperf": ("--version",),
    "ping": ("-V",),
    "zebra": ("--version",),
    "dot": ("-V",),
    "xterm": ("-version",),
}
"""What each program is asked for its version with; others are not asked, for they might do something else."""


def system() -> str:
    """One of remedies.REMEDIES, empty for another."""
    marks = ("/.dockerenv", "/run/.containerenv")
    if any(map(os.path.exists, marks)) or "container" in os.environ:
        return "container"
    if "microsoft" in platform.release().lower():
        return "WSL2"
    release = _os_release()
    for word in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        if word in ("debian", "ubuntu", "fedora"):
            return word.capitalize()
    return ""


def title() -> str:
    name = _os_release().get("PRETTY_NAME", "an unknown system")
    guest = os.environ.get("MNMPLS_GUEST")
    return f"Linux {platform.release()}, {name}" + (f", in a guest ({guest})" if guest else "")


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def program(name: str) -> tuple[str, str]:
    """Where it is, empty for nowhere, and what it says of its version."""
    path = shutil.which(name) or (shutil.which(name, path=_FRR) if name == "zebra" else "") or ""
    if path and name == "mn":  # it would take in all of Mininet first
        return path, _installed("mininet")
    if not path or name not in VERSIONS:
        return path, ""
    try:
        done = subprocess.run(
            [path, *VERSIONS[name]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_VERSION_S,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return path, f"does not say its version: {error}"
    found = re.search(r"\d+\.[\d.]*\d|\d{8}", done.stdout + done.stderr)
    return path, found[0] if found else ""


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def memory(needs_mib: int) -> Item:
    """``needs_mib``: what the lab takes of the kernel's own memory."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free_mib = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))
    enough = free_mib >= _LEAST_MIB + needs_mib
    told = f"{free_mib} MiB can be had" + (f"; the lab takes about {needs_mib} MiB" if needs_mib else "")
    return Item("machine", "memory", State.THERE if enough else State.MISSING, told, True, "memory")


def space() -> Item:
    """For temporary files; a guest keeps what is written in it in memory."""
    folder = os.environ.get("TMPDIR", "/tmp")
    found = os.statvfs(folder)
    free_mib = found.f_bavail * found.f_frsize >> 20
    state = State.THERE if free_mib >= _LEAST_MIB else State.MISSING
    return Item("machine", "space", state, f"{free_mib} MiB free in {folder}", True, "space")


def boot(kernel: str, limit_s: float) -> tuple[bool, str]:
    """Whether this guest comes up, in a process of its own that is ended after so many seconds; and what to tell."""
    argv = [sys.executable, "-m", "mnmpls", "guest", "run", "--kernel", kernel, "--", "uname", "-r"]
    begun = time.monotonic()
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"had not booted after {limit_s:g} s"
    if done.returncode:
        return False, " ".join(done.stderr.split()) or f"ended with status {done.returncode}"
    return True, f"boots Linux {done.stdout.strip()} in {time.monotonic() - begun:.1f} s"
