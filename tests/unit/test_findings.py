"""Reports of findings, for people and for programs."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from mnmpls.checks import Finding, Report
from mnmpls.checks.drift import Drift, grouped
from mnmpls.checks.sampling import in_turn, some
from mnmpls.state import Address, Dummy, LabelRoute, Member, NextHop, Port, Record, Route, Tunnel, VrfDevice

GOOD = Finding("drift", "p", True, "its records", "as planned")
DRIFTED = Finding("drift", "pe1", False, "ip route 88.2.1.0/24 vrf red", "missing: ip route 88.2.1.0/24 vrf red", "pe1")
STRAYED = Finding("trace", "c1h1 -> c1h3 (88.2.1.3)", False, "push 101 > p", "at pe1: expected … <&>", "pe1")
UNHEARD = tuple(Finding("reach", f"h{n} -> x", False, "x was to answer", "delivered to nobody") for n in range(9))
REPORT = Report((*UNHEARD, STRAYED, GOOD, DRIFTED), ("trace: the time sufficed for 1 of 3 pairs of sites",))


def test_causes_come_first() -> None:
    """What drifted stands before where packets went astray, then the pairs concerned, summarised; what was left out
    and the counts close the report."""
    lines = REPORT.text().splitlines()
    assert lines[0] == "pe1: missing: ip route 88.2.1.0/24 vrf red"
    assert lines[2] == "at pe1: expected … <&>  (c1h1 -> c1h3 (88.2.1.3))"
    assert lines[4] == "h0 -> x: delivered to nobody"
    assert lines[10] == "and 3 more pairs"
    assert lines[12] == "trace: the time sufficed for 1 of 3 pairs of sites"
    assert lines[-1] == "1 of 12 findings as intended, 11 NOT (drift 1 of 2, trace 0 of 1, reach 0 of 9)"


def test_a_report_as_data() -> None:
    """Every finding is in what JSON gets, with what was expected and seen, and so is what was left out."""
    data = json.loads(json.dumps(REPORT.data()))
    assert data["ok"] is False
    assert len(data["findings"]) == 12
    assert data["findings"][-1] == {
        "kind": "drift",
        "subject": "pe1",
        "ok": False,
        "expected": "ip route 88.2.1.0/24 vrf red",
        "seen": "missing: ip route 88.2.1.0/24 vrf red",
        "node": "pe1",
    }
    assert data["notes"] == list(REPORT.notes)


def test_a_report_as_junit() -> None:
    """One test case per finding; a failure carries what was expected and seen, whatever signs are in it."""
    suite = ElementTree.fromstring(REPORT.junit("l3vpn"))
    assert (suite.tag, suite.get("name"), suite.get("tests"), suite.get("failures")) == (
        "testsuite",
        "l3vpn",
        "12",
        "11",
    )
    cases = {(case.get("classname"), case.get("name")): case for case in suite.iter("testcase")}
    assert len(cases) == 12
    assert cases["drift", "p"].find("failure") is None
    failure = cases["trace", "c1h1 -> c1h3 (88.2.1.3)"].find("failure")
    assert failure is not None
    assert failure.get("message") == "at pe1: expected … <&>"
    assert failure.text == "expected: push 101 > p\nseen: at pe1: expected … <&>"
    assert suite.findtext("system-out") == REPORT.notes[0]


def test_reports_add_up() -> None:
    """The report of several labs holds only if each of them does."""
    whole = Report((GOOD,)) + Report((DRIFTED,), ("note",))
    assert (whole.ok, len(whole.findings), whole.notes) == (False, 2, ("note",))
    assert (Report((GOOD,)) + Report((GOOD,))).ok


def _missing(*records: Record) -> list[Drift]:
    return [Drift("pe1", record, None) for record in records]


def test_what_went_with_a_device_is_told_with_it() -> None:
    """Records that need a port or a VRF that is gone are counted there and not told by themselves."""
    hop = NextHop("2.1.1.2", "core")
    by_itself = Route(10, "9.0.0.0/8", (NextHop("1.1.1.1", "access"),))
    lost = (
        Route(10, "88.2.1.0/24", (hop,)),
        Route(10, "3.1.1.0/30", (hop,)),
        LabelRoute(5, (hop,)),
        Address("core", "fd00::1/64"),
    )
    down = Drift("pe1", Port("core"), Port("core", up=False))
    cause, other = grouped([*_missing(*lost, by_itself), down])
    assert cause.text({}) == "port core is down; 2 routes, 1 label route, 1 address went with it"
    assert other.wanted == by_itself
    gone = [*_missing(VrfDevice("red", 10), Member("access", "red"), by_itself, LabelRoute(7, (NextHop("", "red"),)))]
    (cause,) = grouped(gone)
    assert (
        cause.text({}) == "missing: ip link red up type vrf table 10; 1 membership, 1 route, 1 label route went with it"
    )


def test_a_tunnel_that_is_gone_is_told_as_a_tunnel() -> None:
    """What a node makes itself is missing as what it is, and its port goes with it."""
    gone = (Port("tun", mtu_bytes=1476), Address("tun", "10.9.0.1/31"), Tunnel("tun", "gre", "10.0.0.1", "10.0.0.2"))
    (cause,) = grouped(_missing(*gone))
    told = "missing: ip link tun type gre local 10.0.0.1 remote 10.0.0.2"
    assert cause.text({}) == f"{told}; 1 port, 1 address went with it"
    (cause,) = grouped(_missing(Port("d0"), Dummy("d0")))
    assert cause.text({}) == "missing: ip link d0 type dummy; 1 port went with it"


def test_a_sample_is_spread() -> None:
    """Some of many are distinct, as many as wanted or nearly, and no stretch of them is left out."""
    assert some(5, 10) == [0, 1, 2, 3, 4]
    found = some(100_000, 1000)
    assert 990 <= len(found) <= 1000
    assert max(b - a for a, b in zip(found, found[1:], strict=False)) < 300
    assert sorted(in_turn(range(50))) == list(range(50))
    assert {n // 10 for n in in_turn(range(50))[:8]} == {0, 1, 2, 3, 4}
