"""A picture for Graphviz: the DOT language (https://graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

from collections.abc import Iterator

from .picture import Arrow, Box, Picture, Wire

_SHAPES = {
    "p": "shape=ellipse",
    "pe": "shape=hexagon",
    "ce": "shape=box",
    "bridge": "shape=box height=0.2 style=filled",
    "host": 'shape=box style="rounded,filled"',
}

_DEPTH = {"p": 0, "pe": 1, "ce": 2, "bridge": 3, "host": 4}


def dot(shown: Picture) -> str:
    """The core on top, a box around each site."""
    return "".join(f"{line}\n" for line in _lines(shown))


def _lines(shown: Picture) -> Iterator[str]:
    yield f"graph {_quoted(shown.name)} {{"
    yield '  graph [fontname="sans-serif" fontsize=10 ranksep=1.2 nodesep=0.4]'
    yield '  node [fontname="sans-serif" fontsize=11 style=filled fillcolor=white]'
    yield '  edge [fontname="sans-serif" fontsize=8]'
    boxes = {box.name: box for box in shown.boxes}
    for number, site in enumerate(shown.sites):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_quoted(site.title)} color={_quoted(site.colour)} style=rounded"
        yield from (f"    {_box(boxes.pop(name))}" for name in site.nodes)
        yield "  }"
    yield from (f"  {_box(box)}" for box in boxes.values())
    depths = {box.name: _DEPTH[box.role] for box in shown.boxes}
    yield from (f"  {_wire(wire, depths)}" for wire in shown.wires)
    yield from (f"  {_arrow(arrow)}" for arrow in shown.arrows)
    yield "}"


def _box(box: Box) -> str:
    label = _text((box.name, *box.lines))
    return f"{_quoted(box.name)} [label={label} {_SHAPES[box.role]} color={_quoted(box.colour)}]"


def _wire(wire: Wire, depths: dict[str, int]) -> str:
    """Upwards is towards the core: dot ranks an edge's first node above its second."""
    upper, lower = sorted(wire.ends, key=lambda end: depths[end.node])
    labels = f"taillabel={_text(upper.lines)} headlabel={_text(lower.lines)}"
    tip = f" edgetooltip={_quoted(upper.vrf or lower.vrf)}" if upper.vrf or lower.vrf else ""
    return f"{_quoted(upper.node)} -- {_quoted(lower.node)} [{labels} color={_quoted(wire.colour)}{tip}]"


def _arrow(arrow: Arrow) -> str:
    looks = f"label={_quoted(arrow.text)} color={_quoted(arrow.colour)} fontcolor={_quoted(arrow.colour)}"
    return f"{_quoted(arrow.src)} -- {_quoted(arrow.dst)} [{looks} dir=forward style=dashed constraint=false]"


def _text(lines: tuple[str, ...]) -> str:
    return '"' + "\\n".join(_escaped(line) for line in lines) + '"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Inside double quotes a quote needs a backslash, and a backslash would begin an escape of labels."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
