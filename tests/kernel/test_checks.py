"""Checks against a running lab: as intended, then broken for real in one place at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnmpls.apply import apply
from mnmpls.checks import check, drift
from mnmpls.checks.reach import Result, matrix, probe
from mnmpls.checks.trace import predict
from mnmpls.plan import l3vpn
from mnmpls.sources import load
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel

YAML = Path(__file__).resolve().parents[2] / "topos" / "l3vpn.yml"


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with running_lab(load(str(YAML))) as lab:
        yield lab


@pytest.fixture
def running(shared: Running) -> Iterator[Running]:
    """The lab of source 000; whatever a test broke is put right afterwards."""
    yield shared
    for node, namespace in shared.namespaces.items():
        apply(shared.records[node], namespace, node)


def test_all_as_intended(running: Running) -> None:
    """Every end point is answered by its own customer's node, and by it alone; the matrix counts them."""
    results = probe(running.lab, running.namespaces)
    assert [one.why for one in results if not one.ok] == []
    assert len(results) == 12 * 11
    assert "132 of 132 as intended" in matrix(results, "utf-8")
    crossed = next(one for one in results if (one.src, one.dst) == ("c1h1", "c2h3"))
    assert (crossed.who, crossed.received) == ("c1h3", ("c1h3",))


def test_the_whole_check(running: Running) -> None:
    """Reachability, drift and traces in one report that holds, with the labels of both customers in its text."""
    report = check(running.lab, running.records, running.namespaces)
    assert report.ok, report.text()
    assert {one.kind for one in report.findings} == {"reach", "drift", "trace", "mtu"}
    for words in ("push 101", "swap 101 -> 111", "pop 111 into vrf-pe2-c1", "swap 202 -> 212"):
        assert words in report.text()


def test_the_labels_on_the_wire(running: Running) -> None:
    """The captured hops there and back are the predicted ones, port by port, label by label."""
    found = running.trace("c1h1", "c1h3")
    assert found.ok, found.text()
    assert found.answered
    assert found.delivered_to == "c1h3"
    assert found.request == predict(running.lab, running.records, "c1h1", "c1h3")
    assert found.reply == predict(running.lab, running.records, "c1h3", "c1h1")


def test_a_trace_as_data(running: Running) -> None:
    """What JSON gets has every hop with its labels both ways, and for a packet that strayed the hop where it did."""
    data = json.loads(json.dumps(running.trace("c1h1", "c1h3").data()))
    assert (data["ok"], data["answered"], data["delivered_to"], data["differences"]) == (True, True, "c1h3", [])
    assert [hop["labels_out"] for hop in data["request"] if hop["labels_out"]] == [[101], [111]]
    assert [hop["labels_out"] for hop in data["reply"] if hop["labels_out"]] == [[102], [112]]
    running.ip("p", "-f", "mpls", "route", "del", "101")
    (difference,) = running.trace("c1h1", "c1h3").data()["differences"]
    assert difference == {
        "node": "p",
        "expected": "swap 101 -> 111 > pe2",
        "seen": "nothing left p: label 101 unknown at p",
        "loss": "",
    }


def test_an_unknown_address_ends_where_predicted(running: Running) -> None:
    """A packet to nowhere is seen to end at the PE, as its VRF's unreachable default has it."""
    found = running.trace("c1h1", "9.9.9.9")
    assert found.ok, found.text()
    assert not found.answered
    assert (found.request[-1].node, found.request[-1].operation) == ("pe1", "drop")


def test_a_lost_label_route_is_named(running: Running) -> None:
    """Without its entry for 101, p is named as the node where the packet ends, and the label as the cause."""
    running.ip("p", "-f", "mpls", "route", "del", "101")
    found = running.trace("c1h1", "c1h3")
    assert tuple(map(str, found.differences)) == (
        "at p: expected swap 101 -> 111 > pe2, saw nothing left p: label 101 unknown at p",
    )
    assert "c1h1 -> c1h3 (88.2.1.3): the request was delivered to nobody; c1h3 was to answer" in running.failures()
    report = check(running.lab, running.records, running.namespaces)
    assert [one.text for one in report.of("drift", ok=False)] == [
        "p: missing: ip -f mpls route 101 as 111 via inet 2.1.1.6 dev p-pe2-eth"
    ]


