"""Several ways that are as good as each other: does zebra have all that there are in the core, and the kernel all of
zebra's? Packets get through by the others, so that nothing else tells."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from ..asking import BIRD, ask
from ..daemons import documents
from ..daemons.routers import Router, is_stub, routers
from ..model import Lab
from ..processes import Folders
from ..state import MAIN_TABLE, LabelRoute, NextHop, Route
from .findings import Finding

if TYPE_CHECKING:
    from ..kernel import Namespace

Way = tuple[str, str]
"""A next hop's address and the port towards it; zebra leaves out the latter at labels for IPv4, the kernel the former
at ports that need none."""
Core = Mapping[str, Mapping[str, Counter[str]]]
"""Router -> another one -> how many of the shortest ways to it begin at which port, where there are several."""

_IGPS = frozenset(("ospf", "ospf6", "isis"))
_OWN = frozenset(("connected", "local", "kernel"))
"""What zebra calls the core's routing protocols, and what it was told by none."""
_SETTLED_S, _WRITTEN_S, _AGAIN_S = 15.0, 2.0, 0.2
"""LDP-IGP synchronization and OSPF's throttled SPF may bring the second way so much later than the first; zebra writes
at once what it has."""
_AROUND = 0xFFFF
"""The metric of all that leads on from a router that nothing is to go through (RFC 6987, MaxLinkMetric)."""
_MOST_ROUTERS = 200
_SHOWN = 3


@dataclass(frozen=True)
class Told:
    """What zebra knows of a prefix: by which protocol, in which VRF, and the ways there."""

    protocol: str
    vrf: str
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class Known:
    """Of one router: zebra's routes by table and prefix, and its ways by label; then the kernel's ways for both."""

    routes: Mapping[tuple[int, str], Told]
    labels: Mapping[int, tuple[Way, ...]]
    kernel: Mapping[tuple[int, str], tuple[Way, ...]]
    kernel_labels: Mapping[int, tuple[Way, ...]]

    @property
    def several(self) -> int:
        """Of how many prefixes and labels zebra has more than one way."""
        return sum(len(ways) > 1 for ways in (*(one.ways for one in self.routes.values()), *self.labels.values()))


def equal_ways(
    lab: Lab, namespaces: Mapping[str, Namespace], folders: Mapping[str, Folders], off: Container[str],
    patience_s: float,
) -> Iterator[Finding]:
    """A finding for each node with zebra that has several ways somewhere, or is to have them. Those that lack some are
    looked at again, for at most ``patience_s``."""
    core = shortest(lab, frozenset(node.name for node in lab.nodes if node.name in off))
    both = routers(lab) if core else {}
    start = time.monotonic()
    for node in (each.name for each in lab.nodes if each.name in folders and each.daemon != BIRD):
        while True:
            known = _known(folders[node], namespaces[node])
            late = [*untold(core.get(node, {}), both, known)]
            wrong = [*late, *lost(known)]
            if not wrong or time.monotonic() - start > min(patience_s, _SETTLED_S if late else _WRITTEN_S):
                break
            time.sleep(_AGAIN_S)
        if wrong or known.several:
            seen = _some(wrong, "; ") if wrong else f"those of {known.several} prefixes and labels"
            wish = "all of them in zebra and in the kernel"
            yield Finding("route", f"{node}: equal ways", not wrong, wish, seen, node if wrong else "")


@lru_cache(maxsize=4)
def shortest(lab: Lab, off: frozenset[str]) -> Core:
    """The core's several shortest ways by its links' metrics; none where the lab does not say them all, where areas
    come before metrics, and where to find them would take long."""
    known = {name: one for name, one in routers(lab).items() if name not in off}
    areas = {area for one in known.values() for area in (one.area, *(port.area for port in one.ports))}
    if len(areas) > 1 or len(known) > _MOST_ROUTERS or any(lab.node(name).routes_itself for name in known):
        return {}
    into: dict[str, list[tuple[str, int]]] = {name: [] for name in known}
    for name, one in known.items():
        stub = is_stub(lab, name)
        for port in one.ports:
            for node in port.nodes:
                into.get(node, []).append((name, _AROUND if stub else port.metric))
    found: dict[str, dict[str, Counter[str]]] = {name: {} for name in known}
    for end in known:
        far = _distances(into, end)
        for name in far.keys() - {end}:
            ways = ((port, far[node]) for port in known[name].ports for node in port.nodes if node in far)
            first = Counter(port.name for port, rest in ways if port.metric + rest == far[name])
            if first.total() > 1:
                found[name][end] = first
    return found


