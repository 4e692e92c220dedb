"""Places for a drawing: the core in the middle, provider edges left and right of it, customers outside.

Columns are distances from the core. Each side is a forest whose roots hang on the core, and every subtree gets a band
of its own, so that boxes never overlap whatever else is linked. Every end of a wire has a slot at its box's side with
room for its label. Linear in what is drawn, apart from sorting.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, sqrt

from .picture import Box, End, Picture

CHAR, NAME_CHAR, LINE = 6.1, 8.4, 11.0
"""Widths of a character of a label and of a node's name, height of a label's line; in units of the drawing."""

GAP, BEND, MARGIN = 18.0, 46.0, 24.0
"""Between two boxes of a column; between two columns' labels, for wires to change their height; around everything."""

_ROLES = {"p": 0, "pe": 1, "ce": 2, "bridge": 3, "host": 4}

Links = Mapping[str, Sequence[str]]
"""A node's neighbours, or its children."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A box and its left upper corner."""

    box: Box
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an end of a wire leaves its box: ``side`` is -1 for left, 1 for right; its label takes ``reach``."""

    lines: tuple[str, ...]
    x: float
    y: float
    side: int
    reach: float


@dataclass(frozen=True, slots=True)
class Layout:
    """``slots`` are two for each wire, in the picture's order."""

    width: float
    height: float
    boxes: Mapping[str, Placed]
    slots: tuple[tuple[Slot, Slot], ...]


def layout(shown: Picture) -> Layout:
    """Places for every box and every end of a wire."""
    beside = _beside(shown)
    centre = _centre(shown.boxes, beside)
    tree, depth = _forest(centre, beside)
    grid = _grid(centre)
    halves = _halves(centre, grid, tree, beside)
    column = {name: at for name, (at, _) in grid.items()} | _outside(halves, tree, depth, grid)
    ends = _ends(shown, column)
    size = {box.name: _size(box, ends[box.name]) for box in shown.boxes}
    middle = _middles(grid, halves, tree, beside, size)
    return _placed(shown, column, ends, size, middle)


def _beside(shown: Picture) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {box.name: [] for box in shown.boxes}
    for wire in shown.wires:
        found[wire.a.node].append(wire.b.node)
        found[wire.b.node].append(wire.a.node)
    return found


def _centre(boxes: Sequence[Box], beside: Links) -> list[str]:
    """The nodes of the role nearest to a core, each beside its neighbour where that can be, from the end of a chain;
    and one node of each part of the lab that hangs on none of them."""
    first = min((_ROLES[box.role] for box in boxes), default=0)
    members = {box.name: None for box in boxes if _ROLES[box.role] == first}
    found: dict[str, None] = {}
    for start in sorted(members, key=lambda name: sum(other in members for other in beside[name])):
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = None
                waiting += [other for other in beside[name] if other in members]
    reached = set(_reached(found, beside))
    for box in sorted(boxes, key=lambda box: _ROLES[box.role]):
        if box.name not in reached:
            found[box.name] = None
            reached.update(_reached([box.name], beside))
    return list(found)


def _reached(starts: Iterable[str], beside: Links) -> list[str]:
    return list(_forest(list(starts), beside)[1])


def _forest(roots: Sequence[str], beside: Links) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Children of every node, and its distance from the roots, nearest first."""
    tree: dict[str, list[str]] = {name: [] for name in beside}
    depth = dict.fromkeys(roots, 0)
    queue = deque(depth)
    while queue:
        name = queue.popleft()
        for other in beside[name]:
            if other not in depth:
                depth[other] = depth[name] + 1
                tree[name].append(other)
                queue.append(other)
    return tree, depth


def _grid(centre: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Column and row in the centre, to and fro so that neighbours in a chain or ring stay neighbours."""
    across = len(centre) if len(centre) <= 3 else ceil(sqrt(len(centre)))
    found = {}
    for number, name in enumerate(centre):
        row, at = divmod(number, across)
        found[name] = (at if row % 2 == 0 else across - 1 - at, row)
    return found


