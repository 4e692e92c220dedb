"""What a wrong lab is answered: every problem at once, each with its line. MNMPLS_REWRITE=1 rewrites the texts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from mnmpls.cli import main
from mnmpls.errors import LabError
from mnmpls.model import Lab, Link, Node, Port, Vrf
from mnmpls.plan import complete, l3vpn, records
from mnmpls.sources import load
from tests.unit.labs import LABS

CASES = sorted((Path(__file__).parent / "errors").glob("*.yml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_wrong_lab_names_every_problem(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong lab file raises one LabError whose text is exactly the golden text beside the case."""
    monkeypatch.chdir(case.parent)
    with pytest.raises(LabError) as raised:
        records(complete(load(case.name)))
    text = f"{raised.value}\n"
    golden = case.with_suffix(".txt")
    if os.environ.get("MNMPLS_REWRITE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert raised.value.exit_code == 2


def test_every_problem_of_a_file_has_its_line() -> None:
    """No problem of a case is without a file name, whatever finds it."""
    for case in CASES:
        with pytest.raises(LabError) as raised:
            records(complete(load(str(case))))
        assert all(problem.place.startswith(str(case)) for problem in raised.value.problems), case


def test_file_that_may_not_be_read(tmp_path: Path) -> None:
    """A lab file of somebody else's is a LabError that says so."""
    path = tmp_path / "lab.yml"
    path.write_text("nodes: {h: host}")
    path.chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(LabError, match=f"^{path}: cannot read the lab file: Permission denied$"):
            load(str(path))
    finally:
        os.seteuid(before)


def test_file_that_is_too_long(tmp_path: Path) -> None:
    """No more is read than a lab file may have."""
    path = tmp_path / "long.yml"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(LabError, match=f"^{path}: a lab file may have 8388608 bytes; this one has more$"):
        load(str(path))


@pytest.mark.parametrize("kind", ["FIFO", "folder", "device"])
def test_no_regular_file(tmp_path: Path, kind: str) -> None:
    """It is refused at once: nobody waits for a writer, or reads a device to its end."""
    path = tmp_path / "lab.yml"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(LabError, match=f"^{path}: this is not a regular file: give a lab file$"):
        load(str(path))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("mnmpls schema > /dev/full", "mnmpls: `mnmpls schema` cannot go on: No space left on device\n"),
        ("mnmpls --version", "mnmpls "),
        ("mnmpls down './x\033[31m.yml'", "mnmpls: no lab of the file ./x\\x1b[31m.yml runs here; `mnmpls up ./x"),
        ("mnmpls plan one.yml", "one: 1 node, 0 links\n"),
    ],
)
def test_what_the_command_says(tmp_path: Path, command: str, said: str) -> None:
    """An error of the machine names the verb as what it is; nothing that a terminal acts on is repeated."""
    (tmp_path / "one.yml").write_text("name: one\nnodes: {h: host}\nlinks: []\n")
    root = Path(__file__).resolve().parents[2]
    script = f'mnmpls() {{ "{sys.executable}" -m mnmpls "$@"; }}; {command}'
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)},
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert (done.stderr or done.stdout).startswith(said)


def test_the_readmes_problems_are_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's lab file with four mistakes put in is answered with what the README shows."""
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    text = readme.split("```yaml\n")[1].split("```")[0]
    for right, wrong in (("vrfs: ", "vrf: "), ("ce1: ce", "ce1: ec"), ("ce2: 10.2.0.2", "ce2: 10.2.0.5")):
        assert right in text
        text = text.replace(right, wrong, 1)
    monkeypatch.chdir(tmp_path)
    Path("small.yml").write_text(text, encoding="utf-8")
    with pytest.raises(LabError) as raised:
        complete(load("small.yml"))
    assert f"$ mnmpls plan small.yml\nmnmpls: 4 problems, nothing was done:\n{raised.value}\n" in readme


