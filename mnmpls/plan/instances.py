"""VRF instances: what each one knows by itself, and who imports from whom (route targets, RFC 4364 4.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..model import Node, Port, Vrf
from ..state import MAIN_TABLE, NextHop
from . import static
from .graph import Network, interface, subnet_of
from .routes import version
from .sites import Local, local

Key = tuple[str, str]
"""A VRF instance: its PE's name and its own."""


@dataclass(frozen=True)
class Instance:
    """One VRF on one PE, or its main table (a VRF without a name). ``near`` prefixes are at its own ports and on its
    device, ``behind`` those behind its CEs, ``given`` those of the user's routes without labels. ``own`` are a VRF's
    addresses, as prefixes, by the subnet at a port that each is in."""

    node: Node
    vrf: Vrf
    near: Local
    behind: Local
    given: Local
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.node.name, self.vrf.name

    @property
    def table(self) -> int:
        return self.vrf.table or 0

    @cached_property
    def known(self) -> Mapping[str, None]:
        """Every prefix that it knows by itself, in order."""
        return dict.fromkeys((*self.near, *self.behind, *self.given))

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
    """Every VRF of the lab, and every main table with route targets."""
    found = (instance for node in net.nodes.values() for instance in _of(net, node))
    return {instance.key: instance for instance in found}


def _of(net: Network, node: Node) -> Iterator[Instance]:
    for vrf in node.vrfs:
        near, behind = local(net, node, vrf.name)
        device = {str(interface(cidr).network): NextHop("", vrf.name) for cidr in vrf.loopbacks}
        own = _own(net.members.get((node.name, vrf.name), ()))
        yield Instance(node, vrf, {**near, **device}, behind, _static(net, node, vrf.name), own)
    if node.imports or node.exports:
        yield main_table(net, node)


def _own(ports: Sequence[Port]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cidr in (cidr for port in ports for cidr in port.addresses or ()):
        prefix = f"{interface(cidr).ip}/{interface(cidr).max_prefixlen}"
        if prefix != (subnet := subnet_of(cidr)):
            found.setdefault(subnet, []).append(prefix)
    return found


def main_table(net: Network, node: Node) -> Instance:
    """What it has outside of the core."""
    near, behind = local(net, node, None)
    core = {port.name for port in net.ports[node.name] if net.is_core(port)}
    near = {prefix: hop for prefix, hop in near.items() if hop.port not in core}
    main = Vrf("", MAIN_TABLE, None, node.imports, node.exports)
    return Instance(node, main, near, behind, _static(net, node, None))


def _static(net: Network, node: Node, vrf: str | None) -> Local:
    here = (route for route in node.routes if route.vrf == vrf and route.table is None)
    return {static.prefix(route): static.hop(net, node, route) for route in here if route.dst and not route.labels}


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
