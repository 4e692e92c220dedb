"""Reachability and isolation: what the lab intends, and who really answers.

Customers use the same addresses, so an answer proves nothing: every probe carries its own cookie, and a raw ICMP
socket in each end point sees which of them the request was delivered to.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..model import Lab
from ..plan import records
from . import pings
from .predict import ways
from .sampling import in_turn, some
from .views import World
from .vpn import END_POINTS, Call, Site, Vpns

if TYPE_CHECKING:
    from ..kernel import Namespace

_PAIRS_PER_S = 20_000
"""More are not asked on any machine: what need not be thought of in a lab of a thousand hosts."""

SIGNS = ("✓", "·", "✗", "-")
ASCII_SIGNS = ("+", ".", "X", "-")


@dataclass(frozen=True, order=True, slots=True)
class Expectation:
    """When ``src`` pings ``address``, which is ``dst``'s, ``answer`` and nobody else receives it: the node of
    src's own VPN that has the address, or None when no node there has it."""

    src: str
    dst: str
    address: str
    answer: str | None

    @property
    def reaches(self) -> bool:
        """Is dst itself the one that answers?"""
        return self.answer == self.dst

    @property
    def subject(self) -> str:
        if self.answer is None or self.reaches:
            return f"{self.src} -> {self.dst} ({self.address})"
        return f"{self.src} -> {self.answer} ({self.address}, also {self.dst}'s address)"

    @property
    def meant(self) -> str:
        return f"{self.answer} was to answer" if self.answer else "nobody was to answer"


@dataclass(frozen=True, slots=True)
class Result:
    """What a probe found. ``who`` answered; ``received`` are all end points that the request was delivered to;
    ``seen`` says it in words."""

    expected: Expectation
    who: str | None
    received: tuple[str, ...]
    rtt_ms: float | None
    ok: bool
    seen: str

    @property
    def src(self) -> str:
        return self.expected.src

    @property
    def dst(self) -> str:
        return self.expected.dst

    @property
    def why(self) -> str:
        """A whole sentence."""
        return f"{self.expected.subject}: {self.seen}" + ("" if self.ok else f"; {self.expected.meant}")


class Intent:
    """Who is to answer whom in a lab: by route targets, and where plain routes join what no VPN does (sites outside
    all VRFs, routes that the user gave), by the planned routes."""

    def __init__(self, lab: Lab) -> None:
        self.vpns = Vpns(lab)
        outside = sum(any(not vrf.name for _, vrf in site.attached) for site in self.vpns.sites)
        self.by_routes = outside > 1 or any(node.routes for node in lab.nodes) or any(map(_is_split, self.vpns.sites))

    @cached_property
    def _world(self) -> World:
        return World(self.vpns.lab, records(self.vpns.lab))

    @cached_property
    def _ruled(self) -> frozenset[str]:
        """Nodes of sites with policy routing: one address may be several nodes' there, each with its own callers."""
        ruled = (site.nodes for site in self.vpns.sites if any(self.vpns.nodes[name].rules for name in site.nodes))
        return frozenset(name for nodes in ruled for name in nodes)

    def answer(self, src: str, text: str) -> str | None:
        """The end point that is to answer when ``src`` asks for this address."""
        if src in self._ruled:
            return self._routed(src, text)
        owner = self.vpns.owner(src, text)
        return self._routed(src, text) if owner is None and self.by_routes else owner

    def _routed(self, src: str, text: str) -> str | None:
        """The end point to which all ways lead, if its answers find back."""
        there = self._ends(Call(src, text))
        back = self._world.source(Call(src, text))
        if len(there) != 1 or not back:
            return None
        (found,) = there
        return found if found and self._ends(Call(found, back)) == {src} else None

    def _ends(self, of: Call) -> set[str]:
        """The end points where packets arrive; empty names stand for being dropped and for routers."""
        ends = (one[-1] for one in ways(self._world, of))
        roles = self.vpns.nodes
        return {hop.node if hop.operation == "deliver" and roles[hop.node].role in END_POINTS else "" for hop in ends}


def _is_split(site: Site) -> bool:
    """Whether it sends by one VRF and receives by another, as a hub does that its spokes talk through."""
    return len({(vrf.imports, vrf.exports) for _, vrf in site.attached}) > 1


def intended(lab: Lab, hosts_only: bool = False, version: int = 4) -> dict[tuple[str, str], Expectation]:
    """For each ordered pair of end points with an address of this IP version: who has to answer. Pure."""
    return {(one.src, one.dst): one for one in _expectations(Intent(lab), hosts_only, (version,))}


