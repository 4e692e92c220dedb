"""What rounds of drills have measured, and what that comes to. Pure but for reading."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from mnmpls.drill import KINDS
from mnmpls.errors import counted
from mnmpls.export.table import table

HEADS = ("variant", "event", "runs", "not well", "blackholes", "gap, median", "gap, longest", "healed after")
BLACKHOLE = "does not announce (or has withdrawn) its address"
"""How a drill names what unnumbered links do to LDP (checks/bindings.py)."""


@dataclass(frozen=True)
class Round:
    """Each failure once. ``loses_addresses``: blackholes are to be expected there, but with their cause; ``stopped``:
    why it ended before its time, with what the lab's end had to say."""

    variant: str
    events: tuple[dict[str, Any], ...]
    stopped: str
    loses_addresses: bool

    @property
    def ok(self) -> bool:
        return not self.stopped and not any(self.is_bad(one) for one in self.events)

    def is_blackhole(self, event: dict[str, Any]) -> bool:
        """One that is expected here, and said to be one."""
        return self.loses_addresses and any(BLACKHOLE in problem for problem in event["problems"])

    def is_bad(self, event: dict[str, Any]) -> bool:
        return not event["ok"] and not self.is_blackhole(event)


def read(variant: str, file: Path, loses_addresses: bool) -> Round:
    text = file.read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text) if text else {"events": [], "stopped": "it did not come up or did not live"}
    return Round(variant, tuple(data["events"]), data["stopped"], loses_addresses)


def summary(rounds: Sequence[Round]) -> str:
    """A row for each variant and kind of failure, and which rounds ended before their time."""
    names = list(dict.fromkeys(one.variant for one in rounds))
    rows = [row for name in names for row in _rows(name, [one for one in rounds if one.variant == name])]
    ended = (f"{one.variant} ended before its time: {one.stopped.splitlines()[0]}" for one in rounds if one.stopped)
    return "\n".join([table(HEADS, rows), *ended])


def _rows(name: str, rounds: Sequence[Round]) -> Iterator[tuple[str, ...]]:
    for kind in KINDS:
        found = [(one, event) for one in rounds for event in one.events if event["event"]["kind"] == kind]
        if found:
            gaps = [gap for _, event in found for gap in _gaps_ms(event)]
            bad, holes = sum(one.is_bad(event) for one, event in found), sum(one.is_blackhole(e) for one, e in found)
            healed = max(event["undone"]["healed_s"] for _, event in found)
            shown = (f"{median(gaps):.0f} ms", f"{max(gaps):.0f} ms") if gaps else ("-", "-")
            yield name, kind, str(len(found)), str(bad), str(holes), *shown, f"{healed:.1f} s"


def _gaps_ms(event: dict[str, Any]) -> list[float]:
    """The longest of streams that lost something and have another way, if there are such."""
    found = [
        one["gap_ms"] for one in event["failing"]["streams"] if one["expected_to_work"] and one["works"] and one["lost"]
    ]
    return [max(found)] if found else []


def closing(rounds: Sequence[Round], left: int) -> str:
    """`2 rounds, 36 events: all well or blackholes that were to be; 38 rounds are left: run it again to go on`"""
    bad = sum(one.is_bad(event) for one in rounds for event in one.events) + sum(bool(one.stopped) for one in rounds)
    holes = sum(one.is_blackhole(event) for one in rounds for event in one.events)
    told = f"{counted(len(rounds), 'round')}, {counted(sum(len(one.events) for one in rounds), 'event')}: "
    told += f"{bad} NOT as they should be" if bad else "all as they should be"
    told += f", {counted(holes, 'blackhole')} named where links have no addresses" if holes else ""
    return told + (f"; {counted(left, 'round')} left: the same again goes on" if left else "")
