"""YAML and DOT: whatever a lab file says survives the way there and back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnmpls.cli import main
from mnmpls.errors import LabError
from mnmpls.export.convert import to_dot
from mnmpls.export.dot import dot
from mnmpls.export.graph import graph
from mnmpls.export.picture import Box, End, Picture, Wire
from mnmpls.model import Lab
from mnmpls.plan import complete, l3vpn, records
from mnmpls.sources import load
from mnmpls.sources.to_yaml import to_yaml
from tests.labs import dual_stack
from tests.unit.labs import LABS

ROOT = Path(__file__).resolve().parents[2]
TOPOS = sorted((ROOT / "topos").glob("*.yml"))


def read(folder: Path, text: str, ending: str) -> Lab:
    path = folder / f"lab{ending}"
    path.write_text(text, encoding="utf-8")
    return load(str(path))


def drawn(lab: Lab) -> str:
    """Of a lab that makes no sense: as it stands."""
    boxes = tuple(Box(node.name, "p", (), "red") for node in lab.nodes)
    wires = tuple(Wire(End(each.a.node, (), ""), End(each.b.node, (), ""), "red") for each in lab.links)
    return dot(Picture(lab.name, boxes, wires, (), (), ()), lab)


@settings(deadline=None, max_examples=150)
@given(LABS)
def test_any_lab_survives_yaml_and_dot(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> None:
    """Sensible or not: the same lab, without a fault, and the same text again."""
    folder = tmp_path_factory.getbasetemp()
    for ending, write in ((".yml", to_yaml), (".dot", drawn)):
        text = write(lab)
        back = read(folder, text, ending)
        assert (back, back.faults) == (lab, ())
        assert write(back) == text


@pytest.mark.parametrize("path", TOPOS, ids=lambda path: path.stem)
def test_topos_survive_in_both_orders(tmp_path: Path, path: Path) -> None:
    """Of each lab that comes with the project DOT makes YAML makes DOT, which Graphviz draws; its plan is the same."""
    lab = load(str(path))
    text = to_dot(lab)
    back = read(tmp_path, text, ".dot")
    assert back == lab
    assert read(tmp_path, to_yaml(back), ".yml") == lab
    assert to_dot(back) == text
    assert records(complete(back)) == records(complete(lab))
    subprocess.run(["dot", "-Tsvg"], input=text, text=True, check=True, capture_output=True)


def test_the_picture_of_a_lab_is_a_lab_file(tmp_path: Path) -> None:
    """`mnmpls graph` writes the same DOT, of the completed lab; label paths in it are drawn and no links."""
    for lab in (complete(dual_stack()), complete(l3vpn(2, 2, 1, 2))):
        assert read(tmp_path, graph(lab, "dot", records(lab)), ".dot") == lab


BY_HAND = """
// what a person writes
digraph "by hand" {
    rankdir=LR; node [role=host, shape="box"]
    h1; h2
    subgraph cluster_core { label="the core" node [role=p]
      p1 -> p2
      pe1 [role=pe vrfs=red]; pe2 [role=PE
        vrfs="[red]"]
    }
    pe1 -> p1 [tail_ip="10.0.0.1/30" head_ip="10.0.0.2/30", label=<<b>core</b>>]
    p2 -> pe2
    edge [mtu=1400]
    pe1 -> {ce1 ce2} [tail_vrf=red] /* two links */
    ce1:eth7 -> h1 -> h2:n
    ce1 [role="c" + "e"] ce2 [role=ce exec="echo \\"a\\" # b"]
}
"""


def test_what_a_person_writes(tmp_path: Path) -> None:
    """Defaults by scope, subgraphs, chains, groups, ports, comments, quotes, and Graphviz's own attributes."""
    lab = read(tmp_path, BY_HAND.replace("PE", "pe"), ".dot")
    assert lab.faults == () and lab.name == "by hand"
    roles = {node.name: node.role for node in lab.nodes}
    assert roles == {
        "h1": "host", "h2": "host", "p1": "p", "p2": "p", "pe1": "pe", "pe2": "pe", "ce1": "ce", "ce2": "ce"
    }  # fmt: skip
    ends = [(link.a.node, link.b.node, link.a.mtu_bytes) for link in lab.links]
    assert ends == [
        ("p1", "p2", None), ("pe1", "p1", None), ("p2", "pe2", None),
        ("pe1", "ce1", 1400), ("pe1", "ce2", 1400), ("ce1", "h1", 1400), ("h1", "h2", 1400),
    ]  # fmt: skip
    assert [link.a.vrf for link in lab.links] == [None, None, None, "red", "red", None, None]
    assert lab.links[1].b.addresses == ("10.0.0.2/30",) and lab.links[5].a.name == "eth7"
    assert [vrf.name for vrf in lab.node("pe2").vrfs] == ["red"]
    assert lab.node("ce2").exec == ('echo "a" # b',)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("graph {\n a -- [role=p]\n}", ["2: this is not DOT: '[' cannot stand here"]),
        ("graph {\n a [role=p]\n", ["2: this is not DOT: the file ends where more was to come"]),
        ("graph {\n pe-1 [role=p]\n}", ["2: this is not DOT: '-' cannot stand here (names with other signs"]),
        ("graph {\n a [rolle=p]\n}", ["2: nodes.a: a has no role", "2: nodes.a.rolle: there is no key 'rolle' here"]),
        ("graph {\n a [role=p]\n\n a -- b\n}", ["4: links[0].b: "]),
        ("graph {\n a [role=p]; b [role=p]\n a -- b [tail_ipp=1]\n}", ["3: links[0].a.ipp: there is no key 'ipp'"]),
        ("graph {\n a [role=pe\n vrfs=\"{red:\n {tabel: 1}}\"]\n}", ["4: nodes.a.vrfs.red.tabel: there is no key"]),
        ("graph {\n a [role=pe vrfs=\"{red\"]\n}", ["2: this is not YAML: "]),
        ("graph {\n a [role=pe vrfs=\"[&x r, *x]\"]\n}", ["2: an alias (*) has no place in an attribute"]),
        ("graph " + "{" * 300 + "}" * 300, ["braces in braces: more than 200 levels"]),
        ("graph { a [role=p] } junk", ["1: this is not DOT: 'junk' cannot stand here"]),
    ],
)
def test_problems_have_their_line(tmp_path: Path, text: str, problems: list[str]) -> None:
    """As of YAML: what DOT does not allow, what the lab file does not know, and what makes no sense."""
    path = tmp_path / "lab.dot"
    path.write_text(text)
    with pytest.raises(LabError) as raised:
        complete(load(str(path)))
    said = str(raised.value).splitlines()
    for problem in problems:
        head = f"{path}:{problem}" if problem[0].isdigit() else f"{path}: {problem}"
        assert any(line.startswith(head) for line in said), said


