"""A picture for Graphviz: the DOT language (https://graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..model import Lab
from ..sources import data
from ..sources.to_yaml import flow
from .picture import Arrow, Box, Picture, Wire

_SHAPES = {
    "p": "shape=ellipse",
    "pe": "shape=hexagon",
    "ce": "shape=box",
    "bridge": "shape=box height=0.2 style=filled",
    "host": 'shape=box style="rounded,filled"',
}

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*|[0-9]+", re.ASCII)
_RESERVED = frozenset(("node", "edge", "graph", "digraph", "subgraph", "strict"))
_YAML = ("[", "{", "'", '"')
_DEPTH = {"p": 0, "pe": 1, "ce": 2, "bridge": 3, "host": 4}


def dot(shown: Picture, lab: Lab) -> str:
    """The core on top, a box around each site. ``lab``, which is what ``shown`` was drawn from, goes along as
    attributes (see sources/from_dot.py): read back, they are an equal lab."""
    return "".join(f"{line}\n" for line in _lines(shown, data(lab)))


def _lines(shown: Picture, told: Mapping[str, Any]) -> Iterator[str]:
    yield f"graph {_quoted(told['name'])} {{"
    yield '  graph [fontname="sans-serif" fontsize=10 ranksep=1.2 nodesep=0.4]'
    yield '  node [fontname="sans-serif" fontsize=11 style=filled fillcolor=white]'
    yield '  edge [fontname="sans-serif" fontsize=8]'
    yield from (f"  {key}={_value(told[key])}" for key in told if key not in ("name", "nodes", "links"))
    boxes = {box.name: box for box in shown.boxes}
    yield from (f"  {_box(boxes[name], told['nodes'][name])}" for name in told["nodes"])
    for number, site in enumerate(shown.sites):
        yield f"  subgraph cluster_{number} {{"
        yield f"    graph [label={_quoted(site.title)} color={_quoted(site.colour)} style=rounded]"
        yield f"    {' '.join(map(_quoted, site.nodes))}"
        yield "  }"
    depths = {box.name: _DEPTH[box.role] for box in shown.boxes}
    yield from (f"  {_wire(wire, link, depths)}" for wire, link in zip(shown.wires, told["links"], strict=True))
    yield from (f"  {_arrow(arrow)}" for arrow in shown.arrows)
    yield "}"


def _box(box: Box, node: Mapping[str, Any]) -> str:
    looks = f"label={_text((box.name, *box.lines))} {_SHAPES[box.role]} color={_quoted(box.colour)}"
    return f"{_quoted(box.name)} [{_attributes(node)} {looks}]"


def _wire(wire: Wire, link: Mapping[str, Any], depths: Mapping[str, int]) -> str:
    """Upwards is towards the core: dot ranks an edge's first node above its second."""
    turned = depths.get(wire.a.node, 0) > depths.get(wire.b.node, 0)
    upper, lower = wire.ends[::-1] if turned else wire.ends
    first, second = ("b", "a") if turned else ("a", "b")
    told = {
        **{f"tail_{key}": value for key, value in link[first].items() if key != "node"},
        **{f"head_{key}": value for key, value in link[second].items() if key != "node"},
        **{key: value for key, value in link.items() if key not in ("a", "b")},
        **({"a": "head"} if turned else {}),
    }
    looks = f"taillabel={_text(upper.lines)} headlabel={_text(lower.lines)} color={_quoted(wire.colour)}"
    tip = f" edgetooltip={_quoted(upper.vrf or lower.vrf)}" if upper.vrf or lower.vrf else ""
    return f"{_quoted(upper.node)} -- {_quoted(lower.node)} [{_attributes(told)} {looks}{tip}]".replace("[ ", "[")


def _arrow(arrow: Arrow) -> str:
    looks = f"label={_text((arrow.text,))} color={_quoted(arrow.colour)} fontcolor={_quoted(arrow.colour)}"
    ends = f"{_quoted(arrow.src)} -- {_quoted(arrow.dst)}"
    return f"{ends} [class=lsp {looks} dir=forward style=dashed constraint=false]"


def _attributes(told: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={_value(value)}" for key, value in told.items())


def _value(value: object) -> str:
    """Texts as they are, unless they would be read as YAML; all else in YAML."""
    if isinstance(value, str) and value and not value.startswith(_YAML):
        return _quoted(value)
    alone = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(alone, str) and alone and not alone.startswith(_YAML):
        return _quoted(alone)
    return _quoted("'" + value.replace("'", "''") + "'" if isinstance(value, str) else flow(value))


def _text(lines: tuple[str, ...]) -> str:
    return '"' + "\\n".join(_escaped(line) for line in lines) + '"'


def _quoted(text: str) -> str:
    """Plain words and numbers need no quotes; the language's own words do."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Inside double quotes a quote needs a backslash, and a backslash would begin an escape of labels."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
