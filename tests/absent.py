"""What the project cannot bring along for its tests: where it is not there, a run says that they prove nothing, which
is no failure, in CI neither."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NoReturn

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
WORD = "not here: "
"""What the reason of such a test's skip begins with. Any other skip is a failure in CI (conftest.py)."""
_PROGRAMS = ("containerlab",)
_SCHEMAS = ("clab.schema.json", "clabernetes.containerlab.dev_topologies.yaml")


def program(name: str) -> str:
    """Its path. Skips the test where it is not there."""
    assert name in _PROGRAMS
    return shutil.which(name) or _skip(f"the program {name}, on PATH")


def schema(name: str) -> str:
    """The text of a schema of somebody else's. Skips the test where it is not there."""
    assert name in _SCHEMAS
    path = SHARED / name
    return path.read_text(encoding="utf-8") if path.exists() else _skip(f"{name}, in ../{SHARED.name}")


def _skip(what: str) -> NoReturn:
    pytest.skip(f"{WORD}{what}")
