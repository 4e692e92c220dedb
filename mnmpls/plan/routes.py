"""A collection of routes in the making: next hops of one destination come together from several places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from ..model import StaticRoute
from ..state import IPV6_METRIC, TTL_AS_SET, LabelRoute, NextHop, Record, Route
from .graph import Edge, via

Hops = tuple[NextHop, ...]
"""Sorted, each once. Routes of one kind share them: there are far more routes than ways."""


class Routes:
    """Routes and label routes by node; adding a hop to a destination that is there makes it multipath."""

    def __init__(self) -> None:
        self._ip: dict[str, dict[int, dict[str, Hops]]] = defaultdict(lambda: defaultdict(dict))
        self._labels: dict[str, dict[int, Hops]] = defaultdict(dict)
        self._metrics: dict[tuple[str, int, str], int] = {}
        self._ttls: dict[tuple[str, int], str] = {}

    def add(self, node: str, table: int, dsts: Iterable[str], hops: Hops) -> None:
        """``hops`` towards each of ``dsts``; adding none does nothing."""
        if hops:
            here = self._ip[node][table]
            for dst in dsts:
                here[dst] = merged((here[dst], hops)) if dst in here else hops

    def put(self, node: str, table: int, dst: str, hops: Hops, metric: int | None = None) -> None:
        """``hops`` and no others: what a user gives wins over what was planned."""
        self._ip[node][table][dst] = hops
        if metric is not None:
            self._metrics[node, table, dst] = metric

    def forget(self, node: str) -> None:
        """Whatever was planned for it."""
        self._ip.pop(node, None)
        self._labels.pop(node, None)

    def add_label(self, node: str, label: int, hops: Hops, ttl: str = "") -> None:
        if hops:
            here = self._labels[node]
            here[label] = merged((here.get(label, ()), hops))
            if ttl:
                self._ttls[node, label] = ttl

    def of(self, node: str) -> Iterator[Record]:
        for table, found in self._ip[node].items():
            for dst, hops in found.items():
                metric = self._metrics.get((node, table, dst), IPV6_METRIC if ":" in dst else 0)
                yield Route(table, dst, hops, "unicast", metric)
        for label, hops in self._labels[node].items():
            yield LabelRoute(label, hops, self._ttls.get((node, label), ""))


def merged(several: Iterable[Hops]) -> Hops:
    """One set of hops; as it is where there is only one."""
    found = [hops for hops in several if hops]
    return found[0] if len(found) == 1 else tuple(sorted({hop for hops in found for hop in hops}))


def version(dst: str) -> int:
    return 6 if ":" in dst else 4


def towards(edges: Iterable[Edge], ip_version: int, labels: tuple[int, ...] = (), ttl: int = TTL_AS_SET) -> Hops:
    """A hop for each edge whose link speaks that IP version; IPv4 goes by IPv6 next hops as well (RFC 8950)."""
    spoken = (4, 6) if ip_version == 4 else (6,)
    found = (
        (next((address for each in spoken if (address := via(mine, theirs, each))), None), mine.name)
        for mine, theirs in edges
    )
    return _hops(found, labels, ttl)


def labelled(edges: Iterable[Edge], labels: tuple[int, ...] = ()) -> Hops:
    """A hop for each edge, by whatever IP version its link speaks: a label does not care."""
    return _hops(((via(mine, theirs, 4) or via(mine, theirs, 6), mine.name) for mine, theirs in edges), labels)


def _hops(ways: Iterable[tuple[str | None, str]], labels: tuple[int, ...], ttl: int = TTL_AS_SET) -> Hops:
    """Of gateways and ports; where there is no gateway there is no way."""
    found = {(address, name) for address, name in ways if address is not None}
    return tuple(NextHop(address, name, labels, ttl=ttl) for address, name in sorted(found))


def destination(route: StaticRoute) -> str:
    """The prefix of a user's route; ``default`` is of the IP version of its ``via``."""
    if route.dst == "default":
        return "::/0" if ":" in route.via else "0.0.0.0/0"
    return route.dst
