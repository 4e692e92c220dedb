"""Our own runtime: a lab as network namespaces and wires of this process, near the speed of bare netlink."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from ipaddress import ip_address
from types import TracebackType

from . import checks
from .apply import Difference, apply, early, remove_added
from .checks import reach, trace
from .checks.ready import await_reach
from .checks.whole import drift_of
from .errors import nearest
from .kernel import Namespace, Wire, wires
from .model import Lab, Port
from .node import NoSuchNode, RunningNode
from .phases import uncollected
from .plan import complete, records
from .plan.origins import located
from .power import turn_off, turn_on
from .processes import Folders, Processes, run_lines
from .services import Services
from .state import Record

_Wire = tuple[Port, Port]


def is_address(text: str) -> bool:
    """Rather than a node's name."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class LabNodes(Mapping[str, RunningNode]):
    """A lab's running nodes by name, whoever made them, and what can be asked of the whole."""

    elsewhere: frozenset[str] = frozenset()
    """Nodes that run on other machines: nothing of them is here but their names."""

    def __init__(
        self,
        lab: Lab,
        processes: Processes,
        namespaces: Mapping[str, Namespace],
        folders: Mapping[str, Folders],
        off: Collection[str] = (),
    ) -> None:
        """``folders`` are those of the nodes that have daemons, ``off`` the nodes that are turned off. Raises LabError
        for a lab that is wrong."""
        self.lab = complete(lab)
        self.records: Mapping[str, frozenset[Record]] = records(self.lab)
        self.processes, self.folders, self.off = processes, folders, set(off)
        self._nodes = {name: RunningNode(name, each, processes, folders) for name, each in namespaces.items()}

    def __getitem__(self, name: str) -> RunningNode:
        if name not in self._nodes:
            raise NoSuchNode(f"lab {self.lab.name} has no node {name!r}; {nearest(name, tuple(self._nodes))}")
        return self._nodes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def namespaces(self) -> dict[str, Namespace]:
        return {name: node.namespace for name, node in list(self._nodes.items())}  # another thread may add some

    def check(self, limit_s: float = checks.LIMIT_S) -> checks.Report:
        """Reachability, isolation, labels on the wire, MTU, drift: see mnmpls.checks. What does not fit into the time
        limit is left out, and the report's notes say so."""
        seen = self.namespaces, limit_s, self.folders, self.off, self.drift_at, self.elsewhere
        return checks.check(self.lab, self.records, *seen)

    def drift_at(self, node: str) -> Iterable[checks.Finding]:
        """What in a node's kernel differs from its records."""
        return drift_of(node, self.records, self.namespaces, self.off)

    def probe(self) -> tuple[reach.Result, ...]:
        """Who answers whom."""
        return reach.probe(self.lab, self.namespaces)

    def trace(self, src: str, dst: str) -> trace.Trace:
        """One packet's way from ``src`` to ``dst`` (a node or an address) and back, as captured, beside what the
        records say."""
        for name in (src, *([] if is_address(dst) else [dst])):
            self[name]
        return trace.trace(self.lab, self.records, self.namespaces, src, dst)

    def await_reach(self, limit_s: float, tell: Callable[[str], None] = lambda _: None) -> str:
        """Until everybody answers who should and nobody else: nothing then; after ``limit_s``, what is wrong. With a
        limit of 0 nobody is asked. ``tell`` hears what the daemons are still waiting for, whenever that changes."""
        return await_reach(self.lab, self.namespaces, self.folders, limit_s, tell)

    def close(self) -> None:
        """Let go of the nodes; a lab of this process's own is gone then. Harmless when done before."""
        self.processes.end()
        for node in self._nodes.values():
            node.namespace.close()
        self._nodes.clear()


