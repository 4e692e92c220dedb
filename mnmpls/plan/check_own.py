"""What can be wrong with nodes whose routing daemons have configurations of the user's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..errors import nearest
from ..model import FRR, FRR_DAEMONS, NODE_DAEMONS, STATIC, Igp, Lab, Node
from .graph import ROUTERS

Fault = tuple[str, str]


def own_faults(lab: Lab) -> Iterator[Fault]:
    """Keys that would do nothing at such a node, and cores of which nobody could make the routes."""
    for node in lab.nodes:
        yield from _unknown_daemons(node)
        if node.routes_itself:
            yield from _idle_keys(node, f"nodes.{node.name}")
        elif node.own and node.role == "bridge":
            yield place_of(node), f"{node.name} is a bridge, which has no packets of its own: take this out"
    has_vpns = lab.lsps or any(node.vrfs for node in lab.nodes if not node.routes_itself)
    if lab.has_own_routers and lab.labels.protocol == STATIC and (has_vpns or not lab.has_daemons):
        yield from _half_planned(lab)


def _unknown_daemons(node: Node) -> Iterator[Fault]:
    """A reader finds no such thing; a lab that was made in Python may have it."""
    found = Counter(each.daemon for each in node.own)
    for daemon, number in found.items():
        if daemon not in NODE_DAEMONS:
            yield f"nodes.{node.name}", f"there is no daemon {daemon!r}; {nearest(daemon, NODE_DAEMONS)}"
        elif number > 1 or (daemon == FRR and not found.keys().isdisjoint(FRR_DAEMONS)):
            yield f"nodes.{node.name}", f"{daemon} has more than one configuration: give one file for all, or one each"


def place_of(node: Node) -> str:
    """Where its own configuration stands in the lab."""
    first = node.own[0].daemon
    return f"nodes.{node.name}.{FRR if first in FRR_DAEMONS else first}"


def _idle_keys(node: Node, where: str) -> Iterator[Fault]:
    if node.role == "bridge":
        yield place_of(node), f"{node.name} is a bridge, which routes nothing: take this out, or change its role"
    text = f"{node.name}'s routes and labels are its own configuration's: say it there, or take that out"
    idle = {
        "gateway": node.gateway,
        "igp": node.igp != Igp(),
        "label_range": node.label_range,
        "main": node.imports + node.exports,
    }
    yield from ((f"{where}.{key}", text) for key, value in idle.items() if value)
    yield from ((f"{where}.vrfs.{vrf.name}.rd", text) for vrf in node.vrfs if vrf.rd)


def _half_planned(lab: Lab) -> Iterator[Fault]:
    """A planned route does not lead through a router that knows nothing of the plan."""
    own = next(node for node in lab.nodes if node.routes_itself and node.role in ROUTERS)
    for node in lab.nodes:
        if node.role in ROUTERS and not node.routes_itself:
            text = f"{own.name} has its own configuration, and {node.name}'s routes and labels are planned"
            yield f"nodes.{node.name}", f"{text}: give igp, labels and vpn, or {node.name} a configuration, too"
    for i in range(len(lab.lsps)):
        yield f"lsps[{i}]", f"{own.name} has its own configuration, which knows nothing of this: take one of them out"
