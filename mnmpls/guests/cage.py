"""Where a guest kernel runs on the host: namespaces of its own, so that its processes and files end with it.

The chain is setpriv (dies with us) > unshare (takes the namespace's first process with it) > sh > the kernel. The
end of sh, the first process of a PID namespace, is the end of all in it (pid_namespaces(7)). sh also reads a pipe that
only we hold open: its end of file says that we are gone, whatever happened to the rest of the chain.

The kernel acts on the host's files with our own rights, with sudo root's: the command that it runs would have them on
the host too (it may read what root reads, and what it makes in the current folder is root's). SUDO_UID is therefore
not looked at: with the user's rights alone the same command would do less in a guest than on the host.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from mnmpls.errors import GuestFailed
from mnmpls.guests.machine import Machine

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

OWN_MEMORY = 'mount -t tmpfs -o "mode=700,size=$2m" mnmpls "$1" || exit 125'
SHARED_FOLDER = 'mkdir -m 700 "$1" || exit 125'
REMOVE = 'rm -rf "$1"'

SCRIPT = """
{prepare}
scratch=$1
exec 4<&0 </dev/null
shift 2
setpriv --pdeathsig KILL "$@" &
guest=$!
{{ cat <&4 >/dev/null; set -- "$scratch"; {remove}; kill -KILL -$guest; kill -KILL 0; }} &
exec 4<&-
wait $guest
status=$?
kill -KILL -$guest 2>/dev/null
set -- "$scratch"; {remove}
exit $status
"""
"""UML makes itself the leader of a process group, in which its own helpers outlive it: so the group is killed."""


@dataclass(frozen=True)
class Cage:
    """``options`` of unshare(1), none where the host allows no namespaces. ``scratch`` is a folder for the guest's
    memory: a tmpfs that only the cage sees, or else a folder in the host's /dev/shm or temporary folder."""

    options: tuple[str, ...]
    scratch: str

    @property
    def private(self) -> bool:
        return "--mount" in self.options


@cache
def namespaces() -> tuple[str, ...]:
    """The options of unshare(1) that work for us: as root, as anybody with a user namespace, in a chroot (no mounts),
    or none."""
    for options in (("--pid", "--mount"), ("--user", "--map-root-user", "--pid", "--mount"), ("--pid",)):
        trial = ["mount", "-t", "tmpfs", "mnmpls", "/dev/shm"] if "--mount" in options else ["true"]
        done = subprocess.run(
            ["unshare", *options, "--fork", *trial],
            env={"PATH": PATH}, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )
        if not done.returncode:
            return options
    return ()


def choose_cage(memory_mib: int) -> Cage:
    """The best cage there is. Raises GuestFailed when there is too little memory or space for the guest."""
    free_mib = available_mib()
    if free_mib < memory_mib:
        raise GuestFailed(
            f"too little memory for a guest kernel: it gets {memory_mib} MiB, this machine has {free_mib} MiB left\n"
            "  what to do: end other programs, or give it less with MNMPLS_MEMORY_MIB"
        )
    options = namespaces()
    if "--mount" in options:
        return Cage(options, "/dev/shm")
    return Cage(options, f"{roomy_folder(memory_mib)}/mnmpls-{os.getpid()}-{os.urandom(4).hex()}")


def groups(pid: int) -> set[int]:
    """The process groups of all processes below this one."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(child) for child in file.read().split()]
        return {os.getpgid(child) for child in children}.union(*map(groups, children))
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return set()


def available_mib() -> int:
    with open("/proc/meminfo") as lines:
        sizes = dict(line.split(":") for line in lines)
    return int(sizes["MemAvailable"].split()[0]) // 1024


def roomy_folder(memory_mib: int) -> str:
    """A folder with room for the guest's whole memory, from which code may run (UML maps its memory executable)."""
    seen = []
    for folder in (os.environ.get("TMPDIR", ""), "/dev/shm", "/tmp", "/var/tmp"):
        if len(folder.split()) != 1 or not os.access(folder, os.W_OK | os.X_OK):  # UML knows no quotes in uml_dir=
            continue
        room = os.statvfs(folder)
        free_mib = room.f_bavail * room.f_frsize // 2**20
        if free_mib >= memory_mib and not room.f_flag & os.ST_NOEXEC:
            return folder
        seen.append(f"{folder} has {free_mib} MiB" + (" and is mounted noexec" if room.f_flag & os.ST_NOEXEC else ""))
    raise GuestFailed(
        f"too little space for the guest's memory of {memory_mib} MiB: {', '.join(seen) or 'no temporary folder'}\n"
        "  what to do: make room, set TMPDIR to a folder with room, or give it less with MNMPLS_MEMORY_MIB"
    )


def command(cage: Cage, machine: Machine, memory_mib: int) -> Sequence[str]:
    """The whole chain that starts the machine in the cage."""
    script = SCRIPT.format(
        prepare=OWN_MEMORY if cage.private else SHARED_FOLDER, remove=":" if cage.private else REMOVE
    )
    size_mib = memory_mib + memory_mib // 2 + 64  # UML's file is larger than the memory it gives (its own image)
    unshare = ["unshare", *cage.options, "--fork", "--kill-child=KILL", "--"] if cage.options else []
    start = ["env", "-i", *(f"{key}={value}" for key, value in machine.env.items()), *machine.argv]
    shell = ["sh", "-c", script, "sh", cage.scratch, str(size_mib)]
    return ["setpriv", "--pdeathsig", "KILL", "--", *unshare, *shell, *start]
