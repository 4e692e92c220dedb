"""The other side: find a running lab by its name and use its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .. import registry
from ..errors import MnmplsError, nearest
from ..kernel import Namespace
from ..netns import LabNodes, NoSuchNode, RunningNode
from ..processes import Processes
from ..sources import from_data

GUEST = "guest"
"""The runtime of a lab whose owner is a guest's runner: what is asked of it has to be asked inside."""


@dataclass(frozen=True, slots=True)
class About:
    """A running lab. ``runtime`` is namespaces, mininet or guest; ``since`` in seconds since the epoch."""

    name: str
    kernel: str
    pid: int
    since: float
    runtime: str = GUEST
    file: str = ""
    nodes: int = 0


def about(name: str) -> About:
    """Raises NotRunning."""
    known = registry.ask(name, {"about": True})
    return About(**{key: value for key, value in known.items() if key in About.__slots__})


def labs() -> tuple[tuple[About, ...], tuple[str, ...]]:
    """All labs that run here for us, and what to say about those that did not answer."""

    def one(name: str) -> About | str | None:
        try:
            return about(name)
        except (registry.NotRunning, registry.NotYours):
            return None  # it ended meanwhile, or is somebody else's business
        except MnmplsError as error:
            return str(error)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, registry.names()))
    running = tuple(each for each in found if isinstance(each, About))
    return running, tuple(each for each in found if isinstance(each, str))


class Joined:
    """A running lab of another process: its connected parts (one, unless it is Mininet's and falls apart)."""

    def __init__(self, name: str, parts: list[Mapping[str, Any]]) -> None:
        self.name = name
        self.parts: list[LabNodes] = []
        try:
            for part in parts:
                self.parts.append(_part(part))
        except OSError as error:
            self.close()
            raise MnmplsError(f"lab {name!r} ended meanwhile, or is not yours to enter: {error.strerror}") from error

    def part(self, *nodes: str) -> LabNodes:
        """The part with all these nodes. Raises NoSuchNode for one that is nowhere, or when no part has them all."""
        known = tuple(node for part in self.parts for node in part)
        for node in nodes:
            if node not in known:
                raise NoSuchNode(f"lab {self.name!r} has no node {node!r}; {nearest(node, known)}")
        for part in self.parts:
            if all(node in part for node in nodes):
                return part
        raise NoSuchNode(f"{' and '.join(nodes)} are not connected")

    def node(self, name: str) -> RunningNode:
        return self.part(name)[name]

    def close(self) -> None:
        for part in self.parts:
            part.close()


def _part(part: Mapping[str, Any]) -> LabNodes:
    namespaces = {node: Namespace.open(path) for node, path in part["namespaces"].items()}
    return LabNodes(from_data(part["lab"]), Processes.joined(part["processes"]), namespaces)


@contextmanager
def join(name: str) -> Iterator[Joined]:
    """Inside the block the lab's nodes can be used. Raises NotRunning."""
    joined = Joined(name, registry.ask(name, {"lab": True}, 30)["parts"])
    try:
        yield joined
    finally:
        joined.close()
