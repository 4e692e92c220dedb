"""The verbs that look at a running lab."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from functools import reduce
from operator import add
from typing import BinaryIO

from .. import checks
from ..checks import pcap
from ..errors import UsageError, counted
from ..netns import is_address
from .naming import again_inside, entered, in_guest, joined, name_of

_LONG_S = 86400.0
_SHARE = 0.75
"""Of the time limit, for the check itself: the rest is for the start, and for what it does not interrupt."""


def verb_check(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with joined(name) as lab:
        share_s = (options.timeout or _LONG_S) * _SHARE / len(lab.parts)
        report = reduce(add, (part.check(share_s) for part in lab.parts))
    if options.junit:
        print(report.junit(f"mnmpls check {name}"), end="")
        return 0 if report.ok else 1
    return _say(report, options)


def verb_drift(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with joined(name) as lab:
        found = (finding for part in lab.parts for node in part.records for finding in part.drift_at(node))
        notes = (line for part in lab.parts for line in checks.note(part.elsewhere, "not compared here"))
        report = checks.Report(tuple(found), tuple(notes))
    return _say(report, options)


def _say(report: checks.Report, options: Namespace) -> int:
    print(json.dumps(report.data()) if options.json else report.text())
    return 0 if report.ok else 1


def verb_trace(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with joined(name) as lab:
        ends = [options.src] if is_address(options.dst) else [options.src, options.dst]
        way = lab.part(*ends).trace(options.src, options.dst)
    print(json.dumps(way.data()) if options.json else way.text())
    return 0 if way.ok else 1


def verb_capture(options: Namespace) -> int:
    name = name_of(options.lab)
    with _pcap_file(options) as out:
        if in_guest(name):
            words = ["capture", name, options.node, options.port, "-c", str(options.count)]
            words += ["--timeout", f"{options.seconds:g}"]
            return again_inside(name, words, stdout=out.fileno())
        with entered(name, options.node) as one:
            count, seconds = options.count or None, options.seconds or None
            written = pcap.record(one.namespace, options.port, out, count, seconds)
    print(f"{counted(written, 'packet')} of {options.node}'s {options.port}", file=sys.stderr)
    return 0


def _pcap_file(options: Namespace) -> BinaryIO:
    if options.file:
        return open(options.file, "wb")
    if sys.stdout.isatty():
        raise UsageError("capture: a pcap is not for a terminal: say -w FILE, or pipe it: ... | wireshark -k -i -")
    return os.fdopen(os.dup(1), "wb")
