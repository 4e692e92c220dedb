"""What a drawing of a lab shows, whatever it is drawn with: boxes, wires, sites, and label switched paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..model import NO_LOOPBACK, Lab, Node, Port
from ..plan.graph import spread
from ..plan.vrfs import vpn_of
from ..state import NextHop, Record, Route
from ..wording import label_words
from .atlas import Atlas, atlas

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#5b4b9e", "#a6232b", "#3d7ea6")
"""One colour per VPN, told apart by those who are colour-blind as well; after the last the first again."""

PLAIN = "#444444"

POPPED = "popped"

CUSTOMER = frozenset({"ce", "bridge", "host"})


@dataclass(frozen=True, slots=True)
class Box:
    """A node; ``lines`` stand under its name."""

    name: str
    role: str
    lines: tuple[str, ...]
    colour: str


@dataclass(frozen=True, slots=True)
class End:
    """One end of a wire; ``lines`` are its port's name and addresses."""

    node: str
    lines: tuple[str, ...]
    vrf: str


@dataclass(frozen=True, slots=True)
class Wire:
    a: End
    b: End
    colour: str

    @property
    def ends(self) -> tuple[End, End]:
        return self.a, self.b


@dataclass(frozen=True, slots=True)
class Arrow:
    """One hop of a label switched path, and the labels on the wire there."""

    src: str
    dst: str
    text: str
    colour: str


@dataclass(frozen=True, slots=True)
class Site:
    """Customer nodes that reach each other without the provider."""

    title: str
    nodes: tuple[str, ...]
    colour: str


@dataclass(frozen=True, slots=True)
class Picture:
    """``legend`` says which VRFs a colour stands for."""

    name: str
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    arrows: tuple[Arrow, ...]
    sites: tuple[Site, ...]
    legend: tuple[tuple[str, str], ...]


Colours = Mapping[tuple[str, str | None], str]
"""(PE, VRF) -> the colour of its VPN."""


def picture(lab: Lab, records: Mapping[str, frozenset[Record]] | None = None) -> Picture:
    """What to draw of a completed ``lab``; with ``records`` its label switched paths too."""
    colours = _colours(lab)
    sites = tuple(_sites(lab, colours))
    of_node = {name: site.colour for site in sites for name in site.nodes}
    boxes = tuple(Box(each.name, each.role, _lines(each), of_node.get(each.name, PLAIN)) for each in lab.nodes)
    wires = tuple(
        Wire(_end(link.a), _end(link.b), _wire_colour(link.ports, colours, of_node)) for link in lab.links
    )
    arrows = tuple(dict.fromkeys(_arrows(atlas(lab, records), colours))) if records else ()
    return Picture(_printable(lab.name), boxes, wires, arrows, sites, tuple(_legend(colours)))


def _printable(text: str) -> str:
    """On one line, and without what XML 1.0 has no place for however it is escaped (2.2). Names of nodes, ports and
    VRFs are the planner's business and have nothing of the kind."""
    return re.sub("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", " ".join(text.split()))


def _colours(lab: Lab) -> Colours:
    vpn = vpn_of(lab)
    names = {
        (node.name, vrf.name): next((vpn[target] for target in vrf.imports + vrf.exports), f"{node.name} {vrf.name}")
        for node in lab.nodes
        for vrf in node.vrfs
    }
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
    return {key: PALETTE[numbers[name] % len(PALETTE)] for key, name in names.items()}


def _legend(colours: Colours) -> Iterator[tuple[str, str]]:
    for colour in dict.fromkeys(colours.values()):
        vrfs = list(dict.fromkeys(vrf or "" for (_, vrf), own in colours.items() if own == colour))
        yield colour, ", ".join(vrfs[:6]) + (f" and {len(vrfs) - 6} more" if len(vrfs) > 6 else "")


def _sites(lab: Lab, colours: Colours) -> Iterator[Site]:
    customers = {node.name: node.role for node in lab.nodes if node.role in CUSTOMER}
    beside: dict[str, list[str]] = {name: [] for name in customers}
    exits: dict[str, list[Port]] = {name: [] for name in customers}
    for link in lab.links:
        for near, far in (link.ports, link.ports[::-1]):
            if near.node in customers:
                if far.node in customers:
                    beside[near.node].append(far.node)
                else:
                    exits[near.node].append(far)
    seen: set[str] = set()
    for start in customers:
        if start not in seen:
            nodes = spread([start], beside)
            seen.update(nodes)
            if any(customers[name] != "bridge" for name in nodes):
                yield _site(nodes, [port for name in nodes for port in exits[name]], colours)


def _site(nodes: list[str], exits: list[Port], colours: Colours) -> Site:
    title = ", ".join(dict.fromkeys(f"{port.vrf} at {port.node}" if port.vrf else port.node for port in exits))
    colour = next((colours[port.node, port.vrf] for port in exits if (port.node, port.vrf) in colours), PLAIN)
    return Site(title or "on its own", tuple(nodes), colour)


def _lines(node: Node) -> tuple[str, ...]:
    dummies = (" ".join((dummy.name, *dummy.addresses)) for dummy in node.dummies)
    return (*(cidr for cidr in node.loopbacks if cidr != NO_LOOPBACK), *dummies)


def _end(port: Port) -> End:
    return End(port.node, (port.name, *(port.addresses or ())), port.vrf or "")


def _wire_colour(ports: tuple[Port, Port], colours: Colours, of_node: Mapping[str, str]) -> str:
    own = (colours.get((port.node, port.vrf)) or of_node.get(port.node) for port in ports)
    return next((colour for colour in own if colour), PLAIN)


def _arrows(known: Atlas, colours: Colours) -> Iterator[Arrow]:
    """Every hop of every path that a route with labels begins. What several VPNs share is one: where the pushed label
    has others beneath it, it is the outermost that is told, in nobody's colour, and where it was popped before its
    path's end."""
    for node, vrf, hop in sorted(_pushes(known)):
        path = known.label_path(node, hop)
        if path:
            shared = len(hop.labels) > 1
            colour = PLAIN if shared else colours.get((node, vrf), PLAIN)
            for here, there, stack in zip((node, *path.nodes), path.nodes, path.stacks, strict=False):
                if stack:
                    popped = len(stack) < len(hop.labels)
                    yield Arrow(here, there, POPPED if popped else label_words(stack[:1]), colour)


def _pushes(known: Atlas) -> set[tuple[str, str, NextHop]]:
    return {
        (node, vrf.name if (vrf := known.vrfs.get((node, record.table))) else "", hop)
        for node, found in known.records.items()
        for record in found
        if isinstance(record, Route)
        for hop in record.hops
        if hop.labels
    }
