"""The README's tables of link types, label operations and VRF features: each is there, with a command that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mnmpls.model import DUMMY, LINK_TYPES, POPS
from mnmpls.plan import complete
from mnmpls.sources import load

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
VERBS = ("capture", "check", "drift", "exec", "graph", "plan", "trace")


def _rows(title: str) -> list[list[str]]:
    """Of the first table under a heading."""
    part = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_every_link_type_has_its_row() -> None:
    """Each of the reader's types, the dummy, unnumbered and encrypted links and LANs, and no other."""
    first = [re.match(r"`([a-z0-9-]+)|a (LAN)", row[0]) for row in _rows("Links")]
    names = [match[1] or match[2] for match in first if match]
    assert sorted(names) == sorted([*LINK_TYPES, DUMMY, "unnumbered", "ipsec", "LAN"])


@pytest.mark.parametrize("title", ["Links", "Labels", "VRFs"])
def test_every_row_has_its_command(title: str) -> None:
    """Its last cell is something that can be typed."""
    rows = _rows(title)
    assert len(rows) >= 10
    for row in rows:
        assert len(row) == len(rows[0]) and re.search(r"`[a-z…][^`]+`", row[-1]), row


@pytest.mark.parametrize("row", _rows("Links"), ids=lambda row: row[0])
def test_what_shows_a_link_type_exists(row: list[str]) -> None:
    """The command's lab is among ours, and has the type, the node and the port."""
    match = re.search(r"`([a-z]+) (\w+) ?([^`]*)`", row[-1])
    assert match and match[1] in VERBS
    lab = complete(load(str(PROJECT / "topos" / f"{match[2]}.yml")))
    kind = re.match(r"`([a-z0-9-]+)`", row[0])
    if kind and kind[1] in LINK_TYPES:
        assert kind[1] in {link.type for link in lab.links}
    node, *words = match[3].split() or [lab.nodes[0].name]
    ports = {port.name for port in lab.ports(node)}
    assert match[1] != "capture" or words[0] in ports
    assert any(each.name == node for each in lab.nodes)


def test_every_way_to_pop_is_told() -> None:
    """The table of label operations has each value of ``pop`` but the usual one."""
    told = " ".join(cell for row in _rows("Labels") for cell in row)
    assert all(f"pop: {each}" in told for each in POPS[1:])