def test_a_lost_way_back_is_named(running: Running) -> None:
    """The request arrives, the answer is lost: both are told apart, and the hop is named."""
    running.ip("p", "-f", "mpls", "route", "del", "102")
    found = running.trace("c1h1", "c1h3")
    assert found.delivered_to == "c1h3"
    assert not found.answered
    assert tuple(map(str, found.differences)) == (
        "at p: expected swap 102 -> 112 > pe1, saw nothing left p: label 102 unknown at p",
    )
    why = "c1h1 -> c1h3 (88.2.1.3): c1h3 received the request, but its answer never came back; c1h3 was to answer"
    assert why in running.failures()


def test_a_port_that_takes_no_labels_is_named(running: Running) -> None:
    """net.mpls.conf.PORT.input=0 drops labelled packets without a word: the trace says which key it is."""
    key = "net.mpls.conf.p-pe1-eth.input"
    running.set("p", key, "0")
    (difference,) = map(str, running.trace("c1h1", "c1h3").differences)
    assert difference.startswith("at p: expected swap 101 -> 111 > pe2, saw nothing left p")
    assert difference.endswith(f"{key} is not 1")


def test_a_wrong_label_is_named(running: Running) -> None:
    """p swaps to a label of nobody's: the hop is named with what was expected and what was seen."""
    running.ip("p", "-f", "mpls", "route", "replace", "101", "as", "999", "via", "inet", "2.1.1.6")
    try:
        found = running.trace("c1h1", "c1h3")
    finally:
        running.ip("p", "-f", "mpls", "route", "del", "101")
    assert not found.answered
    (difference,) = map(str, found.differences)
    assert difference.startswith("at p: expected swap 101 -> 111 > pe2, saw swap 101 -> 999 > pe2")


def test_a_loop_is_followed_to_its_end(running: Running) -> None:
    """Two routers that hand a packet to each other until its TTL is used up: the trace ends, and the first wrong hop is
    named."""
    running.ip("p", "-f", "mpls", "route", "replace", "101", "as", "103", "via", "inet", "2.1.1.1", "proto", "201")
    running.ip("pe1", "-f", "mpls", "route", "add", "103", "as", "101", "via", "inet", "2.1.1.2")
    try:
        found = running.trace("c1h1", "c1h3")
    finally:
        running.ip("pe1", "-f", "mpls", "route", "del", "103")
    (difference,) = map(str, found.differences)
    assert difference.startswith("at p: expected swap 101 -> 111 > pe2, saw swap 101 -> 103 > pe1")
    assert [hop.node for hop in found.request].count("p") > 20
    assert "over and over" in found.text()
    assert len(found.text().splitlines()) < 15


def test_another_neighbour_on_a_lan_is_the_senders(running: Running) -> None:
    """A bridge that forwards to another node than planned does what the sender wants: the sender is named."""
    running.ip("c1e1", "neighbour", "replace", "88.1.1.1", "lladdr", running.mac("c1h2", "c1h2-eth"), "dev", "c1e1-eth")
    try:
        (difference,) = map(str, running.trace("c1h3", "c1h1").differences)
    finally:
        running.ip("c1e1", "neighbour", "del", "88.1.1.1", "dev", "c1e1-eth")
    assert difference.startswith("at c1e1: expected c1h1 as next hop, saw c1h2 as next hop: ")


def test_a_leak_into_another_customer_is_named(running: Running) -> None:
    """A route in customer 1's VRF with customer 2's label: the probe sees where the request was delivered, the
    trace at which hop it went astray."""
    leak = ("table", "10", "88.2.1.3/32")
    running.ip("pe1", "route", "add", *leak, "encap", "mpls", "201", "via", "inet", "2.1.1.2")
    try:
        why, found = running.failures(), running.trace("c1h1", "c1h3")
    finally:
        running.ip("pe1", "route", "del", *leak)
    assert "c1h1 -> c1h3 (88.2.1.3): the request was delivered to c2h3, of another VPN; c1h3 was to answer" in why
    (difference,) = map(str, found.differences)
    assert difference.startswith("at pe1: expected push 101 > p, saw push 201 > p")


@pytest.mark.parametrize(("customers", "sites", "hosts", "core"), [(2, 3, 1, 2), (1, 2, 2, 1)])
def test_planned_sizes_hold_too(customers: int, sites: int, hosts: int, core: int) -> None:
    """Labs with planned labels (transport over VPN label, penultimate hop popping) pass the whole check."""
    with running_lab(l3vpn(customers=customers, sites=sites, hosts=hosts, core=core)) as lab:
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()


