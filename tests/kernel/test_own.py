"""Nodes with configurations of the user's own: they run beside generated ones, and in nothing but the lab."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mnmpls.errors import CheckFailed
from mnmpls.netns import RunningLab
from mnmpls.sources import from_data, load
from tests.kernel.running import settled
from tests.kernel.test_daemons import LIMIT_S, one_pid, soon, text
from tests.unit.test_daemons import TOPOS

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def mixed() -> Iterator[RunningLab]:
    """topos/own.yml, converged."""
    with RunningLab(load(str(TOPOS / "own.yml"))) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def test_own_beside_generated(mixed: RunningLab) -> None:
    """A PE with a generated configuration, a P with a file per daemon, a PE with one for all and a CE with BIRD make
    one VPN: check finds each daemon, each line and each session that the generated node is to have."""
    report = settled(mixed)
    assert report.ok, report.text()
    assert {one.subject for one in report.of("config")} == {
        "p zebra.conf", "p ospfd.conf", "p ldpd.conf", "pe2 frr.conf", "ce bird.conf",
    }  # fmt: skip
    assert {one.subject.partition(":")[0] for one in report.of("session")} == {"pe1"}
    assert "BGP session with ce in red" in {one.subject.partition(": ")[2] for one in report.of("session")}
    assert soon(lambda: "proto bird" in text(mixed["ce"], "ip", "route"))
    assert {one.expected for one in report.of("reach")} == {"h1 was to answer", "h2 was to answer"}


def test_daemons_are_those_of_the_files(mixed: RunningLab) -> None:
    """A daemon runs for each file, for each part of an integrated one, and staticd for zebra's static routes; relative
    log files are in the node's own /var/log/frr."""
    kinds = {name: [one.name for one in mixed.services.of(name)] for name in ("p", "pe2", "h1")}
    assert kinds == {"p": ["zebra", "staticd", "ospfd", "ldpd"], "pe2": ["zebra", "ospfd", "ldpd", "bgpd"], "h1": []}
    assert "blackhole 203.0.113.0/24" in text(mixed["p"], "ip", "route")
    assert text(mixed["p"], "ls", "/var/log/frr").split() == ["ldpd.log", "ospfd.log", "zebra.log"]
    assert not os.path.exists("/var/log/frr/ldpd.log")


def test_integrated_configuration_survives_its_daemon(mixed: RunningLab) -> None:
    """A daemon that is started anew is given its part of the integrated configuration again."""
    os.kill(one_pid(mixed, "pe2", "bgpd"), signal.SIGKILL)
    said = ["vtysh", "-c", "show running-config"]  # which fails where a daemon ends while it answers
    assert soon(lambda: "neighbor 10.255.0.1" in mixed["pe2"].run(said).stdout)
    assert mixed.await_reach(LIMIT_S) == ""


def test_sessions_that_cannot_be(mixed: RunningLab) -> None:
    """A router with other timers, one that says no LDP hello, another's AS number: the limit's message and check name
    each, in the place of what it leads to."""
    typed = (
        ("p", "interface p-eth0", "ip ospf dead-interval 40"),
        ("p", "mpls ldp", "address-family ipv4", "no interface p-eth0"),
        ("pe1", "router bgp 65000 vrf red", "neighbor 192.168.9.2 remote-as 65002"),
    )
    for node, *lines in typed:
        text(mixed[node], "vtysh", *(word for line in ("configure", *lines) for word in ("-c", line)))
    causes = (
        "OSPF adjacency with p on pe1-p-eth: ospfd of pe1 says that the other end's dead interval is 40 s",
        "LDP session with p: ldpd of pe1 hears no LDP hello of p",
        "BGP session with ce in red: bgpd of pe1 expects AS 65002 at 192.168.9.2, and ce says another",
    )
    assert soon(lambda: all(cause in mixed.await_reach(1) for cause in causes)), mixed.await_reach(1)
    assert "says that the other end's dead interval is 40 s" in mixed.check().text()


def test_own_configuration_starts_no_program() -> None:
    """Commands that are no configuration can stand in an integrated file; those that start programs start none."""
    config = "hostname r1\nexit\nping 127.0.0.1\nconfigure terminal\nhostname r2\n"
    with pytest.raises(CheckFailed, match=r"r1: vtysh did not hand all of frr.conf out (.|\n)*Can't fork: Resource"):
        RunningLab(from_data({"nodes": {"r1": {"role": "ce", "frr": config}, "h": "host"}, "links": [["r1", "h"]]}))


def test_bird_says_what_is_wrong() -> None:
    """What BIRD does not understand it does not start with; its own words are told, with the place in the lab."""
    nodes = {"r": {"role": "ce", "bird": "router id 1.1.1.1;\nfoo;\n"}, "h": "host"}
    words = r"r: bird did not start as told at nodes.r.bird (.|\n)*bird.conf:2:1 syntax error"
    with pytest.raises(CheckFailed, match=words):
        RunningLab(from_data({"nodes": nodes, "links": [["r", "h"]]}))


REFUSED_WHOLE = "nodes.r1.frr: vtysh does not take line 5 of its text: 'foo': Unknown command"

OSPF6 = """hostname {0}
router ospf6
 ospf6 router-id 10.0.0.{1}
exit
router ospf6{2}
 ospf6 router-id 10.0.0.{1}
exit
interface {0}-{3}-eth
 ipv6 ospf6 area 0
 ipv6 ospf6 hello-interval 1
 ipv6 ospf6 network point-to-point
"""

REFUSED_LINE = "nodes.r2.frr.zebra: zebra does not take line 1 of its text: 'log file"


