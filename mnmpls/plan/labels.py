"""Labels: those the user pinned, and those planned around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import LabError, Problem
from ..model import Lab, Lsp
from . import alloc
from .instances import Flows, Key

T = TypeVar("T")

Pinned = Mapping[tuple[str, Key], Sequence[Lsp]]
"""(ingress router, VRF instance at the egress) -> the LSPs pinned for it."""


@dataclass(frozen=True)
class Labels:
    """Planned labels: per egress PE for transport, per VRF instance for the VPN. A label is one number on all nodes,
    although the kernel would not ask for that: a capture is easier to read so."""

    transport: Mapping[str, int]
    vpn: Mapping[Key, int]


def pinned(lab: Lab) -> Pinned:
    """The LSPs that the user wrote out."""
    found: dict[tuple[str, Key], list[Lsp]] = {}
    for lsp in lab.lsps:
        found.setdefault((lsp.path[0], (lsp.path[-1], lsp.vrf)), []).append(lsp)
    return found


def planned(lab: Lab, wanted: Flows, by_hand: Pinned) -> Labels:
    """Labels for every flow between two PEs that is not pinned, clear of all pinned ones. Raises LabError when
    ``platform_labels`` is too low for them."""
    open_ = [key for key, importers in wanted.items() if any(_is_planned(i.key, key, by_hand) for i in importers)]
    taken = {label for lsp in lab.lsps for label in lsp.labels}
    taken |= {route.label for node in lab.nodes for route in node.routes if route.label is not None}
    transport = _numbered(dict.fromkeys(node for node, _ in open_), alloc.labels(alloc.FIRST_LABEL, taken))
    last = max(transport.values(), default=0)
    step = alloc.VPN_LABELS_STEP
    vpn = _numbered(open_, alloc.labels((last // step + 1) * step, taken))
    highest = max((last, *vpn.values()), default=0)
    limit = min(lab.platform_labels or alloc.PLATFORM_LABELS, alloc.LAST_LABEL)
    if open_ and highest >= limit:
        text = f"the labels planned for this lab go up to {highest}, and {limit} allows only those below it"
        hint = f"leave platform_labels out, or give {highest + 1}"
        raise LabError([Problem("platform_labels", f"{text}: {hint}", lab.place("platform_labels"))])
    return Labels(transport, vpn)


def _is_planned(importer: Key, exporter: Key, by_hand: Pinned) -> bool:
    return importer[0] != exporter[0] and (importer[0], exporter) not in by_hand


def _numbered(things: Iterable[T], numbers: Iterator[int]) -> dict[T, int]:
    return dict(zip(things, numbers, strict=False))
