"""Reachability and isolation: who really answers, beside what the lab intends.

Customers use the same addresses, so an answer proves nothing: every probe carries its own cookie, and a raw ICMP
socket in each end point sees which of them the request was delivered to.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import counted
from ..model import Lab
from . import pings
from .intent import End, Expectation, Intent, expectations
from .learned import with_learned
from .patience import NONE, Patience, is_impaired, patience
from .sampling import in_turn
from .views import World

if TYPE_CHECKING:
    from ..kernel import Namespace

_PAIRS_PER_S = 20_000
"""More are not asked on any machine: what need not be thought of in a lab of a thousand hosts."""

_FOLLOWED = 2000
"""Pairs whose ways are looked at for their delay: 0.25 ms each in a lab of 400 nodes."""

_PROBE_BITS = 128 * 8
"""On the wire, labels included."""

_MOST_AMONG_ROUTERS = 4000
"""Pairs where each one's way has to be followed to know what is meant, and VRFs may be thousands."""

_SHOWN_GROUPS = 12
_SHOWN_NAMES = 6

SIGNS = ("✓", "·", "✗", "-", "→")
ASCII_SIGNS = ("+", ".", "X", "-", ">")


@dataclass(frozen=True, slots=True)
class Result:
    """What a probe found. ``who`` answered; ``received`` are all end points that the request was delivered to;
    ``seen`` says it in words. ``lost``: no answer, and none to be waited for, because the lab wants it lost."""

    expected: Expectation
    who: str | None
    received: tuple[str, ...]
    rtt_ms: float | None
    ok: bool
    seen: str
    lost: bool = False

    @property
    def src(self) -> str:
        return self.expected.src

    @property
    def dst(self) -> str:
        return self.expected.dst

    @property
    def failure(self) -> str:
        """What went wrong, in words that others share; empty for what did not."""
        if self.ok:
            return ""
        if set(self.received) - {self.expected.taker}:
            return "were delivered to nodes that were not to get them"
        if not self.received:
            return "were delivered to nobody"
        return "came back without an answer" if self.rtt_ms is None else "were answered, and were not to be"

    @property
    def why(self) -> str:
        """A whole sentence."""
        return f"{self.expected.subject}: {self.seen}" + ("" if self.ok else f"; {self.expected.meant}")


def probe(
    lab: Lab,
    namespaces: Mapping[str, Namespace],
    hosts_only: bool = False,
    deadline_s: float = 2.0,
    until: float = math.inf,
    elsewhere: Collection[str] = (),
) -> tuple[Result, ...]:
    """Asks everybody from everybody at once and says who answered. Both IP versions, where the lab has them. Where
    the time (of time.monotonic) does not suffice for all pairs: some, spread over the lab. Nodes ``elsewhere`` are only
    asked: who was to take a packet there has done so if all that can be seen of it here is as meant."""
    intent = Intent(lab)
    away = frozenset(name for name, end in intent.ends.items() if end.node in elsewhere) if elsewhere else frozenset()
    most = sys.maxsize if until == math.inf else int(max(0.0, until - time.monotonic()) * _PAIRS_PER_S)
    most = min(most, _MOST_AMONG_ROUTERS) if intent.among_routers else most
    wanted = [one for one in expectations(intent, hosts_only, most=most) if one.src not in away]
    asked = {
        (one.src, one.address): pings.Wish(one.taker is not None and one.taker not in away, one.answer is not None)
        for one in wanted
    }
    order = sorted(asked) if until == math.inf else in_turn(sorted(asked))
    world = _world(intent, namespaces) if is_impaired(lab) else None
    patient = _patience(world, intent, wanted) if world else NONE
    ends = intent.ends if not intent.among_routers else _of(intent, wanted)
    spaces = {name: (namespaces[end.node], end.vrf) for name, end in ends.items() if name not in away}
    deadline_s += _burst_s(lab, len(order))
    seen = pings.ask({pair: asked[pair] for pair in order}, spaces, deadline_s, until, patient)
    for each in seen.values():
        each.received = _nearest(each.received, ends)
    for one in wanted:
        heard = seen.get((one.src, one.address))
        if heard and one.taker in away and (heard.rtt_ms is not None) == (one.answer is not None):
            heard.received.add(str(one.taker))
    asked_all = (one for one in wanted if (one.src, one.address) in seen)
    found = (_judge(one, seen[one.src, one.address], intent, away) for one in asked_all)
    return tuple(_unless_lost(one, intent, world) if world and patient.hopeless else one for one in found)


