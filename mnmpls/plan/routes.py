"""A collection of routes in the making: next hops of one destination come together from several places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from ..model import StaticRoute
from ..state import IPV6_METRIC, LabelRoute, NextHop, Record, Route
from .graph import Edge, via


class Routes:
    """Routes and label routes by node; adding a hop to a destination that is there makes it multipath."""

    def __init__(self) -> None:
        self._ip: dict[str, dict[tuple[int, str], set[NextHop]]] = defaultdict(dict)
        self._labels: dict[str, dict[int, set[NextHop]]] = defaultdict(dict)

    def add(self, node: str, table: int, dst: str, hops: Iterable[NextHop]) -> None:
        """``hops`` towards ``dst``; adding none does nothing."""
        for hop in hops:
            self._ip[node].setdefault((table, dst), set()).add(hop)

    def replace(self, node: str, table: int, dst: str, hop: NextHop) -> None:
        """``hop`` and no other: what a user gives wins over what was planned."""
        self._ip[node][table, dst] = {hop}

    def add_label(self, node: str, label: int, hops: Iterable[NextHop]) -> None:
        for hop in hops:
            self._labels[node].setdefault(label, set()).add(hop)

    def of(self, node: str) -> Iterator[Record]:
        for (table, dst), hops in self._ip[node].items():
            yield Route(table, dst, tuple(sorted(hops)), metric=IPV6_METRIC if ":" in dst else 0)
        for label, hops in self._labels[node].items():
            yield LabelRoute(label, tuple(sorted(hops)))


def version(dst: str) -> int:
    return 6 if ":" in dst else 4


def towards(edges: Iterable[Edge], ip_version: int, labels: tuple[int, ...] = ()) -> list[NextHop]:
    """A hop for each edge whose link speaks that IP version."""
    found = ((via(mine, theirs, ip_version), mine.name) for mine, theirs in edges)
    return [NextHop(address, name, labels) for address, name in found if address is not None]


def labelled(edges: Iterable[Edge], labels: tuple[int, ...] = ()) -> list[NextHop]:
    """A hop for each edge, by whatever IP version its link speaks: a label does not care."""
    found = ((via(mine, theirs, 4) or via(mine, theirs, 6), mine.name) for mine, theirs in edges)
    return [NextHop(address, name, labels) for address, name in found if address is not None]


def destination(route: StaticRoute) -> str:
    """The prefix of a user's route; ``default`` is of the IP version of its ``via``."""
    if route.dst == "default":
        return "::/0" if ":" in route.via else "0.0.0.0/0"
    return route.dst
