"""Nothing grows with the number of labs that a process has had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.cycles import RUNTIMES

pytestmark = pytest.mark.system

WARM, COUNTED = 20, 200
MORE_KIB = 1024


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_two_hundred_cycles_leave_nothing(runtime: str, tmp_path: Path) -> None:
    """Up, a ping, down, 200 times in one process: no more memory, descriptors, threads, processes, temporary files or
    namespaces than before."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.system.cycles", runtime, str(WARM), str(COUNTED)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path), "MNMPLS_KERNEL": "host"},
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    grown = after.pop("resident_kib") - before.pop("resident_kib")
    assert after == before
    assert after["left"] == []
    assert grown < MORE_KIB
