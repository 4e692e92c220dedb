"""The ``mininet>`` prompt in the lab of source 000: what it answers, and that looking starts nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mininet.log import setLogLevel

from mnmpls.errors import CheckFailed
from mnmpls.mn.cli import CLI
from mnmpls.mn.net import Mininet
from tests.kernel.test_mininet import forks, topo

pytestmark = pytest.mark.kernel

Say = Callable[..., str]


@pytest.fixture(scope="module")
def net() -> Iterator[Mininet]:
    setLogLevel("output")
    made = Mininet(topo=topo())
    yield made
    made.stop()


@pytest.fixture
def say(net: Mininet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Say:
    """Types lines at the prompt; gives what is printed."""

    def typed(*lines: str) -> str:
        script = tmp_path / "script"
        script.write_text("".join(f"{line}\n" for line in lines))
        caplog.clear()
        with Path("/dev/null").open() as nobody:
            CLI(net, stdin=nobody, script=str(script))
        return "".join(caplog.messages)

    return typed


def test_dump_starts_nothing_and_keeps_its_form(net: Mininet, say: Say) -> None:
    """One line a node as stock Mininet has it, pid=0 for a node without a process; reading a pid starts its shell."""
    made = []
    for _ in range(5):  # the kernel makes a thread of its own now and then, but not each time
        before = forks()
        said = say("dump")
        made.append(forks() - before)
    assert min(made) == 0
    assert len(re.findall(r"^<\w+ (\w+): \S* pid=\d+> $", said, re.MULTILINE)) == len(net.hosts)
    assert "<LabHost c1h1: c1h1-eth:88.1.1.1 pid=0> " in said
    pid = net["c1h1"].pid
    assert f"pid={pid}> " in say("dump")
    assert Path(f"/proc/{pid}/ns/net").samefile(f"/proc/self/fd/{net['c1h1'].namespace.fd}")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("vrf zzz", "*** there is no node 'zzz': there are pe1, pe2\n"),
        ("vrf p", "*** p has none: this is for pe1, pe2\n"),
        ("lfib pe11", "*** there is no node 'pe11': did you mean 'pe1'?\n"),
        ("trace c1h1 c1h33", "*** there is no node 'c1h33': did you mean 'c1h3'?\n"),
        ("trace c1h1", "usage: trace SRC DST\n"),
        ("xterm c1h11", "*** there is no node 'c1h11': did you mean 'c1h1'?\n"),
        ("x nowhere", "*** there is no node 'nowhere'"),
        ("iperf c1h1 c2h3", "in another VPN; for c1h1, 88.2.1.3 is c1h3's address\n"),
        ("iperf c1h1 c2h1", "in another VPN; for c1h1, 88.1.1.1 is its own address\n"),
        ("iperf c1h1 br11", "*** iperf: br11 has no address\n"),
    ],
)
def test_mistakes_are_answered(say: Say, line: str, answer: str) -> None:
    """What is wrong, and what is near or known."""
    assert answer in say(line)


def test_a_command_in_a_vrf(say: Say) -> None:
    """In one VRF customer 1's CE answers, in the other customer 2's; the rest of the line is the node's shell's. A VRF
    that is not there is answered with those that are."""
    for vrf, port in (("vrf-pe1-c1", "pe1-c1e1-eth"), ("vrf-pe1-c2", "pe1-c2e1-eth")):
        neighbour = f"ip neigh show 1.1.1.1 dev {port} nud all"
        said = say(f"pe1 vrf {vrf} ping -c1 -W10 88.1.1.1 | grep -c '1 received'; {neighbour}")
        assert said.startswith("1\r\n") and "REACHABLE" in said, said
    assert "1 received" in say("pe1 vrf vrf-pe1-c1 ping -c1 c1h1")
    assert "*** pe1 has no VRF 'vrf-pe1-c3'; did you mean 'vrf-pe1-c" in say("pe1 vrf vrf-pe1-c3 true")
    assert say("pe1 vrf vrf-pe1-c1") == "*** usage: pe1 vrf VRF COMMAND\n"


def test_a_router_is_called_where_the_caller_is(say: Say) -> None:
    """Its name stands for its address in the caller's VPN, or in the VRF that is named; else for the one outside."""
    for line in ("c1h1 ping -c1 -W10 pe1", "c2h3 ping -c1 -W10 pe1", "pe1 vrf vrf-pe1-c2 ping -c1 -W10 pe2",
                 "p ping -c1 -W10 pe2"):  # fmt: skip
        said = say(line)
        assert "1 received" in said and "***" not in said.replace("*** Starting CLI", ""), said


