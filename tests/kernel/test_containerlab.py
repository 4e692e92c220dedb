"""Labs that Containerlab itself deploys, where that program is: on a kernel with MPLS and VRFs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mnmpls.kernel import Namespace, wire
from tests import absent
from tests.boxes import BOXED, FIVE, ROOT, daemon, docker, good, inspected, make_image, mnmpls
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


TWO = """
name: two
nodes: {c1: ce, c2: ce, c3: ce, pe1: {role: pe, vrfs: [red]}, pe2: {role: pe, vrfs: [red]}}
links: [[pe1, pe2], [c1, {pe1: {vrf: red}}], [c2, {pe2: {vrf: red}}], [c3, {pe1: {vrf: red}}]]
"""


@contextmanager
def another_host() -> Iterator[Namespace]:
    """A network of its own at the other end of a wire."""
    with ExitStack() as stack:
        here = stack.enter_context(closing(Namespace.open("/proc/self/ns/net")))
        there = stack.enter_context(closing(Namespace.create()))
        wire(here, "under", there, "under")
        stack.callback(here.delete_port, "under")
        for space, address in ((here, "192.0.2.1/24"), (there, "192.0.2.2/24")):
            with space.entered():
                subprocess.run(["ip", "addr", "add", address, "dev", "under"], check=True)
            space.set_up("under", True)
        yield there


@contextmanager
def its_dockerd(there: Namespace) -> Iterator[None]:
    """A docker daemon of that network's, which DOCKER_HOST names meanwhile."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mnmpls-docker-")))
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        stack.callback(lambda: subprocess.run(["umount", "-l", folder], check=True))
        with there.entered():
            stack.enter_context(daemon(folder))
        make_image()
        yield


def whole(lab: str, verb: str = "check") -> str:
    """What a check says, once nothing is wrong."""
    until = time.monotonic() + _PATIENCE_S
    while (done := mnmpls(verb, lab)).returncode:
        assert time.monotonic() < until, done.stdout + done.stderr
        time.sleep(0.5)
    return done.stdout


def test_hosts_share_a_lab(program: str, tmp_path: Path) -> None:
    """Each deploys what was exported for it, and packets as large as a port says go with labels from one to the other.
    A check on each holds, with the other's nodes asked; verbs for these say where they are. What docker has restarted
    gets its way to the other host back by Containerlab."""
    (tmp_path / "two.yml").write_text(TWO)
    shares = "--host", "left,192.0.2.1,pe1,c1,c3", "--host", "right,192.0.2.2,pe2,c2"
    good("export", "containerlab", tmp_path / "two.yml", tmp_path, *shares)
    left, right = (tmp_path / name / "two.clab.yml" for name in ("left", "right"))
    pcap = tmp_path / "pcap"
    with another_host() as there:
        ran(program, left, "deploy")
        with its_dockerd(there):
            with there.entered():
                ran(program, right, "deploy")
            assert "c1, c3, pe1 run on other machines" in whole("two")
            good("exec", "two", "c2", "--", "ping", "-c3", "-W5", "-Mdo", "-s1414", "172.16.0.0")
            words = [sys.executable, "-m", "mnmpls", "capture", "two", "pe2", "eth1", "-c8", "-w", str(pcap)]
            with subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}) as capture:
                while capture.poll() is None:
                    good("exec", "two", "c2", "--", "ping", "-c3", "-W5", "-i0.2", "172.16.0.0")
            assert b"\x88\x47" in pcap.read_bytes()  # RFC 3032, 5
            with there.entered():
                good("down", "two")
        refused = mnmpls("exec", "two", "pe2", "--", "true")
        assert refused.returncode == 2 and "pe2 of lab 'two' runs on another machine: do this there" in refused.stderr
        assert mnmpls("check", "two").returncode == 1  # the others answer no more
        docker("restart", "-t", "1", "clab-two-pe1")
        assert "has no eth1 yet, to another machine" in mnmpls("start", "two", "pe1").stderr
        ran(program, left, "deploy")
        whole("two", "drift")
        good("start", "two", "pe1")
        good("down", "two")


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
