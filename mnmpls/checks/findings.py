"""What a check found: each finding with what was expected and what was seen, and reports for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from .drift import Drift
from .mtu import PathMtu
from .reach import Result, groups, matrix, some_names
from .trace import Trace

KINDS = ("node", "daemon", "config", "session", "route", "label", "drift", "trace", "mtu", "reach")
"""Causes first: a route that is gone explains the packet that got lost."""

_MATRIX_COLUMNS = 100
"""A wider one helps nobody: groups of nodes are told then."""

_SHOWN_PAIRS = 6
_SHOWN_TRACES = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing checked: ``subject`` is a node or a pair of them, ``node`` where to look if something is wrong (empty
    when that is not known), ``detail`` what is behind it."""

    kind: str
    subject: str
    ok: bool
    expected: str
    seen: str
    node: str = ""
    detail: Result | Trace | PathMtu | Drift | None = None

    @property
    def text(self) -> str:
        """One line: a sentence if something is wrong."""
        if self.ok or self.kind == "drift":
            return f"{self.subject}: {self.seen}"
        return f"{self.subject}: {self.seen}; expected: {self.expected}"

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        plain: dict[str, Any] = {"kind": self.kind, "subject": self.subject, "ok": self.ok}
        plain |= {"expected": self.expected, "seen": self.seen}
        if self.node:
            plain["node"] = self.node
        match self.detail:
            case Trace():
                plain["trace"] = self.detail.data()
            case Result(_, who, _, rtt_ms):
                plain |= {"answered_by": who, "rtt_ms": rtt_ms}
            case PathMtu(size):
                plain["path_mtu_bytes"] = size
            case Drift():
                plain["drift"] = self.detail.how
        return plain


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one check. ``notes`` tell what was left out, and why."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.findings)

    def __add__(self, other: Report) -> Report:
        return Report(self.findings + other.findings, self.notes + other.notes)

    def of(self, kind: str, ok: bool | None = None) -> tuple[Finding, ...]:
        """The findings of one kind; only the good or the bad ones, if wished."""
        return tuple(one for one in self.findings if one.kind == kind and ok in (None, one.ok))

    def text(self, encoding: str | None = None) -> str:
        """For a person: what is wrong, causes first, then who reaches whom, and how much was as it should be."""
        parts = [*_wrong(self), _matrix(self, encoding), *_traces(self), "\n".join(self.notes), _closing(self)]
        return "\n\n".join(part for part in parts if part)

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"ok": self.ok, "findings": [one.data() for one in self.findings], "notes": list(self.notes)}

    def junit(self, name: str = "mnmpls check") -> str:
        """JUnit's XML: a test case per finding, with what was expected and seen where it failed."""
        bad = sum(not one.ok for one in self.findings)
        suite = ElementTree.Element(
            "testsuite", name=name, tests=str(len(self.findings)), failures=str(bad), errors="0"
        )
        for one in self.findings:
            case = ElementTree.SubElement(suite, "testcase", classname=one.kind, name=one.subject)
            if not one.ok:
                failure = ElementTree.SubElement(case, "failure", message=one.seen)
                failure.text = f"expected: {one.expected}\nseen: {one.seen}"
        if self.notes:
            ElementTree.SubElement(suite, "system-out").text = "\n".join(self.notes)
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _wrong(report: Report) -> list[str]:
    drifted = [f"{one.subject}: {one.seen}" for one in report.of("drift", ok=False)]
    strayed = _once((one.seen, one.subject) for one in report.of("trace", ok=False))
    narrow = _once((one.text, "") for one in report.of("mtu", ok=False))
    causes = KINDS[: KINDS.index("drift")]
    down = [one.text for kind in causes for one in report.of(kind, ok=False)]
    return ["\n".join(lines) for lines in (down, drifted, strayed, narrow, _pairs(report)) if lines]


def _once(found: Iterable[tuple[str, str]]) -> list[str]:
    """Each sentence once, with the subjects that it is about."""
    about: dict[str, list[str]] = {}
    for sentence, subject in found:
        about.setdefault(sentence, []).append(subject)
    return [sentence + (f"  ({some_names(subjects)})" if any(subjects) else "") for sentence, subjects in about.items()]


def _pairs(report: Report) -> list[str]:
    """What went wrong alike is told once: the first pairs, how many more, and whom these are about."""
    alike: dict[str, list[Finding]] = {}
    for one in report.of("reach", ok=False):
        alike.setdefault(one.detail.failure if isinstance(one.detail, Result) else one.seen, []).append(one)
    return [line for failure, found in alike.items() for line in _alike(failure, found)]


def _alike(failure: str, found: list[Finding]) -> Iterator[str]:
    yield from (f"{one.subject}: {one.seen}" for one in found[:_SHOWN_PAIRS])
    left = [one.detail for one in found[_SHOWN_PAIRS:] if isinstance(one.detail, Result)]
    if len(found) > _SHOWN_PAIRS:
        yield f"and {len(found) - _SHOWN_PAIRS} more pairs" + (f" whose requests {failure}:" if left else "")
    if left:
        askers, asked = ([*dict.fromkeys(names)] for names in ((one.src for one in left), (one.dst for one in left)))
        yield f"  from {some_names(askers)}; to {some_names(asked)}"


def _matrix(report: Report, encoding: str | None) -> str:
    results = [one.detail for one in report.of("reach") if isinstance(one.detail, Result)]
    columns = {one.dst for one in results}
    wide = sum(len(name) + 1 for name in columns) > _MATRIX_COLUMNS
    return groups(results) if wide else matrix(results, encoding, reasons=False) if results else ""


def _traces(report: Report) -> list[str]:
    """All of a few where all is well, else some of those that went astray."""
    found = report.of("trace")
    bad = report.of("trace", ok=False)
    shown = bad if bad or len(found) > _SHOWN_TRACES else found
    return [one.detail.text() for one in shown[:_SHOWN_TRACES] if isinstance(one.detail, Trace)]


def _closing(report: Report) -> str:
    """`153 of 153 findings as intended (drift 19 of 19, trace 2 of 2, reach 132 of 132)`"""
    total, good = len(report.findings), sum(one.ok for one in report.findings)
    kinds = [f"{kind} {len(report.of(kind, ok=True))} of {len(report.of(kind))}" for kind in KINDS if report.of(kind)]
    bad = f", {total - good} NOT" if good < total else ""
    return f"{good} of {total} findings as intended{bad} ({', '.join(kinds)})"
