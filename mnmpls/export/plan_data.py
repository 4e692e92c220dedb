"""A plan as plain data, for programs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from ..apply import difference
from ..model import Lab
from ..sources.to_data import data, public
from ..state import Record


def plan_data(
    lab: Lab, records: Mapping[str, frozenset[Record]], nodes: Collection[str] = ()
) -> dict[str, Any]:
    """``lab`` as sources.from_data reads it, without its secrets, and each node's (or each of ``nodes``') records in
    the order in which they are written: which record it is, then its fields."""
    names = [node.name for node in lab.nodes if not nodes or node.name in nodes]
    plain = {name: [_plain(each) for each in difference(records[name], ()).write] for name in names}
    return {"lab": data(public(lab)), "records": plain}


def _plain(record: Record) -> dict[str, Any]:
    return {"record": type(record).__name__, **asdict(record)}
