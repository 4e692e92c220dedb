"""Typed reading of a tree of entries: what a value is follows from where it stands, not from how YAML 1.1 guesses
(there ``65000:10`` is a number and ``no`` a truth value). Every fault is noted with its place; reading goes on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import yaml

from ..errors import Problem, nearest

PLAIN = "tag:yaml.org,2002:"
_NULL = f"{PLAIN}null"
DEEPEST = 20
"""Levels of a tree. A lab has 6."""
TOO_DEEP = f"a lab may have {DEEPEST} levels; this one has more"
LONGEST_TEXT, LONGEST_KEY = 4096, 64
"""What is longer means nothing in a lab, and would only fill a person's screen."""


@dataclass
class Notes:
    """What one pass over a tree collects: faults, and the line of every path. ``path`` is the file's, empty for what
    was no file."""

    path: str
    problems: list[Problem] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)

    def at(self, where: str, node: yaml.Node) -> None:
        if node.start_mark:
            self.places.setdefault(where, self.place(node))

    def place(self, node: yaml.Node) -> str:
        return f"{self.path}:{node.start_mark.line + 1}" if node.start_mark else self.path

    def fault(self, where: str, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(where, text, self.place(node)))


class Entries(dict[str, yaml.Node]):
    """What a mapping at the path ``where`` gives. Each way to read one entry gives nothing for a key that is not
    there."""

    __slots__ = ("notes", "where")

    def __init__(self, notes: Notes, where: str) -> None:
        self.notes, self.where = notes, where

    def under(self, key: str) -> str:
        """The path of one entry."""
        return _under(self.where, key)

    def text(self, key: str, otherwise: str = "") -> str:
        node = self.get(key)
        if type(node) is yaml.ScalarNode and not node.start_mark and len(node.value) <= LONGEST_TEXT:
            return str(node.value)  # as nearly all: no line to be noted
        return otherwise if node is None else text(self.notes, self.under(key), node)

    def texts(self, key: str) -> tuple[str, ...]:
        node = self.get(key)
        return () if node is None else texts(self.notes, self.under(key), node)

    def number(self, key: str) -> int | None:
        node = self.get(key)
        return None if node is None else number(self.notes, self.under(key), node)

    def numbers(self, key: str) -> tuple[int, ...]:
        node = self.get(key)
        return () if node is None else numbers(self.notes, self.under(key), node)

    def flag(self, key: str) -> bool:
        node = self.get(key)
        return node is not None and flag(self.notes, self.under(key), node)

    def listed(self, key: str) -> Iterator[tuple[str, yaml.Node]]:
        node = self.get(key)
        return iter(()) if node is None else items(self.notes, self.under(key), node)

    def require(self, node: yaml.Node, **keys: str) -> None:
        """A fault for each key that is missing in ``node``, which these are the entries of, with what it stands for."""
        if isinstance(node, yaml.MappingNode):
            for key, meaning in keys.items():
                if key not in self:
                    self.notes.fault(self.under(key), node, f"{key} is missing: give {meaning}")


def mapping(notes: Notes, where: str, node: yaml.Node, known: Collection[str] = (), like: str = "") -> Entries:
    """The entries of a mapping; with ``known``, other keys are faults. Empty values count as left out."""
    found = Entries(notes, where)
    if not isinstance(node, yaml.MappingNode):
        if not is_null(node):
            hint = f" with {', '.join(known)}" if known else f" such as {like}" if like else ""
            notes.fault(where, node, f"expected a mapping{hint}, not {_what(node)}")
        return found
    for key_node, value in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
        if not 0 < len(key) <= LONGEST_KEY:
            notes.fault(where, key_node, f"expected a name before the colon, not {_what(key_node)}")
        elif known and key not in known:
            notes.fault(_under(where, key), key_node, f"there is no key {key!r} here; {nearest(key, known)}")
        elif key in found:
            first = found[key].start_mark
            there = f", first in line {first.line + 1}" if first else ""
            text = f"{key!r} is given twice{there}: rename one, or take one out"
            notes.fault(_under(where, key), key_node, text)
        else:
            if key_node.start_mark:
                notes.at(_under(where, key), key_node)
            found[key] = value
    for key in [key for key, value in found.items() if value.tag == _NULL and is_null(value)] if known else ():
        del found[key]
    return found


def _under(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def is_text(node: yaml.Node | None, text: str) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == text


def text(notes: Notes, where: str, node: yaml.Node | None, otherwise: str = "") -> str:
    """A scalar exactly as it is written."""
    if node is None:
        return otherwise
    if node.start_mark:
        notes.at(where, node)
    if isinstance(node, yaml.ScalarNode) and len(node.value) <= LONGEST_TEXT:
        return str(node.value)
    notes.fault(where, node, f"expected a text, not {_what(node)}")
    return otherwise


def number(notes: Notes, where: str, node: yaml.Node | None) -> int | None:
    """A whole number, decimal or 0x."""
    if node is None:
        return None
    notes.at(where, node)
    if isinstance(node, yaml.ScalarNode):
        try:
            return int(node.value, 0)
        except ValueError:
            pass
    notes.fault(where, node, f"expected a whole number, not {_what(node)}")
    return None


def flag(notes: Notes, where: str, node: yaml.Node | None) -> bool:
    if node is None:
        return False
    notes.at(where, node)
    word = node.value.lower() if isinstance(node, yaml.ScalarNode) else ""
    if word not in ("true", "false"):
        notes.fault(where, node, f"expected true or false, not {_what(node)}")
    return bool(word == "true")


def items(notes: Notes, where: str, node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """The entries of a list with their paths; a single value is a list of one."""
    if node is None or is_null(node):
        return
    notes.at(where, node)
    if isinstance(node, yaml.SequenceNode):
        for i, entry in enumerate(node.value):
            notes.at(f"{where}[{i}]", entry)
            yield f"{where}[{i}]", entry
    elif isinstance(node, yaml.ScalarNode):
        yield where, node
    else:
        notes.fault(where, node, f"expected a list, not {_what(node)}")


def texts(notes: Notes, where: str, node: yaml.Node | None) -> tuple[str, ...]:
    return () if node is None else tuple(text(notes, path, entry) for path, entry in items(notes, where, node))


def numbers(notes: Notes, where: str, node: yaml.Node | None) -> tuple[int, ...]:
    found = (number(notes, path, entry) for path, entry in items(notes, where, node))
    return tuple(entry for entry in found if entry is not None)


def _what(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        if len(node.value) > LONGEST_KEY:
            return f"{len(node.value)} characters beginning with {node.value[:20]!r}"
        return repr(node.value) if node.value else "nothing"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
