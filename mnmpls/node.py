"""One node of a running lab: commands in it. Light, for those who want nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import LabError, Problem
from .kernel import Namespace
from .processes import Folders, Processes
from .vrf import in_vrf, mute


class NoSuchNode(LabError):
    """A name that no node of the lab has."""

    def __init__(self, text: str) -> None:
        super().__init__([Problem("", text)])


class RunningNode:
    """One node of a running lab."""

    def __init__(
        self, name: str, namespace: Namespace, processes: Processes, folders: Mapping[str, Folders]
    ) -> None:
        """``folders`` of the nodes that have daemons may change while the node lives."""
        self.name, self.namespace, self._processes, self._folders = name, namespace, processes, folders

    @property
    def folders(self) -> Folders | None:
        """Where its daemons have their files; None for a node without any."""
        return self._folders.get(self.name)

    def popen(self, argv: Sequence[str], *, vrf: str = "", **how: Any) -> subprocess.Popen[Any]:
        """Start ``argv`` in the node, its IP sockets in ``vrf`` if one is given; ``how`` is subprocess.Popen's. It ends
        with the lab. Raises LabError for an unknown VRF, OSError as Popen; in a VRF, a program that is not there ends
        with status 127 instead, and one that cannot be run with 126."""
        words = in_vrf(self.name, self.namespace, vrf, argv) if vrf else list(argv)
        mounts = self.folders.mounts if self.folders else ""
        return self._processes.spawn(words, self.namespace.fd, mounts, **how)

    def mute(self, vrf: str) -> str:
        """Why nobody answers what is sent from ``vrf``; empty where that is not so."""
        return mute(self.name, self.namespace, vrf)

    def run(
        self, argv: Sequence[str], *, vrf: str = "", timeout_s: float | None = None, check: bool = False, **how: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` as ``popen`` to its end; its output as text. Raises subprocess.TimeoutExpired when it takes
        longer than ``timeout_s`` (it is killed then) and, with ``check``, CalledProcessError for a status but 0."""
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True, **how}
        with self.popen(argv, vrf=vrf, **how) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except BaseException:
                process.kill()
                raise
        done = subprocess.CompletedProcess(list(argv), process.returncode, out, err)
        if check:
            done.check_returncode()
        return done
