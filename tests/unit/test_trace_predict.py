"""The predicted way of a packet, from the records alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.checks.predict import Hop, operation, predict, predictions
from mnmpls.checks.trace import lines_of, words
from mnmpls.model import Lab, Link, Node, Port
from mnmpls.plan import complete, l3vpn, records
from mnmpls.sources import load
from mnmpls.state import MAIN_TABLE, Address, LabelRoute, NextHop, Record, Route, Sysctl
from mnmpls.state import Port as PortState

YAML = Path(__file__).resolve().parents[2] / "topos" / "l3vpn.yml"
Plan = dict[str, frozenset[Record]]


@pytest.fixture(scope="module")
def lab() -> Lab:
    return complete(load(str(YAML)))


@pytest.fixture
def plan(lab: Lab) -> Plan:
    return dict(records(lab))


def _ops(hops: tuple[Hop, ...]) -> list[str]:
    return [f"{hop.node} {words(hop)}" for hop in hops]


def _without(plan: Plan, node: str, gone: Callable[[Record], bool]) -> Plan:
    left = frozenset(record for record in plan[node] if not gone(record))
    assert left != plan[node], "the lab has no such record to take out"
    return {**plan, node: left}


def _label(number: int) -> Callable[[Record], bool]:
    return lambda record: isinstance(record, LabelRoute) and record.label == number


@pytest.mark.parametrize(
    ("src", "dst", "labels"),
    [("c1h1", "c1h3", (101, 111)), ("c2h2", "c2h4", (201, 211)), ("c1h3", "c1h1", (102, 112)),
     ("c2h4", "c2h1", (202, 212))],
)
def test_the_pinned_labels_are_on_the_way(lab: Lab, plan: Plan, src: str, dst: str, labels: tuple[int, int]) -> None:
    """Each customer's way in each direction has its own push, swap and pop, and ends at the node asked for."""
    hops = predict(lab, plan, src, dst)
    wire = [hop.labels_out for hop in hops if hop.labels_out]
    assert wire == [(labels[0],), (labels[1],)]
    assert [hop.operation for hop in hops if hop.node in ("pe1", "p", "pe2")] == ["push", "swap", "pop"]
    assert (hops[-1].node, hops[-1].operation) == (dst, "deliver")


def test_every_hop_is_named_with_its_ports(lab: Lab, plan: Plan) -> None:
    """From host to host: bridges and CEs forward, the provider's routers handle labels."""
    hops = predict(lab, plan, "c1h1", "c1h3")
    assert _ops(hops) == [
        "c1h1 forward", "br11 forward", "c1e1 forward", "pe1 push 101", "p swap 101 -> 111",
        "pe2 pop 111 into vrf-pe2-c1", "c1e2 forward", "br12 forward", "c1h3 deliver",
    ]  # fmt: skip
    assert (hops[4].in_port, hops[4].out_port, hops[4].peer) == ("p-pe1-eth", "p-pe2-eth", "pe2")
    assert [hop.peer for hop in hops[:-1]] == [hop.node for hop in hops[1:]]


def test_a_line_per_hop(lab: Lab, plan: Plan) -> None:
    """The text shows node, operation, where to, and the stack on that wire."""
    lines = lines_of(predict(lab, plan, "c1h1", "c1h3"))
    assert lines[3].split() == ["pe1", "push", "101", ">", "p", "[101]"]
    assert lines[8].split() == ["c1h3", "deliver"]


def test_both_customers_hosts_have_one_address(lab: Lab, plan: Plan) -> None:
    """The same address asked for from the two customers is delivered to two nodes."""
    assert predict(lab, plan, "c1h1", "88.2.1.3")[-1].node == "c1h3"
    assert predict(lab, plan, "c2h1", "88.2.1.3")[-1].node == "c2h3"


def test_the_own_address_stays_at_home(lab: Lab, plan: Plan) -> None:
    """An address that the asking node has itself is delivered there at once."""
    assert predict(lab, plan, "c1h1", "c2h1") == (Hop("c1h1", "deliver"),)


def test_an_unknown_address_is_stopped_in_the_vrf(lab: Lab, plan: Plan) -> None:
    """What the VRF does not know ends at its unreachable default."""
    last = predict(lab, plan, "c1h1", "9.9.9.9")[-1]
    assert (last.node, last.operation) == ("pe1", "drop")
    assert "unreachable by route 0.0.0.0/0 in table 10" in last.reason


def test_without_the_unreachable_default_a_miss_leaks(lab: Lab, plan: Plan) -> None:
    """The kernel asks the main table when the VRF's has no match: the core's addresses are then in reach."""
    assert predict(lab, plan, "c1h1", "2.1.1.2")[-1].operation == "drop"
    leaky = _without(plan, "pe1", lambda record: isinstance(record, Route) and record.kind == "unreachable")
    last = predict(lab, leaky, "c1h1", "2.1.1.2")[-1]
    assert (last.node, last.operation) == ("p", "deliver")


def test_a_missing_label_route_is_named(lab: Lab, plan: Plan) -> None:
    """Without the entry for 101 the packet ends at p, and the reason names label and node."""
    last = predict(lab, _without(plan, "p", _label(101)), "c1h1", "c1h3")[-1]
    assert (last.node, last.operation, last.reason) == ("p", "drop", "label 101 unknown at p")


