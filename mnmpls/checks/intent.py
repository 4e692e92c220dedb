"""Who is to answer whom: read off a completed lab, before anybody is asked. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..model import Lab
from ..plan import records
from .predict import ways
from .sampling import some
from .views import World
from .vpn import END_POINTS, Call, Site, Vpns


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
    all VRFs, routes that the user gave) or a host stands between two parts of a site, by the planned routes."""

    def __init__(self, lab: Lab) -> None:
        self.vpns = Vpns(lab)
        outside = sum(any(not vrf.name for _, vrf in site.attached) for site in self.vpns.sites)
        self.by_routes = outside > 1 or any(node.routes for node in lab.nodes) or any(map(_is_split, self.vpns.sites))

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
        """Nodes of sites in which others would have to go through a host: hosts do not forward."""
        return self._of_sites(self.vpns.between)

    def _of_sites(self, names: frozenset[str]) -> frozenset[str]:
        return frozenset(name for site in self.vpns.sites if not names.isdisjoint(site.nodes) for name in site.nodes)

    def outcome(self, src: str, text: str) -> Outcome:
        """What becomes of a request of ``src`` for this address."""
        owner = self.vpns.owner(src, text)
        if src in self._ruled or src in self._parted or owner in self._parted or (owner is None and self.by_routes):
            return self._routed(src, text)
        if owner is not None:
            return Outcome(owner)
        taker = self.vpns.one_way(src, text)
        return Outcome(taker, answers=False) if taker else NOBODY

    def _routed(self, src: str, text: str) -> Outcome:
        """The end point to which all ways lead, and whether its answers find back."""
        there = self._ends(Call(src, text))
        back = self.world.source(Call(src, text))
        found = next(iter(there)) if len(there) == 1 else ""
        return Outcome(found, bool(back) and self._ends(Call(found, back)) == {src}) if found else NOBODY

    def _ends(self, of: Call) -> set[str]:
        """The end points where packets arrive; empty names stand for being dropped and for routers."""
        ends = (one[-1] for one in ways(self.world, of))
        roles = self.vpns.nodes
        return {hop.node if hop.operation == "deliver" and roles[hop.node].role in END_POINTS else "" for hop in ends}


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
    pairs = _called(intent.vpns, hosts_only, versions)
    total = sum(len(called) * (len(called) - 1) for called in pairs)
    for called in pairs:
        others = len(called) - 1
        for number in some(len(called) * others, most * len(called) * others // max(total, 1)):
            at, to = divmod(number, others)
            src, (dst, text) = called[at][0], called[to + (to >= at)]
            outcome = intent.outcome(src, text)
            yield Expectation(src, dst, text, outcome.taker, outcome.answers)


def _called(vpns: Vpns, hosts_only: bool, versions: tuple[int, ...]) -> list[list[tuple[str, str]]]:
    """Per IP version the end points that have an address of it, and the address."""
    roles = ("host",) if hosts_only else END_POINTS
    names = [name for name, node in vpns.nodes.items() if node.role in roles]
    return [[(name, text) for name in names if (text := vpns.address(name, version))] for version in versions]


def count(lab: Lab) -> int:
    """How many pairs of end points a probe of the whole lab asks."""
    return sum(len(called) * (len(called) - 1) for called in _called(Vpns(lab), False, (4, 6)))
