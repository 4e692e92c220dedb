"""Segment routing's labels that a lab's routers are to have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..model import Lab
from ..plan.segments import block
from .routers import Router, routers


@dataclass(frozen=True, slots=True)
class SidLabel:
    """``label`` leads to ``node``, whose SID is ``index``."""

    label: int
    node: str
    index: int


def sid_labels(lab: Lab) -> Mapping[str, tuple[SidLabel, ...]]:
    """Router -> those of the routers that it hears of; its own, too, where it is asked to take that off itself."""
    known = routers(lab)
    return {name: tuple(_of(lab, router, known)) for name, router in known.items() if router.segments}


def _of(lab: Lab, router: Router, known: Mapping[str, Router]) -> Iterator[SidLabel]:
    for name in _heard(router.name, known):
        segments = known[name].segments
        for sid in segments.sids if segments and (name != router.name or lab.labels.pop == "egress") else ():
            yield SidLabel(block(lab.labels).start + sid.index, name, sid.index)


def _heard(name: str, known: Mapping[str, Router]) -> Iterator[str]:
    """In the order of the lab."""
    todo, seen = [name], {name}
    while todo:
        for other in (node for port in known[todo.pop()].ports for node in port.nodes):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return (each for each in known if each in seen)
