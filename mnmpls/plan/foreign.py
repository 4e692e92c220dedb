"""Nodes of a Containerlab topology that are of other images and kinds, where no container is made."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import LabError, Problem
from ..foreign import Foreign
from ..model import ROLES, Lab


def stood_in_for(lab: Lab) -> str:
    """A line on the nodes that some of ours stand for in a lab without containers; empty where there are none. Raises
    LabError for those that none of ours can stand for."""
    if problems := [_refused(lab, same) for same in _alike(each for each in lab.foreign if not each.is_host)]:
        raise LabError(problems)
    if not lab.foreign:
        return ""
    each = ", ".join(f"{_names(same)} ({same[0].what})" for same in _alike(lab.foreign))
    return f"nodes of ours stand for {each}; what they are runs in containers only: {_runners(lab.foreign)}"


def _refused(lab: Lab, same: list[Foreign]) -> Problem:
    path = f"nodes.{same[0].node}"
    text = f"{_names(same)}: {same[0].what} runs in containers only: {_runners(same)}"
    roles = f"{', '.join(ROLES[:-1])} or {ROLES[-1]}"
    remedy = f"for a node of ours in its place say what that is ({roles}), by its group or the label mnmpls.role"
    return Problem(path, f"{text}; {remedy}", lab.place(path))


def _runners(each: Iterable[Foreign]) -> str:
    by_docker = all(one.what.startswith("image ") for one in each)
    return f"{'`mnmpls up --runtime docker` or ' if by_docker else ''}`containerlab deploy`"


def _alike(each: Iterable[Foreign]) -> list[list[Foreign]]:
    found: dict[str, list[Foreign]] = {}
    for one in each:
        found.setdefault(one.what, []).append(one)
    return list(found.values())


def _names(same: list[Foreign]) -> str:
    return ", ".join(one.node for one in same)
