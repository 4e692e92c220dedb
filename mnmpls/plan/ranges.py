"""Label ranges: a router that has one takes in planned labels from there, and no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..errors import LabError, Problem
from ..model import Lab, Lsp, Node
from .graph import Edge

Steps = Sequence[Mapping[str, tuple[Edge, ...]]]
Taken = Mapping[str, set[int]]
"""Labels that come in at a router already."""


def bounds(node: Node) -> range:
    """The numbers of a sound ``label_range``; empty for none."""
    first, _, last = node.label_range.partition("-")
    return range(int(first), int(last) + 1) if last else range(0)


def given(lab: Lab, paths: Iterable[tuple[Lsp, Steps]]) -> dict[str, set[int]]:
    """The labels that the user gave, or that were planned before, by the router at which they come in."""
    taken: dict[str, set[int]] = defaultdict(set)
    for node in lab.nodes:
        taken[node.name].update(route.label for route in node.routes if route.label is not None)
    for lsp, way in paths:
        for i, label in enumerate(lsp.labels):
            for name in way[i + 1] if i + 1 < len(way) else lsp.ends[1:]:
                taken[name].add(label)
    return taken


class Ranges:
    """What is left of every router's range."""

    def __init__(self, lab: Lab, taken: Taken) -> None:
        self._lab, self._taken = lab, {name: set(labels) for name, labels in taken.items()}
        self._ranges = {node.name: bounds(node) for node in lab.nodes if node.label_range}
        self._next = {name: numbers.start for name, numbers in self._ranges.items()}

    def __contains__(self, node: str) -> bool:
        return node in self._ranges

    def take(self, node: str) -> int:
        """The next label of one router's range. Raises LabError when it is used up."""
        label = self.common([node], f"nodes.{node}")
        assert label is not None
        return label

    def common(self, nodes: Sequence[str], path: str) -> int | None:
        """The next label that is free in the ranges of all of ``nodes`` that have one; None where none has. Raises
        LabError, at ``path`` or at the one range there is."""
        having = [name for name in nodes if name in self._ranges]
        if not having:
            return None
        alone = having[0] if len(having) == 1 else ""
        first = self._next[alone] if alone else max(self._ranges[name].start for name in having)
        for label in range(first, min(self._ranges[name].stop for name in having)):
            if self.use(label, nodes):
                if alone:
                    self._next[alone] = label + 1
                return label
        raise self._empty(having, f"nodes.{alone}.label_range" if alone else path)

    def use(self, label: int, nodes: Sequence[str]) -> bool:
        """Takes ``label`` at all of ``nodes``, if it is free there."""
        if any(label in self._taken.get(name, ()) for name in nodes):
            return False
        for name in nodes:
            self._taken.setdefault(name, set()).add(label)
        return True

    def _empty(self, names: Sequence[str], path: str) -> LabError:
        has = {name: f"{self._ranges[name].start}-{self._ranges[name].stop - 1}" for name in names}
        if len(has) == 1:
            text = f"every label of {has[names[0]]} is in use, and {names[0]} has to take in more"
            text += ": give it a larger range"
        else:
            told = ", ".join(f"{name} {text}" for name, text in has.items())
            text = f"no label is free in the label_range of all routers at one place of this path: {told}"
            text += ": give them some in common, or write the path out"
        return LabError([Problem(path, text, self._lab.place(path))])
