"""Routes that BGP and what PEs and CEs speak were to tell: are they where they belong, in the daemon and in the kernel,
and no others?"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Any

from ..asking import ask
from ..model import Lab
from ..plan.graph import ROUTERS, network, sites
from ..plan.tables import Known, Table, tables
from ..processes import Folders
from ..state import MAIN_TABLE, Route
from .findings import Finding

if TYPE_CHECKING:
    from ..kernel import Namespace

TELLERS = ("bgp", "ospf", "ospf6")
"""What zebra calls them."""
_SHOWN = 4
_STATES = ("failed", "queued", "installed")
"""zebra/zebra_vty.c, vty_show_ip_route"""
_VERSIONS = (("ip", "ipv4"), ("ipv6", "ipv6"))
"""As zebra and bgpd write them."""


def told_routes(
    lab: Lab, namespaces: Mapping[str, Namespace], folders: Mapping[str, Folders], off: Container[str]
) -> Iterator[Finding]:
    """One finding for each VRF, and for each CE that speaks a protocol; nodes that are ``off`` tell nothing, and what
    those with configurations of the user's own tell and take is not known."""
    own = {node.name for node in lab.nodes if node.routes_itself}
    alive = _without(lab, off)
    wanted = tables(alive) if lab.vpn.is_told else {}
    for (node, vrf), known in wanted.items():
        is_core = not vrf and lab.node(node).role in ROUTERS  # whose table has the core's routes, too
        if node not in folders or node in own:
            continue
        by_vpn = {prefix: what for prefix, what in known.items() if not what.by_igp}
        told = {prefix for prefix, what in by_vpn.items() if what.source and what.source[0] not in own}
        home = folders[node]
        states = _in_zebra(home, vrf, TELLERS[:1] if is_core else TELLERS)
        kernel = _in_kernel(lab, node, vrf, namespaces[node])
        daemon = kernel if lab.node(node).daemon == "bird" else {*states}
        kernel = kernel & (told | daemon) if is_core else kernel
        daemon, kernel = (without_neighbours(lab, told, found) for found in (daemon, kernel))
        wrong = list(faults(told, *((daemon & told, kernel & told) if own else (daemon, kernel))))
        wrong += stated({prefix: states[prefix] for prefix in states.keys() & told - kernel})
        if not vrf and not is_core:
            wrong += _returned(home, _own(alive, node, wanted))
        subject = f"{node}: routes in {vrf}" if vrf else f"{node}: routes told to it"
        seen = "; ".join(wrong) or f"{len(told)} in the daemon and in the kernel"
        yield Finding("route", subject, not wrong, "all that is told and no more", seen, node if wrong else "")


def _without(lab: Lab, off: Container[str]) -> Lab:
    links = (link for link in lab.links if not any(port.node in off for port in link.ports))
    return replace(lab, nodes=tuple(node for node in lab.nodes if node.name not in off), links=tuple(links))


def faults(told: set[str], daemon: set[str], kernel: set[str]) -> Iterator[str]:
    """What is wrong with a table: prefixes that it was told, those in the daemon, those in the kernel."""
    if lost := told - daemon:
        yield f"nobody has told it {_some(lost)}"
    if lost := (daemon & told) - kernel:
        yield f"the daemon has {_some(lost)}, and the kernel has not"
    if more := (daemon | kernel) - told:
        yield f"it has {_some(more)}, which nobody was to tell it"


def stated(states: Mapping[str, str]) -> Iterator[str]:
    """What zebra says of prefixes that its kernel has not: one that it calls installed was taken away behind its back,
    one that failed was refused, and zebra asks no second time."""
    for state in dict.fromkeys(states.values()):
        yield f"zebra calls {_some(prefix for prefix in states if states[prefix] == state)} {state}"


def without_neighbours(lab: Lab, told: Set[str], found: Set[str]) -> set[str]:
    """But single addresses on stretched LANs that PEs route for, of which they tell as soon as they have heard them."""
    lans = [ip_interface(text).network for evpn in lab.evpns for text in evpn.gateway]
    nets = {prefix: ip_network(prefix) for prefix in (found - told if lans else ())}
    heard = {text for text, net in nets.items() if net.num_addresses == 1 and any(net[0] in lan for lan in lans)}
    return {*found - heard}


def _some(prefixes: Iterable[str]) -> str:
    every = sorted(prefixes)
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")


def _in_kernel(lab: Lab, node: str, vrf: str, namespace: Namespace) -> set[str]:
    table = next((each.table for each in lab.node(node).vrfs if each.name == vrf), MAIN_TABLE)
    return {one.dst for one in namespace.learned() if isinstance(one, Route) and one.table == table}


def _in_zebra(home: Folders, vrf: str, tellers: Sequence[str]) -> dict[str, str]:
    """Those that a protocol told and that won, with the kernel's answer as zebra has it."""
    found: dict[str, str] = {}
    for family, _ in _VERSIONS:
        routes = _said(home, "zebra", f"show {family} route {f'vrf {vrf} ' if vrf else ''}json")
        for prefix, ways in routes.items():
            for way in ways:
                if way.get("selected") and way.get("protocol") in tellers:
                    found[prefix] = next((state for state in _STATES if way.get(state)), "not installed")
    return found


def _own(lab: Lab, node: str, known: Mapping[Table, Mapping[str, Known]]) -> set[str]:
    """What the CEs of its site tell as theirs."""
    site = next(site for site in sites(network(lab)) if node in site.nodes)
    tables = (known.get((name, ""), {}) for name in site.nodes)
    return {prefix for some in tables for prefix, what in some.items() if what.source is None}


def _returned(home: Folders, own: set[str]) -> Iterator[str]:
    """Routes of the site itself that came back to it, by way of the provider: whose own are but one AS away."""
    for _, family in _VERSIONS:
        routes = _said(home, "bgpd", f"show bgp {family} unicast json").get("routes", {})
        back = {prefix for prefix in own & routes.keys() if any(_is_far(path) for path in routes[prefix])}
        if back:
            remedy = "give all links of the site one site_of_origin"
            yield f"its own site's {_some(back)} came back from the provider, which may loop: {remedy}"


def _is_far(path: Mapping[str, Any]) -> bool:
    return path.get("pathFrom") == "external" and len(str(path.get("path", "")).split()) > 1


def _said(home: Folders, daemon: str, question: str) -> Mapping[str, Any]:
    try:
        said = json.loads(ask(home, daemon, question) or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