def _distances(into: Mapping[str, Iterable[tuple[str, int]]], end: str) -> dict[str, int]:
    """From each router that reaches it (Dijkstra)."""
    found: dict[str, int] = {}
    queue = [(0, end)]
    while queue:
        far, name = heappop(queue)
        if name not in found:
            found[name] = far
            for other, metric in into[name]:
                heappush(queue, (far + metric, other))
    return found


def untold(several: Mapping[str, Counter[str]], both: Mapping[str, Router], known: Known) -> Iterator[str]:
    """Ways to other routers' loopbacks that zebra was not told, though it has others that are no better."""
    has_v6 = all(one.v6 for one in both.values())
    for end, ports in several.items():
        for prefix in (f"{both[end].v4}/32", f"{both[end].v6}/128") if has_v6 else (f"{both[end].v4}/32",):
            told = known.routes.get((MAIN_TABLE, prefix))
            lacking = ports - Counter(port for _, port in told.ways) if told and told.protocol in _IGPS else None
            if told and lacking:
                has = " and ".join(sorted({port for _, port in told.ways}))
                yield f"zebra has no way to {prefix} of {end} by {_some(lacking)}, which is as good as by {has}"


def lost(known: Known) -> Iterator[str]:
    """Ways that zebra has, and its kernel has not."""
    for (table, prefix), told in known.routes.items():
        where = f"{prefix} in {told.vrf}" if table != MAIN_TABLE else prefix
        yield from _lost(where, told.ways, known.kernel.get((table, prefix), ()))
    for label, ways in known.labels.items():
        yield from _lost(f"label {label}", ways, known.kernel_labels.get(label, ()))


def _lost(what: str, ways: tuple[Way, ...], kernel: Iterable[Way]) -> Iterator[str]:
    left = list(kernel)
    for via, port in ways if len(ways) > 1 else ():
        same = next((way for way in left if way[0] == via and port in ("", way[1])), None)
        if same:
            left.remove(same)
        else:
            by = " on ".join(filter(None, (via, port)))
            yield f"the kernel sends {what} not by {by}, which zebra has as one of {len(ways)} equal ways"


def _known(home: Folders, namespace: Namespace) -> Known:
    learned = namespace.learned()
    labels: Mapping[str, Any] = next(documents(ask(home, "zebra", "show mpls table json") or ""), {})
    routes = [one for one in learned if isinstance(one, Route)]
    return Known(
        dict(_routes(home)),
        {int(label): _of_label(one) for label, one in labels.items()},
        {(one.table, one.dst): _of_kernel(one.hops) for one in routes},
        {one.label: _of_kernel(one.hops) for one in learned if isinstance(one, LabelRoute)},
    )


def _routes(home: Folders) -> Iterator[tuple[tuple[int, str], Told]]:
    """Those that won."""
    for family in ("ip", "ipv6"):
        for said in documents(ask(home, "zebra", f"show {family} route vrf all json") or ""):
            every = ((prefix, one) for prefix, some in said.items() for one in some)
            for prefix, one in every:
                if one.get("selected") and one.get("protocol") not in _OWN:
                    told = Told(one["protocol"], one.get("vrfName", ""), tuple(_of_route(one)))
                    yield (one.get("table", MAIN_TABLE), prefix), told


def _of_route(one: Mapping[str, Any]) -> Iterator[Way]:
    """Where packets go: a recursive next hop has those that it leads to behind it (zebra/zebra_vty.c)."""
    for hop in one.get("nexthops", ()):
        if hop.get("active") and not (hop.get("recursive") or hop.get("duplicate")):
            yield hop.get("ip", ""), hop.get("interfaceName", "")


def _of_label(one: Mapping[str, Any]) -> tuple[Way, ...]:
    return tuple((hop.get("nexthop", ""), hop.get("interface", "")) for hop in one.get("nexthops", ()))


def _of_kernel(hops: Iterable[NextHop]) -> tuple[Way, ...]:
    return tuple((hop.via, hop.port) for hop in hops)


def _some(found: Iterable[str], between: str = ", ") -> str:
    every = list(found)
    return between.join(every[:_SHOWN]) + (f"{between}and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
