"""What the doctor found, as data and as text for a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import groupby
from textwrap import wrap

from .remedies import REMEDIES, kind_of, remedy


class State(str, Enum):
    THERE = "there"
    MISSING = "missing"
    UNKNOWN = "unknown"


_SIGNS = {State.THERE: "✓", State.MISSING: "✗", State.UNKNOWN: "?"}
_NOT_NEEDED = "·"
_TITLES = {
    "kernel": "this kernel",
    "programs": "programs",
    "machine": "machine",
    "guests": "guest kernels",
    "labs": "labs that run here",
    "known bugs": "known bugs",
}
_LEAST_WIDTH, _WIDTH = 24, 110


@dataclass(frozen=True, slots=True)
class Item:
    """One thing looked at. ``needed``: the lab cannot be without it. ``key`` is what remedies are known by."""

    topic: str
    name: str
    state: State
    told: str = ""
    needed: bool = False
    key: str = ""

    @property
    def lacks(self) -> bool:
        """What has to be done something about; what only follows from another one is not."""
        return self.needed and self.state is State.MISSING

    @property
    def follows(self) -> bool:
        """A part of the kernel that could not be tried for another one's sake."""
        return self.needed and self.state is State.UNKNOWN and kind_of(self.key) == "kernel"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``lab`` is its name, empty for everything known; ``system`` one of remedies.SYSTEMS or empty, ``title`` the
    machine in words."""

    lab: str
    system: str
    title: str
    items: tuple[Item, ...]

    @property
    def missing(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.lacks)

    @property
    def exit_code(self) -> int:
        """As of errors.MissingFeature."""
        return 3 if self.missing else 0

    def data(self) -> dict[str, object]:
        return {
            "lab": self.lab or None,
            "system": self.system or None,
            "machine": self.title,
            "ok": not self.missing,
            "items": [asdict(item) for item in self.items],
            "missing": {
                item.key: {system: remedy([item.key], system) for system in REMEDIES} for item in self.missing
            },
        }

    def text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{f'lab {self.lab}' if self.lab else 'everything that mnmpls knows'}, on {self.title}"
        width = max(_LEAST_WIDTH, *(len(item.name) for item in self.items if item.topic != "known bugs"))
        for topic, title in _TITLES.items():
            items = [item for item in self.items if item.topic == topic]
            if items:
                yield f"\n{title}"
            for item in items:
                yield from _wrapped(f"  {_sign(item)} {item.name.ljust(width)}  ", item.told)
        yield ""
        yield from self._verdict()

    def _verdict(self) -> Iterator[str]:
        if not self.missing:
            yield "All that is needed is here."
            return
        yield from _wrapped("missing: ", ", ".join(item.name for item in self.missing), 2)
        systems = [self.system] if self.system else list(REMEDIES)
        for kind, group in groupby(sorted(self.missing, key=_kind), _kind):
            keys = [item.key for item in group] + [item.key for item in self.items if item.follows and kind == "kernel"]
            for system in systems:
                yield from _wrapped(f"  {system}: ", remedy(keys, system), 6)
        guests = [item.name for item in self.items if item.topic == "guests" and item.state is State.THERE]
        if guests and any(item.topic == "kernel" for item in self.missing):
            yield f"  or leave it: `mnmpls up` and `mn` run the lab in a guest kernel that has it ({', '.join(guests)})"


def _kind(item: Item) -> str:
    return kind_of(item.key)


def _wrapped(before: str, text: str, indent: int = 0) -> list[str]:
    """``text`` behind ``before``, further lines below its beginning or with this indent."""
    further = " " * (indent or len(before))
    return wrap(text, _WIDTH, initial_indent=before, subsequent_indent=further, break_on_hyphens=False) or [
        before.rstrip()
    ]


def _sign(item: Item) -> str:
    """What is missing and not needed is no fault."""
    return _NOT_NEEDED if item.state is State.MISSING and not item.needed else _SIGNS[item.state]
