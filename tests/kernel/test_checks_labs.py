"""Checks of labs of other kinds: IPv6, both versions, equal ways, VRFs of one router; and of every pair of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from mnmpls.checks import check
from mnmpls.checks.capture import tap
from mnmpls.checks.reach import Result
from mnmpls.checks.trace import Trace, trace_on
from mnmpls.checks.views import World
from mnmpls.errors import CheckFailed
from mnmpls.model import Lab, Link, Node, Port, Vrf
from mnmpls.sources import load
from tests.kernel.odd_labs import LABS
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel

TOPOS = Path(__file__).resolve().parents[2] / "topos"


@pytest.fixture(scope="module", params=["l3vpn", "l3vpn6", "dualstack", "multipath"])
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running_lab(load(str(TOPOS / f"{request.param}.yml"))) as lab:
        yield lab


def _all_traces(running: Running) -> Iterator[Trace]:
    """Between every two nodes, in both directions; bridges have no address to be asked at."""
    lab, world = running.lab, World(running.lab, running.records)
    with tap(running.namespaces) as open_tap:
        for src, dst in permutations([node.name for node in lab.nodes], 2):
            if lab.node(dst).role != "bridge":
                yield trace_on(open_tap, world, running.namespaces, world.vpns.call(src, dst), dst)


def test_every_pair_of_nodes_goes_as_predicted(running: Running) -> None:
    """Whoever sends to whomever, routers in and outside of their VRFs too: what was predicted to arrive is answered,
    what was predicted to be dropped is seen to end at that hop, and nothing differs."""
    found = list(_all_traces(running))
    assert [one.text() for one in found if not one.ok] == []
    assert [one.text() for one in found if one.answered != (one.request[-1].operation == "deliver")] == []
    assert any(one.answered for one in found)


def test_the_whole_check_holds(running: Running) -> None:
    """Every lab of the collection passes, in each IP version that it speaks."""
    report = check(running.lab, running.records, running.namespaces)
    assert report.ok, report.text()
    versions = {6 if ":" in str(one.detail.address) else 4 for one in report.findings if isinstance(one.detail, Trace)}
    assert versions == {"l3vpn6": {6}, "dualstack": {4, 6}}.get(running.lab.name, {4})


def test_a_provider_edge_is_called_where_the_caller_is() -> None:
    """A customer reaches a PE at the address of its own VRF, and is reached from there, with the labels of that VRF
    both ways; the core reaches it outside all VRFs."""
    with running_lab(load(str(TOPOS / "l3vpn.yml"))) as lab:
        far = lab.trace("c1h1", "pe2")
        assert (far.address, far.vrf, far.delivered_to, far.answered) == ("3.1.1.1", "", "pe2", True)
        assert [hop.labels_out for hop in far.request if hop.labels_out] == [(101,), (111,)]
        assert [hop.labels_out for hop in far.reply if hop.labels_out] == [(102,), (112,)]
        back = lab.trace("pe1", "c2h3")
        assert (back.vrf, back.address, back.answered) == ("vrf-pe1-c2", "88.2.1.3", True)
        assert [hop.labels_out for hop in back.request if hop.labels_out] == [(201,), (211,)]
        assert lab.trace("p", "pe1").address == "2.1.1.1"
        with pytest.raises(CheckFailed, match="br11 has no address"):
            lab.trace("c1h1", "br11")


def test_the_taken_one_of_equal_ways_is_told() -> None:
    """Any of the equal next hops is right; the one that the flow took is shown, and the others beside it."""
    with running_lab(load(str(TOPOS / "multipath.yml"))) as lab:
        found = [lab.trace(src, dst) for src, dst in permutations(["h1", "h2", "h3", "h4"], 2)]
    assert all(one.ok and one.answered for one in found), [one.text() for one in found]
    pushed = [hop for one in found for hop in one.request if hop.operation == "push"]
    assert {frozenset({hop.peer, *hop.others}) for hop in pushed} == {frozenset({"lan", "p1"}), frozenset({"p1", "p2"})}
    lines = "\n".join(one.text() for one in found).splitlines()
    assert any("push" in line and line.endswith(("(or p1)", "(or lan)", "(or p2)")) for line in lines)


def test_labels_that_keep_their_value_are_swapped() -> None:
    """A router that swaps a label to the same number is shown to swap, not to forward."""
    with running_lab(load(str(TOPOS / "l3vpn.yml"))) as lab:
        same = ("101", "via", "inet", "2.1.1.6")
        lab.ip("p", "-f", "mpls", "route", "replace", "101", "as", *same)
        (difference,) = map(str, lab.trace("c1h1", "c1h3").differences)
    assert difference.startswith("at p: expected swap 101 -> 111 > pe2, saw swap 101 -> 101 > pe2")


def _extranet() -> Lab:
    """red and blue at one PE import from each other; green at the same PE imports from nobody."""
    vrfs = (
        Vrf("red", imports=("65000:1", "65000:2"), exports=("65000:1",)),
        Vrf("blue", imports=("65000:2", "65000:1"), exports=("65000:2",)),
        Vrf("green", imports=("65000:3",), exports=("65000:3",)),
    )
    nodes, links = [Node("pe1", "pe", vrfs=vrfs)], []
    for i, vrf in enumerate(vrfs, 1):
        nodes += [Node(f"{vrf.name}-ce", "ce"), Node(f"{vrf.name}-h", "host")]
        access, lan = f"172.16.{i}", f"10.{i}.0"
        access6, lan6 = f"fd00:{i}:", f"fd01:{i}:"
        ends = (f"{access}.1/30", f"{access6}:1/64"), (f"{access}.2/30", f"{access6}:2/64")
        links.append(Link(Port("pe1", addresses=ends[0], vrf=vrf.name), Port(f"{vrf.name}-ce", addresses=ends[1])))
        ends = (f"{lan}.254/24", f"{lan6}:254/64"), (f"{lan}.1/24", f"{lan6}:1/64")
        links.append(Link(Port(f"{vrf.name}-ce", addresses=ends[0]), Port(f"{vrf.name}-h", addresses=ends[1])))
    return Lab("extranet", tuple(nodes), tuple(links))


def test_vrfs_of_one_router_import_from_each_other() -> None:
    """Two VRFs of one PE that import from each other reach each other in both IP versions without a label, and a
    third one at the same PE is reached by neither."""
    with running_lab(_extranet()) as lab:
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()
        results = [one.detail for one in report.findings if isinstance(one.detail, Result)]
        reached = {(one.src, one.dst) for one in results if one.who == one.dst}
        assert {("red-h", "blue-h"), ("blue-h", "red-ce")} <= reached
        assert not any("green" in src and "green" not in dst for src, dst in reached)
        assert [one.text() for one in _all_traces(lab) if not one.ok] == []


@pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
def test_odd_labs_hold_too(lab: Lab) -> None:
    """Whatever is in or outside of VPNs: the check of an unspoilt lab finds nothing wrong, and neither does a trace
    between any two nodes, be they meant to reach each other or not."""
    with running_lab(lab) as running:
        report = check(running.lab, running.records, running.namespaces)
        assert report.ok, report.text()
        assert [one.text() for one in _all_traces(running) if not one.ok] == []


def test_a_packet_that_cannot_be_answered_is_told() -> None:
    """A node that gets the request but has no way back is shown to have got it, as predicted."""
    with running_lab(next(lab for lab in LABS if lab.name == "outside-all-vrfs")) as lab:
        found = lab.trace("h1", "p")
    assert found.ok, found.text()
    assert (found.delivered_to, found.answered) == ("p", False)
    assert [(hop.node, hop.operation, hop.reason) for hop in found.reply] == [("p", "drop", "no route to 192.168.1.1")]
    assert "p gets it and cannot answer" in found.text()


@pytest.mark.parametrize("name", ["targets-of-one-side", "an-lsp-of-one-side"])
def test_a_way_there_without_a_way_back_is_told_as_that(name: str) -> None:
    """What arrives and cannot be answered is no leak: the matrix has a sign of its own for it, and on the wire it goes
    where it was to, and nothing comes back."""
    with running_lab(next(lab for lab in LABS if lab.name == name)) as lab:
        report = check(lab.lab, lab.records, lab.namespaces)
        (one,) = [one.detail for one in report.of("reach") if one.subject.startswith("h1 -> h2")]
        assert isinstance(one, Result)
        assert (one.ok, one.received, one.rtt_ms, one.who) == (True, ("h2",), None, None)
        assert one.why.endswith("one way: h2 received the request, and has no way back")
        assert "→ arrives, no way back" in report.text("utf-8")
        (traced,) = [found for found in report.of("trace") if found.subject.startswith("h1 -> h2")]
        assert traced.ok and traced.expected == "the predicted way, no answer"


def test_a_way_back_that_was_not_meant_is_told() -> None:
    """Somebody adds one by hand: that an answer comes is wrong then; and that nothing arrives any more is, too."""
    with running_lab(next(lab for lab in LABS if lab.name == "an-lsp-of-one-side")) as lab:
        lab.ip("pe2", "route", "add", "172.16.0.0/31", "via", "10.254.0.3")
        lab.ip("p", "route", "add", "172.16.0.0/31", "via", "10.254.0.0")
        meant = "; h2 was to receive it, and has no way back to h1"
        told = "h1 -> h2 (172.16.0.2): h2 received the request, and its answer came back"
        assert told + meant in lab.failures()
        lab.ip("pe1", "route", "del", "172.16.0.2/31")
        (said,) = (why for why in lab.failures() if why.startswith("h1 -> h2"))
        assert "the request was delivered to nobody" in said and said.endswith(meant)
