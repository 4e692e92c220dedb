"""Label switched paths that are asked for: labels from where they may be, once at each router; whoever asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnmpls.errors import LabError
from mnmpls.mn.graph import lab_from_topo
from mnmpls.mn.topo import LabTopo
from mnmpls.model import POPS, Lab, Link, Lsp, Node, Port, StaticRoute
from mnmpls.plan import complete, problems, records
from mnmpls.plan.graph import network
from mnmpls.plan.lsps import receivers, steps
from mnmpls.sources import load
from mnmpls.state import LabelRoute, NextHop, Route

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("a", "b", "c", "d", "e")
RANGES = st.sampled_from(["", "", "16-30", "20-40", "100-199"])
ENDS = st.permutations(NAMES)


@st.composite
def _labs(draw: st.DrawFn) -> Lab:
    """Any core of five routers, with paths of all forms through it and some labels given by hand."""
    nodes = []
    for name in NAMES:
        hand = draw(st.lists(st.integers(16, 45), max_size=3, unique=True))
        routes = tuple(StaticRoute(label=label, port="lo") for label in hand)
        nodes.append(Node(name, "p", label_range=draw(RANGES), routes=routes))
    pairs = draw(st.lists(ENDS.map(lambda each: (each[0], each[1])), min_size=4, max_size=8))
    links = tuple(Link(Port(a), Port(b)) for a, b in [*zip(NAMES, NAMES[1:], strict=False), *pairs])
    lsps: list[Lsp] = []
    for _ in range(draw(st.integers(1, 5))):
        ingress, egress, *_ = draw(ENDS)
        fec = (f"10.{len(lsps)}.0.0/16",)
        lsps.append(Lsp(ingress=ingress, egress=egress, fec=fec, pop=draw(st.sampled_from(POPS))))
    return Lab("paths", tuple(nodes), links, tuple(lsps))


@settings(deadline=None, max_examples=150)
@given(_labs())
def test_a_label_means_one_thing_at_a_router(lab: Lab) -> None:
    """Planned labels are from the range of the router that they come in at, clear of those given by hand and of each
    other; the completed lab is sound and stays as it is. Or no label is left, which is said."""
    try:
        done = complete(lab)
    except LabError as error:
        assert all("label_range" in str(each) for each in error.problems)
        return
    net = network(done)
    assert not problems(done) and complete(done) == done
    for node in done.nodes:
        found = {each.label for each in records(done)[node.name] if isinstance(each, LabelRoute)}
        hand = {route.label for route in node.routes}
        arriving = (zip(receivers(lsp, steps(net, lsp)), lsp.labels, strict=True) for lsp in done.lsps)
        assert len(found) == len(hand) + sum(node.name in routers for each in arriving for routers, _ in each)
        first, _, last = node.label_range.partition("-")
        assert not last or all(int(first) <= label <= int(last) for label in found - hand)


@pytest.mark.parametrize("path", sorted((ROOT / "topos").glob("*.yml")), ids=lambda path: path.stem)
def test_mininet_gets_the_same_plan(path: Path) -> None:
    """A lab file's Topo, read back from Mininet's parameters, comes to the same records, as a pipe too, with the same
    daemons and configurations of the user's own; nodes, links and their ends are in the file's order."""
    for lab in (load(str(path)), replace(load(str(path)), ttl="pipe")):
        wanted, found = complete(lab), complete(lab_from_topo(LabTopo(lab)))
        assert records(found) == records(wanted)
        nodes = ([(node.name, node.daemon, node.own) for node in each.nodes] for each in (found, wanted))
        assert next(nodes) == next(nodes)
        ends = ([(port.node, port.name) for link in each.links for port in link.ports] for each in (found, wanted))
        assert next(ends) == next(ends)


def test_vpns_and_ranges() -> None:
    """A router's range holds for the labels of VPNs and of their transport; all others are one number everywhere."""
    lab = complete(load(str(ROOT / "topos" / "l3vpn6.yml")))
    nodes = tuple(replace(node, label_range="700-709" if node.name in ("p", "pe2") else "") for node in lab.nodes)
    found = {
        node: sorted(record.label for record in each if isinstance(record, LabelRoute))
        for node, each in records(complete(replace(lab, nodes=nodes))).items()
    }
    assert found["p"] == [700, 701] and found["pe2"] == [700, 701] and found["pe1"] == [1000, 1001]


def test_a_label_of_one_range_is_taken_beside_it_too() -> None:
    """Where two routers are equally far, the label is from the range of the one and counts as used at the other."""
    nodes = (Node("a", "p"), Node("p", "p", label_range="16-20"), Node("q", "p"), Node("z", "p"))
    links = tuple(Link(Port(x), Port(y)) for x in "az" for y in "pq")
    both = Lsp(ingress="a", egress="z", pop="php")
    one = Lsp(("a", "q", "z"), fec=("10.9.0.0/16",), pop="php")
    done = complete(Lab("beside", nodes, links, (both, one)))
    assert [lsp.labels for lsp in done.lsps] == [(16,), (17,)]


def test_paths_for_one_prefix_are_equal_ways() -> None:
    """Two paths written out, each with its own labels and its own end, are two next hops of one route."""
    nodes = tuple(Node(name, "p") for name in "apqz")
    links = tuple(Link(Port(x), Port(y)) for x in "az" for y in "pq")
    one = Lsp(("a", "p", "z"), (100, 101), fec=("10.9.0.0/16",))
    other = Lsp(("a", "q", "z"), (200,), fec=("10.9.0.0/16",), pop="php", ttl="pipe")
    found = records(complete(Lab("equal", nodes, links, (one, other))))
    (hops,) = (each.hops for each in found["a"] if isinstance(each, Route) and each.dst == "10.9.0.0/16")
    assert [(hop.port, hop.labels, hop.ttl) for hop in hops] == [("a-p-eth", (100,), -1), ("a-q-eth", (200,), 255)]
    assert [each for each in found["q"] if isinstance(each, LabelRoute)] == [
        LabelRoute(200, (NextHop("10.254.0.6", "q-z-eth"),), "pipe")
    ]
