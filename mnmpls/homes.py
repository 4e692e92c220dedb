"""The private folders of a node's daemons, and what these may write to.

Each node with daemons has a mount namespace of its own in which /etc/frr, /etc/swanctl, /run/frr and /var/log/frr
are tmpfs: FRR and strongSwan find their files and sockets at their usual places, and nobody else's. The namespace is
held by a descriptor, so that it ends with the lab. A daemon itself sees all other folders read-only: whatever a
configuration makes it write (a log file, a dump) stays in the lab, and goes with it.
"""

from __future__ import annotations

import os
import pwd
import resource
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from .asking import CHARON, RUN
from .daemons import INTEGRATED, Service, strongswan_conf
from .processes import MEMORY, Folders, Processes, forbid_writing, mount_again, mount_memory, unshare_mounts

ETC, LOGS, SWANCTL = "/etc/frr", "/var/log/frr", "/etc/swanctl"
STRONGSWAN = "strongswan.conf"
"""In /etc; what is there in a node is in SWANCTL as well."""
CREDENTIALS = (
    "x509", "x509ca", "x509aa", "x509ac", "x509crl", "x509ocsp", "pubkey", "private", "rsa", "ecdsa", "bliss", "pkcs8",
    "pkcs12",
)  # fmt: skip
"""Folders that swanctl(8) looks into, and complains without."""
_URGENT_NICE = -15
_SCRATCH = ("/tmp", "/var/tmp")  # FRR leaves a folder in the latter for each daemon that is killed (lib/zlog.c)


class Home:
    """The folders of one node, by descriptors: private ones, or those of this process's own root."""

    def __init__(self, processes: Processes, netns: int, private: bool = True) -> None:
        """Raises OSError."""
        self._private = private
        if not private:
            _usual_folders()
            self._open("/proc/self", "")
            return
        with processes.spawn(["cat"], netns, preexec_fn=_own_folders, stdin=subprocess.PIPE) as maker:
            self._open(f"/proc/{maker.pid}", f"/proc/{maker.pid}/root")

    def _open(self, process: str, root: str) -> None:
        self.mounts = os.open(f"{process}/ns/mnt", os.O_RDONLY)
        self.etc, self.run = (os.open(root + folder, os.O_RDONLY) for folder in (ETC, RUN))
        self.swanctl = os.open(root + SWANCTL, os.O_RDONLY)

    def close(self) -> None:
        for fd in (self.mounts, self.etc, self.run, self.swanctl):
            os.close(fd)

    def path(self, kind: str) -> str:
        """Of ``mounts`` or ``run``, for other processes."""
        return f"/proc/{os.getpid()}/fd/{getattr(self, kind)}"

    @property
    def folders(self) -> Folders:
        """For other processes."""
        return Folders(self.path("mounts"), self.path("run"))

    def furnish(self, service: Service, confidential: str) -> None:
        """Its files; ``confidential`` is charon's that nobody else may read."""
        if service.name != CHARON:
            self.write(service.file_name, service.config)
            return
        self.write(STRONGSWAN if self._private else f"../{STRONGSWAN}", strongswan_conf(), self.swanctl)
        self.write(service.file_name, service.config, self.swanctl, 0o600)
        self.write("secrets.conf", confidential, self.swanctl, 0o600)

    def write(self, name: str, text: str, folder: int = -1, mode: int = 0o644) -> None:
        """In ``etc``, or in another of the folders."""
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode, dir_fd=self.etc if folder < 0 else folder)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)

    def log(self, name: str) -> int:
        """A descriptor to append to it."""
        return os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644, dir_fd=self.run)


def _usual_folders() -> None:
    """All of them, and nothing in the way: frr's package brings a file of its own, and leaves /run/frr to the boot
    (tmpfiles.d), which a container has not. Files that somebody has bound there are left alone."""
    frr = [user for user in pwd.getpwall() if user.pw_name == "frr"]
    for folder in (ETC, RUN, LOGS, SWANCTL):
        if folder in (ETC, SWANCTL) and _has_mounts(folder):
            _put_memory(folder, frr)
        if not os.path.isdir(folder):
            os.makedirs(folder)
            if frr and folder != SWANCTL:
                os.chown(folder, frr[0].pw_uid, frr[0].pw_gid)
    with suppress(OSError):  # where it is, no daemon reads another one (lib/vty.c, vty_read_config)
        os.unlink(f"{ETC}/{INTEGRATED}")


def _has_mounts(folder: str) -> bool:
    """At it or in it, but those of this program."""
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
        mounts = [(each[0], each[1]) for each in map(str.split, file)]
    is_there = any(where == folder or where.startswith(f"{folder}/") for _, where in mounts)
    return is_there and (MEMORY, folder) not in mounts


def _put_memory(folder: str, frr: Sequence[pwd.struct_passwd]) -> None:
    """``frr`` is the user, whom nodes without FRR's daemons do not need."""
    owner = f",uid={frr[0].pw_uid},gid={frr[0].pw_gid}" if frr and folder != SWANCTL else ""
    mount_memory(folder, f"mode=755{owner}")
    for name in CREDENTIALS if folder == SWANCTL else ():
        os.mkdir(f"{folder}/{name}", 0o700)


def _own_folders() -> None:
    frr = [user for user in pwd.getpwall() if user.pw_name == "frr"]
    for folder in (ETC, RUN, LOGS, SWANCTL):
        os.makedirs(folder, exist_ok=True)  # /run/frr is there after a boot, by frr's tmpfiles.d
        _put_memory(folder, frr)
    own, usual = f"{SWANCTL}/{STRONGSWAN}", f"/etc/{STRONGSWAN}"
    os.close(os.open(own, os.O_WRONLY | os.O_CREAT, 0o644))
    if os.path.exists(usual):
        mount_again(own, usual)


def confine() -> None:
    """For a daemon's forked child in its node's mount namespace: from here on it writes to the node's folders, to
    scratch of its own, and nowhere else; to /proc as far as it may. Relative names are of log files."""
    unshare_mounts()
    for folder in _SCRATCH:
        mount_memory(folder, "mode=1777")
    for folder in (ETC, RUN, LOGS):
        mount_again(folder, folder)  # where they are not private they are no mounts yet
    forbid_writing(("/proc", ETC, RUN, LOGS, *_SCRATCH))
    os.chdir(LOGS)


def confine_urgent() -> None:
    """The same for a daemon that has to be heard in time, however busy the machine is."""
    with suppress(OSError):  # which a container may forbid
        os.setpriority(os.PRIO_PROCESS, 0, _URGENT_NICE)
    confine()


def confine_reader() -> None:
    """The same for who hands out a configuration: it is no daemon, and starts no program, whatever it reads
    (vtysh has commands that do: a process without rights that may have no others cannot fork, setrlimit(2))."""
    confine()
    user = pwd.getpwnam("frr")
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
