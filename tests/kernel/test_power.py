"""Nodes turned off and on again, with daemons, under Mininet, and by the command."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mininet.log import setLogLevel

from mnmpls.mn.cli import CLI
from mnmpls.mn.net import Mininet
from mnmpls.mn.topo import LabTopo
from mnmpls.netns import RunningLab
from mnmpls.sources import from_data
from mnmpls.state import Address, LabelRoute, Port, Route
from tests.kernel.running import settled
from tests.unit.test_daemons import TOPOS

pytestmark = pytest.mark.kernel

LIMIT_S = 180
PE = {"role": "pe", "vrfs": ["red"]}
DATA = {
    "name": "pair", "igp": "ospf", "labels": "ldp", "vpn": "bgp",
    "nodes": {"pe1": PE, "pe2": PE, "h1": "host", "h2": {"role": "host", "exec": ["ip route add 10.99.0.0/16 dev lo"]}},
    "links": [["pe1", "pe2"], [{"pe1": {"vrf": "red"}}, "h1"], [{"pe2": {"vrf": "red"}}, "h2"]],
}  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    with RunningLab(from_data(DATA)) as running:
        running.run_lines()
        assert running.await_reach(LIMIT_S) == ""
        yield running


def soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def carriers(lab: RunningLab, node: str) -> dict[str, bool]:
    """By port."""
    said = json.loads(lab[node].run(["ip", "-j", "link"], check=True).stdout)
    return {one["ifname"]: "LOWER_UP" in one["flags"] for one in said}


@contextmanager
def descriptors_of_a_large_lab() -> Iterator[None]:
    """All that select(2) knows are taken."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    taken = [os.dup(2) for _ in range(1024)]
    yield
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_off_is_off(lab: RunningLab) -> None:
    """What runs in the node ends, its daemons too; its kernel holds no address, route, label or VRF any more; the
    neighbours' ports have no carrier. Turning it off again changes nothing; it stays off when the lab is applied."""
    with lab["pe2"].popen(["sleep", "1000"]) as inside, lab["pe1"].popen(["sleep", "1000"]) as beside:
        with descriptors_of_a_large_lab():
            lab.stop("pe2")
        assert inside.wait(LIMIT_S) == -signal.SIGKILL
        assert beside.poll() is None
        beside.kill()
    assert lab["pe2"].folders is None and lab["pe1"].folders
    lab.stop("pe2")
    lab.change(from_data(DATA))
    assert lab.off == {"pe2"} and lab["pe2"].folders is None
    namespace = lab["pe2"].namespace
    left = namespace.observe() | namespace.learned() | namespace.routes_by_hand()
    assert [one for one in left if isinstance(one, Address | Route | LabelRoute)] == []
    assert {one.up for one in left if isinstance(one, Port)} == {False}
    assert namespace.ports() == {"lo", "pe2-pe1-eth", "pe2-h2-eth"}
    assert not carriers(lab, "pe1")["pe1-pe2-eth"] and not carriers(lab, "h2")["h2-pe2-eth"]


def processes_in(lab: RunningLab, node: str, name: str) -> set[int]:
    """Those called ``name`` in a node."""
    inside, found = os.fstat(lab[node].namespace.fd).st_ino, set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if (path / "comm").read_text().strip() == name and (path / "ns/net").stat().st_ino == inside:
                found.add(int(path.name))
    return found


def test_a_daemon_dies_while_it_starts(lab: RunningLab) -> None:
    """It is started once more, as at any time: the node is on, and works."""
    said: list[str] = []
    lab.services.report = said.append
    lab.stop("pe2")

    def kill() -> None:
        assert soon(lambda: bool(processes_in(lab, "pe2", "ldpd")))
        os.kill(min(processes_in(lab, "pe2", "ldpd")), signal.SIGKILL)  # the parent of its two others

    with ThreadPoolExecutor() as beside:
        killed = beside.submit(kill)
        lab.start("pe2")
        killed.result()
    assert soon(lambda: bool(said))
    assert said[0].startswith("pe2: ldpd died (signal 9), started once more; "), said
    assert lab.await_reach(LIMIT_S) == ""


def test_check_tells(lab: RunningLab) -> None:
    """A node that is off is one finding, the first; its daemons, sessions and records are none."""
    lab.stop("pe2")
    report = lab.check()
    assert report.text().splitlines()[0] == "pe2: turned off (`mnmpls start` turns it on); expected: on"
    wrong = [one for one in report.findings if not one.ok and one.kind not in ("trace", "reach", "mtu")]
    assert [(one.kind, one.subject) for one in wrong] == [("node", "pe2")]
    assert {one.node for one in report.of("trace", ok=False)} == {"pe1"}


