"""Nodes that bring their own kernels, in namespaces of this machine's, beside nodes that need none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Iterator

import pytest

from mnmpls.containers import ports
from mnmpls.export.containerlab import containerlab, planned
from mnmpls.guests import choose
from mnmpls.kernel import Namespace, wire
from mnmpls.model import Port
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
    again after a link was made anew. A port that is shut at one end has no carrier at the other, whichever of the two
    has a kernel of its own."""
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
        access = lab.links[1]
        assert (core.a.node, access.a.node, access.b.node) == ("pe1", "c1", "pe1")

        def ip_link(port: Port, *words: str) -> str:
            look = run if port.node == "c1" else visit
            return look(processes, made[port.node], "ip", "link", *words)

        def await_shown(port: Port, state: str) -> None:
            until(lambda: state in ip_link(port, "show", port.name))

        # The host's own last: with it goes its way to others, as everywhere.
        for mine, theirs in ((core.a, core.b), (access.b, access.a), (access.a, access.b)):
            ip_link(mine, "set", mine.name, "down")
            await_shown(theirs, "NO-CARRIER")
            ip_link(mine, "set", mine.name, "up")
            await_shown(theirs, "state UP")
            if mine.node == "pe1":
                until(lambda: REACHED in run(processes, made["c1"], *PING))


class _Coming(Namespace):
    """A link comes right after somebody has asked what there is."""

    def indexes(self, up: bool = False) -> dict[str, int]:
        found = super().indexes(up)
        if not up and "eth1" not in found:
            wire(self, "eth1", self, "other")
            self.set_up("eth1", True)
        return found


class _Told(ports._Line):
    """What the guest would be told, for which none is started."""

    def __init__(self) -> None:
        self.all: list[tuple[str, list[str]]] = []

    def tell(self, what: str, of: Collection[str]) -> None:
        self.all += [(what, [*of])] if of else []


def test_link_that_comes_while_ports_are_looked_at() -> None:
    """It is opened in the guest with the next look, which its event asks for."""
    namespace, told = _Coming.create(), _Told()
    pair = ports._Pair(namespace, ["eth1"], told, print)
    pair._take_over()
    assert pair._events.wait(0)
    pair._take_over()
    assert told.all[0] == ("open", ["eth1"])
    pair._events.close()
    namespace.close()


_TAKEN_AWAY = """
import os, subprocess
from mnmpls.containers import node
from mnmpls.plan import complete
from mnmpls.sources import from_data

PORT = "ip link add a-b-eth type veth peer other"
apply, times = node.apply, []

def apply_later(*words):
    times.append(1)
    if len(times) > 1:
        return apply(*words)
    subprocess.run("ip link delete a-b-eth".split(), check=True)
    try:
        return apply(*words)
    finally:
        subprocess.run(PORT.split(), check=True)

def say(text):
    print(text, flush=True)
    if text.startswith("ready"):
        os._exit(0)

subprocess.run(PORT.split(), check=True)
node.apply = apply_later
lab = complete(from_data({"name": "x", "nodes": {"a": "host", "b": "host"}, "links": [["a", "b"]]}))
node.Keeper(lab, "a", say, "/run/ready").keep()
"""


def test_link_that_goes_while_its_node_is_set_up() -> None:
    """The node waits for it once more, and is ready when it is there again: it is not one that cannot be set up."""
    words = ["unshare", "--net", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$0" -c "$1"']
    words += [sys.executable, _TAKEN_AWAY]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0 and "ready: " in done.stdout, done
