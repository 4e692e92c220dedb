"""VRF instances: what each one knows by itself, and who imports from whom (route targets, RFC 4364 4.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..model import Node, Vrf
from .graph import Network
from .routes import destination, version
from .sites import Local, local

Key = tuple[str, str]
"""A VRF instance: its PE's name and its own."""


@dataclass(frozen=True)
class Instance:
    """One VRF on one PE. ``near`` prefixes are at its own ports, ``behind`` those behind its CEs, ``static`` those
    of the user's routes without labels."""

    node: Node
    vrf: Vrf
    near: Local
    behind: Local
    static: tuple[str, ...]

    @property
    def key(self) -> Key:
        return self.node.name, self.vrf.name

    @property
    def table(self) -> int:
        return self.vrf.table or 0

    @cached_property
    def known(self) -> Mapping[str, None]:
        """Every prefix that it knows by itself, in order."""
        return dict.fromkeys((*self.near, *self.behind, *self.static))

    @cached_property
    def exports(self) -> Mapping[int, Sequence[str]]:
        """The same by IP version."""
        found: dict[int, list[str]] = {}
        for prefix in self.known:
            found.setdefault(version(prefix), []).append(prefix)
        return found


Flows = Mapping[Key, Sequence[Instance]]
"""Exporting instance -> those that import from it, in the lab's order; instances nobody imports from are absent."""


def instances(net: Network) -> dict[Key, Instance]:
    """Every VRF of the lab."""
    found = (instance for node in net.nodes.values() for instance in _of(net, node))
    return {instance.key: instance for instance in found}


def _of(net: Network, node: Node) -> Iterator[Instance]:
    for vrf in node.vrfs:
        given = (route for route in node.routes if route.vrf == vrf.name and route.dst and not route.labels)
        static = tuple(destination(route) for route in given)
        yield Instance(node, vrf, *local(net, node, vrf.name), static)


def flows(known: Mapping[Key, Instance]) -> Flows:
    """Who imports from whom, found by route target, so that strangers cost nothing."""
    importers: dict[str, list[Instance]] = defaultdict(list)
    for instance in known.values():
        for target in dict.fromkeys(instance.vrf.imports):
            importers[target].append(instance)
    found: dict[Key, tuple[Instance, ...]] = {}
    for key, exporter in known.items():
        wanting = {other.key: other for rt in dict.fromkeys(exporter.vrf.exports) for other in importers.get(rt, ())}
        wanting.pop(key, None)
        if wanting:
            found[key] = tuple(wanting.values())
    return found
