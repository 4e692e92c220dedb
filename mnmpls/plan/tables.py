"""What every VRF, and every CE that speaks a protocol, comes to know where daemons tell each other routes: by route
targets between VRFs (RFC 4364 4.3), by a protocol between PE and CE. Pure; a small path-vector protocol of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations

from ..model import NO_LOOPBACK, Lab, Node
from .graph import ROUTERS, Network, network, prefix_of
from .igp import outer_ports
from .instances import flows, instances, main_table
from .sites import local
from .spoken import Spoken, asns, labelled, speakers, spoken

Table = tuple[str, str]
"""A node and its VRF; a CE's, and a PE's main table, have the empty one."""


@dataclass(frozen=True, slots=True)
class Known:
    """How a table knows a prefix: ``source`` is the table that told it (None: its own), ``by_vpn`` whether that came by
    route targets. ``path`` are the AS numbers on the way, ``origins`` the sites of origin that it is marked with."""

    source: Table | None = None
    by_vpn: bool = False
    path: tuple[int, ...] = ()
    origins: frozenset[str] = frozenset()
    ospf: bool = False
    by_igp: bool = False
    """Told by the core's routing protocol, to a main table."""


OWN = Known()
DEFAULTS = ("0.0.0.0/0", "::/0")
Tables = Mapping[Table, Mapping[str, Known]]


@dataclass(frozen=True, slots=True)
class _Teller:
    """Who tells ``to`` what ``of`` knows."""

    of: Table
    to: Table
    spoken: Spoken | None = None
    """None: by route targets, or by the core's routing protocol."""
    by_igp: bool = False


def tables(lab: Lab) -> Tables:
    """Table -> prefix -> the best that it knows of it, for a completed lab."""
    net = network(lab)
    own = _own(lab, net)
    tellers = list(_tellers(lab, net))
    within = asns(lab)
    mild = any(link.routing.allow_own_as for link in lab.links)
    known: dict[Table, dict[str, Known]] = own
    for _ in range(2 * len(own) + 2):
        before, known = known, {table: dict(found) for table, found in own.items()}
        for teller in tellers:
            for prefix, what in before[teller.of].items():
                told = _told(prefix, what, teller, within, mild)
                if told and (prefix not in known[teller.to] or _worth(told) < _worth(known[teller.to][prefix])):
                    known[teller.to][prefix] = told
        if known == before:
            break
    return known


def _own(lab: Lab, net: Network) -> dict[Table, dict[str, Known]]:
    found = {key: dict.fromkeys(each.known, OWN) for key, each in instances(net).items()}
    found |= {(node.name, ""): dict.fromkeys(main_table(net, node).known, OWN) for node in labelled(lab)}
    found |= {(node.name, ""): dict.fromkeys(main_table(net, node).known, OWN) for node in _beside_leaks(lab, net)}
    for name in speakers(net):
        node = net.nodes[name]
        near, behind = local(net, node, None)
        given = (prefix_of(route.dst) for route in node.routes if route.dst and route.vrf is None)
        loopbacks = (prefix_of(cidr) for cidr in node.loopbacks if cidr != NO_LOOPBACK)
        found[name, ""] = dict.fromkeys([*near, *behind, *given, *loopbacks], OWN)
    return found


def _tellers(lab: Lab, net: Network) -> Iterator[_Teller]:
    """By route targets and labels only those of one provider."""
    within = asns(lab)
    for node, other in permutations(labelled(lab), 2):
        if within[node.name] == within[other.name]:
            yield _Teller((node.name, ""), (other.name, ""))
    for node, other in permutations(_beside_leaks(lab, net), 2):
        yield _Teller((node.name, ""), (other.name, ""), by_igp=True)
    for key, importers in flows(instances(net)).items():
        for importer in importers:
            if within[key[0]] == within[importer.node.name]:
                yield _Teller(key, importer.key)
    for pair in spoken(net):
        near, far = (pair.near.node, pair.near.vrf or ""), (pair.far.node, pair.far.vrf or "")
        yield _Teller(near, far, pair)
        if not pair.far.vrf:
            yield _Teller(far, near, pair)


def _beside_leaks(lab: Lab, net: Network) -> list[Node]:
    """Where a main table and VRFs have routes of each other: all routers with customers outside of VRFs, of whom the
    core's routing protocol tells the others."""
    if not any(node.imports or node.exports for node in lab.nodes):
        return []
    routers = (node for node in lab.nodes if node.role in ROUTERS)
    return [node for node in routers if node.imports or node.exports or outer_ports(net, node)]


def _told(prefix: str, what: Known, teller: _Teller, within: Mapping[str, int], mild: bool) -> Known | None:
    """What arrives of it; None for what is not told or not taken."""
    if teller.by_igp:
        return Known(teller.of, by_igp=True) if what.source is None and prefix not in DEFAULTS else None
    if teller.spoken is None:
        mine = within[teller.to[0]]
        loop = teller.of[0] != teller.to[0] and mine in what.path and not mild
        return None if what.by_vpn or what.by_igp or loop else replace(what, source=teller.of, by_vpn=True)
    routing = teller.spoken.routing
    from_pe = teller.of == (teller.spoken.near.node, teller.spoken.near.vrf)
    if routing.protocol == "ospf":  # in which no default is redistributed, and PEs tell PEs nothing (RFC 4577 4.2.5.1)
        is_told = prefix not in DEFAULTS and (from_pe or not what.ospf)
        return Known(teller.of, ospf=True) if is_told else None
    path = what.path
    if from_pe and routing.as_override:
        path = tuple(within[teller.of[0]] if asn == within[teller.to[0]] else asn for asn in path)
    path = (within[teller.of[0]], *path)
    mark = {routing.site_of_origin} - {""}
    if (from_pe and mark & what.origins) or (within[teller.to[0]] in path and not _takes_own(teller)):
        return None
    return Known(teller.of, False, path, what.origins | mark if not from_pe else what.origins)


def _takes_own(teller: _Teller) -> bool:
    return teller.spoken is not None and bool(teller.to[1]) and teller.spoken.routing.allow_own_as


def _worth(known: Known) -> tuple[object, ...]:
    """The least is the best: what is one's own, then OSPF's, then by the path's length, then what a neighbour told."""
    return known.source is not None, not known.ospf, len(known.path), known.by_vpn, known.source or ()
