"""Drills on paper: what fails in a lab, where there is another way, what a stream's losses come to, what is told."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mnmpls.cli.parser import EVENTS, parse
from mnmpls.drill import KINDS, Event, Outcome, Report, events, pairs
from mnmpls.drill.events import Detours
from mnmpls.drill.report import Measured, Phase
from mnmpls.drill.streams import Flow, Pair
from mnmpls.errors import UsageError
from mnmpls.model import Lab
from mnmpls.plan import complete
from mnmpls.plan.ring import ring
from mnmpls.sources import from_data
from tests.drills.rounds import BLACKHOLE, closing, read, summary

PE = {"role": "pe", "vrfs": ["red"]}
TRIANGLE = {
    "name": "triangle", "igp": "ospf", "labels": "ldp", "vpn": "bgp",
    "nodes": {"pe1": PE, "pe2": PE, "p": "p", "h1": "host", "ce2": "ce", "h2": "host"},
    "links": [["pe1", "pe2"], ["pe1", "p"], ["p", "pe2"], [{"pe1": {"vrf": "red"}}, "h1"],
              [{"pe2": {"vrf": "red"}}, "ce2"], ["ce2", "h2"]],
}  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Lab:
    return complete(from_data(TRIANGLE))


def test_events_of_a_lab(lab: Lab) -> None:
    """Ports and paths of the core's links, its routers, the daemons of one of them; fewer as asked."""
    found = events(lab)
    assert [one.kind for one in found[:9]] == ["port"] * 3 + ["path"] * 3 + ["node"] * 3
    assert {one.daemon for one in found[9:]} >= {"zebra", "ospfd", "ldpd", "bgpd"}
    assert len({one.node for one in found[9:]}) == 1
    assert found[0].text == "pe1: port pe1-pe2-eth shut (pe1 - pe2)"
    assert [one.text for one in events(lab, ["node"], ["h1"])] == ["h1: turned off"]
    assert [one.ends for one in events(lab, ["port"], ["p", "pe2"])] == [(("p", "p-pe2-eth"), ("pe2", "pe2-p-eth"))]
    assert [one.ends[0] for one in events(lab, ["port"], ["ce2"])] == [("ce2", "ce2-pe2-eth"), ("ce2", "ce2-h2-eth")]
    assert [one.text for one in events(lab, ["daemon"], ["p"], ["ldpd"])] == ["p: ldpd killed"]


@pytest.mark.parametrize(
    ("nodes", "daemons", "text"),
    [
        (["pe3"], [], "drill: there is no node 'pe3'; did you mean 'pe2'?"),
        (["p"], ["bgpd"], "drill: no 'bgpd' runs there; there are bfdd, ldpd, ospfd, zebra"),
    ],
)
def test_what_is_not_there(lab: Lab, nodes: list[str], daemons: list[str], text: str) -> None:
    """A node, a daemon."""
    with pytest.raises(UsageError) as caught:
        events(lab, [], nodes, daemons)
    assert str(caught.value) == text


def test_another_way(lab: Lab) -> None:
    """Round the triangle, unless it is the end points' own link or router that fails."""
    found = {one.text: Detours(lab).exists(one, "h1", "h2") for one in events(lab)}
    assert {text for text, exists in found.items() if not exists} == {"pe1: turned off", "pe2: turned off"}
    assert not Detours(lab).exists(events(lab, ["port"], ["ce2"])[0], "h2", "h1")


def test_tunnels_go_with_what_carries_them() -> None:
    """In the ring, the port that is under a router's tunnels cuts it off, where one of its tunnels does not."""
    lab = complete(ring())
    known = Detours(lab)
    some = events(lab, ["port", "node"], ["pe101"]) + events(lab, ["port", "node"], ["pe102"])
    found = {one.text: known.exists(one, "client1", "client2") for one in some}
    cut = {text for text, exists in found.items() if not exists}
    assert cut == {"pe101: port eth1 shut (pe101 - internet)", "pe101: port pe101-eth0 shut (pe101 - client1)",
                   "pe101: turned off"}, found  # fmt: skip
    assert len(found) > len(cut)


def test_pairs(lab: Lab) -> None:
    """Hosts both ways, and a site's CE only where it has no host; others as named."""
    assert [one.text for one in pairs(lab)] == ["h1 -> h2", "h2 -> h1"]
    assert {one.text for one in pairs(lab, ["h1", "ce2"])} == {"h1 -> ce2", "ce2 -> h1"}
    with pytest.raises(UsageError, match="'p' is no host or CE"):
        pairs(lab, ["p"])


