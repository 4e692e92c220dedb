"""Waiting for a lab to do what it is meant to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from ..daemons import Session
from ..model import Lab
from ..processes import Folders
from ..services import awaited, missing, why_missing
from .reach import probe

if TYPE_CHECKING:
    from ..kernel import Namespace

_AGAIN_S = 0.2
_SHOWN = 10


def await_reach(
    lab: Lab,
    namespaces: Mapping[str, Namespace],
    folders: Mapping[str, Folders],
    limit_s: float,
    tell: Callable[[str], None] = lambda _: None,
) -> str:
    """Until everybody answers who should and nobody else: nothing then; after ``limit_s``, what is wrong. With a limit
    of 0 nobody is asked. ``tell`` hears what the daemons are still waiting for, whenever that changes."""
    until = time.monotonic() + limit_s
    if limit_s <= 0:
        return ""
    problem = _await_sessions(lab, folders, until, tell) or _await_answers(lab, namespaces, until)
    return f"not as intended after {limit_s:g} s:{problem}" if problem else ""


def _await_sessions(lab: Lab, folders: Mapping[str, Folders], until: float, tell: Callable[[str], None]) -> str:
    """Those that are missing in the end."""
    told = ""
    while lacking := missing(lab, folders):
        if time.monotonic() > until:
            return _listed(_missed(lab, one, folders) for one in lacking)
        if (text := awaited(lacking)) != told:
            tell(told := text)
        time.sleep(_AGAIN_S)
    return ""


def _await_answers(lab: Lab, namespaces: Mapping[str, Namespace], until: float) -> str:
    """The pairs that are wrong in the end."""
    while wrong := [each for each in probe(lab, namespaces) if not each.ok]:
        if time.monotonic() > until:
            return _listed(each.why for each in wrong)
        time.sleep(_AGAIN_S)
    return ""


def _missed(lab: Lab, one: Session, folders: Mapping[str, Folders]) -> str:
    why = why_missing(lab, one, folders)
    return f"{one.node} ({one.daemon}) has no {one.text}" + (f": {why}" if why else "")


def _listed(lines: Iterable[str]) -> str:
    every = list(lines)
    shown = "".join(f"\n  {line}" for line in every[:_SHOWN])
    return shown + (f"\n  and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
