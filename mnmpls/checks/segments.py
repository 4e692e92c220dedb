"""Segment routing's half of a check: is the label of each router's SID in the kernels of the others?"""

from __future__ import annotations

from collections.abc import Container, Iterator

from ..daemons import sid_labels
from .findings import Finding
from .views import World


def segments(world: World, off: Container[str]) -> Iterator[Finding]:
    """A finding for each router and each SID that it is to know, but those of nodes that are ``off``."""
    for node, wanted in sid_labels(world.lab).items():
        labels = world.views[node].labels if node not in off else {}
        for one in wanted if node not in off else ():
            if one.node not in off:
                there = one.label in labels
                subject = f"{node}'s kernel: label {one.label} to {one.node}"
                yield Finding("label", subject, there, "there", "there" if there else "none", "" if there else node)
