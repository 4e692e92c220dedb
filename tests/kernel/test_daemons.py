"""Labs with real routing daemons: they come up by themselves, carry packets with their own labels, are watched, and
are gone with the lab."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mininet.log import setLogLevel

from mnmpls.checks.reach import probe
from mnmpls.mn.net import Mininet
from mnmpls.mn.topo import LabTopo
from mnmpls.netns import RunningLab
from mnmpls.node import RunningNode
from mnmpls.sources import from_data, load
from tests.kernel.running import not_taken, settled, traced
from tests.unit.test_daemons import TOPOS, dual_stack
from tests.watching import read

pytestmark = pytest.mark.kernel

FILE = TOPOS / "ldp_l3vpn.yml"
LIMIT_S = 180
DAEMONS = frozenset(("zebra", "ospfd", "ospf6d", "ldpd", "bgpd"))


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    """topos/ldp_l3vpn.yml, converged."""
    with RunningLab(load(str(FILE))) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


@pytest.fixture(scope="module")
def dual() -> Iterator[RunningLab]:
    """Two PEs with both IP versions, converged."""
    with RunningLab(dual_stack()) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def text(node: RunningNode, *words: str) -> str:
    return node.run(words, check=True).stdout


def soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def daemons_alive() -> set[int]:
    """Of the whole machine: a guest has no others."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # it has ended meanwhile
            if path.read_text().strip() in DAEMONS:
                found.add(int(path.parent.name))
    return found


def one_pid(lab: RunningLab, node: str, daemon: str) -> int:
    """As this process sees it: the daemon's own file has the number that it has in the lab's PID namespace."""
    folders = lab[node].folders
    assert folders
    inside = Path(folders.run, f"{daemon}.pid").read_text().strip()
    found = [
        pid
        for pid in daemons_alive()
        for line in read(pid, "status").splitlines()
        if line.startswith("NSpid:") and line.split()[-1] == inside
    ]
    assert len(found) == 1
    return found[0]


def test_all_is_as_intended(lab: RunningLab) -> None:
    """Daemons, sessions, reachability, isolation, drift and MTU: everything that check looks at, and no route of
    theirs is drift."""
    report = settled(lab)
    assert report.ok, report.text()
    kinds = {"daemon", "session", "label", "route", "drift", "trace", "mtu", "reach"}
    assert {one.kind for one in report.findings} == kinds


def test_labels_on_the_wire(lab: RunningLab) -> None:
    """On the wire to P two labels, LDP's over BGP's; P takes LDP's off, and BGP's leads into the VRF."""
    planned = [
        ("rh1", "forward", 0), ("red1", "forward", 0), ("pe1", "push", 2), ("p", "pop", 1), ("pe2", "pop", 0),
        ("red2", "forward", 0), ("rh2", "deliver", 0),
    ]  # fmt: skip

    def is_planned() -> bool:
        way = traced(lab, "rh1", "rh2").request
        seen = [(hop.node, hop.operation, len(hop.labels_out)) for hop in way]
        return seen == planned and way[4].vrf == "red"

    assert soon(is_planned)


def test_customers_routes_only(lab: RunningLab) -> None:
    """BGP carries what each VRF has at its ports and behind its CEs: not the route that refuses all else."""
    wanted = {"10.1.0.0/24", "10.2.0.0/24", "172.16.0.0/31", "172.16.0.2/31"}

    def told() -> set[str]:
        return set(json.loads(text(lab["pe1"], "vtysh", "-c", "show bgp vrf red ipv4 unicast json"))["routes"])

    assert soon(lambda: told() == wanted), told()


def test_daemons_took_every_line(lab: RunningLab) -> None:
    """The configuration read back from each daemon holds every line of its file."""
    assert not_taken(lab) == set()


