"""Segment routing with MPLS (RFC 8660): which label stands for which router, on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from ..model import NO_IGP, SEGMENTS, Lab, Labels, Node
from .alloc import free
from .graph import ROUTERS

SRGB, SRLB = range(16_000, 24_000), range(15_000, 16_000)
"""FRR's blocks of SIDs that all routers know, and of those between two neighbours (lib/mpls.h)."""
FIRST_SID = 1
LOWEST = 1_000
"""Labels below are for daemons that take any: zebra hands them out from 16 on (zebra/label_manager.c)."""


def block(labels: Labels) -> range:
    """The labels of a sound ``srgb``."""
    first, _, last = labels.srgb.partition("-")
    return range(int(first), int(last) + 1) if last else SRGB


def local_block(labels: Labels) -> range:
    """FRR's own where the SRGB leaves it free; otherwise just below the SRGB, or above it."""
    mine = block(labels)
    if mine.stop <= SRLB.start or SRLB.stop <= mine.start:
        return SRLB
    below = mine.start - len(SRLB)
    return range(below, mine.start) if below >= LOWEST else range(mine.stop, mine.stop + len(SRLB))


def indices(lab: Lab, version: int) -> range:
    """The SIDs that the lab's routers may have in an IP version. Those of IPv6 have the upper half of the block, so
    that one number is enough for a router."""
    size = len(block(lab.labels))
    half = size // 2 if speaks_ipv6(lab) else size
    return range(half) if version == 4 else range(half, size)


def speaks_ipv6(lab: Lab) -> bool:
    """Have its routers IPv6 loopbacks, and its routing protocol SIDs for them? OSPFv3's, in FRR, has none."""
    return lab.igp.protocol == "isis" and any(":" in cidr for node in segmented(lab) for cidr in node.loopbacks)


def index(lab: Lab, node: Node, version: int) -> int:
    return indices(lab, version).start + (node.sid or 0)


def label(lab: Lab, node: Node, version: int) -> int:
    """The one that leads to ``node``."""
    return block(lab.labels).start + index(lab, node, version)


def segmented(lab: Lab) -> Iterator[Node]:
    """Its routers that have SIDs: BIRD tells of none."""
    if lab.labels.protocol == SEGMENTS:
        mine = (node for node in lab.nodes if node.role in ROUTERS and node.daemon != "bird")
        yield from (node for node in mine if node.igp.protocol != NO_IGP)


def with_sids(lab: Lab) -> Lab:
    """``lab`` with a SID for each router that has none, in the order of its nodes."""
    mine = list(segmented(lab))
    numbers = free(count(FIRST_SID), {node.sid for node in mine if node.sid is not None})
    found = {node.name: next(numbers) for node in mine if node.sid is None}
    if not found:
        return lab
    return replace(lab, nodes=tuple(replace(n, sid=found[n.name]) if n.name in found else n for n in lab.nodes))
