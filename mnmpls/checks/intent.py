"""Who is to answer whom: read off a completed lab, before anybody is asked. Pure."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..model import Lab
from ..plan import records
from .predict import Hop, vrf_at, ways
from .sampling import some
from .told import Told
from .views import World
from .vpn import END_POINTS, Call, Place, Site, Vpns, of_version


@dataclass(frozen=True, slots=True)
class End:
    """Who asks and is asked: a node, in its VRF device ``vrf`` or outside of all (empty)."""

    node: str
    vrf: str = ""

    @property
    def name(self) -> str:
        return f"{self.node} ({self.vrf})" if self.vrf else self.node


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who receives a request (None: nobody), and whether its answer finds back."""

    taker: str | None = None
    answers: bool = True


NOBODY = Outcome()


@dataclass(frozen=True, order=True, slots=True)
class Expectation:
    """When ``src`` pings ``address``, which is ``dst``'s, ``taker`` and nobody else receives it: the node of src's own
    VPN that has the address, or None when no node there has it. ``answers``: its answer finds the way back, which it
    does not where one of the two takes routes from the other and gives none."""

    src: str
    dst: str
    address: str
    taker: str | None
    answers: bool = True

    @property
    def answer(self) -> str | None:
        """The node that answers."""
        return self.taker if self.answers else None

    @property
    def reaches(self) -> bool:
        """Is dst itself the one that answers?"""
        return self.answer == self.dst

    @property
    def one_way(self) -> bool:
        return self.taker is not None and not self.answers

    @property
    def subject(self) -> str:
        if self.taker in (None, self.dst):
            return f"{self.src} -> {self.dst} ({self.address})"
        return f"{self.src} -> {self.taker} ({self.address}, also {self.dst}'s address)"

    @property
    def meant(self) -> str:
        if self.one_way:
            return f"{self.taker} was to receive it, and has no way back to {self.src}"
        return f"{self.taker} was to answer" if self.taker else "nobody was to answer"


class Intent:
    """Who is to answer whom in a lab: by route targets, and where plain routes join what no VPN does (sites outside
    all VRFs, routes that the user gave) or a host stands between two parts of a site, by the planned routes. In a lab
    without end points whatever nodes there are ask each other, in each of their VRFs and outside of these, and all is
    by the planned routes. Where BGP tells the routes of VRFs, by what it comes to tell to whom."""

    def __init__(self, lab: Lab) -> None:
        self.vpns = Vpns(lab)
        self.among_routers = not has_end_points(lab)
        outside = sum(any(not vrf.name for _, vrf in site.attached) for site in self.vpns.sites)
        self.told = Told(self.vpns) if lab.vpn.is_told else None
        self.by_routes = outside > 1 or any(node.routes for node in lab.nodes) or any(map(_is_split, self.vpns.sites))

    @cached_property
    def ends(self) -> Mapping[str, End]:
        """Whoever asks and is asked, by name."""
        if self.among_routers:
            return {end.name: end for end in self._places}
        return {name: End(name) for name, node in self.vpns.nodes.items() if node.role in END_POINTS}

    @cached_property
    def _places(self) -> Mapping[End, Place]:
        nodes = (name for name, node in self.vpns.nodes.items() if node.role != "bridge")
        return {End(name, place.vrf): place for name in nodes for place in self.vpns.places(name) if place.addresses}

    def called(self, hosts_only: bool, versions: tuple[int, ...]) -> list[list[tuple[str, str]]]:
        """Per IP version those of the ends that have an address of it, and the address."""
        nodes = self.vpns.nodes
        names = [name for name, end in self.ends.items() if not hosts_only or nodes[end.node].role == "host"]
        return [[(name, text) for name in names if (text := self._address(name, one))] for one in versions]

    def _address(self, name: str, version: int) -> str | None:
        if self.among_routers:
            return of_version(self._places[self.ends[name]].addresses, version)
        return self.vpns.address(name, version)

    @cached_property
    def world(self) -> World:
        """The plan's."""
        return World(self.vpns.lab, records(self.vpns.lab))

    @cached_property
    def _ruled(self) -> frozenset[str]:
        """Nodes of sites with policy routing: one address may be several nodes' there, each with its own callers."""
        return self._of_sites(frozenset(name for name, node in self.vpns.nodes.items() if node.rules))

    @cached_property
    def _parted(self) -> frozenset[str]:
        """Nodes of sites in which others would have to go through a host, which does not forward, and of those at
        several VRFs, to one of which their default routes lead."""
        several = (site for site in self.vpns.sites if _is_split(site) and not self.vpns.lab.has_daemons)
        return self._of_sites(self.vpns.between | {name for site in several for name in site.nodes})

    def _of_sites(self, names: frozenset[str]) -> frozenset[str]:
        return frozenset(name for site in self.vpns.sites if not names.isdisjoint(site.nodes) for name in site.nodes)

    def is_told(self, src: str, dst: str) -> bool:
        """Does the lab say what becomes of a request of one end to another? What addresses of its own a node with its
        own configuration makes known, or what such a PE lets through, no lab file tells; only that VPNs are joined by
        route targets, and so is a customer's site that such a CE joins to one."""
        near, far = self.ends[src].node, self.ends[dst].node
        if any(self.vpns.nodes[name].routes_itself for name in (near, far)):
            return False
        return self.among_routers or self.vpns.joined_by_targets(near, far)

    def outcome(self, src: str, text: str) -> Outcome:
        """What becomes of a request of ``src`` for this address."""
        if self.among_routers:
            return self._by_daemons(src, text) if self.vpns.lab.has_daemons else self._routed(src, text)
        if self.told and (found := self.told.outcome(src, text)):
            return Outcome(*found)
        owner = self.vpns.owner(src, text)
        if src in self._ruled or src in self._parted or owner in self._parted or (owner is None and self.by_routes):
            return self._routed(src, text)
        if owner is not None:
            return Outcome(owner)
        taker = self.vpns.one_way(src, text)
        return Outcome(taker, answers=False) if taker else NOBODY

    def _routed(self, src: str, text: str) -> Outcome:
        """The end point to which all ways lead, and whether its answers find back."""
        call = self.call(src, text)
        there, back = self._arrivals(call), self.world.source(call)
        found = next(iter(there)) if len(there) == 1 else ""
        return Outcome(found, bool(back) and self._arrivals(self.call(found, back)) == {src}) if found else NOBODY

    def call(self, src: str, text: str) -> Call:
        """How this end calls this address."""
        end = self.ends[src]
        source = self._address(src, 6 if ":" in text else 4) if end.vrf else None
        return Call(end.node, text, end.vrf, source or "")

    def _arrivals(self, of: Call) -> set[str]:
        """The ends where packets arrive; empty names stand for being dropped and for others."""
        return {self._name(one[-1]) for one in ways(self.world, of)}

    def _name(self, last: Hop) -> str:
        name = End(last.node, vrf_at(self.world.views[last.node], last)).name
        return name if last.operation == "deliver" and name in self.ends else ""

    def _by_daemons(self, src: str, text: str) -> Outcome:
        """They make routes to whatever routers have outside all VRFs, and between VRFs by route targets."""
        mine = self._places[self.ends[src]]
        theirs = (end.name for end, place in self._places.items() if text in place.addresses and mine.reaches(place))
        return Outcome(next(theirs, None))


