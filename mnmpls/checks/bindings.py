"""LDP's labels: does each router use those of its next hops, in the daemon and in the kernel?"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..asking import ask
from ..daemons.routers import Router, routers
from ..model import Lab
from ..plan.graph import spread
from ..processes import Folders
from ..state import MAIN_TABLE, LabelRoute, NextHop, Route
from .findings import Finding

if TYPE_CHECKING:
    from ..kernel import Namespace

NO_LABEL = frozenset({"imp-null", "exp-null"})
"""ldpd's words for labels with which nothing is left to do (ldpd/util.c, log_label)."""
_SHOWN = 3


@dataclass(frozen=True)
class _Tables:
    """What one router has: by prefix and neighbour what that neighbour gave, by prefix its own label, the kernel's
    routes of the main table, and what its kernel does with labels that come in."""

    given: Mapping[tuple[str, str], Mapping[str, Any]]
    own: Mapping[str, str]
    routes: Mapping[str, tuple[NextHop, ...]]
    labels: Mapping[int, tuple[NextHop, ...]]


def bindings(
    lab: Lab, namespaces: Mapping[str, Namespace], folders: Mapping[str, Folders], off: Container[str]
) -> Iterator[Finding]:
    """A finding for each router that speaks LDP as generated; nodes that are ``off`` do not count."""
    others = {node.name for node in lab.nodes if node.routes_itself or node.name in off}
    speaking = {name: one for name, one in routers(lab).items() if one.labels == "ldp" and one.ports}
    known = {name: one for name, one in speaking.items() if name not in others}
    beside = {name: [node for port in one.ports for node in port.nodes if node in known] for name, one in known.items()}
    for name, router in known.items():
        if name in folders:
            tables = _tables(folders[name], namespaces[name])
            ends = [known[other] for other in spread([name], beside) if other != name]
            wrong = [fault for end in ends for fault in _towards(router, end, known, tables)]
            seen = f"those of {len(ends)} routers are in use" if not wrong else _told(wrong)
            wish = "labels of all next hops, in ldpd and in the kernel"
            yield Finding("label", f"{name}: LDP", not wrong, wish, seen, name if wrong else "")


def _told(wrong: list[str]) -> str:
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return "; ".join(wrong[:_SHOWN]) + more


def _tables(home: Folders, namespace: Namespace) -> _Tables:
    try:
        said = json.loads(ask(home, "ldpd", "show mpls ldp binding json") or "{}").get("bindings", ())
    except ValueError:
        said = ()
    learned = namespace.learned()
    return _Tables(
        {(one["prefix"], one["neighborId"]): one for one in said},
        {one["prefix"]: one["localLabel"] for one in said},
        {one.dst: one.hops for one in learned if isinstance(one, Route) and one.table == MAIN_TABLE},
        {one.label: one.hops for one in learned if isinstance(one, LabelRoute)},
    )


def _towards(router: Router, other: Router, known: Mapping[str, Router], tables: _Tables) -> Iterator[str]:
    """What is wrong with the way to another router's loopbacks."""
    for prefix in (f"{other.v4}/32", f"{other.v6}/128") if other.v6 and router.v6 else (f"{other.v4}/32",):
        if prefix not in tables.routes:
            yield f"no route to {prefix} of {other.name}"
            continue
        out: set[tuple[str, tuple[int, ...]]] = set()
        for hop in tables.routes[prefix]:
            near = _neighbour(router, hop)
            if near not in known:
                break
            given = tables.given.get((prefix, known[near].v4))
            if fault := _unused(hop, near, prefix, given):
                yield fault
                break
            out.add((hop.port, _pushed(given)))
        else:
            yield from _in_kernel(prefix, tables, out)


def _neighbour(router: Router, hop: NextHop) -> str:
    """The node that a next hop is; empty where that cannot be told."""
    port = next((port for port in router.ports if port.name == hop.port), None)
    if port is None:
        return ""
    return port.nodes[0] if port.direct else next((node for node, address in port.neighbours if address == hop.via), "")


def _unused(hop: NextHop, near: str, prefix: str, given: Mapping[str, Any] | None) -> str:
    """Why ldpd has no label for this next hop; empty if it has. It takes a neighbour's label for a route only if the
    next hop is an address of which that neighbour has told (RFC 5036 3.5.5; ldpd/lde.c, lde_nbr_find_by_addr)."""
    if given is None:
        return f"{near}, the next hop to {prefix}, has given no label for it"
    if not given.get("inUse"):
        text = f"{near} gives label {given['remoteLabel']} for {prefix}, but does not announce (or has withdrawn) its"
        return f"{text} address {hop.via}, which is the next hop, so that ldpd uses no label of it"
    return ""


def _pushed(given: Mapping[str, Any] | None) -> tuple[int, ...]:
    label = given["remoteLabel"] if given else "imp-null"
    return () if label in NO_LABEL else (int(label),)


def _in_kernel(prefix: str, tables: _Tables, out: set[tuple[str, tuple[int, ...]]]) -> Iterator[str]:
    """Whether the kernel does with packets for ``prefix``, and with ldpd's own label for it, what ldpd says."""
    found = {(hop.port, hop.labels) for hop in tables.routes[prefix]}
    if found != out:
        yield f"the kernel sends {prefix} with {_stacks(found)}, ldpd with {_stacks(out)}"
    own = tables.own.get(prefix, "imp-null")
    if own not in NO_LABEL:
        swapped = {(hop.port, hop.labels) for hop in tables.labels.get(int(own), ())}
        if swapped != out:
            text = _stacks(swapped) if swapped else "nothing"
            yield f"label {own}, given for {prefix}, becomes {text} in the kernel, and {_stacks(out)} in ldpd"


def _stacks(found: set[tuple[str, tuple[int, ...]]]) -> str:
    return " and ".join(f"{'/'.join(map(str, labels)) or 'no label'} on {port}" for port, labels in sorted(found))
