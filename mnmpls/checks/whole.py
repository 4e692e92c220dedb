"""The whole check of a running lab, within a time limit: what does not fit in is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..model import Lab
from ..processes import Folders, make_room
from ..state import Record
from ..wording import vrf_names
from .bindings import bindings
from .capture import Tap, tap
from .control import control
from .drift import drifts
from .elsewhere import note, on_the_way
from .equal_ways import equal_ways
from .evpn import evpn_findings
from .findings import Finding, Report
from .intent import Intent, count, unasked
from .learned import with_learned
from .mtu import probe_mtu
from .reach import probe
from .sampling import in_turn
from .segments import segments
from .trace import Trace, trace_on
from .views import World
from .vpn import Call, Site, Vpns
from .vpn_routes import told_routes

if TYPE_CHECKING:
    from ..kernel import Namespace

    Namespaces = Mapping[str, Namespace]

T = TypeVar("T")

LIMIT_S = 60.0
NO_FOLDERS: Mapping[str, Folders] = {}
_SHARES = {"drift": 0.2, "trace": 0.5, "mtu": 0.75, "reach": 0.95}
"""Of the time limit, after which each is to be done; where one is quick, the next has more."""

_SEEN_OF_OTHERS = "here only whether answers come back from there; a check there tells of their kernels and ways"
_FOR_NEWS = 0.25
_ANSWERS_S = 2.0

Pair = tuple[str, str, int, bool]
"""Two end points, an IP version, and whether the second one's answers find back."""


def check(
    lab: Lab,
    records: Mapping[str, frozenset[Record]],
    namespaces: Namespaces,
    limit_s: float = LIMIT_S,
    folders: Mapping[str, Folders] = NO_FOLDERS,
    off: Container[str] = (),
    drift_at: Callable[[str], Iterable[Finding]] | None = None,
    elsewhere: Collection[str] = (),
) -> Report:
    """Everything: each node's records against its kernel; the labels of one packet between each two sites that reach
    each other, there and back; the path MTU between them; and who answers whom. In a lab that is too large for the
    time limit, some nodes and pairs that are spread over it; the report's notes say how many. Where daemons make the
    routes, ``folders`` of their nodes: then that they have their sessions and SIDs, too, and labels as the kernels have
    them instead of planned ones. Nodes that are ``off`` are told as that. ``drift_at`` compares one
    node's kernel with its records, where that cannot be done from here. Nodes ``elsewhere`` are those of a lab over
    several machines that are not on this one: what needs them there is left out."""
    start = time.monotonic()
    make_room(sum(len(node.tables) for node in lab.nodes))

    def until(kind: str) -> float:
        return start + limit_s * _SHARES[kind]

    def look() -> World:
        return World(lab, with_learned(lab, records, namespaces))

    world = look()
    pairs = [pair for pair in site_pairs(Intent(lab)) if not _leads(world, pair, elsewhere)]

    def drifted(node: str) -> Iterable[Finding]:
        return drift_at(node) if drift_at else drift_of(node, records, namespaces, off)

    report = _each("drift", "nodes", [node for node in records if node not in elsewhere], drifted, until("drift"))
    report += control(lab, folders, off, elsewhere)
    if not elsewhere:  # these compare what both ends of something have
        report += Report((*bindings(lab, namespaces, folders, off), *told_routes(lab, namespaces, folders, off)))
        report += Report(tuple(equal_ways(lab, namespaces, folders, off, _FOR_NEWS * limit_s)))
        report += Report(tuple(segments(world, off)))
    with tap({name: namespaces[name] for name in world.vpns.nodes if name not in elsewhere}) as open_tap:
        trace, mtu = _judges(open_tap, world, look, namespaces)
        report += _each("trace", "pairs of sites", pairs, trace, until("trace"))
        report += _each("mtu", "pairs of sites", pairs, mtu, until("mtu"))
    if not elsewhere:
        report += Report(tuple(evpn_findings(lab, namespaces, folders, off)))  # now that all have said something
    report += _reach(lab, namespaces, until("reach"), elsewhere)
    return report + Report((), note(elsewhere, _SEEN_OF_OTHERS))


def _leads(world: World, pair: Pair, elsewhere: Collection[str]) -> bool:
    """Whether packets between the two may leave this machine."""
    src, dst, version, _ = pair
    if not elsewhere or src in elsewhere or dst in elsewhere:
        return bool(elsewhere)
    there, back = (world.vpns.call(one, other, version) for one, other in ((src, dst), (dst, src)))
    return bool(on_the_way(world, (there, back), elsewhere))


def drift(
    records: Mapping[str, frozenset[Record]], namespaces: Namespaces, off: Container[str] = ()
) -> Iterator[Finding]:
    """Per node whether its kernel holds the records; a Finding for each thing that is missing, differs or was added in
    what the lab owns: its ports, its VRFs' tables, the label table. Nodes that are ``off`` are told as that."""
    for node in records:
        yield from drift_of(node, records, namespaces, off)


def drift_of(
    node: str, records: Mapping[str, frozenset[Record]], namespaces: Namespaces, off: Container[str]
) -> Iterator[Finding]:
    """The same for one node."""
    if node in off:
        yield Finding("node", node, False, "on", "turned off (`mnmpls start` turns it on)", node)
        return
    vrfs = vrf_names(records[node])
    found = drifts(node, records[node], namespaces[node])
    for one in found:
        yield Finding("drift", node, False, one.expected(vrfs), one.text(vrfs), node, one)
    if not found:
        yield Finding("drift", node, True, "its records", "as planned")