def test_a_port_must_accept_labels(lab: Lab, plan: Plan) -> None:
    """net.mpls.conf.PORT.input must be 1 where labels come in."""
    key = "net.mpls.conf.p-pe1-eth.input"
    deaf = _without(plan, "p", lambda record: isinstance(record, Sysctl) and record.key == key)
    last = predict(lab, deaf, "c1h1", "c1h3")[-1]
    assert (last.node, last.operation) == ("p", "drop")
    assert key in last.reason


def test_a_router_must_forward(lab: Lab, plan: Plan) -> None:
    """net.ipv4.ip_forward must be 1 on every router on the way, a CE too."""
    key = "net.ipv4.ip_forward"
    lazy = _without(plan, "c1e1", lambda record: isinstance(record, Sysctl) and record.key == key)
    last = predict(lab, lazy, "c1h1", "c1h3")[-1]
    assert (last.node, last.operation) == ("c1e1", "drop")
    assert key in last.reason


def test_a_leak_goes_to_the_other_customer(lab: Lab, plan: Plan) -> None:
    """A route in customer 1's VRF with customer 2's label ends at customer 2's host."""
    leak = Route(10, "88.2.1.3/32", (NextHop("2.1.1.2", "pe1-p-eth", (201,)),))
    last = predict(lab, {**plan, "pe1": plan["pe1"] | {leak}}, "c1h1", "88.2.1.3")[-1]
    assert (last.node, last.operation) == ("c2h3", "deliver")


def test_a_loop_ends_with_the_ttl(lab: Lab, plan: Plan) -> None:
    """p sends 101 back to pe1, pe1 back to p: the prediction ends and says so."""
    back = LabelRoute(101, (NextHop("2.1.1.1", "p-pe1-eth", (103,)),))
    forth = LabelRoute(103, (NextHop("2.1.1.2", "pe1-p-eth", (101,)),))
    looped = _without(plan, "p", _label(101))
    looped = {**looped, "p": looped["p"] | {back}, "pe1": plan["pe1"] | {forth}}
    last = predict(lab, looped, "c1h1", "c1h3")[-1]
    assert last.operation == "drop"
    assert "loop" in last.reason


def test_equal_next_hops_are_alternatives() -> None:
    """Two equal ways give two predictions."""
    nodes = tuple(Node(name, "p") for name in ("a", "b"))
    links = tuple(
        Link(Port("a", f"a{n}", (f"10.0.{n}.1/30",)), Port("b", f"b{n}", (f"10.0.{n}.2/30",))) for n in (1, 2)
    )
    route = Route(MAIN_TABLE, "10.9.0.1/32", (NextHop("10.0.1.2", "a1"), NextHop("10.0.2.2", "a2", (17,))))
    pops = LabelRoute(17, (NextHop("", "lo"),))
    at_b: set[Record] = {Address("lo", "10.9.0.1/32"), Sysctl("net.mpls.conf.b2.input", "1"), pops}
    plan: Plan = {
        "a": frozenset({*(Address(f"a{n}", f"10.0.{n}.1/30") for n in (1, 2)), route}),
        "b": frozenset({*(Address(f"b{n}", f"10.0.{n}.2/30") for n in (1, 2)), *at_b}),
    }
    ways = predictions(Lab("two", nodes, links), plan, "a", "10.9.0.1")
    assert [_ops(way) for way in ways] == [["a forward", "b deliver"], ["a push 17", "b pop 17, deliver"]]


def test_labels_above_the_changed_ones_are_told_apart() -> None:
    """With a transport label over a VPN label the text names only what changed."""
    assert words(Hop("p", "swap", "i", (16, 1000), "o", (17, 1000))) == "swap 16 -> 17"
    assert words(Hop("p", "pop", "i", (16, 1000), "o", (1000,))) == "pop 16"
    assert words(Hop("p", "swap", "i", (111,), "o", (111,))) == "swap 111 -> 111"
    assert words(Hop("p", "swap", "i", (16, 1000), "o", (16, 1000))) == "swap 16 -> 16"
    assert operation((), (16, 1000)) == "push"


@pytest.mark.parametrize(("customers", "sites", "core"), [(1, 2, 1), (2, 3, 2), (2, 2, 3)])
def test_other_sizes_deliver_everywhere(customers: int, sites: int, core: int) -> None:
    """With planned labels every customer's first site reaches all others, over a transport and a VPN label."""
    lab = complete(l3vpn(customers=customers, sites=sites, hosts=1, core=core))
    plan = records(lab)
    hosts = [node.name for node in lab.nodes if node.role == "host" and node.name.startswith("c1")]
    assert len(hosts) == sites
    for dst in hosts[1:]:
        hops = predict(lab, plan, hosts[0], dst)
        assert (hops[-1].node, hops[-1].operation) == (dst, "deliver"), lines_of(hops)
        assert len(next(hop for hop in hops if hop.operation == "push").labels_out) == 2


def test_a_name_that_is_neither_node_nor_address(lab: Lab, plan: Plan) -> None:
    """The error says what was asked for."""
    with pytest.raises(ValueError, match="nowhere"):
        predict(lab, plan, "c1h1", "nowhere")


def test_a_port_that_is_down_stops_the_packet(lab: Lab, plan: Plan) -> None:
    """A port record that says down is a reason of its own."""
    down = frozenset(
        replace(record, up=False) if isinstance(record, PortState) and record.name == "p-pe2-eth" else record
        for record in plan["p"]
    )
    last = predict(lab, {**plan, "p": down}, "c1h1", "c1h3")[-1]
    assert (last.node, last.reason) == ("p", "port p-pe2-eth is down")
