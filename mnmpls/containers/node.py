"""One node of a lab in the network namespace that a container runtime has made for it, set up by the same plan and the
same apply as everywhere, and set up again whenever the runtime has taken away what was there: ``docker restart`` loses
links at both ends, and Containerlab puts them back without telling anybody."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..apply import Difference, apply, remove_added
from ..checks.drift import needs
from ..errors import CheckFailed, KernelRefused
from ..export.containerlab import READY_FILE
from ..kernel.events import LinkEvents
from ..model import Lab
from ..plan import complete, records
from ..plan.origins import located
from ..processes import Processes
from ..services import Services
from ..state import Port, Record, Sysctl
from ..wording import words
from .change import Questions
from .space import NodeNamespace, wires_of

_SETTLED_S = 0.05
"""Links come one after the other: what is set up before the last is set up twice."""
_TOLD_AGAIN_S = 30.0


class Keeper:
    """The node ``name`` of the completed ``lab``, in this process's network namespace. ``say`` hears what happens;
    ``ready`` is a file that is there while the node is set up. With ``up``, a port is there while it is up only. Of
    its ports the runtime makes ``links`` only, where it was asked for some of the lab's nodes."""

    def __init__(
        self, lab: Lab, name: str, say: Callable[[str], None], ready: str = READY_FILE, up: bool = False,
        links: int | None = None,
    ) -> None:  # fmt: skip
        """Raises LabError, KernelRefused."""
        self.lab, self.name, self.say, self.ready, self.up = lab, name, say, Path(ready), up
        self.wanted = records(lab)[name]
        self.ports = wires_of(lab, name)
        self.enough = len(self.ports) if links is None else min(links, len(self.ports))
        self.namespace = NodeNamespace.of("/proc/self/ns/net", self.ports, self.wanted)
        self.events, self.questions = LinkEvents(self.namespace), Questions()
        self.services = Services(Processes(), say, own_folders=False)
        self._unsettable: tuple[Sysctl, ...] = ()

    def keep(self) -> None:
        """For ever. Raises KernelRefused, CheckFailed for what cannot be set up."""
        self.say(f"{self.name} of lab {self.lab.name}, with {', '.join(self.ports) or 'no ports'}")
        done: Mapping[str, int] = {}
        while True:
            self.ready.unlink(missing_ok=True)
            here = self._await_ports()
            absent = [port for port in self.ports if port not in here]
            wanted = self._without(absent)
            if not self._is_made(wanted, here):
                continue
            self.ready.touch()
            again = ", again" if done else ""
            without = f"; without {', '.join(absent)}, which nobody has made" if absent else ""
            self.say(f"ready{again}: {len(wanted)} records are in the kernel{without}")
            done = here
            while self._numbers() == done and not (self.up and self._flapped()):
                self._wait()

    def _is_made(self, wanted: frozenset[Record], here: Mapping[str, int]) -> bool:
        """False where ports came or went meanwhile, by which the kernel has refused what needs them. Raises
        KernelRefused."""
        try:
            self._set_up(wanted)
            while self._flapped():  # a port that joins a VRF, by its driver (vrf.c, cycle_netdev); or by anybody
                self._set_up(wanted)
        except KernelRefused:
            if self._numbers() == here and not self._flapped():
                raise
            return False
        return True

    def _wait(self, timeout_s: float | None = None) -> bool:
        """Until something happened to ports, and True then; who asks for something meanwhile is answered."""
        heard = select.select([self.events.fileno(), self.questions.fileno()], [], [], timeout_s)[0]
        if self.questions.fileno() in heard:
            self.questions.answer(self.change)
        return self.events.wait(0)

    def change(self, lab: Lab) -> Difference:
        """Of what the lab is now only the difference is made. Raises MnmplsError."""
        lab = complete(lab)
        if wires_of(lab, self.name) != self.ports:
            raise CheckFailed(f"{self.name}: its links are others now, which the container runtime makes")
        before, self.lab, self.wanted = self.wanted, lab, records(lab)[self.name]
        self.namespace.own(self.ports, self.wanted | before)
        if not self.ready.exists():
            return Difference()  # it will be set up like this
        self.services.end_others(lab)
        undone = remove_added(self.wanted | before, self.namespace, self.name)
        here = self._numbers()
        done = undone + self._set_up(self._without([port for port in self.ports if port not in here]))
        if done:
            self.say(f"changed: {len(done.remove)} records went, {len(done.write)} were written")
        return done

    def _numbers(self) -> Mapping[str, int]:
        """Interface indexes of those ports that are there; a port that was made anew has another."""
        there = self.namespace.indexes(self.up)
        return {port: there[port] for port in self.ports if port in there}

    def _flapped(self) -> bool:
        """Was a port down, by which it has lost routes and addresses, since this was asked last?"""
        self.events.wait(0)
        return bool(self.events.downs(self.ports))

    def _await_ports(self) -> Mapping[str, int]:
        told: list[str] = []
        while len(here := self._numbers()) < self.enough:
            if (absent := [port for port in self.ports if port not in here]) != told:
                self.say(f"waiting for {', '.join(absent)}")
                told = absent
            if not self._wait(_TOLD_AGAIN_S):
                told = []
        while self._wait(_SETTLED_S):
            pass
        self._flapped()
        return self._numbers()

    def _without(self, absent: Sequence[str]) -> frozenset[Record]:
        gone = [Port(name) for name in absent]
        return frozenset(record for record in self.wanted if not any(needs(record, port) for port in gone))

    def _set_up(self, wanted: frozenset[Record]) -> Difference:
        with located(self.lab):
            done = apply(self._settable(wanted), self.namespace, self.name)
        others = {node.name for node in self.lab.nodes if node.name != self.name}
        self.services.fit(self.lab, {self.name: self.namespace}, others)
        return done

    def _settable(self, wanted: frozenset[Record]) -> frozenset[Record]:
        """Without ``privileged: true`` /proc/sys is read-only, and what is not there already stays as it is: said once
        for each, for something will not work."""
        if not os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
            return wanted
        settings = frozenset(record for record in wanted if isinstance(record, Sysctl))
        lacking = tuple(sorted(settings - self.namespace.observe([record.key for record in settings])))
        for record in lacking if lacking != self._unsettable else ():
            self.say(f"cannot set {words(record)}: /proc/sys is read-only here; give the node privileged: true")
        self._unsettable = lacking
        return wanted - settings