class RunningLab(LabNodes):
    """A lab that this process has. It ends with ``close``, with the ``with`` block, or with this process, however that
    comes: namespaces are held by descriptors, processes by a PID namespace (see processes.py)."""

    def __init__(self, lab: Lab) -> None:
        """Bring it up. Raises LabError before anything is made, KernelRefused when nothing is left of it."""
        processes = Processes()
        self.services, self._ran_lines = Services(processes), False
        with uncollected():
            super().__init__(lab, processes, {}, self.services.folders)
        self.beside = ExitStack()  # what goes with the lab, first
        try:
            with uncollected():
                self._grow()
                self._apply()
            self.services.fit(self.lab, self.namespaces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.beside.close()
        self.services.close()
        super().close()

    def __enter__(self) -> RunningLab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def change(self, lab: Lab) -> dict[str, Difference]:
        """Make the running lab into ``lab``: only the difference is made, and what is not in it any more goes, with
        what was added by hand to VRFs and label tables.

        Raises LabError before anything was changed, KernelRefused in the middle of it.
        """
        wanted = complete(lab)
        planned = records(wanted)
        former, before, self.lab, self.records = self.lab, self.records, wanted, planned
        made, kept = _wires(former), _wires(wanted)
        # With those that go: what is in the way of new ones, a tunnel that becomes a wire.
        for end in (*(a for a, _ in made.keys() - kept.keys()), *(end for new in kept.keys() - made for end in new)):
            namespace = self._nodes[end.node].namespace if end.node in self._nodes else None
            if namespace and end.name in namespace.ports():
                namespace.delete_port(end.name)
        for name in [name for name in self._nodes if name not in planned]:
            self._nodes.pop(name).namespace.close()
        self.off &= self._nodes.keys()
        self._grow(made.keys() & kept.keys())
        self.services.end_others(wanted)
        own = {name: planned[name] | before.get(name, frozenset()) for name in self._nodes}
        undone = {name: remove_added(own[name], node.namespace, name) for name, node in self._nodes.items()}
        done = {name: undone[name] + done for name, done in self._apply().items()}
        self.services.fit(wanted, self.namespaces, self.off)
        return done

    def stop(self, name: str) -> None:
        """Turn a node off: its daemons and all else that runs in it end, its neighbours lose their carriers. Harmless
        for one that is off."""
        node = self[name]
        if name not in self.off:
            self.off.add(name)
            turn_off(name, node.namespace, self.processes, self.services.cut)

    def start(self, name: str) -> None:
        """Turn it on again, its ``exec`` lines too if they were run before. Of one that is on, daemons that stayed down
        are started. Raises CheckFailed for a daemon that does not start, or an ``exec`` line that fails."""
        node, was_off = self[name], name in self.off
        self.off.discard(name)
        if was_off:
            with located(self.lab):
                turn_on(name, node.namespace, self.records[name])
        self.services.fit(self.lab, self.namespaces, self.off)
        self.services.renew(name)
        if was_off and self._ran_lines:
            run_lines(name, self.lab.node(name).exec, node.popen)

    def run_lines(self) -> None:
        """Each node's ``exec`` lines, in order, their output with our own. Raises CheckFailed for one that fails."""
        self._ran_lines = True
        for node in self.lab.nodes:
            run_lines(node.name, node.exec, self[node.name].popen)

    def _grow(self, made: Collection[_Wire] = ()) -> None:
        """The nodes and wires that are not there yet."""
        for node in self.lab.nodes:
            if node.name not in self._nodes:
                created = Namespace.create(early(self.records[node.name]))
                self._nodes[node.name] = RunningNode(node.name, created, self.processes, self.folders)
        spaces = self.namespaces
        new = (pair for pair in _wires(self.lab) if pair not in made)
        with located(self.lab):
            wires([Wire(spaces[a.node], a.name, spaces[b.node], b.name, (a.mac or "", b.mac or "")) for a, b in new])

    def _apply(self) -> dict[str, Difference]:
        with located(self.lab):
            on = {name: node.namespace for name, node in self._nodes.items() if name not in self.off}
            return {name: apply(self.records[name], namespace, name) for name, namespace in on.items()}


def _wires(lab: Lab) -> dict[_Wire, None]:
    """What of each wire cannot be changed once it is made, in the lab's order; the rest are records, and so are
    tunnels."""
    return {_ends(*link.ports): None for link in lab.links if link.is_wire}


def _ends(a: Port, b: Port) -> _Wire:
    return Port(a.node, a.name, mac=a.mac), Port(b.node, b.name, mac=b.mac)
