"""A lab of which only a share of the nodes runs on this machine: what can be told of it from here."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .predict import ways
from .reach import some_names
from .views import World
from .vpn import Call


def note(elsewhere: Collection[str], seen: str) -> tuple[str, ...]:
    """For people, with what is ``seen`` of those; nothing where nobody is elsewhere."""
    run = "runs on another machine" if len(elsewhere) == 1 else "run on other machines"
    return (f"{some_names(sorted(elsewhere))} {run}: {seen}",) if elsewhere else ()


def on_the_way(world: World, calls: Iterable[Call], elsewhere: Collection[str]) -> tuple[str, ...]:
    """The nodes ``elsewhere`` that packets may come by, as far as is known here."""
    hops = (hop for call in calls for one in ways(world, call) for hop in one)
    return tuple(dict.fromkeys(hop.node for hop in hops if hop.node in elsewhere))
