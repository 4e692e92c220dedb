"""Make a namespace what it is meant to be: the difference of two sets of records, in the order they need."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from .errors import KernelRefused
from .kernel import Namespace
from .kernel.refusals import refusal
from .state import (
    Address,
    Bridge,
    Dummy,
    Guard,
    LabelRoute,
    Member,
    Port,
    Qdisc,
    Record,
    Route,
    Rule,
    Sysctl,
    Tunnel,
    UdpPort,
    VrfDevice,
    sysctl_parts,
)

_ROUNDS = 5
"""One is usual, one more where something is removed; each further one restores what the last took along."""

_ORDER: tuple[type[Record], ...] = (
    Bridge,
    Dummy,
    UdpPort,
    Guard,  # Before the tunnel whose first packets it keeps back.
    Tunnel,
    VrfDevice,
    Member,  # Enslaving flushes the port's IPv6 addresses: before them.
    Port,
    Qdisc,
    Sysctl,  # After every device is there and its MTU allows IPv6, before addresses (disable_ipv6) and labels.
    Address,
    Rule,
    Route,
    LabelRoute,
)
"""Each kind stands behind those that it needs."""

_BY_ANYBODY = (Address, Bridge, Dummy, Member, Qdisc, Tunnel, VrfDevice)

_FIELDS = {kind: attrgetter(*(field.name for field in fields(kind))) for kind in _ORDER}


@dataclass(frozen=True, slots=True)
class Difference:
    """What to do, in this order: first all of ``remove``, then all of ``write``."""

    remove: tuple[Record, ...] = ()
    write: tuple[Record, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.write)

    def __add__(self, later: Difference) -> Difference:
        return Difference(self.remove + later.remove, self.write + later.write)


def difference(
    wanted: Iterable[Record], observed: Iterable[Record], ours: Iterable[Record] | None = None
) -> Difference:  # fmt: skip
    """What makes ``observed`` become ``wanted``. A record that only changes is one write and no removal; ports
    and sysctls are never removed, nor are devices, addresses and queues that ``ours`` is given without."""
    wanted, observed = frozenset(wanted), frozenset(observed)
    extra = _extra(wanted, observed if ours is None else observed - _of_others(observed, {*ours, *wanted}))
    return Difference(tuple(reversed(_ordered(extra))), tuple(_ordered(wanted - observed)))


def _of_others(observed: frozenset[Record], ours: set[Record]) -> frozenset[Record]:
    """Routes, labels and rules are told apart by their protocol: those that were made by hand are not observed."""
    subjects = set(map(subject, ours))
    return frozenset(one for one in observed if isinstance(one, _BY_ANYBODY) and subject(one) not in subjects)


def _extra(wanted: frozenset[Record], observed: frozenset[Record]) -> list[Record]:
    """What is to go: not what is replaced by a write."""
    extra = [record for record in observed - wanted if not isinstance(record, Port | Sysctl)]
    subjects = {subject(record) for record in wanted} if extra else set()
    return [record for record in extra if not (subject(record) in subjects and _replaced_whole(record))]


def apply(
    wanted: frozenset[Record], namespace: Namespace, node: str = "", ours: frozenset[Record] | None = None
) -> Difference:  # fmt: skip
    """Writes the difference and gives what was done; with ``ours``, all that ever was wanted here, what others made in
    the node stays. Raises KernelRefused, with ``node`` in its text."""
    keys = [record.key for record in wanted if isinstance(record, Sysctl)]
    done, was_new = Difference(), namespace.fresh is not None
    try:
        for _ in range(_ROUNDS):
            observed = namespace.fresh or namespace.observe(keys)
            work = difference(wanted, observed, ours)
            if work.remove:  # What goes may take others along: see what is left before writing.
                work = Difference(remove=work.remove)
            _do(work, namespace)
            done += work
            if not work.remove and not _disturbs(work, observed):
                return done if was_new else done + _restored(lost(wanted, namespace), namespace)
        raise _unsettled(difference(wanted, namespace.observe(keys)))
    except KernelRefused as error:
        raise error.at(node) from error


def early(wanted: Iterable[Record]) -> list[Sysctl]:
    """The settings that a new namespace can be given before it has ports, in their order: ports copy some of them."""
    found = (one for one in wanted if isinstance(one, Sysctl) and not _is_of_port(one.key))
    return sorted(found, key=_WITHIN[Sysctl])


def _is_of_port(key: str) -> bool:
    parts = sysctl_parts(key)
    return len(parts) == 5 and parts[2] in ("conf", "neigh") and parts[3] not in ("all", "default")


def lost(wanted: Iterable[Record], namespace: Namespace) -> tuple[Rule, ...]:
    """What VRFs need that comes with the first of them, and that somebody took away: the kernel's own rules."""
    return namespace.lost_rules() if any(isinstance(record, VrfDevice) for record in wanted) else ()


