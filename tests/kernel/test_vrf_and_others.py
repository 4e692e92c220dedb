"""topos/vrf.yml: what VRF devices, network namespaces and policy routing can and cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.errors import LabError
from mnmpls.model import Link
from mnmpls.netns import RunningLab
from mnmpls.node import RunningNode
from mnmpls.plan import complete
from mnmpls.sources import load

pytestmark = pytest.mark.kernel

LAB = load(str(Path(__file__).parents[2] / "topos/vrf.yml"))


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    with RunningLab(LAB) as running:
        yield running


def _passed(lab: RunningLab, src: str, dst: str) -> str:
    trace = lab.trace(src, dst)
    assert trace.ok, trace.text()
    return " ".join(hop.node for hop in trace.request)


def _asks(node: RunningNode, address: str, vrf: str = "") -> bool:
    return node.run(["ping", "-c1", "-W5", address], vrf=vrf).returncode == 0


def test_everything_is_as_the_lab_intends(lab: RunningLab) -> None:
    """Reach, isolation and drift of all three, policy's rules among them."""
    report = lab.check()
    assert report.ok, report.text()


def test_a_vrf_device_keeps_tables_apart_in_one_stack(lab: RunningLab) -> None:
    """The same address is on two ports; all ports are seen at once; one program asks in either VRF, and without a VRF
    in neither."""
    assert {"red", "blue", "pe-red", "pe-blue"} <= lab["pe"].namespace.ports()
    for vrf, other in (("red", "blue"), ("blue", "red")):
        assert _passed(lab, f"v-{vrf}", f"v-{vrf}2") == f"v-{vrf} pe v-{vrf}2"
        before = _received(lab[f"v-{vrf}"]), _received(lab[f"v-{other}"])
        assert _asks(lab["pe"], "10.0.0.2", vrf)
        assert (_received(lab[f"v-{vrf}"]), _received(lab[f"v-{other}"])) == (before[0] + 1, before[1])
    assert not _asks(lab["pe"], "10.0.0.2")


def _received(node: RunningNode) -> int:
    """Requests that its kernel has answered."""
    said = node.run(["cat", "/proc/net/snmp"], check=True).stdout.splitlines()
    heads, values = (line.split() for line in said if line.startswith("Icmp:"))
    return int(values[heads.index("InEchos")])


def test_a_namespace_is_all_or_nothing(lab: RunningLab) -> None:
    """The same address is in two of them; each sees its own port only, and a program in it no other."""
    for name in ("ns-red", "ns-blue"):
        own = {port.name for port in lab.lab.ports(name)}
        seen = {port for port in lab[name].namespace.ports() if port.startswith(("ns-", "pe-"))}
        assert len(own) == 1 and seen == own
        assert _asks(lab[name], "10.0.0.2") and not _asks(lab[name], "10.0.1.2")


def test_rules_choose_tables_by_port_and_keep_nothing_apart(lab: RunningLab) -> None:
    """What comes in by the red port goes to red's 10.0.0.2, blue's to blue's; what the node sends itself goes nowhere,
    and what a table lacks is found in the main one: red reaches blue. One address twice is refused."""
    for colour in ("red", "blue"):
        assert _passed(lab, f"p-{colour}", f"gw-{colour}") == f"p-{colour} policy gw-{colour}"
    assert not _asks(lab["policy"], "10.0.0.2")
    assert _passed(lab, "p-red", "p-blue") == "p-red policy p-blue"
    links = [*LAB.links[:7], Link(replace(LAB.links[7].a, addresses=("10.2.1.1/24",)), LAB.links[7].b), *LAB.links[8:]]
    with pytest.raises(LabError, match=r"policy has 10\.2\.1\.1 already"):
        complete(replace(LAB, links=tuple(links)))


def test_without_its_rule_blue_goes_nowhere(lab: RunningLab) -> None:
    """The way is the rule's: taken away by hand it is drift, and the packet is lost; apply puts it back."""
    lab["policy"].run(["ip", "rule", "del", "priority", "1002"], check=True)
    assert not _asks(lab["p-blue"], "10.0.0.2") and _asks(lab["p-red"], "10.0.0.2")
    assert "ip rule iif from-blue lookup 200 priority 1002" in lab.check().text()
    assert any(lab.change(LAB).values())
    assert _asks(lab["p-blue"], "10.0.0.2")


MARKS = """
nodes:
  h: host
  far: {role: ce, dummies: {d0: 10.9.0.1/16}}
  near: ce
  r:
    role: ce
    rules: [{fwmark: 7, table: 100, priority: 1001}]
    routes: [{dst: 10.9.0.0/16, via: 10.0.1.2}, {dst: 10.9.0.0/16, via: 10.0.2.2, table: 100}]
links:
  - [r: 10.0.0.1/24, h: 10.0.0.2/24]
  - [r: 10.0.1.1/24, far: 10.0.1.2/24]
  - [r: 10.0.2.1/24, near: 10.0.2.2/24]
"""


def test_who_marks_packets_is_not_predicted(tmp_path: Path) -> None:
    """A rule for marked packets is the lab's, the marks are made by hand: unmarked ones go as predicted, and of a
    marked one the trace says that it cannot know."""
    file = tmp_path / "marks.yml"
    file.write_text(MARKS)
    with RunningLab(load(str(file))) as running:
        assert _passed(running, "h", "10.9.0.1") == "h r far"
        port = running.lab.ports("r")[0].name
        for words in ("qdisc add dev {} clsact", "filter add dev {} ingress matchall action skbedit mark 7"):
            running["r"].run(["tc", *words.format(port).split()], check=True)
        (difference,) = running.trace("h", "10.9.0.1").differences
        assert (difference.node, difference.expected) == ("r", "forward > far")
        assert difference.seen.startswith("forward > near: r has rules for what is marked 7, and a prediction does not")
