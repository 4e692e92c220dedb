"""From a record back to the line of the lab file that it was planned for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnmpls.plan import complete, records
from mnmpls.plan.origins import origin
from mnmpls.sources import load
from mnmpls.state import Address, LabelRoute, Member, NextHop, Port, Record, Route, Rule, Sysctl, VrfDevice

ROOT = Path(__file__).resolve().parents[2]
L3VPN = complete(load(str(ROOT / "topos" / "l3vpn.yml")))


@pytest.mark.parametrize("path", sorted((ROOT / "topos").glob("*.yml")), ids=lambda path: path.stem)
def test_every_record_has_a_line(path: Path) -> None:
    """Of every lab that comes with the project."""
    lab = complete(load(str(path)))
    for node, planned in records(lab).items():
        for record in planned:
            place = lab.place(origin(lab, node, record))
            assert place.startswith(f"{path}:"), (node, record)


@pytest.mark.parametrize(
    ("node", "record", "line"),
    [
        ("pe1", VrfDevice("vrf-pe1-c2", 20), "vrf-pe1-c2: {"),
        ("pe1", Route(20, "0.0.0.0/0", (), "unreachable"), "vrf-pe1-c2: {"),
        ("pe1", Member("pe1-c1e1-eth", "vrf-pe1-c1"), "[c1e1: 1.1.1.1/30, pe1"),
        ("c2h4", Address("c2h4-eth", "88.2.1.4/24"), "[c2h4: 88.2.1.4/24"),
        ("c2h4", Port("c2h4-eth"), "[c2h4: 88.2.1.4/24"),
        ("p", Sysctl("net.mpls.conf.p-pe2-eth.input", "1"), "[p: 2.1.1.5/30"),
        ("p", Sysctl("net.ipv4.ip_forward", "1"), "p: {role: p"),
        ("p", LabelRoute(201, (NextHop("2.1.1.6", "p-pe2-eth", (211,)),)), "labels: [201, 211]"),
        ("pe2", LabelRoute(211, (NextHop("", "vrf-pe2-c2"),)), "labels: [201, 211]"),
        ("pe1", Route(20, "88.2.1.0/24", (NextHop("2.1.1.2", "pe1-p-eth", (201,)),)), "labels: [201, 211]"),
        ("c1h1", Route(254, "0.0.0.0/0", (NextHop("88.1.1.254", "c1h1-eth"),)), "[c1h1: 88.1.1.1/24"),
    ],
)
def test_the_line_is_that_of_the_thing_itself(node: str, record: Record, line: str) -> None:
    """A VRF's, a link's, a label path's; a node's own for what is of the node."""
    file, _, number = L3VPN.place(origin(L3VPN, node, record)).rpartition(":")
    assert line in Path(file).read_text().splitlines()[int(number) - 1]


def test_paths_of_what_few_labs_have() -> None:
    """A VRF's own address and a rule have those of their keys."""
    targets, vrf = (complete(load(str(ROOT / "topos" / name))) for name in ("targets.yml", "vrf.yml"))
    assert origin(targets, "pe1", Address("mgmt", "10.20.0.1/32")) == "nodes.pe1.vrfs.mgmt.loopback"
    assert origin(vrf, "policy", Rule(1002, 6, 200, "", "from-blue")) == "nodes.policy.rules[1]"


def test_a_wire_has_its_links_line() -> None:
    """Wires are made before any record, and belong to no node."""
    assert origin(L3VPN, "", "wire pe1-p-eth - p-pe1-eth") == "links[0]"
    assert origin(L3VPN, "", "a new network namespace") == ""
