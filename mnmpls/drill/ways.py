"""The labels that packets between end points have on each wire, as captured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..checks.capture import Tap, tap, way
from ..checks.predict import Hop
from ..checks.vpn import Call
from ..model import Lab
from ..wording import label_words
from .streams import Pair

if TYPE_CHECKING:
    from ..kernel import Namespace

_ANSWER_S = 0.5


def stacks(lab: Lab, namespaces: Mapping[str, Namespace], pairs: Iterable[Pair]) -> dict[Pair, str]:
    """Of one packet for each pair: `pe1 [17 1001] > p [1001] > pe2`."""
    with tap(namespaces) as open_tap:
        return {pair: words(_hops(lab, open_tap, pair), pair.dst) for pair in pairs}


def _hops(lab: Lab, open_tap: Tap, pair: Pair) -> tuple[Hop, ...]:
    seen = open_tap.probe(Call(pair.src, pair.address), _ANSWER_S, arrival=pair.dst)
    return way(lab, seen.sightings, "request", pair.src)


def words(hops: Iterable[Hop], dst: str) -> str:
    hops = tuple(hops)
    labelled = [hop for hop in hops if hop.labels_out]
    told = [f"{hop.node} [{label_words(hop.labels_out)}]" for hop in labelled]
    if hops[-1].node != dst:
        return " > ".join([*told, f"lost at {hops[-1].node}"])
    return " > ".join([*told, labelled[-1].peer]) if labelled else "no labels"
