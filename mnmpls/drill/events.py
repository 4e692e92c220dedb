"""What can be made to fail in a lab, and between whom there is another way then. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..checks.vpn import CUSTOMER, Vpns
from ..daemons import services
from ..errors import UsageError, nearest
from ..model import Lab, Link
from ..plan.graph import ROUTERS, network, spread

KINDS = ("port", "path", "node", "daemon")
"""A port is shut at one end; a path loses all packets, and no carrier; a node is turned off; a daemon is killed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One failure. ``ends`` are node and port of the link's ends, the one where it happens first; none for others."""

    kind: str
    node: str
    ends: tuple[tuple[str, str], ...] = ()
    daemon: str = ""

    @property
    def text(self) -> str:
        match self.kind:
            case "port":
                return f"{self.node}: port {self.ends[0][1]} shut ({self._link})"
            case "path":
                return f"path {self._link} drops everything, carriers stay ({self.ends[0][1]})"
            case "node":
                return f"{self.node}: turned off"
            case _:
                return f"{self.node}: {self.daemon} killed"

    @property
    def _link(self) -> str:
        return " - ".join(node for node, _ in self.ends)


def events(
    lab: Lab, kinds: Collection[str] = (), nodes: Collection[str] = (), daemons: Collection[str] = ()
) -> tuple[Event, ...]:
    """Of a completed lab, those of these kinds (all if none are named): ports and paths of the core's links, all
    routers, and the daemons of one of them. With ``nodes`` what happens at these, whatever they are; a link is
    concerned when an end of it is named, or both where both ends are. Raises UsageError for what is not there."""
    for node in nodes:
        if node not in {each.name for each in lab.nodes}:
            raise UsageError(f"drill: there is no node {node!r}; {nearest(node, [each.name for each in lab.nodes])}")
    found = tuple(each for kind in kinds or KINDS for each in _MADE[kind](lab, nodes))
    known = {each.daemon for each in found if each.daemon}
    for daemon in daemons:
        if daemon not in known:
            raise UsageError(f"drill: no {daemon!r} runs there; {nearest(daemon, known)}")
    return tuple(each for each in found if not (daemons and each.daemon) or each.daemon in daemons)


def _ports(lab: Lab, nodes: Collection[str]) -> Iterator[Event]:
    for link in _links(lab, nodes):
        ends = sorted(link.ports, key=lambda port: bool(nodes) and port.node not in nodes)
        yield Event("port", ends[0].node, tuple((port.node, port.name) for port in ends))


def _paths(lab: Lab, nodes: Collection[str]) -> Iterator[Event]:
    for link in _links(lab, nodes):
        yield Event("path", link.a.node, tuple((port.node, port.name) for port in link.ports))


def _links(lab: Lab, nodes: Collection[str]) -> list[Link]:
    if nodes:
        at_least = min(2, len(nodes))
        both = [link for link in lab.links if sum(port.node in nodes for port in link.ports) >= at_least]
        return both or [link for link in lab.links if any(port.node in nodes for port in link.ports)]
    net = network(lab)
    core = [link for link in lab.links if all(net.is_core(port) for port in link.ports)]
    return core or [link for link in lab.links if all(net.role(port.node) != "host" for port in link.ports)]


def _nodes(lab: Lab, nodes: Collection[str]) -> Iterator[Event]:
    for node in lab.nodes:
        if node.name in nodes or (not nodes and node.role in ROUTERS):
            yield Event("node", node.name)


def _daemons(lab: Lab, nodes: Collection[str]) -> Iterator[Event]:
    """Of the router that runs most of them, unless some are named."""
    known = services(lab)
    most = sorted(known, key=lambda name: -len(known[name]))[:1]
    for name in nodes or most:
        yield from (Event("daemon", name, daemon=one.name) for one in known.get(name, ()))


_MADE = {"port": _ports, "path": _paths, "node": _nodes, "daemon": _daemons}


class Detours:
    """Which end points are still joined while an event lasts, as far as wires and tunnels go."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._vpns, net = lab, Vpns(lab), network(lab)
        routers = {node.name for node in lab.nodes if node.role in ROUTERS}
        self._links = [
            link for link in lab.links
            if not {port.node for port in link.ports} <= routers or all(net.is_core(port) for port in link.ports)
        ]  # fmt: skip

    def exists(self, event: Event, src: str, dst: str) -> bool:
        """No customer is on the way of others."""
        if event.kind == "daemon":
            return True
        own = {*self._vpns.site_of[src].nodes, *self._vpns.site_of[dst].nodes}
        barred = {name for name, node in self._vpns.nodes.items() if node.role in CUSTOMER and name not in own}
        barred |= {event.node} if event.kind == "node" else set()
        beside: dict[str, list[str]] = defaultdict(list)
        for link in self._links:
            if tuple((port.node, port.name) for port in link.ports) not in (event.ends, event.ends[::-1]):
                beside[link.a.node].append(link.b.node)
                beside[link.b.node].append(link.a.node)
        return src not in barred and dst in spread([src], beside, barred)
