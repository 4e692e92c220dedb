"""The verbs that try a running lab hard."""

from __future__ import annotations

import json
import signal
import sys
from argparse import Namespace
from collections.abc import Container, Iterable, Iterator

from .. import drill, perf
from ..errors import MnmplsError, UsageError, counted
from ..netns import LabNodes
from .naming import DOCKER, about, again_inside, boxes, in_guest, joined, name_of


def verb_drill(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # what was made is undone, as after Ctrl-C
    with joined(name) as lab:
        if len(lab.parts) != 1:
            raise UsageError(f"lab {name!r} falls apart into {len(lab.parts)} labs that are not connected")
        report = _report(_outcomes(lab.parts[0], name, options))
    if options.json:
        print(json.dumps(report.data()))
    elif options.junit:
        print(report.junit(f"mnmpls drill {name}"), end="")
    else:
        print(f"\n{report.closing()}")
    return 0 if report.ok else 1


def verb_perf(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with joined(name) as lab:
        found = []
        for one in perf.measure(lab.part(options.src, options.dst), options.src, options.dst, options.seconds):
            print(f"measured: {one.way}", file=sys.stderr, flush=True)
            found.append(one)
    report = perf.Report(found[0], found[1], tuple(found[2:]))
    print(json.dumps(report.data()) if options.json else report.text())
    return 0


def _power_of_boxes(lab: LabNodes, name: str, off: Container[str], pairs: Iterable[drill.Pair]) -> drill.Power:
    """Containers end when they are turned off, and the streams' sockets with them. Raises UsageError."""
    for node in {pair.src for pair in pairs}:
        if node in off:
            text = f"drill: {node} is a container, and turned off it ends the streams from it"
            raise UsageError(f"{text}: name others with --between, or leave it out of --node")
    return boxes().power(name, lab)  # type: ignore[no-any-return]


def _report(outcomes: Iterator[drill.Outcome]) -> drill.Report:
    """Of all of them, or of those before the lab broke. Raises MnmplsError where there are none."""
    found: list[drill.Outcome] = []
    try:
        found.extend(outcomes)
    except MnmplsError as error:
        if not found:
            raise
        return drill.Report(tuple(found), str(error))
    return drill.Report(tuple(found))


def _outcomes(lab: LabNodes, name: str, options: Namespace) -> Iterator[drill.Outcome]:
    """Each is told as it comes, unless a program reads the whole."""
    if lab.elsewhere:
        text = f"drill: {min(lab.elsewhere)} of lab {name!r} runs on another machine"
        raise UsageError(f"{text}, and a drill needs all nodes on one")
    events = drill.events(lab.lab, options.event, options.node, options.daemon)
    pairs = drill.pairs(lab.lab, options.between)
    if not events or not pairs:
        what = "nothing that could fail" if pairs else "no two end points that are to reach each other"
        raise UsageError(f"drill: lab {name!r} has {what}")
    within = {kind: ms for kinds, ms in options.within for kind in kinds}
    power = drill.owners(name)
    if about(name).runtime == DOCKER:
        power = _power_of_boxes(lab, name, {event.node for event in events if event.kind == "node"}, pairs)
    one = drill.Drill(lab, power, pairs, drill.Options(options.interval / 1000, options.hold, options.limit, within))
    quiet = options.json or options.junit
    out = sys.stderr if quiet else sys.stdout
    total = len(events) * options.repeat
    streams = f"{counted(len(pairs), 'stream')} of a packet each {one.interval_s * 1000:.0f} ms"
    static = "" if lab.lab.has_daemons else "; no routing daemon runs: nothing finds another way"
    print(f"{name}: {counted(total, 'event')}, {streams}{static}", file=out, flush=True)
    for number, outcome in enumerate(one.run(events, options.repeat), 1):
        said = f"[{number}/{total}] {outcome.event.text}: {'well' if outcome.ok else outcome.problems[0]}"
        print(said if quiet else f"\n{outcome.text()}", file=out, flush=True)
        yield outcome