def added(wanted: Iterable[Record], namespace: Namespace) -> tuple[Route | LabelRoute | Rule, ...]:
    """Routes that were made by ip(8) or the like in what is the lab's, the tables of its VRFs and the label table, and
    rules. Those of a routing protocol are none."""
    tables = {record.table for record in wanted if isinstance(record, VrfDevice)}
    found = (one for one in namespace.routes_by_hand() if isinstance(one, LabelRoute) or one.table in tables)
    return tuple(sorted((*found, *namespace.rules_by_hand()), key=str))


def remove_added(wanted: Iterable[Record], namespace: Namespace, node: str) -> Difference:
    """Takes these away and gives what was done. Raises KernelRefused, with ``node`` in its text."""
    found = () if namespace.fresh is not None else added(wanted, namespace)
    try:
        namespace.remove(*found, by_hand=True)
    except KernelRefused as error:
        raise error.at(node) from error
    return Difference(remove=found)


def _restored(rules: tuple[Rule, ...], namespace: Namespace) -> Difference:
    namespace.write(*rules)
    return Difference(write=rules)


def _do(work: Difference, namespace: Namespace) -> None:
    if work.remove:
        namespace.remove(*work.remove)
    namespace.write(*work.write)


def _disturbs(work: Difference, observed: frozenset[Record]) -> bool:
    """Whether what was written may have taken other records along: the kernel drops addresses and routes with a
    change of master, MTU or state."""
    moved = any(isinstance(record, VrfDevice | Bridge | Dummy | Tunnel | Member | Port) for record in work.write)
    return moved and any(isinstance(record, Address | Route | LabelRoute) for record in observed)


def _unsettled(left: Difference) -> KernelRefused:
    record = (left.write or left.remove)[0]
    return refusal(record, "the kernel took it, but it is not there afterwards", "does something else change it?")


def _replaced_whole(record: Record) -> bool:
    """A tunnel is made anew, and what was on it, its being up too, goes with the old one: that goes first. IPv6 hops
    without a gateway are routes of their own to the kernel: writing replaces but one of them."""
    if isinstance(record, Tunnel):
        return False
    if not isinstance(record, Route) or ":" not in record.dst or len(record.hops) < 2:
        return True
    return all(hop.via for hop in record.hops)


def subject(record: Record) -> Hashable:
    """What a record is about: two records about the same thing cannot both be true."""
    match record:
        case Sysctl(name) | VrfDevice(name) | Bridge(name) | Tunnel(name) | Member(name) | Port(name) | Qdisc(name):
            return type(record), name
        case Route(table, dst, _, _, metric):
            return table, dst, metric
        case LabelRoute(label):
            return label
        case Dummy(name):
            return Dummy, name
        case UdpPort(port, version):
            return type(record), port, version
        case Address() | Rule() | Guard():
            return record


def _ordered(records: Iterable[Record]) -> list[Record]:
    """Each behind those it needs; within a kind as the records sort, by whose own slow comparison it is not done."""
    alike: dict[type[Record], list[Record]] = {kind: [] for kind in _ORDER}
    for record in records:
        alike[type(record)].append(record)
    return [record for kind, some in alike.items() for record in sorted(some, key=_WITHIN.get(kind, _FIELDS[kind]))]


def _of_route(route: Route) -> tuple[object, ...]:
    """A gateway may be reached by a route without one."""
    return any(hop.via for hop in route.hops), *_FIELDS[Route](route)


def _spread(key: str) -> int:
    """Settings that the kernel copies to others come first (Documentation/networking/ip-sysctl.rst, ip_forward)."""
    if key == "net.ipv4.ip_forward":
        return 0
    return 1 if ".all." in key else 2 if ".default." in key else 3


_WITHIN: dict[type[Record], Callable[[Any], Any]] = {
    Route: _of_route,
    Sysctl: lambda sysctl: (_spread(sysctl.key), sysctl.key),
}
