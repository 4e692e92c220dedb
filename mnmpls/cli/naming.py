"""From what was typed for LAB to a running lab, and on into the guest that it runs in."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from .. import registry
from ..containers import has_daemon
from ..errors import printable
from ..live import finding
from ..live.finding import About

if TYPE_CHECKING:
    from ..live.joining import Joined
    from ..node import RunningNode

DOCKER = "docker"
"""The runtime of a lab whose nodes are containers, of which there is no owner to ask."""


def boxes() -> ModuleType:
    """What is done for labs in containers: it takes in the docker SDK."""
    return import_module(".boxes", __package__)


@cache
def in_docker() -> Mapping[str, About]:
    """The labs whose nodes are containers, ours and Containerlab's."""
    if not has_daemon():
        return {}
    from ..containers import labs  # which takes in the docker SDK

    return {each.name: each for each in labs.labs()}


def about(name: str) -> About:
    """Of a running lab. Raises NotRunning."""
    if name not in registry.names() and (found := in_docker().get(name)):
        return found
    return finding.about(name, finding.PATIENT_S)


def running() -> tuple[tuple[About, ...], tuple[str, ...]]:
    """All labs that run here for us, and what to say about those that did not answer."""
    owned, silent = finding.labs()
    return (*owned, *in_docker().values()), silent


def joined(name: str) -> AbstractContextManager[Joined]:
    """Inside the block the lab's nodes can be used. Raises NotRunning."""
    from ..live import joining

    if name in registry.names():
        return joining.join(name)
    from ..containers import labs

    return labs.join(name)


def entered(name: str, node: str) -> AbstractContextManager[RunningNode]:
    """A node of a running lab, for commands in it. Raises NotRunning, and LabError for a node that it has not."""
    if name in registry.names():
        return finding.node(name, node)
    from ..containers import labs

    return labs.node(name, node)


def name_of(given: str) -> str:
    """The name of a running lab, from its name or its file's. Raises NotRunning."""
    owned = registry.names()
    if given in owned:
        return given
    boxes = in_docker()
    if given in boxes:
        return given
    if "/" in given or os.path.exists(given):
        file = os.path.realpath(given)
        same = [each.name for each in (*finding.labs()[0], *boxes.values()) if each.file == file]
        if len(same) == 1:
            return same[0]
        if same:
            raise registry.NotRunning(f"{given} runs under several names: {', '.join(same)}; say which")
        shown = printable(given)
        raise registry.NotRunning(f"no lab of the file {shown} runs here; `mnmpls up {shown}` starts it")
    there = f"running: {', '.join([*owned, *boxes])}" if owned or boxes else "no lab runs here"
    raise registry.NotRunning(f"there is no running lab {given!r}; {there}")


def in_guest(name: str) -> bool:
    return name in registry.names() and about(name).runtime == finding.GUEST


def again_inside(
    name: str, words: Sequence[str], stdin: str | None = None, stdout: int = 1, writes: bool = False
) -> int:
    """This command with these words, in the guest in which lab ``name`` runs; its exit status. It reads ``stdin`` if
    that is given, and writes to the descriptor ``stdout``. ``writes``: it may write files, too."""
    if stdin is not None:
        with tempfile.TemporaryFile("w") as file:
            file.write(stdin)
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            os.dup2(file.fileno(), 0)
    if stdout != 1:
        os.dup2(stdout, 1)
    from ..guests import run_in_lab  # not for those who never get here: it takes as long as all the rest

    return run_in_lab(name, [sys.executable, "-m", "mnmpls", *words], writes=writes)
