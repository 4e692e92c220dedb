"""Nodes that bring their own kernels, in namespaces of this machine's, beside nodes that need none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mnmpls.export.containerlab import containerlab, planned
from mnmpls.guests import choose
from mnmpls.processes import Processes
from mnmpls.sources import from_data
from tests.containing import Container, connect, containers
from tests.watching import until

pytestmark = pytest.mark.system
PING, REACHED = ("ping", "-c3", "-i0.2", "-W5", "10.2.0.2"), " 0% packet loss"
LAB = {
    "name": "own",
    "nodes": {"c1": "ce", "c2": "ce", **{pe: {"role": "pe", "vrfs": ["red"]} for pe in ("pe1", "pe2")}},
    "links": [["pe1", "pe2"], [{"c1": "10.1.0.2/24"}, {"pe1": {"vrf": "red", "ip": "10.1.0.1/24"}}],
              [{"c2": "10.2.0.2/24"}, {"pe2": {"vrf": "red", "ip": "10.2.0.1/24"}}]],
}  # fmt: skip


@pytest.fixture
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    found.end()


def run(processes: Processes, container: Container, *words: str) -> str:
    """As docker exec would: in the container's namespaces."""
    done = processes.spawn(
        [*words], container.namespace.fd, f"/proc/{container.process.pid}/ns/mnt", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said: str = done.communicate(timeout=180)[0]
    return said


def visit(processes: Processes, container: Container, *words: str) -> str:
    return run(processes, container, sys.executable, "-m", "mnmpls.containers.visit", *words)


def test_routers_bring_kernels_that_have_mpls(processes: Processes) -> None:
    """On a kernel without MPLS the PEs boot a guest each, say so in one line, and are ready with labels and VRFs in
    there; CEs stay as they are. They reach each other, labels are on the wire between the containers, and it works
    again after a link was made anew."""
    lab = planned(from_data(LAB))
    assert choose("auto", {"mpls"}).guests, "this kernel has MPLS: nothing is to be seen here"
    with containers(lab, processes, containerlab(lab)) as made:
        for link in lab.links:
            connect(made, link)
        for name, each in made.items():
            said = each.read_until("ready: ")
            assert ("runs on a kernel of its own" in said) == name.startswith("pe"), said
            assert each.is_ready()
        assert "red" in visit(processes, made["pe1"], "ip", "-br", "link", "show", "type", "vrf")
        watch = processes.spawn(
            ["tcpdump", "-ni", "eth1", "-c", "2", "mpls"], made["pe1"].namespace.fd, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert watch.stderr
        assert "listening" in watch.stderr.readline() + watch.stderr.readline()
        until(lambda: REACHED in run(processes, made["c1"], *PING))
        assert "MPLS (label " in watch.communicate(timeout=180)[0]
        core = lab.links[0]
        made["pe1"].namespace.delete_port(core.a.name)
        for name in ("pe1", "pe2"):
            made[name].read_until("waiting for ")
            assert not made[name].is_ready()
        connect(made, core)
        for name in ("pe1", "pe2"):
            made[name].read_until("ready, again")
        until(lambda: REACHED in run(processes, made["c1"], *PING))
