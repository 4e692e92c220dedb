"""Stretched LANs: has each PE been told of the others and of who is behind them, in its daemon and in its kernel?"""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..asking import ask
from ..kernel.forwarding import EVERYBODY
from ..model import Evpn, Lab
from ..plan.evpn import device
from ..plan.graph import network
from ..plan.tunnels import loopback
from ..processes import Folders
from .findings import Finding

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
    if not lab.evpns:
        return
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


def _in_zebra(home: Folders, evpn: Evpn) -> frozenset[str] | None:
    try:
        said: Any = json.loads(ask(home, "zebra", "show evpn vni json") or "{}")
    except ValueError:
        return None
    mine = said.get(str(evpn.vni))
    return None if mine is None else frozenset(mine.get("remoteVteps", ()))
