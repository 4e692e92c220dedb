"""A Containerlab topology's entries: what a node inherits, and how its tree is made into that of a lab file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from .keys import NODE
from .reading import PLAIN, Notes, is_null, items, mapping, text

BRIDGES = frozenset(("bridge", "ovs-bridge"))
"""Kinds that are bridges of the host."""
_IMAGE = "mnmpls"
"""What an image of ours is called, whatever registry and tag it has."""

Tree = dict[str, yaml.Node]
"""Entries of one mapping, or of several laid over each other."""


class Levels(NamedTuple):
    """What a node inherits from, weakest first: (where it stands, its entries)."""

    found: tuple[tuple[str, Tree], ...]
    group: str
    kind: str

    @classmethod
    def of(cls, notes: Notes, topology: Tree, name: str, node: yaml.Node) -> Levels:
        defaults = mapping_of(notes, "topology.defaults", topology.get("defaults"))
        own = mapping_of(notes, f"nodes.{name}", node)
        group = text(notes, f"nodes.{name}.group", own.get("group") or defaults.get("group"))
        of_group = _level(notes, topology, "groups", group)
        kind_node = own.get("kind") or of_group.get("kind") or defaults.get("kind")
        kind = text(notes, f"nodes.{name}.kind", kind_node, "linux")
        found = (
            ("topology.defaults", defaults),
            (f"topology.kinds.{kind}", _level(notes, topology, "kinds", kind)),
            (f"topology.groups.{group}", of_group),
            (f"nodes.{name}", own),
        )
        return cls(found, group, kind)

    def merged(self, notes: Notes, key: str) -> Tree:
        """Of a mapping that Containerlab merges over all levels."""
        found: Tree = {}
        for where, entries in self.found:
            found |= mapping_of(notes, f"{where}.{key}", entries.get(key))
        return found

    @property
    def is_foreign(self) -> bool:
        """Not of our image: it is run, and whoever wrote the topology sets it up."""
        name = (self.text("image") or _IMAGE).rpartition("/")[2].partition(":")[0]
        return self.is_vendors or not name.startswith(_IMAGE)

    @property
    def is_vendors(self) -> bool:
        """Of a kind that only Containerlab can make."""
        return self.kind not in ("", "linux", *BRIDGES)

    def text(self, key: str) -> str:
        """By the strongest that gives one."""
        return next((found for _, entries in reversed(self.found) if (found := said(entries, key))), "")

    def listed(self, notes: Notes, key: str) -> Iterator[yaml.Node]:
        """Of a list that Containerlab joins over all levels."""
        for where, entries in self.found:
            yield from (each for _, each in items(notes, f"{where}.{key}", entries.get(key)))

    def variables(self, notes: Notes) -> Tree:
        """Our words of ``config.vars``: those within ``mnmpls`` are all ours, others may be anybody's."""
        found: Tree = {}
        for where, entries in self.found:
            told = variables_of(notes, where, entries)
            found |= {key: value for key, value in told.items() if key in NODE}
            if "mnmpls" in told:
                found |= mapping(notes, f"{where}.config.vars.mnmpls", told["mnmpls"], tuple(NODE))
        return found


_MERGE = f"{PLAIN}merge"


def unmerged(node: yaml.Node) -> yaml.Node:
    """The tree at ``node`` with what ``<<: *BASE`` takes in written out (https://yaml.org/type/merge.html)."""
    if isinstance(node, yaml.SequenceNode):
        return yaml.SequenceNode(node.tag, [unmerged(each) for each in node.value], node.start_mark, node.end_mark)
    if not isinstance(node, yaml.MappingNode):
        return node
    own = [(key, unmerged(value)) for key, value in node.value if key.tag != _MERGE]
    known = {spelled(key) for key, _ in own}
    for base in (unmerged(value) for key, value in node.value if key.tag == _MERGE):
        for each in base.value if isinstance(base, yaml.SequenceNode) else [base]:
            new = [(key, value) for key, value in _pairs(each) if spelled(key) not in known]
            own += new
            known |= {spelled(key) for key, _ in new}
    return yaml.MappingNode(node.tag, own, node.start_mark, node.end_mark)


def _pairs(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def texts_of(node: yaml.Node) -> Any:
    """The tree as plain data, each scalar as it is written; None for null."""
    if isinstance(node, yaml.MappingNode):
        return {spelled(key): texts_of(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [texts_of(each) for each in node.value]
    return None if is_null(node) else spelled(node)


def _level(notes: Notes, topology: Tree, kind: str, name: str) -> Tree:
    """A group may be a mere word, without an entry."""
    every = mapping_of(notes, f"topology.{kind}", topology.get(kind))
    return mapping_of(notes, f"topology.{kind}.{name}", every.get(name))


def variables_of(notes: Notes, where: str, level: Tree) -> Tree:
    config = mapping_of(notes, f"{where}.config", level.get("config"))
    return mapping_of(notes, f"{where}.config.vars", config.get("vars"))


def mapping_of(notes: Notes, where: str, node: yaml.Node | None) -> Tree:
    return {} if node is None else mapping(notes, where, node)


def said(entries: Tree, key: str) -> str:
    return spelled(entries.get(key))


def spelled(node: yaml.Node | None) -> str:
    """A scalar's text; nothing of what is none."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


# The tree of the lab file, each entry of it where Containerlab's has what it says.


def plain(text_: str, like: yaml.Node | None) -> yaml.Node:
    return yaml.ScalarNode(f"{PLAIN}str", text_, *((like.start_mark, like.end_mark) if like else ()))


def listing(entries: list[yaml.Node], like: yaml.Node) -> yaml.Node:
    return yaml.SequenceNode(f"{PLAIN}seq", entries, like.start_mark, like.end_mark)


def tree_of(entries: Mapping[str, yaml.Node], like: yaml.Node) -> yaml.Node:
    pairs = [(plain(key, value), value) for key, value in entries.items()]
    return yaml.MappingNode(f"{PLAIN}map", pairs, like.start_mark, like.end_mark)