def test_a_port_that_is_down_explains_what_went_with_it(running: Running) -> None:
    """The port is told first and once, its lost routes are counted and not listed, and the pairs come last."""
    running.ip("pe1", "link", "set", "pe1-p-eth", "down")
    report = check(running.lab, running.records, running.namespaces)
    (drifted,) = report.of("drift", ok=False)
    assert drifted.text == "pe1: port pe1-p-eth is down; 5 routes went with it"
    assert {one.node for one in report.of("trace", ok=False)} == {"pe1"}
    lines = report.text("utf-8").splitlines()
    assert lines[0] == drifted.text
    assert lines[2].startswith("at pe1: expected push 101 > p, saw nothing left pe1")
    assert "and 66 more pairs whose requests were delivered to nobody:" in lines


@pytest.mark.parametrize(
    ("node", "device", "kind"), [("pe1", "vrf-pe1-c1", "VRF"), ("br11", "br11", "bridge")], ids=["vrf", "bridge"]
)
def test_a_device_that_is_down_is_drift(running: Running, node: str, device: str, kind: str) -> None:
    """A VRF device or a bridge that somebody set down is told, and put up again by apply."""
    running.ip(node, "link", "set", device, "down")
    (drifted, *_) = [one for one in drift(running.records, running.namespaces) if not one.ok]
    assert drifted.node == node
    assert drifted.text.startswith(f"{node}: {kind} {device} is down")
    (difference,) = map(str, running.trace("c1h3", "c1h1").differences)
    assert difference.startswith(f"at {node}: ")
    assert difference.endswith(f"{device} is down")
    apply(running.records[node], running.namespaces[node], node)
    assert all(one.ok for one in drift(running.records, running.namespaces))


def test_what_was_added_by_hand_is_drift(running: Running) -> None:
    """A route in a VRF's table or a label route that nobody planned is told; routes elsewhere and those of a routing
    protocol are not."""
    leak = ("route", "add", "table", "10", "88.2.1.3/32", "encap", "mpls", "201", "via", "inet", "2.1.1.2")
    others = [
        ("route", "add", "10.77.0.0/16", "via", "2.1.1.2"),
        ("route", "add", "table", "10", "10.78.0.0/16", "via", "1.1.1.1", "dev", "pe1-c1e1-eth", "proto", "bgp"),
    ]
    for words in (leak, *others):
        running.ip("pe1", *words)
    running.ip("pe1", "-f", "mpls", "route", "add", "777", "dev", "vrf-pe1-c2")
    running.ip("pe1", "address", "add", "9.9.9.9/32", "dev", "pe1-p-eth")
    try:
        found = [one.text for one in drift(running.records, running.namespaces) if not one.ok]
    finally:
        running.ip("pe1", "-f", "mpls", "route", "del", "777")
        for words in (leak, *others):
            running.ip("pe1", "route", "del", *words[2:])
    assert found == [
        "pe1: added: ip address 9.9.9.9/32 dev pe1-p-eth",
        "pe1: added: ip -f mpls route 777 dev vrf-pe1-c2",
        "pe1: added: ip route 88.2.1.3/32 vrf vrf-pe1-c1 encap mpls 201 via 2.1.1.2 dev pe1-p-eth",
    ]


def test_what_was_changed_is_one_drift(running: Running) -> None:
    """Something that has another value is one thing that differs, not one missing and one added."""
    running.set("pe1", "net.ipv4.conf.pe1-p-eth.rp_filter", "2")
    running.ip("p", "-f", "mpls", "route", "replace", "101", "as", "999", "via", "inet", "2.1.1.6", "proto", "201")
    assert [one.text for one in drift(running.records, running.namespaces) if not one.ok] == [
        "p: differs: ip -f mpls route 101 as 999 via inet 2.1.1.6 dev p-pe2-eth, "
        "which should be: ip -f mpls route 101 as 111 via inet 2.1.1.6 dev p-pe2-eth",
        "pe1: differs: sysctl net.ipv4.conf.pe1-p-eth.rp_filter=2, "
        "which should be: sysctl net.ipv4.conf.pe1-p-eth.rp_filter=0",
    ]


