"""What the project cannot bring along for its tests: where it is not there, a run says that they prove nothing, which
is no failure, in CI neither."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
WORD = "not here: "
"""What the reason of such a test's skip begins with. Any other skip is a failure in CI (conftest.py)."""
_PROGRAMS = ("containerlab",)
_UNREACHED = re.compile("Failed to fetch|Temporary failure|Could not (resolve|connect)|Unable to connect")
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


def archive(said: str) -> None:
    """Skips the test where apt has ``said`` that it could not get Debian's packages."""
    if _UNREACHED.search(said):
        _skip("Debian's archive, for apt")


def _skip(what: str) -> NoReturn:
    pytest.skip(f"{WORD}{what}")
