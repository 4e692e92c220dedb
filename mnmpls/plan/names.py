"""Names of interfaces that the user left open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import count

from ..model import LINK_TYPES, Lab, Port

NAME_BYTES = 15
"""IFNAMSIZ - 1 (include/uapi/linux/if.h)."""


def named(lab: Lab) -> Lab:
    """``lab`` with a name on every port: ``NODE-PEER-eth``, or ``NODE-eth`` for the only port towards a bridge, with
    the type in the place of eth for a tunnel; what does not fit in 15 bytes becomes ``NODE-ethN``, cut at NODE if need
    be."""
    if all(port.name for link in lab.links for port in link.ports):
        return lab
    bridges = {node.name for node in lab.nodes if node.role == "bridge"}
    taken = {node.name: {"lo", node.name, *(vrf.name for vrf in node.vrfs)} for node in lab.nodes}
    for node in lab.nodes:
        taken[node.name].update(dummy.name for dummy in node.dummies)
    for link in lab.links:
        for port in link.ports:
            taken[port.node].add(port.name)
    to_bridges = Counter(
        mine.node for link in lab.links for mine, theirs in (link.ports, link.ports[::-1]) if theirs.node in bridges
    )
    numbers = {node.name: count() for node in lab.nodes}

    def name(mine: Port, theirs: Port, kind: str) -> Port:
        if mine.name:
            return mine
        lone = theirs.node in bridges and mine.node not in bridges and to_bridges[mine.node] == 1
        full = f"{mine.node}-eth" if lone else f"{mine.node}-{theirs.node}-{LINK_TYPES[kind]}"
        found = _first_free(full, mine.node, taken[mine.node], numbers[mine.node])
        taken[mine.node].add(found)
        return replace(mine, name=found)

    links = (k.between(name(k.a, k.b, k.type), name(k.b, k.a, k.type)) for k in lab.links)
    return replace(lab, links=tuple(links))


def _first_free(full: str, node: str, taken: Collection[str], numbers: Iterator[int]) -> str:
    if len(full) <= NAME_BYTES and full not in taken:
        return full
    for number in numbers:
        tail = f"-eth{number}"
        short = node[: NAME_BYTES - len(tail)] + tail
        if short not in taken:
            return short
    raise AssertionError("count() does not end")
