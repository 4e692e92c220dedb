"""Debian's kernel in QEMU is a guest like the other: the machine's files, MPLS and VRFs, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 240
SCRIPT = """
set -e
uname -r
ip link add vrf-a type vrf table 10
ip link set vrf-a up
ip -br link show type vrf
sysctl -q -w net.mpls.platform_labels=1000
ip -f mpls route add 101 dev vrf-a
ip -f mpls route show
cat given; cat
echo written >result; echo gone >/etc/mnmpls-test-qemu
echo complaint >&2
exit 7
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qemu")
    (folder / "given").write_text("of the host\n")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path) -> subprocess.CompletedProcess[str]:
    """One boot for all tests here: without KVM it is slow."""
    return subprocess.run(
        [sys.executable, "-m", "mnmpls", "guest", "run", "--kernel", "qemu", "--", "sh", "-c", SCRIPT],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(PROJECT)}, input="of stdin\n", capture_output=True, text=True,
        timeout=LIMIT_S, check=False,
    )


def test_streams_and_status_are_the_commands_own(done: subprocess.CompletedProcess[str]) -> None:
    """Exit status, stdin, stdout and stderr pass through apart."""
    assert done.returncode == 7, done.stderr
    assert done.stdout.endswith("of the host\nof stdin\n")
    assert "complaint\n" in done.stderr and "complaint" not in done.stdout


def test_the_kernel_is_debians_with_vrf_and_mpls(done: subprocess.CompletedProcess[str]) -> None:
    """The guest runs a Debian kernel of its own, in which a VRF device and a label route can be made."""
    release, *lines = done.stdout.splitlines()
    assert release.endswith("-amd64") and release != os.uname().release, done.stderr
    assert lines[0].split()[0] == "vrf-a"
    assert "101 dev vrf-a" in lines[1]


def test_only_the_current_folder_is_written(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    """What is written in the current folder is on the host; everything else is lost, and named."""
    assert (folder / "result").read_text() == "written\n"
    assert not Path("/etc/mnmpls-test-qemu").exists()
    assert "/etc/mnmpls-test-qemu" in done.stderr


def test_no_process_is_left(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    """After the command no process that has the folder in its command line, as QEMU had, is there."""
    assert done.returncode == 7
    left = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:  # ended meanwhile
            continue
        left += [words] if b"fsdev" in words and bytes(folder) in words else []
    assert left == []
