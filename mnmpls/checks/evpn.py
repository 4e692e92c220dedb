"""Stretched LANs: has each PE been told of the others and of who is behind them, in its daemon and in its kernel? And
of VRFs whose packets VXLAN carries, how to send to the others?"""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..asking import ask
from ..kernel.forwarding import EVERYBODY
from ..model import BY_EVPN, Evpn, Lab, Vrf
from ..plan.evpn import carried, carrier, device
from ..plan.graph import network
from ..plan.tunnels import loopback
from ..processes import Folders
from ..state import Route
from .findings import Finding
from .views import outside

if TYPE_CHECKING:
    from ..kernel import Namespace

_NEWS_S, _AGAIN_S = 5.0, 0.2
"""A PE tells of an address as soon as its bridge has learnt it; a busy machine takes its time."""

Behind = Mapping[str, frozenset[str]]
"""Where -> the MAC addresses there."""


def evpn_findings(
    lab: Lab, namespaces: Mapping[str, Namespace], folders: Mapping[str, Folders], off: Container[str]
) -> Iterator[Finding]:
    """One for each EVPN of each PE; PEs that are ``off``, and those with configurations of the user's own, tell nothing
    that is known here."""
    if not lab.evpns and lab.vpn.protocol != BY_EVPN:
        return
    yield from _of_vrfs(lab, namespaces, folders, off)
    net = network(lab)
    for evpn in lab.evpns:
        names = (name for name in net.stretched.get(evpn.name, ()) if name in folders and name not in off)
        pes = {name: loopback(net.nodes[name], (4,)) for name in names if not net.nodes[name].routes_itself}
        wrong = _settled(evpn, pes, namespaces, folders)
        for name in pes:
            others = " and ".join(other for other in pes if other != name) or "nobody"
            seen = "; ".join(wrong[name]) or f"sends to {others}"
            expected = "what is for one goes to its PE, what is for all to all PEs"
            where = name if wrong[name] else ""
            yield Finding("route", f"{name}: EVPN {evpn.name}", not wrong[name], expected, seen, where)


def _of_vrfs(
    lab: Lab, namespaces: Mapping[str, Namespace], folders: Mapping[str, Folders], off: Container[str]
) -> Iterator[Finding]:
    """One for each VRF of each such PE."""
    pes = [node for node in lab.nodes if node.name in folders and node.name not in off and not node.routes_itself]
    places = {loopback(node, (4,)): node.name for node in pes}
    for node in pes:
        for vrf in carried(lab, node):
            until = time.monotonic() + _NEWS_S
            while wrong := unsent(vrf, _asked(folders[node.name]), *_told(vrf, namespaces[node.name]), places):
                if time.monotonic() > until:
                    break
                time.sleep(_AGAIN_S)
            expected = "each PE that it has routes of gets its packets in VXLAN"
            seen = wrong or f"VNI {vrf.vni} is the VRF's"
            where = node.name if wrong else ""
            yield Finding("route", f"{node.name}: VNI of {vrf.name}", not wrong, expected, seen, where)


def _told(vrf: Vrf, namespace: Namespace) -> tuple[set[str], set[str]]:
    """The next hops of the routes in a PE's kernel that lead to other PEs, and those that it knows a way to."""
    routes = (one for one in namespace.learned() if isinstance(one, Route) and one.table == vrf.table)
    ways = {outside(hop.via) for route in routes for hop in route.hops if hop.port == carrier(vrf)}
    return ways, {one.via for one in namespace.bridged() if one.port == device(vrf)}


def unsent(vrf: Vrf, vnis: Mapping[str, Any], ways: set[str], known: set[str], places: Mapping[str, str]) -> str:
    """What is wrong with a VRF's VNI at a PE, whose daemon has ``vnis``, and whose kernel has routes by ``ways`` and
    has been told where ``known`` are; ``places`` are the PEs by their addresses."""
    said = vnis.get(str(vrf.vni), {})
    if (said.get("type"), said.get("tenantVrf")) != ("L3", vrf.name):
        return f"its daemon does not know VNI {vrf.vni} as the VRF's"
    lost = sorted(places.get(way, way) for way in ways - known)
    return f"it has routes by {_some(lost)}, to which its kernel does not know the way" if lost else ""


def _settled(
    evpn: Evpn, pes: Mapping[str, str], namespaces: Mapping[str, Namespace], folders: Mapping[str, Folders]
) -> Mapping[str, Sequence[str]]:
    """What is wrong at each PE, and stays so for a while."""
    until = time.monotonic() + _NEWS_S
    while True:
        kernels = {name: _by_place(evpn, namespaces[name]) for name in pes}
        daemons = {name: _in_zebra(folders[name], evpn) for name in pes}
        wrong = {name: list(faults(name, pes, kernels, daemons[name])) for name in pes}
        if not any(wrong.values()) or time.monotonic() > until:
            return wrong
        time.sleep(_AGAIN_S)


def faults(
    name: str, pes: Mapping[str, str], kernels: Mapping[str, Behind], daemon: frozenset[str] | None
) -> Iterator[str]:
    """What is wrong at one of the PEs (with their addresses), whose kernels have addresses behind the others and, as
    ``""``, behind their own ports; ``daemon``: the others that its daemon has, None if it does not have the LAN."""
    others = {other: address for other, address in pes.items() if other != name}
    mine = kernels[name]
    if daemon is None:
        yield "its daemon does not know the LAN"
        return
    for other, address in others.items():
        if address not in daemon:
            yield f"nobody has told it that {other} is on the LAN"
        elif EVERYBODY not in mine.get(address, ()):
            yield f"the daemon sends to {other} what is for all, and the kernel does not"
        elif lost := kernels[other].get("", frozenset()) - mine.get(address, frozenset()):
            yield f"{_some(lost)} behind {other}, which its kernel does not know"
    if more := (daemon | mine.keys()) - {"", *others.values()}:
        yield f"it sends to {_some(more)}, which is no PE of this LAN"


def _some(found: Iterable[str]) -> str:
    every = sorted(found)
    return ", ".join(every[:3]) + (f" and {len(every) - 3} more" if len(every) > 3 else "")


def _by_place(evpn: Evpn, namespace: Namespace) -> Behind:
    found: dict[str, set[str]] = {}
    for one in namespace.bridged():
        if one.via if one.port == device(evpn) else one.master == evpn.name:
            found.setdefault(one.via, set()).add(one.mac)
    return {place: frozenset(macs) for place, macs in found.items()}


def _asked(home: Folders) -> Mapping[str, Any]:
    """The VNIs that its daemon knows."""
    try:
        said = json.loads(ask(home, "zebra", "show evpn vni json") or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _in_zebra(home: Folders, evpn: Evpn) -> frozenset[str] | None:
    mine = _asked(home).get(str(evpn.vni))
    return None if mine is None else frozenset(mine.get("remoteVteps", ()))
