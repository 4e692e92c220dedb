"""How to start Debian's User Mode Linux: a kernel as an ordinary program, anywhere, without privileges."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache

from mnmpls.guests.machine import Backend, Boot, Door, Machine

KERNEL = "linux.uml"
MODULES = "/usr/lib/uml/modules"
PYTHON = "/usr/bin/python3"
HERE = os.path.dirname(os.path.abspath(__file__))


def problem() -> str:
    if not shutil.which(KERNEL, path=f"{os.environ.get('PATH', '')}:/usr/bin"):
        return f"{KERNEL} is not installed (apt-get install user-mode-linux)"
    if not os.path.isdir(MODULES):
        return f"{MODULES} is missing (apt-get install --reinstall user-mode-linux)"
    return ""


@cache
def shim() -> str:
    """The library that UML needs on CPUs with AMX (fpshim.c), or empty. Built with the set-up; else once, here."""
    source, built = f"{HERE}/fpshim.c", f"{HERE}/fpshim.so"
    if os.path.exists(built):
        return built
    folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mnmpls")
    cached = f"{folder}/fpshim.so"
    if os.path.exists(cached) and os.path.getmtime(cached) >= os.path.getmtime(source):
        return cached
    return cached if shutil.which("gcc") and compile_shim(source, cached) else ""


def compile_shim(source: str, target: str) -> bool:
    """Build into the target's folder and move into place, since others may do so at the same time."""
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
            done = subprocess.run(
                ["gcc", "-O2", "-shared", "-fPIC", "-o", f"{folder}/fpshim.so", source], capture_output=True, check=False
            )
            if done.returncode:
                return False
            os.replace(f"{folder}/fpshim.so", target)
    except OSError:
        return False
    return True


def machine(boot: Boot) -> Machine:
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": boot.scratch}
    if shim():
        env["LD_PRELOAD"] = shim()
    argv = (
        KERNEL, f"mem={boot.memory_mib}M", "rootfstype=hostfs", "rootflags=/", "ro", f"uml_dir={boot.scratch}/",
        "con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{boot.line_fd}", "panic=0", "quiet",
        "LINE=/dev/ttyS0", f"MODULES={MODULES}",
        f"init={PYTHON}", "--", "-I", "-S", f"{HERE}/agent.py",
    )
    # hostfs takes its option as the host's folder, commas and all (fs/hostfs/hostfs_kern.c, hostfs_fill_sb_common)
    doors = tuple(Door(path, "hostfs", "none", path) for path in boot.writable)
    return Machine(argv, env, doors)


def explain(console: str) -> str:
    if "ptrace set fp regs failed" in console:
        return (
            "this CPU has more state (AMX) than UML's kernel knows, and the library that helps, fpshim.so, is not built\n"
            "  what to do: apt-get install gcc libc6-dev and try again"
        )
    if "likely just ran out of space" in console:
        return "the guest's memory no longer fits into the host's\n  what to do: free memory, or set TMPDIR to a folder with room"
    if "must be not mounted noexec" in console:
        return "the folder for the guest's memory is mounted noexec\n  what to do: set TMPDIR to another folder"
    return ""


BACKEND = Backend(
    name="uml",
    title="UML",
    problem=problem,
    machine=machine,
    features=frozenset({"netns", "veth", "bridge", "vrf", "mpls", "mpls-encap"}),
    spools=True,
    explain=explain,
)
