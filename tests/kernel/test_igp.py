"""OSPF and LDP without what else a lab may ask for: alone, with labels of either kind, for customers outside VRFs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnmpls.checks.reach import probe
from mnmpls.netns import RunningLab
from mnmpls.sources import from_data, load
from tests.kernel.running import not_taken, settled, traced
from tests.kernel.test_daemons import LIMIT_S, soon

pytestmark = pytest.mark.kernel

TOPO = Path(__file__).resolve().parents[2] / "topos" / "ldp.yml"


def _pushed(lab: RunningLab, src: str, dst: str) -> list[tuple[str, str, int]]:
    return [(hop.node, hop.operation, len(hop.labels_out)) for hop in traced(lab, src, dst).request]


def _counts(lab: RunningLab, src: str, dst: str) -> list[int]:
    return [count for _, _, count in _pushed(lab, src, dst)]


def test_labels_without_vpn() -> None:
    """topos/ldp.yml: hosts at routers, behind a CE and in another area all reach each other, by the cheaper way and
    with LDP's labels; every line of the daemons' files is in force."""
    with RunningLab(load(str(TOPO))) as lab:
        assert lab.await_reach(LIMIT_S) == ""
        report = settled(lab)
        assert report.ok, report.text()
        assert len([one for one in probe(lab.lab, lab.namespaces) if one.expected.reaches]) == 12
        assert soon(lambda: _pushed(lab, "h2", "h3") == [
            ("h2", "forward", 0), ("ce", "forward", 0), ("a", "push", 1), ("b", "swap", 1), ("c", "pop", 0),
            ("d", "forward", 0), ("h3", "deliver", 0),
        ])  # fmt: skip
        assert soon(lambda: lab["a"].run(["ping", "-c1", "-W1", "10.9.0.1"]).returncode == 0)  # c's dummy
        assert not_taken(lab, ["a"]) == set()


@pytest.mark.parametrize("protocol", ["ospf", "isis"])
def test_planned_labels(protocol: str) -> None:
    """OSPF or IS-IS finds the core's routes, while VPNs have planned labels; without labels, customers outside VRFs
    reach each other, those in them do not."""
    lab = from_data(
        {
            "igp": {"protocol": protocol, "bfd": False},
            "nodes": {
                "p": {"role": "p", "loopback": ["10.0.0.1/32", "fd00::1/128"]},
                "pe1": {"role": "pe", "vrfs": ["red"], "loopback": ["10.0.0.2/32", "fd00::2/128"]},
                "pe2": {"role": "pe", "vrfs": ["red"], "loopback": ["10.0.0.3/32", "fd00::3/128"]},
                **dict.fromkeys(("r1", "r2", "h1", "h2"), "host"), "ce": "ce",
            },
            "links": [
                ["pe1", "p"], ["p", "pe2"], ["r1", {"pe1": {"vrf": "red"}}], ["r2", {"pe2": {"vrf": "red"}}],
                {"a": "h1", "b": "pe1", "versions": [4, 6]}, {"a": "ce", "b": "pe2", "versions": [4, 6]},
                {"a": "h2", "b": "ce", "versions": [4, 6]},
            ],
        }
    )  # fmt: skip
    with RunningLab(lab) as running:
        assert running.await_reach(LIMIT_S) == ""
        report = settled(running)
        assert report.ok, report.text()
        assert soon(lambda: _counts(running, "r1", "r2") == [0, 2, 1, 0, 0])
        assert soon(lambda: set(_counts(running, "h1", "h2")) == {0})
        assert {one.kind for one in report.findings} == {"daemon", "session", "drift", "trace", "mtu", "reach"}


def test_tunnels_of_every_type() -> None:
    """A core of one tunnel after the other, over wires of their own, and over a router that has no OSPF."""
    edge = {"role": "pe", "vrfs": ["red"]}
    lab = from_data(
        {
            "igp": "ospf", "labels": "ldp", "vpn": "bgp",
            "nodes": {
                "a": edge, "b": "p", "c": "p", "f": edge, "h1": "host", "h2": "host",
                "out": {"role": "p", "igp": "none"},
                "d": {"role": "p", "routes": [{"dst": "10.0.2.0/30", "via": "10.0.1.2"}]},
                "e": {"role": "p", "routes": [{"dst": "10.0.1.0/30", "via": "10.0.2.1"}]},
            },
            "links": [
                {"a": "a", "b": "b", "name": "one"}, {"a": "a", "b": "b", "type": "gre", "over": "one"},
                {"a": "b", "b": "c", "name": "two"}, {"a": "b", "b": "c", "type": "gretap", "over": "two"},
                {"a": "c", "b": "d", "name": "three"}, {"a": "c", "b": "d", "type": "mpls-ip", "over": "three"},
                [{"d": "10.0.1.1/30"}, {"out": "10.0.1.2/30"}], [{"out": "10.0.2.1/30"}, {"e": "10.0.2.2/30"}],
                {"a": "d", "b": "e", "type": "vxlan", "vni": 7, "over": ["10.0.1.1", "10.0.2.2"]},
                {"a": "e", "b": "f", "name": "four", "versions": [6]},
                {"a": "e", "b": "f", "type": "ip6gre", "over": "four"},
                ["h1", {"a": {"vrf": "red"}}], ["h2", {"f": {"vrf": "red"}}],
            ],
        }
    )  # fmt: skip
    with RunningLab(lab) as running:
        assert running.await_reach(LIMIT_S) == ""
        report = settled(running)
        assert report.ok, report.text()
        assert soon(lambda: _counts(running, "h1", "h2") == [0, 2, 2, 2, 2, 1, 0, 0])
