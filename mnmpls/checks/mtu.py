"""The path MTU: what the records say fits, and whether it does, and no byte more, on the wires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..plan.evpn import HEADERS_BYTES
from .capture import Seen, Tap, way
from .patience import patience
from .predict import Hop, ways
from .views import World
from .vpn import Call

_LABEL_BYTES = 4
_SLACK_BYTES = 4
"""What bridges, and the receiving end of a veth, take beyond the MTU: room for a VLAN tag (include/linux/netdevice.h,
__is_skb_forwardable)."""

_TRIES = 2


@dataclass(frozen=True, slots=True)
class PathMtu:
    """One direction between two nodes: ``bytes`` is the size of the largest IP packet that should pass. ``lost`` says
    where one of this size got lost, ``stopped`` where one with a byte more did (empty: it passed), ``node`` is the hop
    to look at if that is not as it should be."""

    bytes: int
    lost: str
    stopped: str
    node: str

    @property
    def ok(self) -> bool:
        return not self.lost and bool(self.stopped)

    @property
    def expected(self) -> str:
        return f"{self.bytes} bytes pass, {self.bytes + 1} do not"

    @property
    def seen(self) -> str:
        if self.lost:
            return f"{self.bytes} bytes do not pass: {self.lost}"
        return f"{self.bytes} bytes pass, {self.bytes + 1} " + (
            f"do not: {self.stopped}" if self.stopped else "do, too"
        )


def path_mtu(world: World, predicted: Sequence[Hop]) -> int:
    """The size in bytes of the largest IP packet that takes this way unfragmented."""
    return min((_fits(world, hop) for hop in predicted if hop.out_port), default=0)


def _fits(world: World, hop: Hop) -> int:
    node, port = world.far(hop.node, hop.out_port, hop.peer)
    view = world.views[hop.node]
    bridge = view.members.get(hop.out_port, "")
    bridge = bridge if bridge in view.bridges else ""
    switched = bool(bridge) and view.members.get(hop.in_port) == bridge
    # A bridge takes of a router what its narrowest port does (net/bridge/br_if.c, br_mtu_auto_adjust).
    sends = min(view.mtus[port] for port in (view.inside(bridge) if bridge and not switched else (hop.out_port,)))
    sends += _SLACK_BYTES if switched else 0
    if hop.out_port in view.tunnels:  # whose other end takes whatever arrives
        carried = _carried(world, hop) if bridge else sends
        return min(sends, carried) - _LABEL_BYTES * len(hop.labels_out)
    takes = world.views[node].mtus[port] + _SLACK_BYTES
    return min(sends, takes) - _LABEL_BYTES * len(hop.labels_out)


def _carried(world: World, hop: Hop) -> int:
    """What the core leaves of a packet that a PE hands on to another of its EVPN."""
    there = world.views[hop.peer].tunnels[hop.out_port]
    ways_there = ways(world, Call(hop.node, there, source=world.views[hop.node].tunnels[hop.out_port]))
    return min((path_mtu(world, one) for one in ways_there), default=0) - HEADERS_BYTES


def probe_mtu(open_tap: Tap, world: World, there: Call, deadline_s: float = 0.5) -> PathMtu | None:
    """Sends a packet of the predicted path MTU and one that is a byte larger. None where nothing is predicted to
    arrive, or where the lab wants it lost. A flow takes one of several equal ways: the size is that of the narrowest,
    and a byte more is tried against the widest."""
    arriving = [one for one in ways(world, there) if one[-1].operation == "deliver" and len(one) > 1]
    patient = patience(world, [there])
    if not arriving or patient.hopeless:
        return None
    sizes = sorted(path_mtu(world, one) for one in arriving)
    dst, narrowest = arriving[0][-1].node, min(arriving[0][:-1], key=lambda hop: _fits(world, hop)).node
    lost, node = "", ""
    deadline_s += patient.rtt_s
    for _ in range(max(_TRIES, patient.tries)):
        lost, node = _stopped(world, open_tap.probe(there, deadline_s, (), sizes[0], dst), there, dst)
        if not lost:
            break
    stopped, _ = _stopped(world, open_tap.probe(there, deadline_s, (), sizes[-1] + 1, dst), there, dst)
    return PathMtu(sizes[0], lost, stopped, node if lost else "" if stopped else narrowest)


def _stopped(world: World, seen: Seen, there: Call, dst: str) -> tuple[str, str]:
    """Where the request ended before ``dst``, in words, and that node; both empty if it arrived."""
    if seen.refused:
        return f"{there.src}'s own kernel refuses it ({seen.refused})", there.src
    last = way(world.lab, seen.sightings, "request", there.src)[-1]
    if last.node == dst:
        return "", ""
    said = [one.packet for one in seen.sightings if one.packet.kind not in ("request", "reply")]
    why = f" ({said[0].src} says: {said[0].kind})" if said else ""
    where = f"lost between {last.node} and {last.peer}" if last.peer else f"it ends at {last.node}"
    return where + why, last.node
