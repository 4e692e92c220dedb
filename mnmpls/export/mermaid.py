"""A picture as a Mermaid flowchart, which GitHub and GitLab draw in Markdown (https://mermaid.js.org)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .picture import Box, Picture

_SHAPES = {"p": ("((", "))"), "pe": ("{{", "}}"), "ce": ("[", "]"), "bridge": ("[/", "/]"), "host": ("(", ")")}


def mermaid(shown: Picture) -> str:
    """The core on top, a frame around each site. Nodes are numbered: a name such as ``end`` is a word of Mermaid's."""
    return "".join(f"{line}\n" for line in _lines(shown))


def _lines(shown: Picture) -> Iterator[str]:
    numbers = {box.name: f"n{number}" for number, box in enumerate(shown.boxes)}
    boxes = {box.name: box for box in shown.boxes}
    yield "flowchart TB"
    yield f"  %% {_escaped(shown.name)}"
    for number, site in enumerate(shown.sites):
        yield f"  subgraph s{number}[{_text([site.title])}]"
        yield from (f"    {numbers[name]}{_box(boxes.pop(name))}" for name in site.nodes)
        yield "  end"
    yield from (f"  {numbers[box.name]}{_box(box)}" for box in boxes.values())
    for wire in shown.wires:
        text = _text(" ".join(end.lines) for end in wire.ends)
        yield f"  {numbers[wire.a.node]} ---|{text}| {numbers[wire.b.node]}"
    for arrow in shown.arrows:
        yield f"  {numbers[arrow.src]} -.->|{_text([arrow.text])}| {numbers[arrow.dst]}"
    colours = [wire.colour for wire in shown.wires] + [arrow.colour for arrow in shown.arrows]
    yield from (f"  linkStyle {number} stroke:{colour}" for number, colour in enumerate(colours))
    for box in shown.boxes:
        yield f"  style {numbers[box.name]} stroke:{box.colour},fill:#ffffff"


def _box(box: Box) -> str:
    before, after = _SHAPES[box.role]
    return f"{before}{_text([box.name, *box.lines])}{after}"


def _text(lines: Iterable[str]) -> str:
    return '"' + "<br/>".join(_escaped(line) for line in lines) + '"'


def _escaped(text: str) -> str:
    """Mermaid's own entities, ``#34;`` for a quote."""
    return "".join(char if char.isalnum() or char in " _.:/,-" else f"#{ord(char)};" for char in text)