PE = Node("pe1", "pe", vrfs=(Vrf("red"), Vrf("blue", 10)))
PYTHON: list[tuple[str, Callable[[], Lab], list[str]]] = [
    (
        "several",
        lambda: Lab("x", (PE, Node("h", "hst")), (Link(Port("pe1", vrf="rad"), Port("h1")),)),
        [
            "links[0].a.vrf: link pe1 - h1: pe1 has no VRF 'rad'; did you mean 'red'?",
            "links[0].b: link pe1 - h1: there is no node 'h1'; did you mean 'h'?",
            "nodes.h.role: there is no role 'hst'; did you mean 'host'?",
        ],
    ),
    (
        "twice",
        lambda: Lab("x", (PE, PE), (Link(Port("pe1", "a"), Port("pe1", "a")),)),
        [
            "links[0]: link pe1 - pe1: both ends are at pe1; a link joins two nodes",
            "links[0].b.port: link pe1 - pe1: pe1 has a port 'a' already, at links[0].a: name this one otherwise, or "
            "leave its name out",
            "nodes.pe1: there are two nodes called pe1: rename one",
        ],
    ),
    ("no-node", lambda: Lab("x", (PE,), (Link(Port(""), Port("pe1")),)),
     ["links[0].a: link ? - pe1: which node is this end at? Give it the name of one"]),
    ("no-name", lambda: Lab("x", (Node("", "p"),), ()),
     ["nodes.: the node name '' may have letters (a to z), digits and _ . - only, and one at least"]),
    (
        "types",
        lambda: Lab(
            "x", (_any(Node)("h", "host", "10.0.0.1/32", ("red",)), _any(Node)("p", None)), _any([]),
            platform_labels=10**5000,
        ),
        [
            "nodes.h.loopbacks: expected a tuple, each of it a text, not '10.0.0.1/32': write ('10.0.0.1/32',)",
            "nodes.h.vrfs[0]: expected a Vrf, not 'red'",
            "nodes.p.role: expected a text, not None",
            "links: expected a tuple, each of it a Link, not []",
            "platform_labels: expected a whole number, not one of 16610 bits",
        ],
    ),
    (
        "types-deeper",
        lambda: Lab(
            "x", (Node("pe", "pe", vrfs=(_any(Vrf)("red", "10", None, ("1:1", 7)),), sysctls=_any((("a",),))),),
            (Link(_any(Port)("pe", mtu_bytes=True), Port("pe")),),
        ),
        [
            "nodes.pe.vrfs.red.table: expected a whole number, not '10'",
            "nodes.pe.vrfs.red.imports[1]: expected a text, not 7",
            "nodes.pe.sysctls[0]: expected 2 values, not ('a',)",
            "links[0].a.mtu_bytes: expected a whole number, not True",
        ],
    ),
]  # fmt: skip


def _any(value: Any) -> Any:
    """What a type checker would not let through, and Python does."""
    return value


@pytest.mark.parametrize(("lab", "texts"), [case[1:] for case in PYTHON], ids=[case[0] for case in PYTHON])
def test_wrong_lab_from_python(lab: Callable[[], Lab], texts: list[str]) -> None:
    """The same errors without lines; and a value of the wrong type is one of them, not a traceback."""
    with pytest.raises(LabError) as raised:
        complete(lab())
    assert str(raised.value).split("\n") == texts


@settings(deadline=None, max_examples=150)
@given(LABS)
def test_any_lab_from_python_is_planned_or_refused(lab: Lab) -> None:
    """Whatever a lab says, nothing but LabError comes of it, and no problem of it claims to be in a file."""
    try:
        records(complete(lab))
    except LabError as error:
        assert error.problems and not any(problem.place for problem in error.problems)


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({"customers": 0}, "l3vpn.customers: 0 is not possible: give 1 to 4000"),
        ({"sites": "two"}, "l3vpn.sites: 'two' is not a whole number"),
        ({"cores": 1}, "l3vpn.cores: there is no size of this name; did you mean 'core'?"),
        ({"hosts": 201, "core": 0}, "l3vpn.hosts: 201 is not possible: give 0 to 200\nl3vpn.core: 0 is"),
    ],
)
def test_impossible_sizes(sizes: dict[str, int], text: str) -> None:
    """Sizes that cannot be are refused with what can be."""
    with pytest.raises(LabError) as raised:
        l3vpn(**sizes)
    assert str(raised.value).startswith(text)


def test_sizes_by_place_and_by_name_are_the_same() -> None:
    """The places are customers, sites, hosts, core."""
    assert l3vpn(1, 3, hosts=1) == l3vpn(customers=1, sites=3, hosts=1) == l3vpn(1, 3, 1, 1)


def test_unknown_ending_and_missing_file(tmp_path: Path) -> None:
    """A file that no reader knows, or that is not there, is a LabError and no traceback."""
    with pytest.raises(LabError, match=r"ends in one of \.dot, \.gv, \.yaml, \.yml, this one in \.doc"):
        load("lab.doc")
    with pytest.raises(LabError, match=r"in \.py: topologies in Python are started with `sudo mn --custom FILE`"):
        load("lab.py")
    with pytest.raises(LabError, match="cannot read the lab file: No such file"):
        load(str(tmp_path / "none.yml"))


def test_what_is_no_file_may_be_meant_as_a_running_lab(capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is neither is told as neither."""
    assert main(["plan", "no-such-lab"]) == 2
    assert "neither a lab file nor a running lab 'no-such-lab'" in capsys.readouterr().err
