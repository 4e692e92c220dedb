"""Who is meant to answer whom, read off the lab alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.checks import Finding, Report
from mnmpls.checks.intent import Expectation, intended
from mnmpls.checks.packets import checksum, decode, echo_request, number
from mnmpls.checks.reach import ASCII_SIGNS, SIGNS, Result, groups, matrix, signs
from mnmpls.model import Lab, StaticRoute, Vrf
from mnmpls.plan import complete, l3vpn
from mnmpls.sources import load

YAML = Path(__file__).resolve().parents[2] / "topos" / "l3vpn.yml"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return complete(load(str(YAML)))


def _answered(expected: Expectation) -> Result:
    received = (expected.answer,) if expected.answer else ()
    return Result(expected, expected.answer, received, 0.5 if expected.answer else None, True, "as intended")


def test_every_pair_of_end_points_is_asked(lab: Lab) -> None:
    """Four CEs and eight hosts ask each of the eleven others, routers and bridges are not asked; or hosts only."""
    assert len(intended(lab)) == 12 * 11
    assert len(intended(lab, hosts_only=True)) == 8 * 7
    assert all(src[0] == "c" and dst[0] == "c" for src, dst in intended(lab))


def test_the_own_customer_answers(lab: Lab) -> None:
    """A host of the same customer is reached, at the other site as at the own one, and so are both CEs."""
    wanted = intended(lab)
    for dst in ("c1h2", "c1h3", "c1h4", "c1e1", "c1e2"):
        assert wanted["c1h1", dst].answer == dst
        assert wanted["c1h1", dst].reaches


def test_a_foreign_address_is_answered_by_the_own_customers_node(lab: Lab) -> None:
    """c2h3 has the address that c1h3 has: whoever asks from customer 1 gets c1h3, and never reaches c2h3."""
    one = intended(lab)["c1h1", "c2h3"]
    assert (one.address, one.answer, one.reaches) == ("88.2.1.3", "c1h3", False)
    assert one.subject == "c1h1 -> c1h3 (88.2.1.3, also c2h3's address)"


def test_the_own_address_is_answered_by_oneself(lab: Lab) -> None:
    """c2h1's address is c1h1's own: c1h1 itself answers."""
    assert intended(lab)["c1h1", "c2h1"] == Expectation("c1h1", "c2h1", "88.1.1.1", "c1h1")


def test_a_ce_is_called_by_its_lan_address(lab: Lab) -> None:
    """A CE has an address towards its PE too; its customer calls it by the one of the site's LAN."""
    assert intended(lab)["c1h1", "c1e2"].address == "88.2.1.254"


def test_without_a_common_route_target_nobody_answers(lab: Lab) -> None:
    """When customer 1's VRF at pe2 exports under another route target, its sites are apart and an address that
    only the far site has is answered by nobody."""
    apart = _with_vrfs(lab, "pe2", lambda vrf: replace(vrf, exports=("65000:999",)))
    wanted = intended(apart)
    assert wanted["c1h1", "c1h3"].answer is None
    assert wanted["c1h1", "c1h2"].answer == "c1h2"


def test_one_direction_of_import_is_not_enough(lab: Lab) -> None:
    """A VRF that exports but does not import gets no answers back: it sends nothing to the other one, whose packets
    arrive and are not answered."""
    deaf = _with_vrfs(lab, "pe1", lambda vrf: replace(vrf, imports=()))
    assert intended(deaf)["c1h1", "c1h3"].taker is None
    back = intended(deaf)["c1h3", "c1h1"]
    assert (back.taker, back.answer, back.reaches, back.one_way) == ("c1h1", None, False, True)
    assert back.meant == "c1h1 was to receive it, and has no way back to c1h3"


def _with_vrfs(lab: Lab, name: str, change: object) -> Lab:
    assert callable(change)
    nodes = tuple(
        replace(node, vrfs=tuple(_changed(change(vrf)) for vrf in node.vrfs)) if node.name == name else node
        for node in lab.nodes
    )
    return replace(lab, nodes=nodes)


def _changed(vrf: object) -> Vrf:
    assert isinstance(vrf, Vrf)
    return vrf


def test_routes_of_the_user_join_what_targets_keep_apart(lab: Lab) -> None:
    """Where a route that the user gave leads to an end point of another VPN, and the answers find back, that end point
    is meant to answer; with one direction only it is not."""
    apart = _with_vrfs(lab, "pe2", lambda vrf: replace(vrf, exports=("65000:999",), imports=("65000:999",)))
    assert intended(apart)["c1h1", "c1h3"].answer is None
    there = StaticRoute("88.2.1.0/24", "2.1.1.2", labels=(101,), vrf="vrf-pe1-c1")
    back = StaticRoute("88.1.1.0/24", "2.1.1.5", labels=(102,), vrf="vrf-pe2-c1")
    joined = {}
    for name, routes in (("one", {"pe1": (there,)}), ("both", {"pe1": (there,), "pe2": (back,)})):
        nodes = tuple(replace(node, routes=routes.get(node.name, ())) for node in apart.nodes)
        joined[name] = intended(replace(apart, nodes=nodes))
    assert (joined["one"]["c1h1", "c1h3"].taker, joined["one"]["c1h1", "c1h3"].answers) == ("c1h3", False)
    assert joined["both"]["c1h1", "c1h3"].answer == "c1h3"
    assert joined["both"]["c2h1", "c2h3"].answer is None


