"""How to start Debian's User Mode Linux: a kernel as an ordinary program, anywhere, without privileges."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
from functools import cache

from mnmpls.guests.build import AGENT, built
from mnmpls.guests.host import BASICS
from mnmpls.guests.machine import LOWEST_FD, Backend, Boot, Door, Machine

KERNEL = "linux.uml"
MODULES = "/usr/lib/uml/modules"
PYTHON = "/usr/bin/python3"
LINE_BYTES = 2048
"""UML's serial line may stop for good when the guest's terminal buffer of 4096 bytes (N_TTY_BUF_SIZE) is full and it
throttles the line (arch/um/drivers/line.c)."""

NO_DUMMY0 = "dummy.numdummies=0"
"""For modprobe(8), which reads /proc/cmdline: the module makes a dummy0 in the first namespace, which is a node's own
in a container; only systemd's files keep it from that elsewhere."""


def kernel() -> str | None:
    """The kernel's path: the user's own build goes before Debian's."""
    return shutil.which(KERNEL, path=f"{os.environ.get('PATH', '')}:/usr/bin")


def problem() -> str:
    if not kernel():
        return f"{KERNEL} is not installed (apt-get install user-mode-linux)"
    if not os.path.isdir(MODULES):
        return f"{MODULES} is missing (apt-get install --reinstall user-mode-linux)"
    return ""


@cache
def shim() -> int | None:
    """A descriptor of the library that UML needs on CPUs with AMX (fpshim.c), if it can be had. By its path it could
    not be preloaded from a folder with a blank or a colon (ld.so(8))."""
    path = built("fpshim.c", "fpshim.so", ("-shared", "-fPIC"))
    if not path:
        return None
    with open(path, "rb") as file:
        return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, LOWEST_FD)


@cache
def arriving() -> int:
    """A descriptor of the filter of a port's frames: not those that the guest itself sends, which Linux shows to every
    socket but their sender's, and UML has two (arch/um/drivers/vector_user.c). A bridge would learn from them. For
    bpf(4)'s machine: ld [SKF_AD_PKTTYPE], jeq PACKET_OUTGOING, ret 0, ret all."""
    steps = ((0x20, 0, 0, 0xFFFFF004), (0x15, 0, 1, 4), (0x06, 0, 0, 0), (0x06, 0, 0, 0x40000))
    with os.fdopen(os.memfd_create("frames"), "wb") as file:
        file.write(b"".join(struct.pack("=HBBI", *step) for step in steps))
        file.flush()
        return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, LOWEST_FD)


def machine(boot: Boot) -> Machine:
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": boot.scratch}
    inherited: tuple[int, ...] = ()
    if (library := shim()) is not None:
        env["LD_PRELOAD"] = f"/proc/self/fd/{library}"
        inherited = (library,)
    if boot.ports:
        inherited = (*inherited, arriving())
    argv = (
        kernel() or KERNEL, f"mem={boot.memory_mib}M", "rootfstype=hostfs", "rootflags=/", "ro",
        f"uml_dir={boot.scratch}/", "con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{boot.line_fd}",
        *(f"vec{number}:transport=raw,ifname={port.name},mac={port.mac},mtu={port.mtu_bytes},"
          f"bpffile=/proc/self/fd/{arriving()}"
          for number, port in enumerate(boot.ports)),
        "panic=0", "quiet", NO_DUMMY0, "LINE=/dev/ttyS0", f"MODULES={MODULES}",
        f"init={PYTHON}", "--", "-I", "-S", AGENT,
    )
    # hostfs takes its option as the host's folder, commas and all (fs/hostfs/hostfs_kern.c, hostfs_fill_sb_common)
    doors = tuple(Door(path, "hostfs", "none", path) for path in boot.writable)
    return Machine(argv, env, doors, inherited)


def explain(console: str) -> str:
    return next((cause for sign, cause in SIGNS.items() if sign in console), "")


LITTLE = "the guest has too little memory\n  what to do: give it more with MNMPLS_MEMORY_MIB"

SIGNS = {
    "ptrace set fp regs failed": (
        "this CPU has more state (AMX) than UML's kernel knows, and fpshim.so, which helps, is not built\n"
        "  what to do: apt-get install gcc libc6-dev and try again"
    ),
    "Too few physical memory": LITTLE,
    "Failed to allocate": LITTLE,
    "likely just ran out of space": (
        "the guest's memory no longer fits into the host's\n"
        "  what to do: free memory, or set TMPDIR to a folder with room"
    ),
    "child stopped with signal": (
        "a process of the guest was stopped or continued from outside (SIGSTOP, SIGCONT), which is its end in UML\n"
        "  what to do: start it again; a cgroup's freezer lets a guest rest without harm"
    ),
    "must be not mounted noexec": (
        "the folder for the guest's memory is mounted noexec\n  what to do: set TMPDIR to another folder"
    ),
}
"""What UML prints before its end, and what that means."""

BACKEND = Backend(
    name="uml",
    title="UML",
    problem=problem,
    machine=machine,
    features=BASICS,
    line_bytes=LINE_BYTES,
    spools=True,
    explain=explain,
)
