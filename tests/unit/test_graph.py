"""A lab drawn: everything is there, nothing lies on anything else, and other programs can read it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnmpls.errors import LabError
from mnmpls.export.graph import FORMATS, graph
from mnmpls.export.layout import Placed, layout
from mnmpls.export.picture import picture
from mnmpls.model import Lab, Link, Node, Port
from mnmpls.plan import complete, l3vpn, records
from mnmpls.sources import load

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'a "lab" <b>&amp;\\ #35; %s\x00\x1b\n]] end -- ;'


def source() -> Lab:
    return complete(load(str(ROOT / "topos" / "l3vpn.yml")))


def mesh(links: list[tuple[int, int]], roles: list[str]) -> Lab:
    """Any lab at all; planned names only."""
    nodes = tuple(Node(f"{role}{number}", role) for number, role in enumerate(roles))
    wires = tuple(Link(Port(nodes[a % len(nodes)].name, f"x{n}"), Port(nodes[b % len(nodes)].name, f"y{n}"))
                  for n, (a, b) in enumerate(links))  # fmt: skip
    return Lab("any", nodes, wires)


def graphviz(text: str) -> list[str]:
    """What graphviz drew: its plain output, a line per node and edge."""
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def words(svg: str) -> set[str]:
    return {element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")}


def test_graphviz_reads_every_node_and_wire() -> None:
    """All nodes by name and all wires of the source's lab are in what graphviz makes of the DOT text."""
    lab = source()
    drawn = graphviz(graph(lab, "dot"))
    nodes = [line.split()[1] for line in drawn if line.startswith("node ")]
    edges = [frozenset(line.split()[1:3]) for line in drawn if line.startswith("edge ")]
    assert sorted(nodes) == sorted(node.name for node in lab.nodes)
    assert sorted(map(sorted, edges)) == sorted(sorted((link.a.node, link.b.node)) for link in lab.links)


@pytest.mark.parametrize("form", FORMATS)
def test_ports_and_addresses_are_shown(form: str) -> None:
    """Every port's name and address stands in the drawing; labels too where paths are asked for."""
    lab = source()
    plain, with_paths = graph(lab, form), graph(lab, form, records(lab))
    for link in lab.links:
        for port in link.ports:
            assert all(text in plain for text in (port.name, *(port.addresses or ())))
    for label in ("101", "111", "201", "211", "102", "112", "202", "212"):
        assert re.search(rf"[\"|>]{label}[\"|<]", with_paths)
        assert not re.search(rf"[\"|>]{label}[\"|<]", plain)


def test_a_planned_path_is_told_by_its_outer_label() -> None:
    """What several VPNs share is drawn once, and the last hop says that the label was popped before it."""
    lab = complete(l3vpn(customers=5, sites=2, hosts=0, core=2))
    arrows = picture(lab, records(lab)).arrows
    assert sorted((each.src, each.dst, each.text) for each in arrows) == [
        ("p1", "p2", "17"), ("p1", "pe1", "popped"), ("p2", "p1", "16"),
        ("p2", "pe2", "popped"), ("pe1", "p1", "17"), ("pe2", "p2", "16"),
    ]  # fmt: skip


def test_a_vpn_has_one_colour() -> None:
    """Both ends of a customer's VPN, their nodes and wires have one colour, another customer's another."""
    shown = picture(source())
    colours = {box.name: box.colour for box in shown.boxes}
    assert colours["c1e1"] == colours["c1h4"] != colours["c2e1"] == colours["c2h4"]
    assert {wire.colour for wire in shown.wires if "c1h1" in (wire.a.node, wire.b.node)} == {colours["c1h1"]}
    assert [text for _, text in shown.legend] == ["vrf-pe1-c1, vrf-pe2-c1", "vrf-pe1-c2, vrf-pe2-c2"]


@pytest.mark.parametrize("form", FORMATS)
def test_names_are_escaped(form: str) -> None:
    """Whatever a lab is called and a port says, the text stays well-formed and nothing of it becomes syntax."""
    lab = source()
    ends = replace(lab.links[0].a, name='"><script>'), lab.links[0].b
    text = graph(replace(lab, name=HOSTILE, links=(Link(*ends), *lab.links[1:])), form)
    if form == "svg":
        tags = {each.tag for each in ElementTree.fromstring(text).iter()}
        assert '"><script>' in words(text) and f"{SVG}script" not in tags
    elif form == "dot":
        assert len([line for line in graphviz(text) if line.startswith("edge ")]) == len(lab.links)
    else:
        assert "#62;#60;script#62;" in text and "<script>" not in text
        strict_mermaid(text)