def test_files_of_its_own(lab: RunningLab) -> None:
    """Each node sees its own configuration and sockets where FRR looks for them; a node without daemons sees the
    machine's."""
    assert text(lab["pe1"], "cat", "/etc/frr/zebra.conf").splitlines()[0] == "hostname pe1"
    assert text(lab["pe2"], "cat", "/etc/frr/zebra.conf").splitlines()[0] == "hostname pe2"
    assert "zserv.api" in text(lab["p"], "ls", "/run/frr")
    assert not os.path.exists("/run/frr/zserv.api")
    assert lab["rh1"].folders is None


def test_zebra_dies(lab: RunningLab) -> None:
    """What zebra had of the others is lost with it, so that all of the node's daemons start anew, and the lab works."""
    said: list[str] = []
    lab.services.report = said.append
    before = {daemon: one_pid(lab, "pe1", daemon) for daemon in ("zebra", "ospfd", "bgpd")}
    os.kill(before["zebra"], signal.SIGKILL)
    assert soon(lambda: bool(said))
    assert said[0].startswith("pe1: zebra died (signal 9), started once more; its last lines:\n")
    assert lab.await_reach(LIMIT_S) == ""
    assert all(one_pid(lab, "pe1", daemon) != pid for daemon, pid in before.items())
    report = settled(lab)
    assert report.ok, report.text()


def test_zebra_that_cannot_come_back(lab: RunningLab) -> None:
    """The others of its node, ended with it, stay down as well until they are asked for; the lab is watched on."""
    said: list[str] = []
    lab.services.report = said.append
    folders, zebra = lab["p"].folders, one_pid(lab, "p", "zebra")
    assert folders
    taken = Path(folders.run, "zebra.pid")
    taken.unlink()
    taken.mkdir()  # it does not start where it cannot write its number
    os.kill(zebra, signal.SIGKILL)
    assert soon(lambda: len(said) == 2), said
    assert "started once more" in said[0] and "zebra did not start" in said[0] and "it stays down" in said[1]
    taken.rmdir()
    lab.start("p")
    assert lab.await_reach(LIMIT_S) == ""
    os.kill(one_pid(lab, "p", "ospfd"), signal.SIGKILL)
    assert soon(lambda: len(said) == 3), said
    assert "p: ospfd died (signal 9), started once more" in said[2]
    assert lab.await_reach(LIMIT_S) == ""


def test_daemon_that_dies(lab: RunningLab) -> None:
    """It is started once more and the lab works again, which check notes; a second time it stays down, and check names
    the daemon and the sessions that went with it."""
    said: list[str] = []
    lab.services.report = said.append
    first = one_pid(lab, "pe2", "bgpd")
    os.kill(first, signal.SIGKILL)
    assert soon(lambda: bool(said))
    assert said[0].startswith("pe2: bgpd died (signal 9), started once more; its last lines:\n")
    assert lab.await_reach(LIMIT_S) == ""
    report = settled(lab)
    assert report.ok, report.text()
    assert any(note.endswith(" pe2: bgpd died (signal 9), started once more") for note in report.notes)
    second = one_pid(lab, "pe2", "bgpd")
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert soon(lambda: len(said) == 2)
    assert "it stays down" in said[1]
    wrong = {one.subject for one in lab.check().findings if not one.ok and one.kind in ("daemon", "session")}
    assert {"pe2 bgpd", "pe2: BGP session with pe1"} <= wrong


def test_change_and_end() -> None:
    """A PE more gets its daemons, and the others learn of it; without the keys all daemons are gone and the planned
    routes there; at the end no daemon is left."""
    node = {"role": "pe", "vrfs": ["red"]}
    given = {
        "name": "grows", "igp": "ospf", "labels": "ldp", "vpn": "bgp",
        "nodes": {"pe1": node, "pe2": node, "h1": "host", "h2": "host"},
        "links": [["pe1", "pe2"], [{"pe1": {"vrf": "red"}}, "h1"], [{"pe2": {"vrf": "red"}}, "h2"]],
    }  # fmt: skip
    more = {**given, "nodes": {**given["nodes"], "pe3": node, "h3": "host"},  # type: ignore[dict-item]
            "links": [*given["links"], ["pe2", "pe3"], [{"pe3": {"vrf": "red"}}, "h3"]]}  # fmt: skip
    static = {key: value for key, value in given.items() if key not in ("igp", "labels", "vpn")}
    with RunningLab(from_data(given)) as running:
        before = daemons_alive()
        assert before and running.await_reach(LIMIT_S) == ""
        running.change(from_data(more))
        assert running.await_reach(LIMIT_S) == ""
        assert {one.answer for one in (each.expected for each in probe(running.lab, running.namespaces))} == {
            "h1", "h2", "h3",
        }  # fmt: skip
        running.change(from_data(static))
        assert not running.folders
        report = settled(running)
        assert report.ok, report.text()
    assert soon(lambda: not daemons_alive() - before)


