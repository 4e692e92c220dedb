"""Drift: where a node's kernel no longer holds the records, and what it has beyond them in what the lab owns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..apply import added, difference, lost, subject
from ..state import (
    Address,
    Bridge,
    Dummy,
    LabelRoute,
    Member,
    Port,
    Qdisc,
    Record,
    Route,
    Rule,
    Sysctl,
    Tunnel,
    VrfDevice,
)
from ..wording import words

if TYPE_CHECKING:
    from ..kernel import Namespace


_DEVICES = (Port, VrfDevice, Bridge)
_MADE = (Tunnel, Dummy)
_DEVICES_KINDS: dict[type[Record], str] = {Port: "port", VrfDevice: "VRF", Bridge: "bridge"}


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that a node's kernel has otherwise: ``wanted`` is missing (``found`` None), differs, or ``found`` was
    added (``wanted`` None). ``along`` are records that went with it: mending it mends them."""

    node: str
    wanted: Record | None
    found: Record | None
    along: tuple[Record, ...] = ()

    @property
    def how(self) -> str:
        return "added" if self.wanted is None else "missing" if self.found is None else "differs"

    @property
    def is_cause(self) -> bool:
        """A device that is down, or not there, though it should be."""
        if isinstance(self.wanted, _MADE):
            return self.found is None
        device = isinstance(self.wanted, _DEVICES) and self.wanted.up
        return device and (self.found is None or (isinstance(self.found, _DEVICES) and not self.found.up))

    def expected(self, vrfs: Mapping[int, str]) -> str:
        return words(self.wanted, vrfs) if self.wanted else "nothing of the kind"

    def seen(self, vrfs: Mapping[int, str]) -> str:
        return words(self.found, vrfs) if self.found else "nothing"

    def text(self, vrfs: Mapping[int, str]) -> str:
        """One line without the node: what is wrong, and how much went with it."""
        if isinstance(self.wanted, _DEVICES) and isinstance(self.found, _DEVICES) and self.wanted.up > self.found.up:
            line = f"{_DEVICES_KINDS[type(self.wanted)]} {self.wanted.name} is down"
        elif self.wanted and self.found:
            line = f"differs: {self.seen(vrfs)}, which should be: {self.expected(vrfs)}"
        else:
            line = f"{self.how}: {self.seen(vrfs) if self.found else self.expected(vrfs)}"
        return line + (f"; {_counted(self.along)} went with it" if self.along else "")


def _counted(records: Iterable[Record]) -> str:
    """`2 routes, 1 address`"""
    counts = Counter(_KINDS.get(type(one), _OTHER) for one in records)
    return ", ".join(f"{number} {kind[number != 1]}" for kind, number in counts.items())


_KINDS: dict[type[Record], tuple[str, str]] = {
    Address: ("address", "addresses"),
    LabelRoute: ("label route", "label routes"),
    Member: ("membership", "memberships"),
    Port: ("port", "ports"),
    Route: ("route", "routes"),
    Rule: ("rule", "rules"),
    Sysctl: ("setting", "settings"),
}
_OTHER = ("record", "records")


def drifts(node: str, wanted: frozenset[Record], namespace: Namespace) -> tuple[Drift, ...]:
    """Everything that drifted at one node, causes first. A route that a routing protocol made is no drift."""
    keys = [one.key for one in wanted if isinstance(one, Sysctl)]
    by_hand = (Drift(node, None, one) for one in added(wanted, namespace))
    gone = (Drift(node, one, None) for one in lost(wanted, namespace))
    found = (*gone, *_compared(node, wanted, namespace.observe(keys)), *by_hand)
    return grouped(sorted(found, key=lambda one: (one.wanted is None, str(one.wanted or one.found))))


def _compared(node: str, wanted: frozenset[Record], observed: frozenset[Record]) -> Iterator[Drift]:
    """Missing and added records about one thing are one that differs."""
    work = difference(wanted, observed)
    there = {subject(one): one for one in observed}
    for record in work.write:
        yield Drift(node, record, there.get(subject(record)))
    written = {subject(one) for one in work.write}
    yield from (Drift(node, None, one) for one in work.remove if subject(one) not in written)


def grouped(found: Iterable[Drift]) -> tuple[Drift, ...]:
    """With each port or VRF that is down or gone go the missing records that need it; they are not told again."""
    left, causes = list(found), []
    # What a node makes itself is gone as that, and not as a port that is missing.
    for one in sorted((each for each in left if each.is_cause), key=lambda each: not isinstance(each.wanted, _MADE)):
        if one not in left:
            continue
        along = tuple(each.wanted for each in left if each != one and each.wanted and _went_with(one, each))
        causes.append(replace(one, along=along))
        left = [each for each in left if each != one and each.wanted not in along]
    return (*causes, *left)


def _went_with(cause: Drift, other: Drift) -> bool:
    """Is the other missing because the cause's device is not there to carry it?"""
    if other.found or not other.wanted or not isinstance(cause.wanted, (*_DEVICES, *_MADE)):
        return False
    return needs(other.wanted, cause.wanted)


def needs(record: Record, device: Port | VrfDevice | Bridge | Tunnel | Dummy) -> bool:
    """Whether the record cannot be where the device is not."""
    match record:
        case Member(port, master):
            return device.name in (port, master)
        case Address(port) | Qdisc(port) | Port(port):
            return device.name == port
        case Sysctl(key):
            return f".{device.name}." in key
        case Route(table, _, hops):
            inside = isinstance(device, VrfDevice) and table == device.table
            return inside or any(hop.port == device.name for hop in hops)
        case LabelRoute(_, hops):
            return any(hop.port == device.name for hop in hops)
        case _:
            return False