@pytest.mark.parametrize(("customers", "sites", "hosts", "core"), [(1, 2, 1, 1), (2, 3, 1, 2), (3, 2, 2, 3)])
def test_other_sizes_keep_customers_apart(customers: int, sites: int, hosts: int, core: int) -> None:
    """In labs of other sizes each end point reaches its whole customer, and only that."""
    wanted = intended(complete(l3vpn(customers=customers, sites=sites, hosts=hosts, core=core)))
    each = sites * (hosts + 1)
    ends = {src for src, _ in wanted}
    assert len(ends) == customers * each
    for src in ends:
        assert sum(one.reaches for one in wanted.values() if one.src == src) == each - 1


def test_the_matrix_shows_answers_and_isolation(lab: Lab) -> None:
    """A row asks a column: answered, isolated as intended, and the diagonal; one line counts them."""
    text = matrix(map(_answered, intended(lab, hosts_only=True).values()), "utf-8")
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert lines["from"] == ["c1h1", "c1h2", "c1h3", "c1h4", "c2h1", "c2h2", "c2h3", "c2h4"]
    assert lines["c1h2"] == ["✓", "-", "✓", "✓", "·", "·", "·", "·"]
    assert "56 of 56 as intended" in text


def test_the_matrix_falls_back_to_ascii(lab: Lab) -> None:
    """On a terminal that cannot show the signs, ASCII ones stand for them."""
    assert signs("ascii") == ASCII_SIGNS
    assert signs("utf-8") == SIGNS
    matrix(map(_answered, intended(lab).values()), "ascii").encode("ascii")


def test_the_matrix_tells_each_failure(lab: Lab) -> None:
    """A failed pair is marked in its cell and explained in a sentence under the table."""
    results = [_answered(one) for one in intended(lab, hosts_only=True).values()]
    results[0] = replace(results[0], ok=False, who=None, seen="the request got lost")
    text = matrix(results, "utf-8")
    assert text.splitlines()[1].split()[1:3] == ["-", "✗"]
    assert text.splitlines()[-1] == "✗ c1h1 -> c1h2 (88.1.1.2): the request got lost; c1h2 was to answer"


def test_a_probe_is_found_again_on_a_labelled_wire() -> None:
    """A captured frame gives its label stack with TTLs and bottom bits, the addresses and the cookie's number."""
    cookie = b"RUNRUNRU" + (7).to_bytes(8, "big")
    icmp = echo_request(4, cookie, 7)
    assert checksum(icmp) == 0
    header = bytes([0x45, 0, 0, 20 + len(icmp), 0, 0, 0, 0, 63, 1, 0, 0, 88, 1, 1, 1, 88, 2, 1, 3])
    stack = (16 << 12 | 62).to_bytes(4, "big") + (1002 << 12 | 1 << 8 | 64).to_bytes(4, "big")
    frame = bytes(12) + b"\x81\x00\x00\x05\x88\x47" + stack + header + icmp
    packet = decode(frame)
    assert packet is not None
    assert [(one.value, one.bottom, one.ttl) for one in packet.stack] == [(16, False, 62), (1002, True, 64)]
    assert (packet.src, packet.dst, packet.ttl, packet.kind) == ("88.1.1.1", "88.2.1.3", 63, "request")
    assert number(frame, b"RUNRUNRU") == 7


@pytest.mark.parametrize("length", [0, 13, 18, 22, 40])
def test_a_frame_that_is_cut_short_is_nothing(length: int) -> None:
    """Whatever stands on the wire, the decoder answers with None and not with an error."""
    assert decode((bytes(12) + b"\x88\x47" + bytes(40))[:length]) is None


def test_a_lab_too_wide_for_a_matrix_is_told_in_groups() -> None:
    """A line for those that are to reach the same nodes, however many they are; failures of a kind are told together,
    with whom they are about; and all of it stays a page."""
    wide = complete(l3vpn(customers=2, sites=5, hosts=9, core=1))
    results = [_answered(one) for one in intended(wide).values()]
    lines = groups(results).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("c1e1, ") and lines[0].endswith(" and 44 more: to reach each other, and nobody else")
    assert groups(results[1:]) == ""
    gone = {"ok": False, "received": (), "rtt_ms": None, "seen": "lost"}
    lost = [replace(one, **gone) if one.who == one.dst else one for one in results]  # type: ignore[arg-type]
    strays = [replace(one, ok=False, received=("c1h1", "x")) if one.dst == "c2h1" else one for one in lost]
    found = (Finding("reach", one.expected.subject, one.ok, one.expected.meant, one.seen, detail=one) for one in strays)
    told = Report(tuple(found)).text("utf-8").splitlines()
    assert len(told) < 30 and max(map(len, told)) < 200
    assert "and 4845 more pairs whose requests were delivered to nobody:" in told
    assert any(line.startswith("  from c1") and " more; to c1" in line for line in told)
    assert any("more pairs whose requests were delivered to nodes that were not to get them:" in line for line in told)
