"""Running labs by their names, and one node of one of them: without a look at the rest of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

from .. import registry
from ..errors import MnmplsError
from ..kernel import Namespace
from ..node import RunningNode
from ..processes import Folders, Processes

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
    off: tuple[str, ...] = ()
    """Nodes that are turned off."""


PATIENT_S = 60.0
"""For who wants something of a lab: its owner may first have to start a node's daemons for somebody else."""


def about(name: str, timeout_s: float = registry.ANSWER_S) -> About:
    """Raises NotRunning."""
    known = registry.ask(name, {"about": True}, timeout_s)
    told = {key: value for key, value in known.items() if key in About.__slots__}
    return About(**{**told, "off": tuple(told.get("off", ()))})


def labs() -> tuple[tuple[About, ...], tuple[str, ...]]:
    """All labs that run here for us, and what to say about those that did not answer."""

    def one(name: str) -> About | str | None:
        try:
            return about(name)
        except (registry.NotRunning, registry.NotYours):
            return None  # it ended meanwhile, or is somebody else's business
        except MnmplsError as error:
            return str(error) if name in registry.names() else None

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, registry.names()))
    running = tuple(each for each in found if isinstance(each, About))
    return running, tuple(each for each in found if isinstance(each, str))


@contextmanager
def node(lab: str, name: str) -> Iterator[RunningNode]:
    """A node of a running lab of another process, for commands in it. Raises NotRunning, and LabError for a node that
    it has not."""
    where = registry.ask(lab, {"node": name}, PATIENT_S)
    try:
        namespace, processes = Namespace.open(where["namespace"]), Processes.joined(where["processes"])
    except OSError as error:
        raise MnmplsError(f"lab {lab!r} ended meanwhile, or is not yours to enter: {error.strerror}") from error
    with closing(namespace):
        folders = Folders(**where["folders"]) if where["folders"] else None
        yield RunningNode(name, namespace, processes, {name: folders} if folders else {})
        processes.end()