def test_own_configuration_stays_in_the_lab(tmp_path: Path) -> None:
    """A configuration cannot write outside its node, and its lines that are not understood are told with their place;
    they do not keep the others from their effect, in a VRF neither."""
    wrong = "hostname r2\nrouter ospf\n network nowhere area 0\n!\nfoo bar\n"
    outside = f"log file {tmp_path}/direct.log"
    static = "log file /tmp/own.log\nip route 9.9.9.9/32 lo\n"
    whole = f"{outside}\nexit\noutput file {tmp_path}/output\nconfigure\nfoo\n{static}"
    files = {"ospfd": wrong, "zebra": f"{outside}\n{static}"}
    nodes = {
        "r1": {"role": "ce", "frr": whole}, "r2": {"role": "ce", "frr": files},
        "pe": {"role": "pe", "vrfs": ["red"], "frr": {"ospf6d": OSPF6.format("pe", 1, " vrf red", "r3") + "foo\n"}},
        "r3": {"role": "ce", "frr": {"ospf6d": OSPF6.format("r3", 2, "", "pe")}},
    }  # fmt: skip
    given = {"nodes": nodes, "links": [["r1", "r2"], [{"pe": {"vrf": "red"}}, "r3"]]}
    said: list[str] = []

    def are_told(running: RunningLab) -> bool:
        running.await_reach(1, said.append)
        return REFUSED_WHOLE in said and any(one.startswith(REFUSED_LINE) for one in said)

    with RunningLab(from_data(given)) as running:
        assert soon(lambda: are_told(running)), said
        shown = [text(running[name], "vtysh", "-c", "show running-config") for name in ("r1", "r2")]
        assert all("ip route 9.9.9.9/32 lo" in each for each in shown)
        asked = ["vtysh", "-d", "ospf6d", "-c", "show ipv6 ospf6 vrf red neighbor"]
        assert soon(lambda: "Full" in running["pe"].run(asked).stdout)
        found = {one.subject: one.seen for one in running.check().of("config") if not one.ok}
    assert list(tmp_path.iterdir()) == []
    assert not os.path.exists("/tmp/own.log")
    assert found["r2 ospfd.conf"] == (
        "nodes.r2.frr.ospfd: ospfd does not take line 3 of its text: 'network nowhere area 0': No such command; "
        "nodes.r2.frr.ospfd: ospfd does not take line 5 of its text: 'foo bar': No such command"
    )
    assert found["pe ospf6d.conf"].startswith("nodes.pe.frr.ospf6d: vtysh does not take line 12 of its text: 'foo': ")
    assert [one for one in said if "line 3" in one and "zebra" in one] == []  # which staticd took


PROMPT = """
from mnmpls.mn.cli import CLI
from mnmpls.mn.net import Mininet
from mnmpls.mn.nodes import CEHost, LabHost
net = Mininet()
net.addHost("r", cls=CEHost, frr="hostname r\\nip route 9.9.9.0/24 Null0\\n")
net.addHost("h", cls=LabHost)
net.addLink("r", "h")
net.start()
CLI(net)
net.stop()
"""


class Typist:
    """A program with a terminal of its own, and somebody at it."""

    def __init__(self, *argv: str) -> None:
        self.screen, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *argv], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "dumb"}
        )
        os.close(theirs)
        self.seen = ""

    def types(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def sees(self, text: str) -> bool:
        """On the screen since it last saw something, within the time."""
        until = time.monotonic() + LIMIT_S
        while text not in self.seen and time.monotonic() < until:
            if select.select([self.screen], [], [], 0.2)[0]:
                with suppress(OSError):  # EIO: the program has ended
                    self.seen += os.read(self.screen, 4096).decode(errors="replace")
        found, _, self.seen = self.seen.partition(text)
        return len(found) < len(found + _)

    def ends(self) -> int:
        status = self.process.wait(LIMIT_S)
        os.close(self.screen)
        return status


def test_vtysh_at_the_prompt_of_mininet() -> None:
    """``NODE vtysh`` is FRR's prompt at a terminal, whose Enter ends a line; its exit leads back to Mininet's."""
    typist = Typist(sys.executable, "-c", PROMPT)
    assert typist.sees("mininet> ")
    typist.types("r vtysh\r")
    assert typist.sees("r# "), typist.seen
    typist.types("show ip route static\r")
    assert typist.sees("9.9.9.0/24"), typist.seen
    typist.types("exit\r")
    assert typist.sees("mininet> "), typist.seen
    typist.types("r echo still $((40 + 2))\r")
    assert typist.sees("still 42"), typist.seen
    typist.types("exit\r")
    assert typist.ends() == 0


def test_logs_go_on(tmp_path: Path) -> None:
    """``logs -f`` shows what there is, and what comes; it ends with the lab."""
    (tmp_path / "zebra.conf").write_text("hostname r\n")
    lab = tmp_path / "logs.yml"
    lab.write_text("nodes: {r: {role: ce, frr: {zebra: zebra.conf}}, h: host}\nlinks: [[r, h]]\n")
    env = {**os.environ, "MNMPLS_KERNEL": "host"}

    def mnmpls(*words: str) -> list[str]:
        return [sys.executable, "-m", "mnmpls", *words]

    subprocess.run(mnmpls("up", str(lab), "--name", "logs"), env=env, check=True)
    typist = Typist(*mnmpls("logs", "logs", "r", "-f"))
    assert typist.sees("zebra: "), typist.seen
    write = ("sh", "-c", "echo here it comes >> /run/frr/zebra.log")
    subprocess.run(mnmpls("exec", "logs", "r", "--", *write), env=env, check=True)
    assert typist.sees("zebra: here it comes"), typist.seen
    subprocess.run(mnmpls("down", "logs"), env=env, check=True)
    assert typist.ends() == 0