def _unless_lost(one: Result, intent: Intent, world: World) -> Result:
    """As judged, but that what the lab's own links lose is no failure."""
    silent = not one.ok and one.rtt_ms is None and set(one.received) <= {one.expected.taker}
    if silent and patience(world, [intent.call(one.src, one.expected.address)]).hopeless:
        return replace(one, ok=True, lost=True, seen="lost, as nearly all is on the lab's own links there and back")
    return one


def _of(intent: Intent, wanted: Iterable[Expectation]) -> Mapping[str, End]:
    """Who asks, and all that could be asked at the nodes that are: thousands of VRFs may be none of these."""
    asked = {one.dst for one in wanted} | {one.src for one in wanted}
    return {name: end for name, end in intent.ends.items() if name in asked}


def _nearest(names: set[str], ends: Mapping[str, End]) -> set[str]:
    """What arrived in a VRF was heard outside of it, too."""
    inside = {ends[name].node for name in names if ends[name].vrf}
    return {name for name in names if ends[name].vrf or ends[name].node not in inside}


def _world(intent: Intent, namespaces: Mapping[str, Namespace]) -> World:
    """With routes as they are now."""
    lab = intent.vpns.lab
    return World(lab, with_learned(lab, intent.world.records, namespaces)) if lab.has_daemons else intent.world


def _patience(world: World, intent: Intent, wanted: Sequence[Expectation]) -> Patience:
    """For those that are to arrive, or some of them."""
    arriving = [one for one in wanted if one.taker]
    return patience(world, (intent.call(one.src, one.address) for one in in_turn(arriving)[:_FOLLOWED]))


def _burst_s(lab: Lab, probes: int) -> float:
    """All of them and their answers, one after the other by the slowest wire."""
    rates = [port.impairment.rate_kbit for link in lab.links for port in link.ports if port.impairment.rate_kbit]
    return 2 * probes * _PROBE_BITS / (min(rates) * 1000) if rates else 0.0


def _judge(expected: Expectation, seen: pings.Sighting, intent: Intent, away: Collection[str]) -> Result:
    received = tuple(sorted(seen.received))
    answered = seen.rtt_ms is not None
    who = None
    if answered and received:
        who = expected.taker if expected.taker in received else received[0]
    as_meant = set(received) == ({expected.taker} if expected.taker else set())
    ok = as_meant and answered == (expected.answer is not None)
    told = _seen(expected, seen, ok, intent)
    if not ok and expected.taker in away and not received:
        told = f"no answer came back{seen.said}" if seen.rtt_ms is None else "an answer came back"
    return Result(expected, who, received, seen.rtt_ms, ok, told)


def _seen(expected: Expectation, seen: pings.Sighting, ok: bool, intent: Intent) -> str:
    if ok:
        return _as_intended(expected)
    strangers = sorted(seen.received - {expected.taker})
    if strangers:
        return f"the request was delivered to {', '.join(strangers)}, {_of_which(expected.src, strangers[0], intent)}"
    if expected.one_way and seen.received:
        return f"{expected.taker} received the request, and its answer came back"
    if seen.received and seen.rtt_ms is None:
        return f"{expected.taker} received the request, but its answer never came back"
    if seen.rtt_ms is not None:
        return "something that is no end point answered"
    return f"the request was delivered to nobody{seen.said}"


