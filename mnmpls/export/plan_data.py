"""A plan as plain data, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..apply import difference
from ..model import Lab
from ..sources.to_data import data, public
from ..state import Record


def plan_data(lab: Lab, records: Mapping[str, frozenset[Record]]) -> dict[str, Any]:
    """``lab`` as sources.from_data reads it, without its secrets, and each node's records in the order in which they
    are written: which record it is, then its fields."""
    ordered = {node.name: difference(records[node.name], ()).write for node in lab.nodes}
    plain = {node: [_plain(each) for each in found] for node, found in ordered.items()}
    return {"lab": data(public(lab)), "records": plain}


def _plain(record: Record) -> dict[str, Any]:
    return {"record": type(record).__name__, **asdict(record)}