def test_losses_of_a_stream() -> None:
    """The gap is from the first lost packet to the next that arrives, or to the last one that was sent."""
    flow = Flow()
    flow.sent_s, flow.arrived = [0.0, 1.0, 2.0, 3.5, 4.0, 5.0], bytearray([1, 0, 0, 1, 0, 1])
    assert (flow.lost, flow.gap_s, flow.last_lost_s) == (3, 2.5, 4.0)
    assert flow.flows(4.5, 9) and not flow.flows(4.0, 9) and not flow.flows(6, 9)
    flow.arrived = bytearray([1, 1, 1, 0, 0, 0])
    assert flow.gap_s == 1.5


def _outcome(lost: int, well: bool, can: bool, reroutes: bool, *problems: str) -> Outcome:
    pair = Pair("h1", "h2", "10.0.0.1")
    failing = Measured(pair, 100, lost, lost * 10.0, well, can, "a [16] > b", "a [17] > c")
    undone = Measured(pair, 100, 0, 0.0, True, True, "a [17] > c", "a [16] > b")
    event = Event("port", "a", (("a", "e0"), ("b", "e0")))
    return Outcome(event, 1, Phase(1.0, 0.5, (failing,)), Phase(2.0, 1.5, (undone,)), problems, reroutes)


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (_outcome(21, True, True, True), "h1 -> h2  21 of 100 lost, gap 210 ms"),
        (_outcome(21, False, False, True), "h1 -> h2  21 of 100 lost: no other way"),
        (_outcome(21, False, False, False), "h1 -> h2  21 of 100 lost: nothing reroutes without routing daemons"),
        (_outcome(21, False, True, True, "why"), "h1 -> h2  21 of 100 lost: stays lost"),
        (_outcome(0, True, True, True), "h1 -> h2  nothing lost"),
    ],
)
def test_what_is_told(outcome: Outcome, line: str) -> None:
    """Losses with their reason, and the labels before and after."""
    lines = [each.strip() for each in outcome.text().splitlines()]
    assert lines[:3] == ["a: port e0 shut (a - b)", line, "a [16] > b  =>  a [17] > c"]
    assert "undone: nothing lost, as before after 1.5 s" in lines
    assert ("✗ why" in lines) == bool(outcome.problems)


def test_reports() -> None:
    """Text, JSON and JUnit say the same of the whole."""
    report = Report((_outcome(21, True, True, True), _outcome(40, False, True, True, "stuck", "because")), "it broke")
    assert report.closing().splitlines() == [
        "2 events: 1 NOT as they should be; longest gaps: port 400 ms", "ended before its time: it broke",
    ]  # fmt: skip
    data = json.loads(json.dumps(report.data()))
    assert (data["ok"], data["stopped"], data["longest_gap_ms"]) == (False, "it broke", {"port": 400.0})
    assert data["events"][1]["problems"] == ["stuck", "because"]
    suite = ElementTree.fromstring(report.junit("drill").encode())
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("message") for case in suite.iter("failure")] == ["stuck"]


def test_rounds_of_all_variants(tmp_path: Path) -> None:
    """What was measured in several rounds, in one row for each kind of failure. A blackhole is as it should be only
    where addresses are lost, and if its cause is told; a round without a report is not."""
    hole = _outcome(40, False, True, True, "stuck", f"pe1 gives label 17 for 10.0.0.1/32, but {BLACKHOLE} 10.0.0.2")
    for name, outcomes in {"a": (_outcome(21, True, True, True), _outcome(45, True, True, True)), "b": (hole,)}.items():
        (tmp_path / name).write_text(json.dumps(Report(outcomes).data()))
    (tmp_path / "c").write_text("")
    well, bad, expected = (read(name, tmp_path / file, lost) for name, file, lost in
                           (("ring-a", "a", False), ("ring-b", "b", False), ("ring-c", "b", True)))  # fmt: skip
    gone = read("ring-d", tmp_path / "c", False)
    assert [one.ok for one in (well, bad, expected, gone)] == [True, False, True, False]
    assert [" ".join(line.split()) for line in summary([well, bad, expected, gone]).splitlines()[1:]] == [
        "ring-a port 2 0 0 330 ms 450 ms 1.5 s", "ring-b port 1 1 0 - - 1.5 s", "ring-c port 1 0 1 - - 1.5 s",
        "ring-d ended before its time: it did not come up or did not live",
    ]  # fmt: skip
    assert closing([well, expected], 3) == (
        "2 rounds, 3 events: all as they should be, 1 blackhole named where links have no addresses; "
        "3 rounds left: the same again goes on"
    )


def test_words_of_the_command() -> None:
    """Kinds of events are those that there are; a limit for gaps is for one kind, or for all."""
    assert EVENTS == KINDS
    options = parse(["drill", "lab", "--within", "node=2000", "--within", "50", "--event", "node", "--event", "port"])
    assert options.within == [(("node",), 2000.0), (KINDS, 50.0)] and options.event == ["node", "port"]
    with pytest.raises(SystemExit):
        parse(["drill", "lab", "--within", "nodes=1"])