def site_pairs(intent: Intent) -> Iterator[Pair]:
    """For each two sites, or pieces of one that an EVPN joins, of which one reaches the other, in each IP version that
    both speak, one pair of end points, hosts if there are any; none where own configurations decide."""
    vpns = intent.vpns
    parts = [part for site in vpns.sites for part in vpns.parts(site)]
    ends = {(part.nodes[0], version): _end(vpns, part, version) for part in parts for version in (4, 6)}
    for i, near in enumerate(parts):
        for far in parts[i + 1 :]:
            for version in (4, 6):
                a, b = ends[near.nodes[0], version], ends[far.nodes[0], version]
                both = ((a, b), (b, a)) if a and b else ()
                found = [pair for src, dst in both for pair in _arriving(intent, src, dst, version)]
                yield from sorted(found, key=lambda pair: not pair[3])[:1]  # one that is answered, if there is one


def _arriving(intent: Intent, src: str, dst: str, version: int) -> Iterator[Pair]:
    if intent.vpns.lab.has_own and not intent.is_told(src, dst):
        return
    outcome = intent.outcome(src, intent.vpns.address(dst, version) or "")
    if outcome.taker == dst:
        yield src, dst, version, outcome.answers


def _end(vpns: Vpns, site: Site, version: int) -> str | None:
    ends = sorted(vpns.end_points(site), key=lambda name: vpns.nodes[name].role != "host")
    return next((name for name in ends if vpns.address(name, version)), None)


def _each(kind: str, what: str, things: Sequence[T], judge: Callable[[T], Iterable[Finding]], until: float) -> Report:
    """Judges as many as there is time for."""
    done: dict[int, tuple[Finding, ...]] = {}
    for i in in_turn(range(len(things))):
        if time.monotonic() > until:
            break
        done[i] = tuple(judge(things[i]))
    note = f"{kind}: the time sufficed for {len(done)} of {len(things)} {what}"
    findings = tuple(one for i in sorted(done) for one in done[i])
    return Report(findings, (note,) if len(done) < len(things) else ())


def _judges(
    open_tap: Tap, world: World, look: Callable[[], World], namespaces: Namespaces
) -> tuple[Callable[[Pair], Iterator[Finding]], Callable[[Pair], Iterator[Finding]]]:
    """What follows a packet between two end points, and what finds the path MTU there and back. ``look`` gives the
    world as it is at the time."""

    def trace(pair: Pair) -> Iterator[Finding]:
        src, dst, version, answers = pair
        found = trace_on(open_tap, world, namespaces, world.vpns.call(src, dst, version), dst)
        learns = world.lab.has_daemons or world.lab.has_own
        if (found.differences or found.answered != answers) and learns:  # which may have found a better way meanwhile
            now = look()
            found = trace_on(open_tap, now, namespaces, now.vpns.call(src, dst, version), dst)
        yield _traced(found, answers)

    def mtu(pair: Pair) -> Iterator[Finding]:
        src, dst, version, _ = pair
        for one, other in ((src, dst), (dst, src)):
            yield from _sized(open_tap, world, world.vpns.call(one, other, version), other)

    return trace, mtu


def _traced(one: Trace, answers: bool) -> Finding:
    if one.differences:
        first = one.differences[0]
        return Finding("trace", one.subject, False, first.expected, str(first), first.node, one)
    if one.answered:
        return Finding("trace", one.subject, True, "the predicted way and an answer", "as predicted", detail=one)
    if not answers and one.delivered_to:
        return Finding("trace", one.subject, True, "the predicted way, no answer", "as predicted", detail=one)
    if one.lost:
        return Finding("trace", one.subject, True, "an answer, if not lost", f"lost: {one.lost}", detail=one)
    last = (one.reply or one.request)[-1]
    seen = f"dropped at {last.node}, as the records say: {last.reason}"
    return Finding("trace", one.subject, False, "an answer", seen, last.node, one)


def _sized(open_tap: Tap, world: World, there: Call, dst: str) -> Iterator[Finding]:
    found = probe_mtu(open_tap, world, there)
    if found:
        subject = f"{there.src} -> {dst} ({there.address})"
        yield Finding("mtu", subject, found.ok, found.expected, found.seen, found.node, found)


def _reach(lab: Lab, namespaces: Namespaces, until: float, elsewhere: Collection[str]) -> Report:
    until = max(until - _ANSWERS_S, time.monotonic() + 1)
    results = probe(lab, namespaces, until=until, deadline_s=_ANSWERS_S, elsewhere=elsewhere)
    findings = tuple(
        Finding("reach", one.expected.subject, one.ok, one.expected.meant, one.seen, detail=one) for one in results
    )
    total, left = count(lab), unasked(lab)
    some = len(results) < total and not elsewhere
    notes = [f"reach: the time sufficed for {len(results)} of {total} pairs of nodes"] if some else []
    if left:
        notes.append(f"reach: {left} pairs were not asked: the lab does not say what own configurations let through")
    return Report(findings, tuple(notes))
