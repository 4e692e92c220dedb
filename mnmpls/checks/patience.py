"""What checks need patience for: the delays and losses that a lab wants on its links, over whole ways. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..model import Impairment, Lab
from .predict import Hop, vrf_at, ways
from .views import World
from .vpn import Call

_DOUBT = 1e-5
"""The chance, small enough, that all tries of a probe get lost."""

_MOST_TRIES = 60
SOME_TRIES = 3
"""Where nothing gets lost, but addresses take long to resolve: the kernel asks thrice, a second apart each (arp(7),
mcast_solicit and retrans_time), and drops what waits when no answer is there by then."""

_LARGEST_BYTES = 1600
_DEEPEST = 8
"""Tunnels within tunnels."""


@dataclass(frozen=True, slots=True)
class Patience:
    """``rtt_s``: how long a packet and its answer are under way for the lab's own impairments; ``tries``: how often a
    probe is to be sent before its loss means something. ``hopeless``: no number of them that one could wait for would
    do, since the lab wants (nearly) all of them lost."""

    rtt_s: float = 0.0
    tries: int = 1
    hopeless: bool = False

    def with_(self, other: Patience) -> Patience:
        """What suffices for both."""
        hopeless = self.hopeless or other.hopeless
        return Patience(max(self.rtt_s, other.rtt_s), max(self.tries, other.tries), hopeless)


NONE = Patience()


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction: its time in seconds and the share of packets that get through."""

    seconds: float = 0.0
    through: float = 1.0

    def then(self, other: _Way) -> _Way:
        return _Way(self.seconds + other.seconds, self.through * other.through)


def losses(world: World, hop: Hop) -> str:
    """What the lab itself may have lost between a hop and the next, as a clause: `pe1-p-eth loses 5 %`; empty for
    nothing. In either direction: where answers about who has an address get lost, nothing is sent."""
    if not hop.out_port:
        return ""
    node, far = world.far(hop.node, hop.out_port, hop.peer)
    both = (hop, Hop(node, "forward", out_port=far, peer=hop.node))
    through, port = min((_across(world, one, _DEEPEST).through, one.out_port) for one in both)
    return f"{port} loses {(1 - through) * 100:.3g} % of its packets, as the lab has it" if through < 1 else ""


def is_impaired(lab: Lab) -> bool:
    """Does any link of the lab delay packets, or lose them?"""
    return any(port.impairment != Impairment() for link in lab.links for port in link.ports)


def patience(world: World, calls: Iterable[Call]) -> Patience:
    """For the slowest and the most lossy of these calls, as the world's records lead them there and back."""
    found = NONE
    for call in calls if is_impaired(world.lab) else ():
        for way in ways(world, call):
            found = found.with_(_round(world, call, way))
    return found


def _round(world: World, call: Call, way: Sequence[Hop]) -> Patience:
    both = _along(world, way, _DEEPEST)
    end = way[-1]
    source = world.source(call)
    if end.operation == "deliver" and source:
        back = ways(world, Call(end.node, source, vrf_at(world.views[end.node], end)))
        both = both.then(_worst(_along(world, one, _DEEPEST) for one in back))
    if both == _Way():
        return NONE
    if both.through >= 1:
        return Patience(both.seconds, SOME_TRIES)
    lost = 1 - both.through
    tries = math.inf if lost >= 1 else math.ceil(math.log(_DOUBT) / math.log(lost))
    if tries > _MOST_TRIES:
        return Patience(both.seconds, SOME_TRIES, hopeless=True)
    return Patience(both.seconds, max(int(tries), SOME_TRIES))


def _worst(several: Iterable[_Way]) -> _Way:
    found = list(several)
    return _Way(max((one.seconds for one in found), default=0), min((one.through for one in found), default=1))


def _along(world: World, way: Sequence[Hop], deepest: int) -> _Way:
    whole = _Way()
    for hop in way:
        if hop.out_port:
            whole = whole.then(_across(world, hop, deepest))
    return whole


def _across(world: World, hop: Hop, deepest: int) -> _Way:
    """One link; of a tunnel what carries it, too."""
    far = world.peers.get((hop.node, hop.out_port))
    given = world.peers[far.node, far.name].impairment if far else Impairment()
    delay_s = ((given.delay_us or 0) + (given.jitter_us or 0)) / 1e6
    delay_s += _LARGEST_BYTES * 8 / (given.rate_kbit * 1000) if given.rate_kbit else 0
    own = _Way(delay_s, 1 - (given.loss_ppm or 0) / 1e6)
    carried = (_along(world, one, deepest - 1) for target in _carriers(world, hop) for one in ways(world, target))
    return own.then(_worst(carried)) if deepest else own


def _carriers(world: World, hop: Hop) -> Iterator[Call]:
    """How a tunnel's own packets go: to the other of its two addresses."""
    if hop.out_port in world.views[hop.node].tunnels:
        node, port = world.far(hop.node, hop.out_port, hop.peer)
        yield Call(hop.node, world.views[node].tunnels[port], source=world.views[hop.node].tunnels[hop.out_port])
