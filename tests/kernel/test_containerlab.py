"""Labs that Containerlab itself deploys, where that program is: on a kernel with MPLS and VRFs."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import absent
from tests.boxes import BOXED, FIVE, ROOT, docker, good, inspected, mnmpls
from tests.unit.test_clab import PUT_IN, VARIABLES

pytestmark = BOXED

_PATIENCE_S = 240.0


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest) -> str:
    """Containerlab, with a docker daemon of the tests' own."""
    found = absent.program("containerlab")
    request.getfixturevalue("dockerd")
    return found


@pytest.fixture
def file(program: str, tmp_path: Path) -> Iterator[Path]:
    """The topology of a lab; nothing of that is left."""
    lab = tmp_path / "five.yml"
    lab.write_text(FIVE)
    good("export", "containerlab", lab, tmp_path / "five")
    topology = tmp_path / "five" / "five.clab.yml"
    yield topology
    subprocess.run([program, "destroy", "-t", topology, "--cleanup"], check=True, capture_output=True)


def ran(program: str, file: Path, verb: str, *words: str) -> str:
    """What a verb of Containerlab's has said."""
    done = subprocess.run([program, verb, "-t", str(file), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (verb, done.stdout, done.stderr)
    return done.stdout


def proven() -> None:
    """All nodes have set themselves up, and all reach whom they are to reach."""
    until = time.monotonic() + _PATIENCE_S
    while (drift := mnmpls("drift", "five")).returncode:
        assert time.monotonic() < until, drift.stdout + "".join(
            docker("logs", f"clab-five-{node}") for node in ("p", "pe1", "pe2", "c1", "c2")
        )
        time.sleep(0.5)
    assert "NOT" not in good("check", "five")


def pids() -> dict[str, int]:
    return {name: inspected(name)["State"]["Pid"] for name in docker("ps", "--format", "{{.Names}}").split()}


def left() -> list[str]:
    """What there is of labs."""
    names = [*docker("ps", "-aq").split(), *docker("network", "ls", "--format", "{{.Name}}").split()]
    names += os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    hosts = [line for line in Path("/etc/hosts").read_text().splitlines() if "five" in line]
    return sorted({*names, *hosts, *os.listdir("/etc/ssh/ssh_config.d")} - {"host", "none", "bridge"})


def test_life_of_a_lab(program: str, file: Path) -> None:
    """Deployed, it is proven by our verbs; nothing changes by a second deploy. A node that Containerlab restarts loses
    its addresses, one that docker restarts its links too: it sets itself up when they are back, whoever made them, and
    Containerlab goes on with those that `mnmpls start` made. Redeployed and reconfigured it is proven again, and
    destroyed nothing of it is left."""
    before = left()
    ran(program, file, "deploy")
    proven()
    told = json.loads(ran(program, file, "inspect", "-f", "json"))["five"]
    assert {(each["name"], each["state"]) for each in told} == {(name, "running") for name in pids()} and len(told) == 5
    command = ("--label", "clab-node-name=c1", "--cmd", "ping -c1 172.16.0.2", "-f", "json")
    assert json.loads(ran(program, file, "exec", *command))["clab-five-c1"][0]["return-code"] == 0
    first = pids()
    ran(program, file, "deploy")
    assert pids() == first
    ran(program, file, "restart", "-n", "p")
    assert pids()["clab-five-p"] != first["clab-five-p"]
    proven()
    docker("restart", "-t", "1", "clab-five-pe1")
    assert mnmpls("drift", "five").returncode == 1
    ran(program, file, "deploy")
    proven()
    docker("restart", "-t", "1", "clab-five-p")
    good("start", "five", "p")
    proven()
    ran(program, file, "deploy")
    proven()
    ran(program, file, "redeploy")
    proven()
    ran(program, file, "deploy", "--reconfigure")
    proven()
    ran(program, file, "destroy", "--cleanup")
    assert left() == before and os.listdir(file.parent) == [file.name]


def test_some_of_the_nodes(program: str, file: Path) -> None:
    """They are set up with the links that there are, and say which there are not; `mnmpls down` ends what Containerlab
    has made."""
    before = left()
    ran(program, file, "deploy", "--node-filter", "p,pe1")
    for node, said in (("p", "without eth2"), ("pe1", "without eth2")):
        until = time.monotonic() + _PATIENCE_S
        while "ready: " not in (logs := docker("logs", f"clab-five-{node}")):
            assert time.monotonic() < until, logs
            time.sleep(0.5)
        assert said in logs
    good("exec", "five", "p", "--", "ping", "-c1", "10.254.0.0")
    good("down", "five")
    assert left() == before


def test_all_that_is_exported_is_valid(program: str) -> None:
    """By Containerlab's own reader, which refuses what it does not know."""
    files = sorted((ROOT / "clab").glob("*/*.clab.yml"))
    done = {file.name: subprocess.run([program, "validate", "-t", file], check=False).returncode for file in files}
    assert done and not any(done.values()), done


def test_variables_are_put_in_the_same(program: str, tmp_path: Path) -> None:
    """What our reader makes of them (tests/unit/test_clab.py), Containerlab does."""
    file, rendered = tmp_path / "x.clab.yml", tmp_path / "rendered"
    head = "name: x\ntopology: {nodes: {n1: {kind: linux, image: none}}}\n"
    file.write_text(head + "".join(f"# {given}\n" for given, _ in PUT_IN))
    words = [program, "deploy", "--dry-run", "--export-rendered", str(rendered), "-t", str(file)]
    env = {key: value for key, value in os.environ.items() if key not in ("A", "B", "C")}
    subprocess.run(words, env={**env, **VARIABLES}, capture_output=True, check=False)
    assert rendered.read_text() == head + "".join(f"# {becomes}\n" for _, becomes in PUT_IN)