def test_vrf_of_one_node(say: Say) -> None:
    """Only the rows of the node that was named."""
    assert [row.split()[0] for row in say("vrf pe2").splitlines()] == ["PE", "pe2", "pe2"]


def test_link_down_and_up_at_the_prompt(say: Say) -> None:
    """Meanwhile ``check`` says what does not work and what the kernels lack; up again, all is as it was."""
    broken = say("link pe1 p down", "check")
    mended = say("link pe1 p up", "check")
    assert "pe1: port pe1-p-eth is down" in broken
    assert re.search(r"findings as intended, \d+ NOT", broken)
    assert re.search(r"findings as intended(?!, )", mended), mended


def test_ping_of_an_address_that_means_another_node(say: Say) -> None:
    """The prompt says whom the address means; a name of the own VPN passes without a word."""
    said = say("c1h1 ping -c1 -W10 c2h3")
    assert "*** c2h3 stands for 88.2.1.3, which for c1h1 is c1h3's address: c2h3 is in another VPN\n" in said
    assert "1 received" in said
    assert "***" not in say("c1h1 ping -c1 -W10 c1h3").replace("*** Starting CLI", "")


def test_nodes_added_by_a_sourced_file(net: Mininet, say: Say, tmp_path: Path) -> None:
    """``source`` a file that adds a host and a link to the running net: it is set up, and reaches its own VPN."""
    more = tmp_path / "more"
    more.write_text("py net.addHost('c1h5', cls=type(c1h1))\npy net.addLink('c1h5', 'br11')\n")
    said = say(f"source {more}", "c1h5 ping -c1 -W10 c1h3", "trace c1h5 c1h4", "pingall")
    assert ("1 received" in said, "push 101" in said) == (True, True), said
    assert "0% dropped (156/156 as intended)" in said
    assert net["c1h5"].IP().startswith("88.1.1.")
    assert "0% dropped (132/132 as intended)" in say("py net.delHost(c1h5)", "pingall")


def test_udp_is_measured_at_both_ends() -> None:
    """In a fresh lab, where the first datagram that a label makes too long for a link would be lost; at a rate near
    the one asked for."""

    def measured() -> list[float]:
        made = Mininet(topo=topo())
        try:
            wanted, *seen = made.iperf([made["c1h1"], made["c1h4"]], l4Type="UDP", udpBw="5M", fmt="k", seconds=1)
        finally:
            made.stop()
        assert wanted == "5M"
        return [float(each.removesuffix(" Kbits/sec")) for each in seen]

    tries = (measured() for _ in range(10))  # a busy machine may be too slow at times
    assert any([4000 < each < 6000 for each in seen] == [True, True] for seen in tries)


def test_iperf_says_why_nothing_was_measured(net: Mininet) -> None:
    """What iperf itself said is in the error: here, no route."""
    net.configLinkStatus("pe1", "p", "down")
    try:
        with pytest.raises(CheckFailed, match=r"measured nothing; it said:\n(.*\n)*.*(unreachable|failed)"):
            net.iperf([net["c1h1"], net["c1h3"]], seconds=1)
    finally:
        net.configLinkStatus("pe1", "p", "up")