def test_on_again(lab: RunningLab) -> None:
    """All is back: records, daemons, sessions, what its ``exec`` lines did. Turning it on once more changes nothing."""
    for node in ("pe2", "h2"):
        lab.stop(node)
        lab.start(node)
        lab.start(node)
    assert lab.off == set()
    assert lab.await_reach(LIMIT_S) == ""
    report = settled(lab)
    assert report.ok, report.text()
    assert "10.99.0.0/16" in lab["h2"].run(["ip", "route"]).stdout


def test_start_renews_daemons(lab: RunningLab) -> None:
    """A daemon that stays down after its second death is started for a node that is on."""
    said: list[str] = []
    lab.services.report = said.append
    for deaths in (1, 2):
        assert soon(lambda: lab["pe1"].run(["sh", "-c", "kill -9 $(cat /run/frr/bgpd.pid)"]).returncode == 0)
        assert soon(lambda deaths=deaths: len(said) == deaths)  # type: ignore[misc]
    assert "it stays down" in said[1] and lab.check().of("daemon", ok=False)
    lab.start("pe1")
    assert lab.await_reach(LIMIT_S) == ""
    assert not lab.check().of("daemon", ok=False)


def test_what_is_awaited(lab: RunningLab) -> None:
    """At the time limit: each missing session with its nearest cause: a port that is down, a node that is off."""
    lab["pe1"].namespace.set_up("pe1-pe2-eth", False)
    assert soon(lambda: "pe1 (ldpd) has no LDP session with pe2: pe1: port pe1-pe2-eth is down" in lab.await_reach(0.1))
    lab.stop("pe2")
    assert "pe2 (ospfd) has no OSPF adjacency with pe1 on pe2-pe1-eth: no daemon runs at pe2" in lab.await_reach(0.1)
    told: list[str] = []
    lab.change(from_data(DATA))
    lab.start("pe2")
    assert lab.await_reach(LIMIT_S, told.append) == ""
    assert all(one.startswith("waiting for ") for one in told)


def test_what_the_tables_lack(lab: RunningLab) -> None:
    """All sessions are there, and a route is not: the node that has none, and what the packets come to there."""

    def bgp(words: str) -> None:
        lines = ("configure", "router bgp 65000 vrf red", "address-family ipv4 unicast", words)
        lab["pe1"].run(["vtysh", *(word for line in lines for word in ("-c", line))], check=True)

    told: list[str] = []
    bgp("no import vpn")
    assert soon(lambda: "waiting for FIB: pe1 (to " in "".join(told) or not lab.await_reach(0.5, told.append))
    why = "(at pe1: unreachable by route 0.0.0.0/0 in table 10)"
    assert soon(lambda: "h1 -> h2 (" in (said := lab.await_reach(1)) and why in said)
    bgp("import vpn")
    assert lab.await_reach(LIMIT_S) == ""


def test_mininet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At the prompt and by ``mnmpls stop``: no command runs in a node that is off, its shell is another one afterwards;
    ``list`` and ``check`` tell of it, a drill turns it off and on, and the net ends with it off."""
    setLogLevel("output")

    def typed(*lines: str) -> str:
        script = tmp_path / "script"
        script.write_text("".join(f"{line}\n" for line in lines))
        caplog.clear()
        with open(os.devnull) as nobody:
            CLI(net, stdin=nobody, script=str(script))
        return "".join(caplog.messages)

    def mnmpls(*words: str) -> str:
        argv = [sys.executable, "-m", "mnmpls", *words]
        done = subprocess.run(argv, env={**os.environ, "MNMPLS_KERNEL": "host"}, capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)  # fmt: skip
        return done.stdout + done.stderr

    net = Mininet(topo=LabTopo(str(TOPOS / "l3vpn.yml")))
    try:
        shell = net["p"].pid
        assert "stop NODE" in typed("stop") and "there is no node 'pp'" in typed("stop pp")
        typed("stop p")
        assert not os.path.exists(f"/proc/{shell}")
        assert "p is turned off: `start p` turns it on" in typed("p ip link")
        assert "p: turned off" in typed("check")
        assert json.loads(mnmpls("list", "--json"))[0]["off"] == ["p"]
        assert "is turned off: `mnmpls start l3vpn p` turns it on" in mnmpls("exec", "l3vpn", "p", "ls")
        assert "p: turned off" in mnmpls("drift", "l3vpn")
        assert mnmpls("start", "l3vpn", "p") == "l3vpn: p is on\n"
        assert "p-pe1-eth" in typed("p ip link")
        assert net.pingAll() == 0
        assert "\n1 event: all healed\n" in mnmpls("drill", "l3vpn", "--event", "node", "--node", "p", "--hold", "0.2")
        assert mnmpls("stop", "l3vpn", "pe1", "c1h1") == "l3vpn: pe1 is off\nl3vpn: c1h1 is off\n"
    finally:
        net.stop()