def _order(names: Iterable[str], tree: Links) -> list[str]:
    """All below ``names``, each before those below it."""
    found = list(names)
    for name in found:
        found += tree[name]
    return found


def _halves(
    centre: Sequence[str], grid: Mapping[str, tuple[int, int]], tree: Links, beside: Links
) -> tuple[list[str], list[str]]:
    """What hangs on the centre, left and right: by the side of the centre that it hangs on, about as much on each."""
    roots = [name for at in centre for name in tree[at]]
    weight = {name: len(_order([name], tree)) for name in roots}

    def place(name: str) -> tuple[float, float]:
        seen = [grid[other] for other in beside[name] if other in grid]
        return sum(at for at, _ in seen) / len(seen), sum(row for _, row in seen) / len(seen)

    roots.sort(key=place)
    left: list[str] = []
    taken, half = 0.0, sum(weight.values()) / 2
    for name in roots:
        if taken + weight[name] / 2 <= half:
            left.append(name)
        taken += weight[name]
    right = [name for name in roots if name not in set(left)]
    return sorted(left, key=lambda name: place(name)[1]), sorted(right, key=lambda name: place(name)[1])


def _outside(
    halves: tuple[list[str], list[str]], tree: Links, depth: Mapping[str, int], grid: Mapping[str, tuple[int, int]]
) -> dict[str, int]:
    last = max((at for at, _ in grid.values()), default=0)
    left = {name: -depth[name] for name in _order(halves[0], tree)}
    return left | {name: last + depth[name] for name in _order(halves[1], tree)}


@dataclass(frozen=True, slots=True)
class _Outlet:
    """An end of wire ``number`` at one side of its box, and the node at the other end."""

    number: int
    end: End
    side: int
    other: str

    @property
    def lines(self) -> tuple[str, ...]:
        return (*self.end.lines, *([self.end.vrf] if self.end.vrf else []))

    @property
    def height(self) -> float:
        return (1 + max(1, len(self.lines) - 1)) * LINE + 9

    @property
    def reach(self) -> float:
        return max(map(len, self.lines), default=0) * CHAR + 8


def _ends(shown: Picture, column: Mapping[str, int]) -> dict[str, list[_Outlet]]:
    """By node. Two nodes of one column are joined round their outer side."""
    found: dict[str, list[_Outlet]] = {box.name: [] for box in shown.boxes}
    for number, wire in enumerate(shown.wires):
        for mine, theirs in (wire.ends, wire.ends[::-1]):
            here, there = column[mine.node], column[theirs.node]
            side = (1 if here > 0 else -1) if here == there else 1 if here < there else -1
            found[mine.node].append(_Outlet(number, mine, side, theirs.node))
    return found


def _size(box: Box, outlets: Sequence[_Outlet]) -> tuple[float, float]:
    text = max([len(box.name) * NAME_CHAR, *(len(line) * CHAR for line in box.lines)])
    sides = [sum(each.height for each in outlets if each.side == side) for side in (-1, 1)]
    return text + 20, max(*sides, 16.0 + LINE * len(box.lines)) + 14


Sizes = Mapping[str, tuple[float, float]]


def _middles(
    grid: Mapping[str, tuple[int, int]], halves: tuple[list[str], list[str]], tree: Links, beside: Links, size: Sizes
) -> dict[str, float]:
    """Heights of the boxes' middles. The second time siblings stand in the order of what else they are linked to."""
    first = [_stacked(half, tree, size) for half in halves]
    middle = _grid_rows(grid, size, max((_span(half, at) for half, at in zip(halves, first, strict=True)), default=0))
    for half, at in zip(halves, first, strict=True):
        seen = middle | at

        def elsewhere(name: str, parent: str, seen: Mapping[str, float] = seen) -> float:
            others = [seen[other] for other in beside[name] if other in seen and other not in (parent, *tree[name])]
            return sum(others) / len(others) if others else seen[name]

        ordered = {head: sorted(tree[head], key=lambda name: elsewhere(name, head)) for head in at}
        middle |= _stacked(half, ordered, size)
    return middle


