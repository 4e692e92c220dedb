"""How each event is made and undone on a running lab, and who undoes it when the drill itself is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from .. import registry
from ..apply import apply
from ..asking import kill
from ..errors import CheckFailed, MnmplsError
from ..netns import LabNodes
from ..processes import Folders
from ..state import Qdisc
from .events import Event

_EVERYTHING_PPM = 1_000_000
_OWNER_S = 60.0


Power = Callable[[str, bool], Folders | None]
"""Turns a node on or off, and gives the folders that its daemons have then. Raises MnmplsError."""


def owners(name: str) -> Power:
    """Of the lab called ``name``, whose owner does that."""

    def turn(node: str, on: bool) -> Folders | None:
        registry.ask(name, {"start" if on else "stop": node}, _OWNER_S)
        found = registry.ask(name, {"node": node}, _OWNER_S)["folders"] if on else None
        return Folders(**found) if found else None

    return turn


class Switch:
    """``folders`` are those of the nodes that have daemons now."""

    def __init__(self, lab: LabNodes, power: Power) -> None:
        self._lab, self._power = lab, power
        self.folders = dict(lab.folders)
        self.off: set[str] = set(lab.off)

    def make(self, event: Event) -> None:
        """Raises MnmplsError."""
        match event.kind:
            case "port":
                self._lab[event.node].namespace.set_up(event.ends[0][1], False)
            case "path":
                for node, port in event.ends:
                    self._lab[node].namespace.write(Qdisc(port, loss_ppm=_EVERYTHING_PPM))
            case "node":
                self._power(event.node, False)
                self.folders.pop(event.node, None)
                self.off.add(event.node)
            case _:
                self._kill(event)

    def undo(self, event: Event) -> None:
        """Harmless for what was not made. Raises MnmplsError."""
        for node, _ in event.ends:
            apply(self._lab.records[node], self._lab[node].namespace, node)
        if not event.ends:
            found = self._power(event.node, True)
            self.folders |= {event.node: found} if found else {}
            self.off.discard(event.node)

    def _kill(self, event: Event) -> None:
        try:
            kill(self.folders[event.node], event.daemon)
        except OSError as error:
            raise CheckFailed(f"{event.node}: {event.daemon} could not be killed: {error.strerror}") from error


class Guardian:
    """A process of its own that undoes what is not undone when this one ends, however that comes. It has a session of
    its own, so that no Ctrl-C reaches it."""

    def __init__(self, undo: Callable[[Event], None], events: Sequence[Event]) -> None:
        self._events = list(events)
        hear, self._tell = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._tell)
            self._watch(hear, undo)
        os.close(hear)

    def begins(self, event: Event) -> None:
        os.write(self._tell, b"%d\n" % self._events.index(event))

    def is_undone(self) -> None:
        os.write(self._tell, b"-1\n")

    def close(self) -> None:
        """When it has undone what there was to undo."""
        os.close(self._tell)
        os.waitpid(self._pid, 0)

    def _watch(self, hear: int, undo: Callable[[Event], None]) -> None:
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                signal.signal(number, signal.SIG_IGN)
            quiet = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(quiet, stream)
            with open(hear, encoding="ascii") as line:
                last = [-1, *map(int, line)][-1]
            if last >= 0:
                with suppress(MnmplsError, OSError):  # the lab itself has gone
                    undo(self._events[last])
        finally:
            os._exit(0)