def _of_which(src: str, stranger: str, intent: Intent) -> str:
    if intent.among_routers:
        return "which was not to get it"
    return "of the same VPN" if intent.vpns.together(src, stranger) else "of another VPN"


def _as_intended(expected: Expectation) -> str:
    if expected.reaches:
        return "answered"
    if expected.one_way:
        return f"one way: {expected.taker} received the request, and has no way back"
    if expected.answer is None:
        return "isolated: nobody in its VPN has the address, and nobody answered"
    if expected.answer == expected.src:
        return "isolated: it has the address itself"
    return f"isolated: its own VPN's {expected.answer} answered"


def signs(encoding: str | None = None) -> tuple[str, str, str, str, str]:
    """The signs for answered, isolated, wrong, self and one way that ``encoding`` (standard output's) can show."""
    try:
        "".join(SIGNS).encode(encoding or sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII_SIGNS
    return SIGNS


def groups(results: Iterable[Result]) -> str:
    """In the place of a matrix that would be too wide: who is meant to reach the same nodes, a line for each such
    group. Empty where not all were asked."""
    asked = {(one.src, one.dst): one.expected.reaches for one in results}
    names = list(dict.fromkeys(src for src, _ in asked))
    if len(asked) < len(names) * (len(names) - 1):
        return ""
    whom: dict[str, set[str]] = {name: {name} for name in names}
    for (src, dst), reaches in asked.items():
        if reaches:
            whom[src].add(dst)
    alike: dict[frozenset[str], list[str]] = {}
    for name in names:
        alike.setdefault(frozenset(whom[name]), []).append(name)
    lines = [_of_group(members, [name for name in names if name in reached]) for reached, members in alike.items()]
    left = len(lines) - _SHOWN_GROUPS
    return "\n".join([*lines[:_SHOWN_GROUPS], *([f"and {counted(left, 'more group')}"] if left > 0 else [])])


def _of_group(members: list[str], reached: list[str]) -> str:
    others = [name for name in reached if name not in members]
    inside = set(members) <= set(reached) and len(members) > 1
    to = [*(["each other"] if inside else []), *([some_names(others)] if others else [])]
    only = ", and nobody else" if inside and not others else ""
    return f"{some_names(members)}: to reach {' and '.join(to) or 'nobody'}{only}"


def some_names(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    left = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {left} more" if left > 0 else "")


def matrix(results: Iterable[Result], encoding: str | None = None, reasons: bool = True) -> str:
    """A table, a row per asking node and a column per node asked for, then a legend and, with ``reasons``, a sentence
    per failure."""
    results = tuple(results)
    yes, isolated, wrong, self_sign, one_way = signs(encoding)
    cells: dict[tuple[str, str], str] = {}
    for one in results:
        meant = yes if one.expected.reaches else one_way if one.expected.one_way else isolated
        sign = "~" if one.lost else meant if one.ok else wrong
        cells[one.src, one.dst] = wrong if wrong in (sign, cells.get((one.src, one.dst))) else sign
    rows = list(dict.fromkeys(one.src for one in results))
    columns = sorted({one.dst for one in results}, key=lambda name: (rows.index(name) if name in rows else -1, name))
    width = max(map(len, [*rows, *columns]), default=0)
    lines = [" ".join(["from".ljust(width), *(name.rjust(len(name)) for name in columns)])]
    for row in rows:
        line = [cells.get((row, column), self_sign).center(len(column)) for column in columns]
        lines.append(" ".join([row.ljust(width), *line]).rstrip())
    good = sum(one.ok for one in results)
    arrives = f"{one_way} arrives, no way back   " if one_way in cells.values() else ""
    arrives += "~ lost, as the lab has it   " if "~" in cells.values() else ""
    legend = f"{yes} answers   {arrives}{isolated} isolated as intended   {wrong} wrong"
    lines.append(f"{legend}   ({good} of {len(results)} as intended)")
    return "\n".join(lines + [f"{wrong} {one.why}" for one in results if reasons and not one.ok])