def _expectations(
    intent: Intent, hosts_only: bool, versions: tuple[int, ...] = (4, 6), most: int = sys.maxsize
) -> Iterator[Expectation]:
    """Those of all pairs, or of about ``most`` of them."""
    pairs = _called(intent.vpns, hosts_only, versions)
    total = sum(len(called) * (len(called) - 1) for called in pairs)
    for called in pairs:
        others = len(called) - 1
        for number in some(len(called) * others, most * len(called) * others // max(total, 1)):
            at, to = divmod(number, others)
            src, (dst, text) = called[at][0], called[to + (to >= at)]
            yield Expectation(src, dst, text, intent.answer(src, text))


def _called(vpns: Vpns, hosts_only: bool, versions: tuple[int, ...]) -> list[list[tuple[str, str]]]:
    """Per IP version the end points that have an address of it, and the address."""
    roles = ("host",) if hosts_only else END_POINTS
    names = [name for name, node in vpns.nodes.items() if node.role in roles]
    return [[(name, text) for name in names if (text := vpns.address(name, version))] for version in versions]


def count(lab: Lab) -> int:
    """How many pairs of end points a probe of the whole lab asks."""
    return sum(len(called) * (len(called) - 1) for called in _called(Vpns(lab), False, (4, 6)))


def probe(
    lab: Lab,
    namespaces: Mapping[str, Namespace],
    hosts_only: bool = False,
    deadline_s: float = 2.0,
    until: float = math.inf,
) -> tuple[Result, ...]:
    """Asks everybody from everybody at once and says who answered. Both IP versions, where the lab has them. Where
    the time (of time.monotonic) does not suffice for all pairs: some, spread over the lab."""
    intent = Intent(lab)
    most = sys.maxsize if until == math.inf else int(max(0.0, until - time.monotonic()) * _PAIRS_PER_S)
    wanted = list(_expectations(intent, hosts_only, most=most))
    asked = {(one.src, one.address): one.answer is not None for one in wanted}
    ends = [node.name for node in lab.nodes if node.role in END_POINTS]
    order = sorted(asked) if until == math.inf else in_turn(sorted(asked))
    seen = pings.ask(
        {pair: asked[pair] for pair in order}, {name: namespaces[name] for name in ends}, deadline_s, until
    )
    return tuple(
        _judge(one, seen[one.src, one.address], intent.vpns) for one in wanted if (one.src, one.address) in seen
    )


def _judge(expected: Expectation, seen: pings.Sighting, vpns: Vpns) -> Result:
    received = tuple(sorted(seen.received))
    answered = seen.rtt_ms is not None
    who = None
    if answered and received:
        who = expected.answer if expected.answer in received else received[0]
    as_meant = set(received) == ({expected.answer} if expected.answer else set())
    ok = as_meant and answered == (expected.answer is not None)
    return Result(expected, who, received, seen.rtt_ms, ok, _seen(expected, seen, ok, vpns))


def _seen(expected: Expectation, seen: pings.Sighting, ok: bool, vpns: Vpns) -> str:
    if ok:
        return _as_intended(expected)
    strangers = sorted(seen.received - {expected.answer})
    if strangers:
        place = "the same VPN" if vpns.together(expected.src, strangers[0]) else "another VPN"
        return f"the request was delivered to {', '.join(strangers)}, of {place}"
    if seen.received and seen.rtt_ms is None:
        return f"{expected.answer} received the request, but its answer never came back"
    if seen.rtt_ms is not None:
        return "something that is no end point answered"
    return f"the request was delivered to nobody{seen.said}"


def _as_intended(expected: Expectation) -> str:
    if expected.reaches:
        return "answered"
    if expected.answer is None:
        return "isolated: nobody in its VPN has the address, and nobody answered"
    if expected.answer == expected.src:
        return "isolated: it has the address itself"
    return f"isolated: its own VPN's {expected.answer} answered"


def signs(encoding: str | None = None) -> tuple[str, str, str, str]:
    """The signs for answered, isolated, wrong and self that ``encoding`` (standard output's) can show."""
    try:
        "".join(SIGNS).encode(encoding or sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII_SIGNS
    return SIGNS


def matrix(results: Iterable[Result], encoding: str | None = None, reasons: bool = True) -> str:
    """A table, a row per asking node and a column per node asked for, then a legend and, with ``reasons``, a sentence
    per failure."""
    results = tuple(results)
    yes, isolated, wrong, self_sign = signs(encoding)
    cells: dict[tuple[str, str], str] = {}
    for one in results:
        sign = (yes if one.expected.reaches else isolated) if one.ok else wrong
        cells[one.src, one.dst] = wrong if wrong in (sign, cells.get((one.src, one.dst))) else sign
    rows = list(dict.fromkeys(one.src for one in results))
    columns = sorted({one.dst for one in results}, key=lambda name: (rows.index(name) if name in rows else -1, name))
    width = max(map(len, [*rows, *columns]), default=0)
    lines = [" ".join(["from".ljust(width), *(name.rjust(len(name)) for name in columns)])]
    for row in rows:
        line = [cells.get((row, column), self_sign).center(len(column)) for column in columns]
        lines.append(" ".join([row.ljust(width), *line]).rstrip())
    good = sum(one.ok for one in results)
    legend = f"{yes} answers   {isolated} isolated as intended   {wrong} wrong"
    lines.append(f"{legend}   ({good} of {len(results)} as intended)")
    return "\n".join(lines + [f"{wrong} {one.why}" for one in results if reasons and not one.ok])
