"""Labels of VPNs that the user left to the planner, around all that he gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import LabError, Problem
from ..model import Lab
from . import alloc
from .instances import Flows, Key
from .lsps import ByHand, Laid
from .ranges import Ranges, given

T = TypeVar("T")


@dataclass(frozen=True)
class Labels:
    """Planned labels: per egress PE for transport, per VRF instance for the VPN. A label is one number on all nodes
    that have no range of their own, although the kernel would not ask for that: a capture is easier to read so."""

    vpn: Mapping[Key, int]
    _transport: Mapping[str, int]
    _ranges: Ranges
    _own: dict[tuple[str, str], int] = field(default_factory=dict)

    def has_transport(self, egress: str) -> bool:
        return egress in self._transport

    def into(self, node: str, egress: str) -> int:
        """The transport label towards ``egress`` that comes in at ``node``. Raises LabError when its range is used
        up."""
        if node not in self._ranges:
            return self._transport[egress]
        if (node, egress) not in self._own:
            self._own[node, egress] = self._ranges.take(node)
        return self._own[node, egress]


def planned(lab: Lab, wanted: Flows, hand: ByHand, paths: Sequence[Laid]) -> Labels:
    """Labels for every flow between two PEs that is not pinned, clear of all given ones. Raises LabError when
    ``platform_labels`` or a range is too small for them."""
    open_ = [key for key, importers in wanted.items() if any(_is_planned(i.key, key, hand) for i in importers)]
    at = given(lab, [(each.lsp, each.steps) for each in paths])
    ranges, taken = Ranges(lab, at), {label for labels in at.values() for label in labels}
    egresses = dict.fromkeys(node for node, exporter in open_)
    transport = _numbered(egresses, alloc.labels(alloc.FIRST_LABEL, taken))
    last = max(transport.values(), default=0)
    step = alloc.VPN_LABELS_STEP
    common = _numbered([key for key in open_ if key[0] not in ranges], alloc.labels((last // step + 1) * step, taken))
    highest = max((last, *common.values()), default=0)
    limit = min(lab.platform_labels or alloc.PLATFORM_LABELS, alloc.LAST_LABEL)
    if open_ and highest >= limit:
        text = f"the labels planned for this lab go up to {highest}, and {limit} allows only those below it"
        hint = f"leave platform_labels out, or give {highest + 1}"
        raise LabError([Problem("platform_labels", f"{text}: {hint}", lab.place("platform_labels"))])
    own = {key: ranges.take(key[0]) for key in open_ if key[0] in ranges}
    return Labels({**common, **own}, transport, ranges)


def _is_planned(importer: Key, exporter: Key, hand: ByHand) -> bool:
    """A path through the core saves the transport label, but not the VPN's."""
    return importer[0] != exporter[0] and (importer[0], exporter) not in hand.vpn


def _numbered(things: Iterable[T], numbers: Iterator[int]) -> dict[T, int]:
    return dict(zip(things, numbers, strict=False))
