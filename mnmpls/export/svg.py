"""A picture as SVG, by a layout of our own: nothing else needs to be installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from math import hypot

from .layout import BEND, CHAR, LINE, MARGIN, Layout, Placed, Slot, layout
from .picture import Arrow, Picture, Wire

_FILLS = {"p": "#dfe7f2", "pe": "#fdf0d5", "ce": "#ffffff", "bridge": "#eeeeee", "host": "#f4f8f4"}
_CORNERS = {"p": 16, "pe": 8, "ce": 2, "bridge": 0, "host": 8}
_ROLES = {"p": "P router", "pe": "PE router", "ce": "CE", "bridge": "LAN", "host": "host"}

_STYLE = """  <style>
    text { font: 10px ui-monospace, "DejaVu Sans Mono", monospace; fill: #222 }
    .node { font-weight: bold; font-size: 13px }
    .title { font: bold 15px sans-serif }
    path { fill: none; stroke-width: 1.4 }
    .label { paint-order: stroke; stroke: white; stroke-width: 3px }
    .lsp { stroke-dasharray: 5 3 }
  </style>"""


def svg(shown: Picture) -> str:
    """The core in the middle, customers outside; a colour per VPN, and a legend."""
    return "".join(f"{line}\n" for line in _lines(shown, layout(shown)))


def _lines(shown: Picture, at: Layout) -> Iterator[str]:
    bows = list(_bows(shown, at))
    left, top = -min([0.0, *(bow.x - BEND for bow in bows)]), 40 - min([0.0, *(bow.y - LINE for bow in bows)])
    right = max([at.width, *(bow.x + BEND for bow in bows)])
    bottom = top + max([at.height, *(bow.y + LINE for bow in bows)])
    width = left + max(right, max((len(text) for _, text in shown.legend), default=0) * CHAR + 4 * MARGIN)
    height = bottom + 18 * len(shown.legend) + 16
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    yield f"  <title>{escape(shown.name)}</title>"
    yield _STYLE
    yield '  <rect width="100%" height="100%" fill="white"/>'
    yield f'  <text class="title" x="{MARGIN:.0f}" y="26">{escape(shown.name)}</text>'
    yield f'  <g transform="translate({left:.0f} {top:.0f})">'
    for wire, slots in zip(shown.wires, at.slots, strict=True):
        yield from _wire(wire, *slots)
    for placed in at.boxes.values():
        yield from _box(placed)
    for bow in bows:
        yield from _arrow(bow)
    yield "  </g>"
    yield from _legend(shown, bottom)
    yield "</svg>"


def _wire(wire: Wire, a: Slot, b: Slot) -> Iterator[str]:
    names = " – ".join(f"{end.node} {end.lines[0]}" for end in wire.ends)
    yield f'    <g class="link"><title>{escape(names)}</title>'
    yield f'      <path d="{_course(a, b)}" stroke="{wire.colour}"/>'
    for slot in (a, b):
        yield from _label(slot, wire.colour)
    yield "    </g>"


def _course(a: Slot, b: Slot) -> str:
    """Level along both labels, a curve between; round the side where both ends look the same way."""
    ax, bx = a.x + a.side * a.reach, b.x + b.side * b.reach
    if a.side == b.side:
        ax = bx = max(ax * a.side, bx * b.side) * a.side
    pull = max(abs(bx - ax) / 2, BEND / 2)
    controls = f"{ax + a.side * pull:.1f},{a.y:.1f} {bx + b.side * pull:.1f},{b.y:.1f}"
    return f"M{a.x:.1f},{a.y:.1f} H{ax:.1f} C{controls} {bx:.1f},{b.y:.1f} H{b.x:.1f}"


def _label(slot: Slot, colour: str) -> Iterator[str]:
    """The port's name above the wire, its addresses and VRF beneath."""
    anchor = "start" if slot.side == 1 else "end"
    for number, line in enumerate(slot.lines):
        y = slot.y - 3 if number == 0 else slot.y + number * LINE - 1
        looks = f'text-anchor="{anchor}" style="fill: {colour}"'
        yield f'      <text x="{slot.x + 4 * slot.side:.1f}" y="{y:.1f}" {looks}>{escape(line)}</text>'


def _box(placed: Placed) -> Iterator[str]:
    box, middle = placed.box, placed.middle
    place = f'x="{placed.x:.1f}" y="{placed.y:.1f}" width="{placed.width:.1f}" height="{placed.height:.1f}"'
    looks = f'rx="{_CORNERS[box.role]}" fill="{_FILLS[box.role]}" stroke="{box.colour}" stroke-width="1.6"'
    told = escape(f"{box.name}: {_ROLES[box.role]}")
    yield f'    <g class="box" id="{escape("node-" + box.name)}"><title>{told}</title>'
    yield f"      <rect {place} {looks}/>"
    y = placed.y + placed.height / 2 + 4.5 - len(box.lines) * LINE / 2
    yield f'      <text class="node" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{escape(box.name)}</text>'
    for number, line in enumerate(box.lines, 1):
        yield f'      <text x="{middle:.1f}" y="{y + number * LINE + 2:.1f}" text-anchor="middle">{escape(line)}</text>'
    yield "    </g>"


@dataclass(frozen=True, slots=True)
class _Bow:
    """An arrow from one point to another by way of a third, its label's."""

    arrow: Arrow
    start: tuple[float, float]
    x: float
    y: float
    end: tuple[float, float]


def _bows(shown: Picture, at: Layout) -> Iterator[_Bow]:
    """Over the boxes one way and under them the other, or beside them in one column; each a little further out than
    the one before."""
    many: Counter[tuple[str, str]] = Counter()
    for arrow in shown.arrows:
        many[arrow.src, arrow.dst] += 1
        src, dst, out = at.boxes[arrow.src], at.boxes[arrow.dst], 8 + 16 * many[arrow.src, arrow.dst]
        if src.middle == dst.middle:
            side = -1 if src.y <= dst.y else 1
            ax, bx = (each.middle + side * each.width / 2 for each in (src, dst))
            ay, by = src.y + src.height / 2, dst.y + dst.height / 2
            yield _Bow(arrow, (ax, ay), side * max(ax * side, bx * side) + side * out, (ay + by) / 2, (bx, by))
        else:
            side = -1 if src.x < dst.x else 1
            ay, by = (each.y + (each.height if side == 1 else 0) for each in (src, dst))
            y = side * max(ay * side, by * side) + side * out
            yield _Bow(arrow, (src.middle, ay), (src.middle + dst.middle) / 2, y, (dst.middle, by))


def _arrow(bow: _Bow) -> Iterator[str]:
    (ax, ay), (bx, by) = bow.start, bow.end
    # The curve passes half-way between this control point and the middle of its ends.
    cx, cy = 2 * bow.x - (ax + bx) / 2, 2 * bow.y - (ay + by) / 2
    course = f"M{ax:.1f},{ay:.1f} Q{cx:.1f},{cy:.1f} {bx:.1f},{by:.1f}"
    yield f'    <path class="lsp" d="{course}" stroke="{bow.arrow.colour}"/>'
    yield f'    <polygon points="{_tip(bx, by, bx - cx, by - cy)}" fill="{bow.arrow.colour}"/>'
    looks = f'class="label" text-anchor="middle" style="fill: {bow.arrow.colour}"'
    yield f'    <text x="{bow.x:.1f}" y="{bow.y - 3:.1f}" {looks}>{escape(bow.arrow.text)}</text>'


def _tip(x: float, y: float, dx: float, dy: float) -> str:
    """A small triangle that ends at a point, looking that way."""
    long = hypot(dx, dy) or 1.0
    ux, uy = 8 * dx / long, 8 * dy / long
    corners = ((x, y), (x - ux - uy / 2, y - uy + ux / 2), (x - ux + uy / 2, y - uy - ux / 2))
    return " ".join(f"{cx:.1f},{cy:.1f}" for cx, cy in corners)


def _legend(shown: Picture, top: float) -> Iterator[str]:
    for number, (colour, text) in enumerate(shown.legend):
        y = top + 18 * number
        yield f'  <rect x="{MARGIN:.0f}" y="{y:.0f}" width="22" height="10" fill="{colour}"/>'
        yield f'  <text x="{MARGIN + 30:.0f}" y="{y + 9:.0f}">{escape(text)}</text>'
