"""What a wrong lab is answered: every problem at once, each with its line. MNMPLS_REWRITE=1 rewrites the texts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mnmpls.errors import LabError
from mnmpls.plan import complete, l3vpn, records
from mnmpls.sources import load

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
    with pytest.raises(LabError, match=r"ends in one of \.yaml, \.yml, this one in \.doc"):
        load("lab.doc")
    with pytest.raises(LabError, match="cannot read the lab file: No such file"):
        load(str(tmp_path / "none.yml"))
