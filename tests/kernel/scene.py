"""A namespace with two wires, some of the records that others need, and the command line inside it."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass

from mnmpls.kernel import Namespace
from mnmpls.state import Address, Port, Record, Sysctl, VrfDevice

GROUND: frozenset[Record] = frozenset(
    {
        Port("lo", True, 65536),
        Port("left.1"),
        Port("spare"),
        Address("left.1", "10.0.0.1/24"),
        Address("left.1", "fd00::1/64"),
        VrfDevice("red", 1000),
        Sysctl("net.mpls.platform_labels", "5000"),
    }
)
"""What a scene is brought to before a test; ``left.1`` has a dot on purpose."""


@dataclass(frozen=True, slots=True)
class Scene:
    here: Namespace
    far: Namespace

    def by_hand(self, command: str) -> str:
        """Runs a command line of ours inside; gives what it printed."""
        with self.here.entered():
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def observe(self, *records: Record) -> frozenset[Record]:
        """All that is observed, with the sysctls among ``records``."""
        return self.here.observe([record.key for record in (*GROUND, *records) if isinstance(record, Sysctl)])
