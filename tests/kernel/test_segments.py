"""Segment routing for real: topos/sr_l3vpn.yml with IS-IS, and OSPF's over a LAN."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mnmpls.checks.reach import probe
from mnmpls.checks.trace import Trace
from mnmpls.netns import RunningLab
from tests.kernel.running import not_taken, settled
from tests.kernel.test_daemons import LIMIT_S, soon, text
from tests.unit.test_segments import ospf_lan, sr_l3vpn, unnumbered_ring

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    with RunningLab(sr_l3vpn()) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def _said(lab: RunningLab, node: str, *lines: str) -> None:
    text(lab[node], "vtysh", *(word for line in ("configure", *lines) for word in ("-c", line)))


def _transport(lab: RunningLab, src: str, dst: str) -> list[tuple[str, str, tuple[int, ...]]]:
    """Node, operation and labels that leave without the VPN's, which bgpd chose, of routers with labels."""
    return [(hop.node, hop.operation, hop.labels_out[:-1]) for hop in lab.trace(src, dst).request if hop.labels_out]


def test_all_is_as_intended(lab: RunningLab) -> None:
    """Two customers in both IP versions, sessions, and all other routers' labels in each router's daemon and kernel."""
    report = settled(lab)
    assert report.ok, report.text()
    assert len(report.of("label")) == 2 * 5 * 4 * 2
    assert {one.subject.count(":") > 0 for one in report.of("trace")} == {True, False}


def test_labels_on_the_wire(lab: RunningLab) -> None:
    """pe2's SID is 12: label 16012 for IPv4 and 20012 for IPv6 on every wire, taken off before pe2."""
    there = [("pe1", "push", (16012,)), ("p1", "swap", (16012,)), ("p2", "pop", ())]
    back = [("pe2", "push", (16011,)), ("p2", "swap", (16011,)), ("p1", "pop", ())]
    assert soon(lambda: (_transport(lab, "red1", "red2"), _transport(lab, "red2", "red1")) == (there, back))
    assert {label for one in settled(lab).of("trace") for label in _outer(one.detail)} == {16011, 16012, 20011, 20012}


def _outer(trace: object) -> set[int]:
    assert isinstance(trace, Trace)
    return {hop.labels_out[0] for hop in (*trace.request, *trace.reply) if len(hop.labels_out) > 1}


def test_daemons_took_every_line(lab: RunningLab) -> None:
    """The configuration read back from isisd holds every line of its file, the metrics among them."""
    assert not_taken(lab) == set()


def test_the_longer_way_has_the_same_labels(lab: RunningLab) -> None:
    """With the link between p1 and p2 down, p3 swaps 16012 for 16012; with the link up again all is as it was."""
    text(lab["p1"], "ip", "link", "set", "p1-p2-eth", "down")
    longer = [("pe1", "push", (16012,)), ("p1", "swap", (16012,)), ("p3", "swap", (16012,)), ("p2", "pop", ())]
    assert soon(lambda: _transport(lab, "red1", "red2") == longer)
    text(lab["p1"], "ip", "link", "set", "p1-p2-eth", "up")
    assert settled(lab).ok


def test_without_segment_routing(lab: RunningLab) -> None:
    """Taken away at p2, check names the labels to p2 that the others have no more, all that p2 has not, maybe those of
    ways through p2, and the packets that get lost; given back, all is well."""
    _said(lab, "p2", "router isis core", "no segment-routing on")

    def lost() -> set[str]:
        return {one.subject for one in lab.check().of("label", ok=False)}

    others = {"p1": 1, "p3": 3, "pe1": 11, "pe2": 12}
    gone = {(name, f"label {start + 2} to p2") for name in others for start in (16000, 20000)}
    gone |= {("p2", f"label {start + sid} to {name}") for name, sid in others.items() for start in (16000, 20000)}
    assert soon(lambda: lost() >= {f"{node}{where}: {what}" for node, what in gone for where in ("", "'s kernel")})
    assert soon(lambda: bool(lab.check().of("reach", ok=False)))
    _said(lab, "p2", "router isis core", "segment-routing on")
    assert settled(lab).ok


def test_unnumbered_links_heal() -> None:
    """One of a ring whose links share their routers' addresses is shut at one end: IPv4 and IPv6 go the other way
    round, which with LDP IPv4 does not; up again, all is as it was."""
    with RunningLab(unnumbered_ring()) as running:
        assert running.await_reach(LIMIT_S) == ""
        direct = [("pe1", "push", ())]
        assert soon(lambda: _transport(running, "h1", "h2") == direct)
        text(running["pe1"], "ip", "link", "set", "pe1-pe2-eth", "down")
        around = [("pe1", "push", (16002,)), ("p1", "swap", (16002,)), ("p2", "pop", ())]
        assert soon(lambda: _transport(running, "h1", "h2") == around)
        assert soon(lambda: all(each.ok for each in probe(running.lab, running.namespaces)))
        text(running["pe1"], "ip", "link", "set", "pe1-pe2-eth", "up")
        assert soon(lambda: _transport(running, "h1", "h2") == direct)
        assert running.await_reach(LIMIT_S) == ""


def test_ospf_on_a_lan() -> None:
    """OSPF's SIDs over three routers' LAN, each label kept up to the last router as explicit null."""
    with RunningLab(ospf_lan()) as running:
        assert running.await_reach(LIMIT_S) == ""
        report = settled(running)
        assert report.ok, report.text()
        assert len(report.of("label")) == 2 * 4 * 3
        way = [("pe1", "push", (15504,)), ("p1", "swap", (0,)), ("lan", "forward", (0,))]
        assert soon(lambda: _transport(running, "h1", "h2") == way)
