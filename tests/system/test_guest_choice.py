"""Which guest is taken, what happens when it does not come up, and who may have one, from where."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.watching import busy

pytestmark = pytest.mark.system

PROJECT = Path(__file__).resolve().parents[2]
RUN = (sys.executable, "-m", "mnmpls", "guest", "run")
ASK = ("--", "sh", "-c", 'echo "$MNMPLS_GUEST"; exit 5')
LAB = ("/usr/bin/mn", "--custom", "topos/l3vpn.py", "--test", "prove")
LIMIT_S = 240
ORDINARY = 12345
"""A user id that this machine has not given to anybody."""

SMALL_UML = """#!/bin/sh
shift
exec /usr/bin/linux.uml mem=12M "$@"
"""
"""Debian's kernel, but with so little memory that it ends while it boots."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that anybody may write, with a blank in its name."""
    with tempfile.TemporaryDirectory(prefix="guest test-") as path:
        os.chmod(path, 0o777)
        yield Path(path)


@pytest.fixture
def broken_uml(folder: Path) -> dict[str, str]:
    """An environment in which UML is found and starts, but does not come up."""
    (folder / "linux.uml").write_text(SMALL_UML)
    (folder / "linux.uml").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def run(*argv: str, env: dict[str, str], user: int | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1", "MNMPLS_KERNEL": "auto", **env}
    groups: list[int] | None = None if user is None else []
    return subprocess.run(argv, cwd=PROJECT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=LIMIT_S, check=False, user=user, group=user, extra_groups=groups)


def test_the_next_guest_is_taken_when_one_does_not_come_up(broken_uml: dict[str, str]) -> None:
    """Where the choice is ours, QEMU follows a UML that ended while it booted, and the cause is told."""
    done = run(*RUN, *ASK, env=broken_uml)
    assert (done.returncode, done.stdout) == (5, "qemu\n"), done.stderr
    assert "UML guest: the guest kernel ended unexpectedly" in done.stderr
    assert "the guest has too little memory" in done.stderr
    assert "mnmpls: trying QEMU" in done.stderr


@pytest.mark.parametrize("asked", ["option", "variable"])
def test_a_guest_that_was_asked_for_is_the_only_one(broken_uml: dict[str, str], asked: str) -> None:
    """--kernel uml and MNMPLS_KERNEL=uml mean UML: when it does not come up, that is the answer."""
    option, variable = (("--kernel", "uml"), "auto") if asked == "option" else ((), "uml")
    done = run(*RUN, *option, *ASK, env={**broken_uml, "MNMPLS_KERNEL": variable})
    assert (done.returncode, done.stdout) == (125, "")
    assert "UML guest: the guest kernel ended unexpectedly" in done.stderr
    assert "trying" not in done.stderr


def test_qemu_that_was_asked_for_is_the_only_one() -> None:
    """The same for QEMU, here with too little memory for its kernel."""
    done = run(*RUN, "--kernel", "qemu", *ASK, env={"MNMPLS_MEMORY_MIB": "32"})
    assert (done.returncode, done.stdout) == (125, "")
    assert "QEMU guest: the guest kernel" in done.stderr
    assert "trying" not in done.stderr


def test_a_lab_that_asks_for_a_guest_gets_no_other(broken_uml: dict[str, str]) -> None:
    """MNMPLS_KERNEL=uml at a lab, too, is no wish but an order."""
    done = run(*LAB, env={**broken_uml, "MNMPLS_KERNEL": "uml"})
    assert done.returncode == 125
    assert "trying" not in done.stderr


def test_the_lab_is_proven_in_qemu() -> None:
    """Debian's own kernel forwards the L3VPN lab as UML's does: reachability, isolation, labels on the wire."""
    done = run(*LAB, env={"MNMPLS_KERNEL": "qemu"})
    assert done.returncode == 0, done.stderr
    assert "QEMU" in done.stderr
    assert "Proven: " in done.stderr


def test_an_ordinary_user_has_the_lab(folder: Path) -> None:
    """Without sudo and without any rights, the same command proves the same lab in a guest."""
    done = run(*LAB, user=ORDINARY, env={"HOME": str(folder)})
    assert done.returncode == 0, done.stderr
    assert "Proven: " in done.stderr
    assert "UML" in done.stderr


@pytest.mark.parametrize("kernel", ["uml", "qemu"])
def test_a_project_in_a_folder_with_blanks(folder: Path, kernel: str) -> None:
    """The project, and the current folder, may have names with blanks, colons and commas."""
    project = folder / "my own: labs, all"
    project.mkdir()
    shutil.copytree(PROJECT / "mnmpls", project / "mnmpls", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([*RUN, "--kernel", kernel, "--", "sh", "-c", 'pwd; echo "$MNMPLS_GUEST" >"it is"'],
                          cwd=project, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout) == (0, f"{project}\n"), done.stderr
    assert (project / "it is").read_text() == f"{kernel}\n"


def test_guest_shell(folder: Path) -> None:
    """The user's shell on the user's terminal: prompt, size, Ctrl-C, Ctrl-D, and its status."""
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "SHELL": "/bin/sh", "PS1": "in guest> "}
    child = pexpect.spawn(sys.executable, ["-m", "mnmpls", "guest", "shell", "--kernel", "uml"], cwd=str(folder),
                          env=env, encoding="utf-8", timeout=LIMIT_S, dimensions=(33, 101))
    child.expect_exact("in guest> ")
    child.sendline("stty size; ip link add v type vrf table 10 && echo made")
    child.expect_exact("33 101\r\nmade\r\n")
    busy(child)
    child.sendintr()
    child.expect_exact("in guest> ")
    child.sendline("(exit 6)")
    child.expect_exact("in guest> ")
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 6
