"""A lab's nodes shown to ip(8): names in /run/netns that lead to descriptors of the lab's holder.

ip-netns(8) keeps a namespace alive by a bind mount there; a mount would outlive a killed holder, and the namespace
with it. A symbolic link to /proc/PID/fd/N serves `ip netns exec` and `ip -n` as well and holds nothing. A child
process takes the links away when the holder ends, and the holder starts another if that child is killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import LabError, Problem
from ..kernel import Namespace
from ..processes import await_readable

FOLDER = Path("/run/netns")


class Published:
    """The names ``LAB-NODE`` of one lab, as long as this process lives or until ``close``."""

    def __init__(self, lab: str, namespaces: Mapping[str, Namespace]) -> None:
        """Raises LabError for a name that is there already."""
        self.lab = lab
        self.links: dict[Path, str] = {}
        self.cleaner = 0
        self.show(namespaces)

    def show(self, namespaces: Mapping[str, Namespace]) -> None:
        """Exactly these nodes from now on."""
        wanted = {FOLDER / f"{self.lab}-{node}": f"/proc/{os.getpid()}/fd/{n.fd}" for node, n in namespaces.items()}
        busy = [path for path in wanted if path not in self.links and os.path.lexists(path)]
        if busy:
            text = f"--netns: {busy[0]} is there already; take that away, or give the lab another name with --name"
            raise LabError([Problem("name", text)])
        self._clean_up()
        FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.links = wanted
        self._watch()  # before the first link, so that none is ever without its cleaner
        for path, target in wanted.items():
            path.symlink_to(target)

    def keep(self) -> None:
        """Start another cleaner if the one there was has been killed."""
        if self.cleaner and os.waitpid(self.cleaner, os.WNOHANG)[0]:
            self._watch()

    def close(self) -> None:
        self._clean_up()
        self.links = {}

    def _watch(self) -> None:
        holder = os.pidfd_open(os.getpid())
        self.cleaner = os.fork()
        if self.cleaner == 0:
            try:
                for fd in _descriptors() - {holder}:
                    os.close(fd)  # namespaces above all: this process must not keep them alive
                await_readable(holder)
                _remove(self.links)
            finally:
                os._exit(0)
        os.close(holder)

    def _clean_up(self) -> None:
        if self.cleaner:
            os.kill(self.cleaner, signal.SIGKILL)
            os.waitpid(self.cleaner, 0)
            self.cleaner = 0
        _remove(self.links)


def _remove(links: Mapping[Path, str]) -> None:
    """Those that are still ours: somebody may have put something else there."""
    for path, target in links.items():
        with suppress(OSError):
            if os.readlink(path) == target:
                path.unlink()


def _descriptors() -> set[int]:
    """Open ones of this process, without those that the listing itself needs."""
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}
