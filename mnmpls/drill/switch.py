"""How each event is made and undone on a running lab, and who undoes it when the drill itself is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from .. import registry
from ..apply import apply
from ..errors import CheckFailed, MnmplsError
from ..netns import LabNodes
from ..node import RunningNode
from ..processes import Folders
from ..state import Qdisc
from .events import Event

_EVERYTHING_PPM = 1_000_000
_OWNER_S = 60.0


class Switch:
    """The lab called ``name``, whose owner turns nodes off and on. ``folders`` are those of the nodes that have daemons
    now."""

    def __init__(self, lab: LabNodes, name: str) -> None:
        self._lab, self._name = lab, name
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
                registry.ask(self._name, {"stop": event.node}, _OWNER_S)
                self.folders.pop(event.node, None)
                self.off.add(event.node)
            case _:
                self._kill(event)

    def undo(self, event: Event) -> None:
        """Harmless for what was not made. Raises MnmplsError."""
        for node, _ in event.ends:
            apply(self._lab.records[node], self._lab[node].namespace, node)
        if not event.ends:
            registry.ask(self._name, {"start": event.node}, _OWNER_S)
            found = registry.ask(self._name, {"node": event.node}, _OWNER_S)["folders"]
            self.folders |= {event.node: Folders(**found)} if found else {}
            self.off.discard(event.node)

    def _kill(self, event: Event) -> None:
        """By its own file, whose number counts in the lab's PID namespace."""
        lab = self._lab
        node = RunningNode(event.node, lab[event.node].namespace, lab.processes, self.folders)
        done = node.run(["sh", "-c", f"kill -9 $(cat /run/frr/{event.daemon}.pid)"])
        if done.returncode:
            raise CheckFailed(f"{event.node}: {event.daemon} could not be killed: {done.stderr.strip()}")


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
