"""A lab from plain data (texts, numbers, lists, mappings), as JSON gives it: a file's tree, without lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

import yaml

from ..errors import LabError, Problem
from ..model import Lab
from . import from_tree
from .reading import DEEPEST, PLAIN, TOO_DEEP, Notes

_TEXT, _NUMBER, _LIST, _MAPPING = f"{PLAIN}str", f"{PLAIN}int", f"{PLAIN}seq", f"{PLAIN}map"
_PLAIN_TYPES = {int: "int", float: "float", bool: "bool", type(None): "null"}


def from_data(data: object) -> Lab:
    """The lab that ``data`` describes in a lab file's form; what is wrong with it is found as in a file, each problem
    with its path. Raises LabError for what no lab file can hold."""
    return from_tree.read(Notes("", places={"": ""}), _tree(None, data, 0))


_Where = tuple["_Where", str] | None
"""A path, its last part apart: it is put together when it is to be told."""


def _tree(where: _Where, data: object, depth: int) -> yaml.Node:
    if type(data) is str:  # nearly all are
        return _text(data)
    if type(data) is int and data.bit_length() <= 63:
        return yaml.ScalarNode(_NUMBER, str(data))
    if isinstance(data, int) and data.bit_length() > 13_000:  # Python refuses to write out 4300 digits
        raise LabError([Problem(_path(where), f"no number of a lab has {data.bit_length()} bits")])
    kind = _PLAIN_TYPES.get(type(data))
    if kind:
        return yaml.ScalarNode(f"{PLAIN}{kind}", json.dumps(data))
    if depth >= DEEPEST:
        raise LabError([Problem("", TOO_DEEP)])
    depth += 1
    if isinstance(data, (list, tuple)):
        return yaml.SequenceNode(_LIST, [_tree((where, f"[{i}]"), entry, depth) for i, entry in enumerate(data)])
    if isinstance(data, (dict, Mapping)):
        pairs = [
            (
                _text(key) if type(key) is str else _tree((where, f".{key}"), key, depth),
                _text(entry) if type(entry) is str else _tree((where, f".{key}"), entry, depth),
            )
            for key, entry in data.items()
        ]
        return yaml.MappingNode(_MAPPING, pairs)
    text = f"a lab is made of texts, numbers, lists and mappings, not of {_what(data)}"
    raise LabError([Problem(_path(where), text)])


def _path(where: _Where) -> str:
    parts: list[str] = []
    while where:
        where, part = where
        parts.append(part)
    return "".join(reversed(parts)).removeprefix(".")


@lru_cache(maxsize=65536)
def _text(text: str) -> yaml.Node:
    """One for all places where it stands, since none has a line; keys are most of all texts."""
    return yaml.ScalarNode(_TEXT, text)


def _what(data: object) -> str:
    return f"{type(data).__name__} {str(data)[:40]!r}"