def test_dual_stack(dual: RunningLab) -> None:
    """IPv6 VPNs over OSPFv3 and LDP for IPv6: both IP versions answer, with labels as the kernels say."""
    report = settled(dual)
    assert report.ok, report.text()
    assert {one.subject.count(":") > 0 for one in report.of("trace")} == {True, False}


def test_ospf6d_pauses_while_it_meets_a_neighbour(dual: RunningLab) -> None:
    """That of the two that answers the other's descriptions of its database, stopped between two of them on a slow link
    for longer than a second: had the second come twice by then, it would have stayed in ExChange for good."""
    for node, port in (("pe1", "pe1-pe2-eth"), ("pe2", "pe2-pe1-eth")):
        text(dual[node], "tc", "qdisc", "replace", "dev", port, "root", "netem", "delay", "300ms")

    def state() -> str:
        said = json.loads(text(dual["pe1"], "vtysh", "-d", "ospf6d", "-c", "show ipv6 ospf6 neighbor json"))
        return "".join(one["state"] for one in said["neighbors"])

    text(dual["pe2"], "ip", "link", "set", "pe2-pe1-eth", "down")
    assert soon(lambda: state() == "")
    text(dual["pe2"], "ip", "link", "set", "pe2-pe1-eth", "up")
    assert soon(lambda: state() in ("ExChange", "Full"))
    pid = one_pid(dual, "pe1", "ospf6d")
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(2)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert soon(lambda: state() == "Full")


def test_killed_holder_leaves_nothing(tmp_path: Path) -> None:
    """``mnmpls up`` with daemons, its holder killed: no daemon, no mount, no name is left; logs and vtysh worked."""
    before, mounts = daemons_alive(), Path("/proc/mounts").read_text()

    def mnmpls(*words: str) -> str:
        argv = [sys.executable, "-m", "mnmpls", *words]
        env = {**os.environ, "MNMPLS_KERNEL": "host"}
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout

    mnmpls("up", str(FILE), "--name", "killed", "--wait", "0")
    assert "bgpd 8" in mnmpls("logs", "killed", "pe1", "bgpd")
    assert "\nhostname pe1\n" in mnmpls("vtysh", "killed", "pe1", "-c", "show running-config")
    holder = next(one["pid"] for one in json.loads(mnmpls("list", "--json")) if one["name"] == "killed")
    assert daemons_alive() > before
    os.kill(holder, signal.SIGKILL)
    assert soon(lambda: daemons_alive() <= before)
    assert soon(lambda: Path("/proc/mounts").read_text() == mounts)
    assert "killed" not in mnmpls("list", "--json")


def test_mininet() -> None:
    """The same lab under Mininet: at its prompt it works, a node's shell has vtysh, stopping it ends the daemons."""
    setLogLevel("error")
    before = daemons_alive()
    net = Mininet(topo=LabTopo(str(FILE)))
    try:
        net.start()
        assert soon(lambda: net.pingAll() == 0)
        assert "red" in net["pe1"].cmd("vtysh -c 'show bgp vrfs'")
        up = re.compile(r"10\.255\.0\.1\s+OPERATIONAL")
        assert soon(lambda: bool(up.search(net["pe1"].cmd("vtysh -c 'show mpls ldp neighbor'"))))
    finally:
        net.stop()
    assert soon(lambda: daemons_alive() <= before)