def test_a_wire_that_is_too_narrow_is_named(running: Running) -> None:
    """The path MTU is that of the narrowest hop less its labels; a packet of that size that gets lost is told with the
    hop at which it does."""
    sizes = {one.subject: one for one in check(running.lab, running.records, running.namespaces).of("mtu")}
    assert set(sizes) == {
        "c1h1 -> c1h3 (88.2.1.3)",
        "c1h3 -> c1h1 (88.1.1.1)",
        "c2h1 -> c2h3 (88.2.1.3)",
        "c2h3 -> c2h1 (88.1.1.1)",
    }
    assert all(one.ok and one.expected == "1500 bytes pass, 1501 do not" for one in sizes.values())
    running.ip("p", "link", "set", "p-pe2-eth", "mtu", "1400")
    bad = check(running.lab, running.records, running.namespaces).of("mtu", ok=False)
    assert {(one.subject[2:4], one.node, one.seen) for one in bad} == {
        ("h1", "p", "1500 bytes do not pass: it ends at p"),
        ("h3", "pe2", "1500 bytes do not pass: lost between pe2 and p"),  # whose port there takes no more than it sends
    }


def test_a_wire_that_is_too_wide_is_named(running: Running) -> None:
    """A byte more than planned must not pass: where it does, the hop that was to stop it is told."""
    for port in (port for link in running.lab.links for port in link.ports):
        running.ip(port.node, "link", "set", port.name, "mtu", "1600")
    bad = check(running.lab, running.records, running.namespaces).of("mtu", ok=False)
    assert {(one.node, one.seen) for one in bad} == {
        (host, "1500 bytes pass, 1501 do, too") for host in ("c1h1", "c1h3", "c2h1", "c2h3")
    }


def test_damaged_packets_are_lost_ones(running: Running) -> None:
    """One bit of each packet is flipped on a wire, of many in the number by which a probe is known: told as a loss."""
    running.tc("p", "qdisc", "add", "dev", "p-pe2-eth", "root", "netem", "corrupt", "100%")
    try:
        assert not check(running.lab, running.records, running.namespaces).ok
    finally:
        running.tc("p", "qdisc", "del", "dev", "p-pe2-eth", "root")


def test_what_a_router_said_is_told_once(running: Running) -> None:
    """The ICMP error about a probe stands behind the hop that dropped it, one time."""
    running.ip("pe1", "route", "del", "88.2.1.0/24", "table", "10")
    text = running.trace("c1h1", "c1h3").text()
    assert "pe1   drop: nothing left pe1" in text and ") (" not in text


def test_a_share_of_a_lab(running: Running) -> None:
    """Of nodes that run on other machines nothing is touched but that they are asked: by their answers alone it is told
    who reaches them, and what stops these is. Isolation is seen as ever, and a way that stays here is followed."""
    away = {"c1e2", "br12", "c1h3", "c1h4"}
    here = {node: namespace for node, namespace in running.namespaces.items() if node not in away}
    report = check(running.lab, running.records, here, elsewhere=away)
    assert report.ok, report.text()
    counts = {kind: len(report.of(kind)) for kind in ("drift", "trace", "mtu", "reach")}
    assert counts == {"drift": 15, "trace": 1, "mtu": 2, "reach": 9 * 11}
    (note,) = report.notes
    assert note.startswith("br12, c1e2, c1h3, c1h4 run on other machines: here only whether answers come back")
    running.ip("c1e2", "link", "set", "c1e2-pe2-eth", "down")
    broken = check(running.lab, running.records, here, elsewhere=away)
    failed = {(one.detail.src, one.detail.dst) for one in broken.of("reach", False) if isinstance(one.detail, Result)}
    asked = {one.dst for one in probe(running.lab, here, elsewhere=away) if one.expected.taker in away}
    assert len(asked) > 2 and failed == {(src, dst) for src in ("c1e1", "c1h1", "c1h2") for dst in asked}
    assert "no answer came back" in broken.text() and broken.of("drift", False) == ()


def test_the_time_limit_is_kept_and_told(running: Running) -> None:
    """With no time for everything some of each kind is checked, and how much is told."""
    report = check(running.lab, running.records, running.namespaces, limit_s=0)
    assert report.ok
    assert "drift: the time sufficed for 0 of 19 nodes" in report.notes
    assert "trace: the time sufficed for 0 of 2 pairs of sites" in report.text()
    times = (0.002 * 2**doubled for doubled in range(14))
    tried = (probe(running.lab, running.namespaces, until=time.monotonic() + seconds) for seconds in times)
    few = next(results for results in tried if results)
    assert len(few) < 132
    assert all(one.ok for one in few)