def strict_mermaid(text: str) -> None:
    """Every line is one of the few forms of a flowchart that are used, with nothing odd inside its quotes."""
    quoted = r'"[^"<>\[\](){}|;]*(?:(?:#\d+;|<br/>)[^"<>\[\](){}|;]*)*"'
    forms = (
        "flowchart TB", "%% .*", "end", rf"subgraph s\d+\[{quoted}\]",
        rf"n\d+(\(\({quoted}\)\)|\{{\{{{quoted}\}}\}}|\[{quoted}\]|\[/{quoted}/\]|\({quoted}\))",
        rf"n\d+ (---|-\.->)\|{quoted}\| n\d+", r"linkStyle \d+ stroke:#[0-9a-f]{6}",
        r"style n\d+ stroke:#[0-9a-f]{6},fill:#[0-9a-f]{6}",
    )  # fmt: skip
    for line in text.splitlines():
        assert any(re.fullmatch(form, line.strip()) for form in forms), line


def test_mermaid_has_every_node_and_wire() -> None:
    """A flowchart of known forms only, with a line per node, wire and path's hop, and a style for each line drawn."""
    lab = source()
    text = graph(lab, "mermaid", records(lab))
    strict_mermaid(text)
    assert len(re.findall(r"^ +n\d+[\[({]", text, re.M)) == len(lab.nodes)
    assert len(re.findall(r" ---\|", text)) == len(lab.links)
    assert len(re.findall(r" -\.->\|", text)) == 8
    assert len(re.findall(r"linkStyle", text)) == len(lab.links) + 8


def overlapping(boxes: list[Placed]) -> Iterator[tuple[str, str]]:
    """Pairs of boxes that lie on each other, found by sweeping from left to right."""
    ordered = sorted(boxes, key=lambda each: each.x)
    for number, a in enumerate(ordered):
        for b in ordered[number + 1 :]:
            if b.x >= a.x + a.width:
                break
            if a.y < b.y + b.height and b.y < a.y + a.height:
                yield a.box.name, b.box.name


def test_the_drawing_has_every_node_and_wire() -> None:
    """The SVG is well-formed, with a box per node and a line per wire; all of it inside the page."""
    lab = source()
    root = ElementTree.fromstring(graph(lab, "svg", records(lab)))
    groups = [each.get("class") for each in root.iter(f"{SVG}g")]
    assert (groups.count("box"), groups.count("link")) == (len(lab.nodes), len(lab.links))
    assert {each.get("id") for each in root.iter(f"{SVG}g")} >= {f"node-{node.name}" for node in lab.nodes}
    at = layout(picture(lab))
    assert all(0 < each.x < at.width - each.width for each in at.boxes.values())
    assert all(0 < each.y < at.height - each.height for each in at.boxes.values())


def test_the_core_is_in_the_middle() -> None:
    """From left to right: hosts, LANs, CEs, a PE, the core, and the same back."""
    at = layout(picture(source())).boxes
    ways = ("c1h1", "br11", "c1e1", "pe1", "p", "pe2", "c1e2", "br12", "c1h3")
    assert sorted(ways, key=lambda name: at[name].x) == list(ways)


def test_labels_of_ports_do_not_touch() -> None:
    """No two labels at one side of a box share their height."""
    slots = [slot for pair in layout(picture(source())).slots for slot in pair]
    for a, b in combinations(slots, 2):
        if (a.x, a.side) == (b.x, b.side):
            first, second = sorted((a, b), key=lambda slot: slot.y)
            assert second.y - first.y >= 11 * max(2, len(first.lines))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40),
    st.lists(st.sampled_from(["p", "pe", "ce", "bridge", "host"]), min_size=1, max_size=30),
)
def test_boxes_never_overlap(links: list[tuple[int, int]], roles: list[str]) -> None:
    """Whatever is linked to whatever, each box has its own place and the drawing is well-formed."""
    lab = mesh(links, roles)
    shown = picture(lab)
    at = layout(shown)
    assert len(at.boxes) == len(roles) and len(at.slots) == len(links)
    assert list(overlapping(list(at.boxes.values()))) == []
    ElementTree.fromstring(FORMATS["svg"](shown, lab))


@pytest.mark.parametrize("shape", ["l3vpn", "chain", "star"])
def test_a_thousand_nodes(shape: str) -> None:
    """A large lab is drawn whole, without overlaps and without recursion's limits."""
    many = 1000
    labs = {
        "l3vpn": lambda: complete(l3vpn(customers=5, sites=20, hosts=8, core=10)),
        "chain": lambda: mesh([(n, n + 1) for n in range(many - 1)], ["p"] + ["ce"] * (many - 1)),
        "star": lambda: mesh([(0, n + 1) for n in range(many - 1)], ["bridge"] + ["host"] * (many - 1)),
    }
    lab = labs[shape]()
    shown = picture(lab)
    at = layout(shown)
    assert len(at.boxes) >= many and list(overlapping(list(at.boxes.values()))) == []
    assert all(FORMATS[form](shown, lab) for form in FORMATS)


def test_an_unknown_format_names_the_known() -> None:
    """A format that is not there is a mistake of the caller's, told with what there is."""
    with pytest.raises(LabError, match="'png' is not known: there are dot, mermaid, svg"):
        graph(source(), "png")
