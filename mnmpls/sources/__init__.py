"""Lab files: text to Lab, one reader per file ending; plain data to Lab and back; the schema for editors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from ..errors import LabError, Problem
from ..model import Lab
from . import from_yaml
from .from_data import from_data
from .schema import schema
from .to_data import data, public

__all__ = ["SOURCES", "data", "from_data", "load", "public", "schema"]


def _read_dot(path: str, variables: Mapping[str, str]) -> Lab:
    lab: Lab = import_module(".from_dot", __name__).read(path)  # takes in a parser that other files do not need
    return lab


SOURCES: dict[str, Callable[[str, Mapping[str, str]], Lab]] = {
    ".yml": from_yaml.read,
    ".yaml": from_yaml.read,
    ".dot": _read_dot,
    ".gv": _read_dot,
}


_FOR_MININET = ": topologies in Python are started with `sudo mn --custom FILE`"


def load(path: str, variables: Mapping[str, str] = os.environ) -> Lab:
    """The lab in the file ``path``, open where the file leaves it open; ``variables`` are for Containerlab's. Raises
    LabError."""
    ending = Path(path).suffix
    if ending not in SOURCES:
        known = ", ".join(sorted(SOURCES))
        text = f"a lab file ends in one of {known}, this one in {ending or 'nothing'}"
        raise LabError([Problem("", f"{text}{_FOR_MININET if ending == '.py' else ''}", path)])
    return SOURCES[ending](path, variables)
