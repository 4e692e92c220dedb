"""What can go wrong, as a tree. Every error a user can meet is one of these, and each knows its exit status.

    MnmplsError                 1
    ├── LabError                2   the lab as written is wrong: every problem at once, nothing was created
    ├── KernelRefused           1   the kernel refused a record: record, node, cause, remedy
    ├── MissingFeature          3   this kernel (or machine) lacks something the lab needs
    ├── GuestFailed           125   a guest kernel could not start, panicked, hung or ran out of room
    ├── CheckFailed             1   the lab is up but does not do what it should
    └── UsageError              2   the command as typed makes no sense
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class MnmplsError(Exception):
    """Base of all: its text is a whole message for a person, never a bare errno."""

    exit_code = 1


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a lab: ``path`` is where in the lab (``links[3].a.vrf``), ``place`` where in the
    text (``topos/l3vpn.yml:14``, empty when the lab came from Python)."""

    path: str
    text: str
    place: str = ""

    def __str__(self) -> str:
        return printable(": ".join(part for part in (self.place, self.path, self.text) if part))


def printable(text: str) -> str:
    """``text`` on one line, without anything that a terminal would act on: a lab file may come from a stranger."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def counted(number: int, what: str) -> str:
    """``1 node``, ``2 nodes``"""
    return f"{number} {what}" + ("" if number == 1 else "s")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known."""
    names = sorted({*known})
    near = get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    if len(names) < 2:
        return f"there is {names[0] if names else 'none'}"
    return "there are " + ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")


class LabError(MnmplsError):
    """The lab is wrong; ``problems`` holds every one of them, and nothing was created."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class KernelRefused(MnmplsError):
    """The kernel refused one record, which ``what`` says in a person's words. ``node`` and ``place``, where in the lab
    and its text the record comes from, are filled in by ``at``."""

    def __init__(
        self, record: object, what: str, why: str, remedy: str, errno: int = 0, node: str = "", place: str = ""
    ) -> None:
        self.record, self.what, self.why, self.remedy, self.errno = record, what, why, remedy, errno
        self.node, self.place = node, place
        said = ": ".join(part for part in (place, node, what, why) if part)
        super().__init__(said + (f"\n  what to do: {remedy}" if remedy else ""))

    def at(self, node: str, place: str = "") -> KernelRefused:
        """The same, with the place and the node's name first."""
        return KernelRefused(self.record, self.what, self.why, self.remedy, self.errno, node, place)


class MissingFeature(MnmplsError):
    """A kernel feature or a program that the lab needs is not there."""

    exit_code = 3


class GuestFailed(MnmplsError):
    """A guest kernel did not start or did not live; the text names the reason and the log's last lines."""

    exit_code = 125


class CheckFailed(MnmplsError):
    """A check found something else than what the lab intends."""


class UsageError(MnmplsError):
    """What was typed cannot be done as it stands; nothing was."""

    exit_code = 2
