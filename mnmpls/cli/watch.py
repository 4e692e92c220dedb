"""The verbs that look at a running lab."""

from __future__ import annotations

from argparse import Namespace

from .. import checks, live
from .naming import again_inside, in_guest, name_of


def verb_check(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with live.join(name) as lab:
        report = checks.Report(tuple(finding for part in lab.parts for finding in part.check().findings))
    return _say(report, options)


def verb_drift(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with live.join(name) as lab:
        found = (checks.drift(part.records, part.namespaces) for part in lab.parts)
        report = checks.Report(tuple(finding for part in found for finding in part))
    return _say(report, options)


def _say(report: checks.Report, options: Namespace) -> int:
    print(report.text())
    return 0 if report.ok else 1


def verb_trace(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with live.join(name) as lab:
        way = lab.part(options.src, options.dst).trace(options.src, options.dst)
    print(way.text())
    return 0 if way.ok else 1
