"""What a drill found: for people, for programs, and as JUnit's XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from ..errors import counted
from .events import KINDS, Event
from .streams import Pair


@dataclass(frozen=True, slots=True)
class Measured:
    """One stream in one phase. ``ended_well``: at its end nothing was lost any more; ``can``: it was to be so. The
    labels of one packet on its way, before and after."""

    pair: Pair
    sent: int
    lost: int
    gap_ms: float
    ended_well: bool
    can: bool
    labels_before: str
    labels: str

    def data(self) -> dict[str, Any]:
        return {
            "src": self.pair.src, "dst": self.pair.dst, "address": self.pair.address, "sent": self.sent,
            "lost": self.lost, "gap_ms": round(self.gap_ms, 1), "works": self.ended_well, "expected_to_work": self.can,
            "labels_before": self.labels_before, "labels_after": self.labels,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phase:
    """While a failure lasted, or from its undoing until all was as before. ``healed_s``: when the last packet was lost,
    and after an undoing, the last session back."""

    lasted_s: float
    healed_s: float
    measured: tuple[Measured, ...]

    def data(self) -> dict[str, Any]:
        streams = [one.data() for one in self.measured]
        return {"seconds": round(self.lasted_s, 3), "healed_s": round(self.healed_s, 3), "streams": streams}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One event in its ``number``-th run. ``problems``: what was not to be, each with its likely reason."""

    event: Event
    number: int
    failing: Phase
    undone: Phase
    problems: tuple[str, ...]
    reroutes: bool = True

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def healed(self) -> bool:
        return all(one.ended_well for one in self.undone.measured)

    @property
    def gap_ms(self) -> float:
        """The longest, of those that had another way, while the failure lasted."""
        return max((one.gap_ms for one in self.failing.measured if one.can), default=0.0)

    def text(self) -> str:
        return "\n".join([self.event.text, *self._lines()])

    def _lines(self) -> Iterator[str]:
        yield from _table(self.failing.measured, self.reroutes)
        lost = [one for one in self.undone.measured if one.lost]
        when = f"as before after {self.undone.healed_s:.1f} s" if self.ok or self.healed else "NOT as before"
        yield f"  undone: {'' if lost else 'nothing lost, '}{when}"
        yield from (f"  {line}" for line in _table(self.undone.measured, True) if lost)
        yield from (f"  ✗ {problem}" for problem in self.problems)

    def data(self) -> dict[str, Any]:
        return {
            "event": {**asdict(self.event), "text": self.event.text}, "run": self.number, "ok": self.ok,
            "failing": self.failing.data(), "undone": self.undone.data(), "problems": list(self.problems),
        }  # fmt: skip


def _table(measured: Sequence[Measured], reroutes: bool) -> Iterator[str]:
    """Only what changed."""
    shown = [one for one in measured if one.lost or one.labels != one.labels_before]
    width = max((len(one.pair.text) for one in shown), default=0)
    for one in shown:
        yield f"  {one.pair.text.ljust(width)}  {_loss(one, reroutes)}"
        if one.labels != one.labels_before:
            yield f"  {' ' * width}  {one.labels_before}  =>  {one.labels}"
    if len(shown) < len(measured):
        others = counted(len(measured) - len(shown), "other stream" if shown else "stream")
        yield f"  {others}: nothing lost"


def _loss(one: Measured, reroutes: bool) -> str:
    if not one.lost:
        return "nothing lost"
    if one.ended_well:
        return f"{one.lost} of {one.sent} lost, gap {one.gap_ms:.0f} ms"
    why = "stays lost" if one.can else "no other way" if reroutes else "nothing reroutes without routing daemons"
    return f"{one.lost} of {one.sent} lost: {why}"


@dataclass(frozen=True, slots=True)
class Report:
    """All outcomes of one drill; ``stopped``: why it ended before its time."""

    outcomes: tuple[Outcome, ...]
    stopped: str = ""

    @property
    def ok(self) -> bool:
        return not self.stopped and all(one.ok for one in self.outcomes)

    def closing(self) -> str:
        """`12 events: all healed; longest gaps: port 430 ms, node 870 ms`"""
        bad = [one for one in self.outcomes if not one.ok]
        healed = f"{len(bad)} NOT as they should be" if bad else "all healed"
        gaps = ", ".join(f"{kind} {worst:.0f} ms" for kind, worst in self._worst())
        told = f"{counted(len(self.outcomes), 'event')}: {healed}" + (f"; longest gaps: {gaps}" if gaps else "")
        return told + (f"\nended before its time: {self.stopped}" if self.stopped else "")

    def _worst(self) -> Iterator[tuple[str, float]]:
        for kind in KINDS:
            found = [one for one in self.outcomes if one.event.kind == kind]
            if any(each.can for one in found for each in one.failing.measured):
                yield kind, max(one.gap_ms for one in found)

    def data(self) -> dict[str, Any]:
        events = [one.data() for one in self.outcomes]
        return {"ok": self.ok, "stopped": self.stopped, "longest_gap_ms": dict(self._worst()), "events": events}

    def junit(self, name: str) -> str:
        """A test case per event and run, with what was wrong."""
        bad = sum(not one.ok for one in self.outcomes)
        counts = {"name": name, "tests": str(len(self.outcomes)), "failures": str(bad), "errors": "0"}
        suite = ElementTree.Element("testsuite", counts)
        for one in self.outcomes:
            seconds = f"{one.failing.lasted_s + one.undone.lasted_s:.3f}"
            title = f"{one.event.text}, run {one.number}"
            case = ElementTree.SubElement(suite, "testcase", classname=one.event.kind, name=title, time=seconds)
            if not one.ok:
                ElementTree.SubElement(case, "failure", message=one.problems[0]).text = "\n".join(one.problems)
            ElementTree.SubElement(case, "system-out").text = one.text()
        if self.stopped:
            ElementTree.SubElement(suite, "system-err").text = self.stopped
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