def _is_split(site: Site) -> bool:
    """Whether it sends by one VRF and receives by another, as a hub does that its spokes talk through."""
    return len({(vrf.imports, vrf.exports) for _, vrf in site.attached}) > 1


def intended(lab: Lab, hosts_only: bool = False, version: int = 4) -> Mapping[tuple[str, str], Expectation]:
    """For each ordered pair of end points with an address of this IP version: who has to answer. Pure."""
    return {(one.src, one.dst): one for one in expectations(Intent(lab), hosts_only, (version,))}


def expectations(
    intent: Intent, hosts_only: bool, versions: tuple[int, ...] = (4, 6), most: int = sys.maxsize
) -> Iterator[Expectation]:
    """Those of all pairs, or of about ``most`` of them."""
    pairs, has_own = intent.called(hosts_only, versions), intent.vpns.lab.has_own
    total = sum(len(called) * (len(called) - 1) for called in pairs)
    for called in pairs:
        others = len(called) - 1
        for number in some(len(called) * others, most * len(called) * others // max(total, 1)):
            at, to = divmod(number, others)
            src, (dst, text) = called[at][0], called[to + (to >= at)]
            if intent.ends[src].node == intent.ends[dst].node:
                continue  # what a node has in one VRF is its own in another
            if not has_own or intent.is_told(src, dst):
                outcome = intent.outcome(src, text)
                yield Expectation(src, dst, text, outcome.taker, outcome.answers)


def has_end_points(lab: Lab) -> bool:
    """Two hosts or CEs to ask; else all that have addresses ask each other."""
    return sum(node.role in END_POINTS for node in lab.nodes) > 1


def count(lab: Lab) -> int:
    """How many pairs of ends a probe of the whole lab asks."""
    return len(list(expectations(Intent(lab), False))) if lab.has_own else _pairs(lab)


def unasked(lab: Lab) -> int:
    """How many pairs it does not ask, because a node's own configuration decides and the lab says nothing of it."""
    return _pairs(lab) - count(lab) if lab.has_own else 0


def _pairs(lab: Lab) -> int:
    intent = Intent(lab)
    total = 0
    for called in intent.called(False, (4, 6)):
        of_node = Counter(intent.ends[name].node for name, _ in called)
        total += len(called) ** 2 - sum(number**2 for number in of_node.values())
    return total
