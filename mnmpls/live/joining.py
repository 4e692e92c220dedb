"""The other side: a running lab of another process, whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .. import registry
from ..errors import MnmplsError, nearest
from ..kernel import Namespace
from ..netns import LabNodes
from ..node import NoSuchNode
from ..processes import Folders, Processes, make_room
from ..sources import from_data
from .finding import PATIENT_S


class Joined:
    """A running lab of another process: its connected parts (one, unless it is Mininet's and falls apart)."""

    def __init__(self, name: str, parts: Iterable[LabNodes]) -> None:
        self.name = name
        self.parts: list[LabNodes] = []
        try:
            for part in parts:
                self.parts.append(part)
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

    def close(self) -> None:
        for part in self.parts:
            part.close()


def _part(part: Mapping[str, Any]) -> LabNodes:
    make_room(len(part["namespaces"]))
    namespaces = {node: Namespace.open(path) for node, path in part["namespaces"].items()}
    folders = {node: Folders(**paths) for node, paths in part["folders"].items()}
    return LabNodes(from_data(part["lab"]), Processes.joined(part["processes"]), namespaces, folders, part["off"])


@contextmanager
def join(name: str) -> Iterator[Joined]:
    """Inside the block the lab's nodes can be used. Raises NotRunning."""
    joined = Joined(name, map(_part, registry.ask(name, {"lab": True}, PATIENT_S)["parts"]))
    try:
        yield joined
    finally:
        joined.close()
