"""What can be made to fail in a lab, and between whom there is another way then. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
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
        self._vpns, self._net = Vpns(lab), network(lab)
        routers = {node.name for node in lab.nodes if node.role in ROUTERS}
        self._wires = [link for link in lab.links if link.is_wire and not any(port.vrf for port in link.ports)]
        self._links = [
            link for link in lab.links
            if self._is_core(link) or not (self._is_beneath(link) or {port.node for port in link.ports} <= routers)
        ]  # fmt: skip

    def _is_core(self, link: Link) -> bool:
        return all(self._net.is_core(port) for port in link.ports)

    def _is_beneath(self, link: Link) -> bool:
        """Does it carry the core's tunnels, and no labels?"""
        return any(self._net.segment_of.get((port.node, port.name)) in self._net.beneath for port in link.ports)

    def exists(self, event: Event, src: str, dst: str) -> bool:
        """No customer is on the way of others, and a tunnel of the core goes with what carries it."""
        if event.kind == "daemon":
            return True
        own = {*self._vpns.site_of[src].nodes, *self._vpns.site_of[dst].nodes}
        barred = {name for name, node in self._vpns.nodes.items() if node.role in CUSTOMER and name not in own}
        off = {event.node} if event.kind == "node" else set()
        wires = _beside(self._wires, event)
        standing = (
            link for link in self._links
            if link.is_wire or not self._is_core(link) or link.b.node in spread([link.a.node], wires, off)
        )  # fmt: skip
        return src not in off and dst in spread([src], _beside(standing, event), barred | off)


def _beside(links: Iterable[Link], event: Event) -> dict[str, list[str]]:
    """Node -> those it has a link to, but for the one that fails."""
    found: dict[str, list[str]] = defaultdict(list)
    for link in links:
        if tuple((port.node, port.name) for port in link.ports) not in (event.ends, event.ends[::-1]):
            found[link.a.node].append(link.b.node)
            found[link.b.node].append(link.a.node)
    return found