def _span(names: Sequence[str], middle: Mapping[str, float]) -> float:
    return middle[names[-1]] - middle[names[0]] if names else 0


def _grid_rows(grid: Mapping[str, tuple[int, int]], size: Sizes, span: float) -> dict[str, float]:
    """The centre's rows, as far apart as what hangs on it."""
    rows: dict[int, list[str]] = defaultdict(list)
    for name, (_, row) in grid.items():
        rows[row].append(name)
    pitch = span / max(len(rows) - 1, 1)
    heights = [max(pitch, *(size[name][1] + 2 * GAP for name in names)) for names in rows.values()]
    top = -sum(heights) / 2
    found = {}
    for names, height in zip(rows.values(), heights, strict=True):
        found.update(dict.fromkeys(names, top + height / 2))
        top += height
    return found


def _stacked(roots: Sequence[str], tree: Links, size: Sizes) -> dict[str, float]:
    """Every subtree in a band of its own, around 0 as a whole."""
    order = _order(roots, tree)
    band: dict[str, float] = {}
    for name in reversed(order):
        band[name] = max(size[name][1] + GAP, sum(band[child] for child in tree[name]))
    found: dict[str, float] = {}

    def stack(names: Sequence[str], middle: float) -> None:
        top = middle - sum(band[name] for name in names) / 2
        for name in names:
            found[name] = top + band[name] / 2
            top += band[name]

    stack(roots, 0)
    for name in order:
        stack(tree[name], found[name])
    return found


def _placed(
    shown: Picture,
    column: Mapping[str, int],
    ends: Mapping[str, Sequence[_Outlet]],
    size: Sizes,
    middle: Mapping[str, float],
) -> Layout:
    xs, width = _columns(column, ends, size)
    top = min((middle[name] - size[name][1] / 2 for name in middle), default=0) - MARGIN
    boxes: dict[str, Placed] = {}
    for box in shown.boxes:
        wide, high = size[box.name]
        boxes[box.name] = Placed(box, xs[column[box.name]] - wide / 2, middle[box.name] - high / 2 - top, wide, high)
    height = max((each.y + each.height for each in boxes.values()), default=0) + MARGIN
    slots: dict[int, list[Slot]] = defaultdict(list)
    for name, outlets in ends.items():
        for number, slot in _slots(boxes[name], outlets, middle):
            slots[number].append(slot)
    pairs = ((slots[number][0], slots[number][1]) for number in range(len(shown.wires)))
    return Layout(width, height, boxes, tuple(pairs))


def _columns(
    column: Mapping[str, int], ends: Mapping[str, Sequence[_Outlet]], size: Sizes
) -> tuple[dict[int, float], float]:
    """The middle of each column, and the width of the whole."""
    members: dict[int, list[str]] = defaultdict(list)
    for name, at in column.items():
        members[at].append(name)
    xs: dict[int, float] = {}
    x = MARGIN
    for at in sorted(members):
        reach = {-1: 0.0, 1: 0.0}
        for name in members[at]:
            for outlet in ends[name]:
                reach[outlet.side] = max(reach[outlet.side], outlet.reach)
        wide = max(size[name][0] for name in members[at])
        xs[at] = x + reach[-1] + wide / 2
        x = xs[at] + wide / 2 + reach[1] + BEND
    return xs, x - BEND + MARGIN


def _slots(placed: Placed, outlets: Sequence[_Outlet], middle: Mapping[str, float]) -> Iterable[tuple[int, Slot]]:
    """From above in the order of the other ends, around the box's middle."""
    ordered = sorted(outlets, key=lambda each: (each.side, middle[each.other], each.number))
    for side, beside in groupby(ordered, key=lambda each: each.side):
        group = list(beside)
        y = placed.y + (placed.height - sum(each.height for each in group)) / 2
        for each in group:
            x = placed.x + (placed.width if side == 1 else 0)
            yield each.number, Slot(each.lines, x, y + LINE + 3, side, each.reach)
            y += each.height
