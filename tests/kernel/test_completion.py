"""Completion in a real bash, of a lab that runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from mnmpls import run
from mnmpls.cli.completion import SHELLS, candidates
from mnmpls.model import Lab, Link, Node, Port, Vrf

pytestmark = pytest.mark.kernel

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """The name of a lab that runs; another with a name of its own runs beside it."""
    nodes = (Node("left", "host"), Node("right", "host"), Node("lan.1", "bridge"))
    links = (Link(Port("left"), Port("lan.1", addresses=())), Link(Port("right"), Port("lan.1", addresses=())))
    edge = Node("left", "pe", vrfs=(Vrf("red"), Vrf("blue")))
    with run(Lab("Lonely", nodes, links)), run(Lab("other", (edge, *nodes[1:]), links)):
        yield "Lonely"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("exec L", ["Lonely"]),
        ("check ", ["Lonely", "other"]),
        ("exec Lonely ", ["lan.1", "left", "right"]),
        ("trace Lonely left r", ["right"]),
        ("exec --timeout 5 Lonely l", ["lan.1", "left"]),
        ("exec nosuch ", []),
        ("exec Lonely left -- l", []),
        ("exec other left --vrf ", ["blue", "red"]),
        ("exec other --vrf ", []),
        ("up L", []),
        ("down Lonely o", ["other"]),
        ("trace Lonely left right ", []),
        ("che", ["check"]),
        ("guest run --kernel = um", ["uml"]),
        ("guest s", ["shell"]),
        ("check --j", ["--json", "--junit"]),
        ("nosuch ", []),
    ],
)
def test_what_can_follow(lab: str, typed: str, found: list[str]) -> None:
    """Verbs, options and their values come from the grammar, labs and nodes from those that run."""
    assert any(candidates(typed.split(" ")) == found for _ in range(20))  # a busy machine's labs may be too late


@pytest.fixture
def bash(lab: str, tmp_path: Path) -> Iterator[pexpect.spawn[str]]:
    """A bash that completes, with this mnmpls on its path and one file in its folder."""
    command = tmp_path / "bin" / "mnmpls"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m mnmpls "$@"\n')
    command.chmod(0o755)
    (tmp_path / "Local.yml").touch()
    env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "ready> "}
    plain = ["--norc", "--noprofile", "-i"]
    shell = pexpect.spawn("bash", plain, cwd=str(tmp_path), env=env, encoding="utf-8", timeout=120)
    shell.expect("ready> ")
    shell.sendline('eval "$(mnmpls completion bash)"')
    shell.expect("\nready> ")
    yield shell
    shell.close(force=True)


def test_tab_in_bash(bash: pexpect.spawn[str]) -> None:
    """Tab completes the lab, then its node; and a file where a file belongs."""
    for typed, line in (("mnmpls exec L", "mnmpls exec Lonely "), ("ri", "right "), ("\x15mnmpls up L", "Local.yml")):
        bash.send(typed)
        assert any(bash.send("\t") and not bash.expect_exact([line, pexpect.TIMEOUT], 10) for _ in range(12)), line


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_says_how(shell: str) -> None:
    """The first line of what is to be evaluated tells where to put it."""
    assert SHELLS[shell].splitlines()[0].startswith("# ")
    assert f"mnmpls completion {shell}" in SHELLS[shell].splitlines()[0]
