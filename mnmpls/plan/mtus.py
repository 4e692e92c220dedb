"""MTUs that the user left open: a wire's, and a tunnel's from what carries it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..model import DEFAULT_MTU_BYTES, Lab, Link, Port
from .graph import Edge, Network, interfaces, network, search
from .tunnels import overhead_bytes

Mtus = dict[tuple[str, str], int]
"""Node and port -> bytes."""


def sized(lab: Lab) -> Lab:
    """``lab`` (its tunnels underlaid) with an MTU on every port."""
    links = tuple(map(_wire_sized, lab.links))
    if not all(link.is_wire for link in links):
        sizes = _Sizes(network(replace(lab, links=links)))
        links = tuple(link if link.is_wire else sizes.of(link) for link in links)
    return replace(lab, links=links)


def _wire_sized(link: Link) -> Link:
    a, b = (port if port.mtu_bytes is not None else replace(port, mtu_bytes=DEFAULT_MTU_BYTES) for port in link.ports)
    return replace(link, a=a, b=b) if link.is_wire else link


class _Sizes:
    """Tunnels' MTUs, those beneath first."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self._known: dict[Link, Link] = {}
        self._beside = _wired(net)

    def of(self, link: Link) -> Link:
        if link.is_wire:
            return link
        if link not in self._known:
            self._known[link] = link  # one that runs through itself ends here; checking has told
            fits = self._carried(link) - overhead_bytes(link)
            a, b = (port if port.mtu_bytes is not None else replace(port, mtu_bytes=fits) for port in link.ports)
            self._known[link] = replace(link, a=a, b=b)
        return self._known[link]

    def _carried(self, link: Link) -> int:
        """The largest IP packet between the two addresses."""
        both = [self._owners(address) for address in link.over]
        ports = {(port.node, port.name): port for owners in both for port in owners}
        near = next((p for p in both[0] if any(self._together(p, q) for q in both[1])), None)
        if near is not None:
            whole = self.of(self._net.links[near.node, near.name])
            ends = [port for port in whole.ports if (port.node, port.name) in ports] or list(whole.ports)
            return min(port.mtu_bytes or DEFAULT_MTU_BYTES for port in ends)
        return min(self._on_the_way(link.a.node, link.b.node), default=DEFAULT_MTU_BYTES)

    def _owners(self, address: str) -> list[Port]:
        found = (port for ports in self._net.ports.values() for port in ports)
        return [port for port in found if any(str(each.ip) == address for each in interfaces(port))]

    def _together(self, one: Port, other: Port) -> bool:
        where = self._net.segment_of
        return where[one.node, one.name] == where[other.node, other.name]

    def _on_the_way(self, start: str, end: str) -> Iterator[int]:
        """MTUs of every port on a shortest way over wires."""
        edges, todo, seen = search(self._beside, [end]), [start], {start}
        for node in todo:
            for mine, theirs in edges.get(node, ()):
                yield min(port.mtu_bytes or DEFAULT_MTU_BYTES for port in (mine, theirs))
                if theirs.node not in seen:
                    seen.add(theirs.node)
                    todo.append(theirs.node)


def _wired(net: Network) -> Mapping[str, tuple[Edge, ...]]:
    """Every neighbour by wire, of whatever role."""
    found: dict[str, list[Edge]] = {}
    for segment in net.segments:
        for mine in segment.ports:
            if net.links[mine.node, mine.name].is_wire:
                others = [other for other in segment.ports if other.node != mine.node]
                found.setdefault(mine.node, []).extend((mine, other) for other in others)
    return {name: tuple(edges) for name, edges in found.items()}
