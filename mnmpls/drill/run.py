"""A drill: each event made and undone while packets flow, and what that did to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..asking import CHARON
from ..checks.bindings import bindings
from ..checks.control import control
from ..checks.intent import Intent, expectations
from ..checks.vpn import END_POINTS, Vpns
from ..checks.vpn_routes import told_routes
from ..checks.whole import drift_of
from ..daemons import Session, sessions
from ..errors import CheckFailed, MnmplsError, UsageError, counted, nearest
from ..model import Lab
from ..netns import LabNodes
from ..services import missing
from .events import Detours, Event
from .report import Measured, Outcome, Phase
from .streams import IN_FLIGHT_S, Flow, Pair, Streams
from .switch import Guardian, Power, Switch
from .ways import stacks

_STEADY_S = 1.0
"""So long nothing was lost: it works again."""
_HOLD_S = {"path": 6.0}
_HOLD_ELSE_S = 2.0
"""What notices a silent failure only by the absence of hellos, as LDP does, is to have noticed (four seconds)."""
_NOTICE_S = 15.0
"""After so long nobody will notice."""
_ASK_S = 0.1
_REST = 2
"""Times as long as asking takes: daemons on a slow machine have other things to do."""
_MOST_PER_S = 2500
"""More packets than this a second, one process does not send and receive on a slow machine."""


@dataclass(frozen=True, slots=True)
class Options:
    """``interval_s`` between two packets of a stream, 0: ten milliseconds, or as few as there can be of many streams.
    ``hold_s``: how long a failure lasts at least, None: as its kind needs. ``limit_s``: how long healing may take.
    ``within_ms``: by kind of event, the longest gap that is still good."""

    interval_s: float = 0.0
    hold_s: float | None = None
    limit_s: float = 60.0
    within_ms: Mapping[str, float] = field(default_factory=dict)


def pairs(lab: Lab, only: Sequence[str] = ()) -> tuple[Pair, ...]:
    """Both directions between all end points that are to reach each other: hosts, and CEs of sites without hosts; or
    those that are named. Within a site only where nothing else is. Raises UsageError."""
    vpns = Vpns(lab)
    for name in only:
        if name not in vpns.nodes or vpns.nodes[name].role not in END_POINTS:
            known = [each for each, node in vpns.nodes.items() if node.role in END_POINTS]
            raise UsageError(f"drill: {name!r} is no host or CE of this lab; {nearest(name, known)}")
    chosen = {*only} or {name for site in vpns.sites for name in _hosts(vpns, site.nodes)}
    wanted = [one for one in expectations(Intent(lab), hosts_only=False) if one.taker == one.dst]
    found = [Pair(one.src, one.dst, one.address) for one in wanted if {one.src, one.dst} <= chosen]
    across = [pair for pair in found if vpns.site_of[pair.src] != vpns.site_of[pair.dst]]
    return tuple(across or found)


def _hosts(vpns: Vpns, names: Sequence[str]) -> list[str]:
    hosts = [name for name in names if vpns.nodes[name].role == "host"]
    return hosts or [name for name in names if vpns.nodes[name].role == "ce"]


class Drill:
    """On a running lab, whose nodes ``power`` turns off and on."""

    def __init__(self, lab: LabNodes, power: Power, between: Sequence[Pair], options: Options) -> None:
        self.lab, self.options, self.pairs = lab, options, between
        self.interval_s = options.interval_s or max(0.01, len(between) / _MOST_PER_S)
        self._switch, self._detours = Switch(lab, power), Detours(lab.lab)

    def run(self, events: Sequence[Event], repeats: int = 1) -> Generator[Outcome, None, None]:
        """One outcome after the other. Whoever stops listening has everything undone. Raises CheckFailed for a lab that
        does not work to begin with, or not any more."""
        guardian = Guardian(self._switch.undo, events)
        with ExitStack() as stack:
            stack.callback(guardian.close)
            streams = Streams(self.pairs, self.lab.namespaces, self.interval_s)
            stack.callback(streams.close)
            self._require_working(streams)
            labels = self._labels()
            for number in range(1, repeats + 1):
                for event in events:
                    outcome = self._outcome(event, number, streams, guardian, labels)
                    labels = {one.pair: one.labels for one in outcome.undone.measured}
                    yield outcome
                    if not outcome.healed:
                        self._require_working(streams)

    def _require_working(self, streams: Streams) -> None:
        start = time.monotonic()

        def well(flows: Mapping[Pair, Flow]) -> bool:  # for so long that routes have followed the last session
            return watch.all_there and _steady(flows, watch.since_s)

        with _Watch(lambda: None, self._lacking) as watch:
            flows = streams.measure(lambda flows: well(flows) or time.monotonic() - start > self.options.limit_s)
            if well(flows):
                return
        lacking = [f"{one.node} has no {one.text}" for one in self._lacking()]
        bad = [pair.text for pair, flow in flows.items() if not _ends_well(flow)]
        lossy = [f"{bad[0]} loses packets, {counted(len(bad), 'stream')} of {len(flows)} do"] if bad else []
        told = "; ".join([*lacking[:1], *lossy, "`mnmpls check` looks closer"])
        raise CheckFailed(f"drill: this lab does not work as it stands: {told}")

    def _lacking(self) -> tuple[Session, ...]:
        return missing(self.lab.lab, self._switch.folders)

    def _labels(self) -> dict[Pair, str]:
        return stacks(self.lab.lab, self.lab.namespaces, self.pairs)

    def _outcome(
        self, event: Event, number: int, streams: Streams, guardian: Guardian, before: Mapping[Pair, str]
    ) -> Outcome:
        guardian.begins(event)
        failing, problems = self._fail(event, streams, before)
        undone, left = self._undo(event, streams, failing)
        guardian.is_undone()
        return Outcome(event, number, failing, undone, (*problems, *left), self.lab.lab.has_daemons)

    def _fail(self, event: Event, streams: Streams, before: Mapping[Pair, str]) -> tuple[Phase, list[str]]:
        """While it lasts: until all that can go on by another way does so, and the neighbours have noticed."""
        hold_s = _HOLD_S.get(event.kind, _HOLD_ELSE_S) if self.options.hold_s is None else self.options.hold_s
        reroutes = self.lab.lab.has_daemons
        can = {pair for pair in self.pairs if reroutes and self._detours.exists(event, pair.src, pair.dst)}
        concerned = {one for one in sessions(self.lab.lab) if _is_concerned(one, event)}
        start = time.monotonic()

        def done(flows: Mapping[Pair, Flow]) -> bool:
            lasted_s = time.monotonic() - start
            noticed = watch.all_there if event.kind == "daemon" else watch.misses(concerned) or lasted_s > _NOTICE_S
            well = lasted_s >= hold_s and noticed and _steady({pair: flows[pair] for pair in can})
            return well or watch.failed or lasted_s > self.options.limit_s

        with _Watch(lambda: self._switch.make(event), self._lacking) as watch:
            flows = streams.measure(done)
        phase = self._phase(flows, start, before, can)
        stuck = [one for one in phase.measured if one.pair in can and not one.ended_well]
        problems = [f"{one.pair.text}: nothing arrives by the other way that there is" for one in stuck]
        problems += self._too_long(event, phase, can)
        return phase, problems + (self._causes(stuck, {node for node, _ in event.ends}) if stuck else [])

    def _too_long(self, event: Event, phase: Phase, can: set[Pair]) -> list[str]:
        most = self.options.within_ms.get(event.kind)
        slow = [one for one in phase.measured if most is not None and one.pair in can and one.gap_ms > most]
        return [f"{one.pair.text}: a gap of {one.gap_ms:.0f} ms, more than {most:g} ms" for one in slow]

    def _undo(self, event: Event, streams: Streams, failing: Phase) -> tuple[Phase, list[str]]:
        """Until everything flows and every session is back."""
        start = time.monotonic()

        def over() -> bool:
            return time.monotonic() - start > self.options.limit_s

        def done(flows: Mapping[Pair, Flow]) -> bool:
            return watch.failed or over() or (watch.all_there and _steady(flows, watch.since_s))

        with _Watch(lambda: self._switch.undo(event), self._lacking) as watch:
            flows = streams.measure(done)
        before = {one.pair: one.labels for one in failing.measured}
        phase = self._phase(flows, start, before, set(self.pairs), watch.since_s)
        while (lacking := self._lacking()) and not over():  # a session that went meanwhile
            time.sleep(_ASK_S)
        stuck = [one for one in phase.measured if not one.ended_well]
        problems = [f"{one.pair.text}: still lost after it was undone" for one in stuck]
        problems += [f"{one.node}: no {one.text} after it was undone" for one in lacking]
        for node in dict.fromkeys((event.node, *(node for node, _ in event.ends))):
            found = drift_of(node, self.lab.records, self.lab.namespaces, self._switch.off)
            problems += [one.text for one in found if not one.ok]
        return phase, problems + (self._causes(stuck) if stuck else [])

    def _phase(
        self, flows: Mapping[Pair, Flow], start: float, before: Mapping[Pair, str], can: set[Pair], well_s: float = 0.0
    ) -> Phase:
        """``well_s``: since when all else is well."""
        lasted_s = time.monotonic() - start
        healed_s = max(start, well_s, *(flow.last_lost_s for flow in flows.values())) - start
        labels = self._labels()
        measured = tuple(
            Measured(pair, len(flow.sent_s), flow.lost, flow.gap_s * 1000, _ends_well(flow), pair in can,
                     before[pair], labels[pair])
            for pair, flow in flows.items()
        )  # fmt: skip
        return Phase(lasted_s, healed_s, measured)

    def _causes(self, stuck: Sequence[Measured], apart: Collection[str] = ()) -> list[str]:
        """Where a packet ends, labels that LDP does not use, routes of VPNs that are not where they belong, and what
        else the daemons lack, but for the sessions of two that are kept ``apart``."""
        pair = stuck[0].pair
        way = self.lab.trace(pair.src, pair.address)
        ends = [f"{hop.node}: {hop.reason}" for hop in (*way.request[-1:], *way.reply[-1:]) if hop.operation == "drop"]
        parted = [one for one in sessions(self.lab.lab) if one.node in apart and one.peer_node in apart]
        meant = {f"{one.node}: {one.text}" for one in parted}
        lab, folders, off = self.lab.lab, self._switch.folders, self._switch.off
        told = told_routes(lab, self.lab.namespaces, folders, off)
        found = *bindings(lab, self.lab.namespaces, folders, off), *told, *control(lab, folders, off).findings
        lacking = [one.text for one in found if not one.ok and one.subject not in meant]
        return [*map(str, way.differences), *dict.fromkeys(ends), *lacking]


class _Watch:
    """Does something in a thread of its own, and looks what the daemons lack after that, again and again until the end
    of the block, which raises what went wrong."""

    def __init__(self, act: Callable[[], None], lacking: Callable[[], tuple[Session, ...]]) -> None:
        self._act, self._lacking = act, lacking
        self._found: tuple[Session, ...] | None = None
        self._error: MnmplsError | OSError | None = None
        self._over = threading.Event()
        self.since_s = 0.0
        """Since when nothing is missing."""
        self._thread = threading.Thread(target=self._run, name="drill", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._error and not kind:
            raise self._error

    def _run(self) -> None:
        try:
            self._act()
            while not self._over.is_set():
                asked = time.monotonic()
                found = self._lacking()
                took_s = time.monotonic() - asked
                if not found and self._found != ():
                    self.since_s = time.monotonic()
                self._found = found
                self._over.wait(max(_ASK_S, _REST * took_s))
        except (MnmplsError, OSError) as error:
            self._error = error

    @property
    def failed(self) -> bool:
        return self._error is not None

    @property
    def all_there(self) -> bool:
        return self._found == ()

    def misses(self, wanted: set[Session]) -> bool:
        return self._found is not None and wanted <= {*self._found}


def _is_concerned(session: Session, event: Event) -> bool:
    """Whether the event takes this adjacency away, as seen by a neighbour that lives. Keys outlast a link."""
    if session.daemon == CHARON:
        return False
    if event.kind == "node":
        return session.peer_node == event.node and bool(session.port)
    return (session.node, session.port) in event.ends


def _steady(flows: Mapping[Pair, Flow], since_s: float = 0.0) -> bool:
    now = time.monotonic()
    if now - since_s < _STEADY_S:
        return False
    return all(flow.flows(now - _STEADY_S, now - IN_FLIGHT_S) for flow in flows.values())


def _ends_well(flow: Flow) -> bool:
    return flow.flows(flow.sent_s[-1] - _STEADY_S / 2, flow.sent_s[-1])