PIECES = [*'{}[]"=;,-><:/*&#\\ \n\0é1ap', "'", "--", "->", "node", "graph", "/*", "//", "{{", "role=p", "a=head", "&x"]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 30), st.sampled_from(PIECES)), max_size=4))
def test_damaged_files(tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[float, int, str]]) -> None:
    """Whatever is cut out of a DOT file or put into it: it is a lab, or a LabError with a place in the file."""
    text = (ROOT / "topos" / "l3vpn.dot").read_text()
    for where, cut, piece in damage:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + cut :]
    try:
        complete(read(tmp_path_factory.getbasetemp(), text, ".dot"))
    except LabError as error:
        assert all("lab.dot" in problem.place for problem in error.problems)


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There and back; a file that is there stays unless one insists; endings decide."""
    source, there, back = str(TOPOS[0]), str(tmp_path / "x.dot"), str(tmp_path / "x.yml")
    assert main(["convert", source, there]) == 0 and main(["convert", there, back]) == 0
    assert load(back) == load(source)
    assert main(["convert", source, there]) == 2
    assert f"{there} is there already; --force overwrites it" in capsys.readouterr().err
    assert main(["convert", source, there, "--force"]) == 0
    assert main(["convert", source, str(tmp_path / "x.png")]) == 2
    assert "ends in none of .yml, .yaml, .dot, .gv" in capsys.readouterr().err
