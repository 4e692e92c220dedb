"""A packet's way: predicted from the records, captured on every wire, and the two compared.

`predict` is pure (see predict.py). `trace` sends one real echo request and follows it and its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from ..model import Lab
from ..state import Bridge, Dummy, Guard, Member, Qdisc, Record, Rule, Sysctl, Tunnel
from ..wording import label_words, vrf_names
from .capture import Seen, Sighting, Tap, tap, way
from .drift import Drift, drifts
from .learned import learned, with_learned
from .patience import SOME_TRIES, losses, patience
from .predict import Hop, operation, predict, predictions, vrf_at, ways
from .views import World
from .vpn import Call

if TYPE_CHECKING:
    from ..kernel import Namespace

__all__ = ["Hop", "Trace", "operation", "predict", "predictions", "trace", "trace_on"]


@dataclass(frozen=True, slots=True)
class Divergence:
    """The hop ``node`` at which a packet left its predicted way: what it was to do there, and what it did. ``loss`` is
    what of the lab's own may have lost it there, empty for nothing."""

    node: str
    expected: str
    seen: str
    loss: str = ""

    def __str__(self) -> str:
        return f"at {self.node}: expected {self.expected}, saw {self.seen}"


@dataclass(frozen=True, slots=True)
class Trace:
    """One probe's way there (``request``) and back (``reply``) as captured; ``delivered_to`` took the request in
    (None: nobody), ``answered`` tells whether the reply came back; ``differences`` from the prediction. ``vrf`` is
    the one of ``src`` from which it was sent, or empty. ``lost`` says which link lost it, where the lab wants so many
    packets lost that none can be waited for."""

    src: str
    dst: str
    address: str
    vrf: str
    request: tuple[Hop, ...]
    reply: tuple[Hop, ...]
    delivered_to: str | None
    answered: bool
    differences: tuple[Divergence, ...]
    lost: str = ""

    @property
    def subject(self) -> str:
        start = f"{self.src} ({self.vrf})" if self.vrf else self.src
        return f"{start} -> {self.dst}" + (f" ({self.address})" if self.address != self.dst else "")

    @property
    def ok(self) -> bool:
        """Did it go as the records say? (A packet that was dropped as predicted is ok, too.)"""
        return not self.differences

    def text(self) -> str:
        lines = [self.subject, *lines_of(self.request)]
        if self.reply:
            did = "answers" if self.reply[0].operation != "drop" else "gets it and cannot answer"
            lines += [f"{self.delivered_to} {did}", *lines_of(self.reply)]
        lines += [f"lost: {self.lost}"] if self.lost else []
        return "\n".join([*lines, *(f"differs: {one}" for one in self.differences)])

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"ok": self.ok, **asdict(self)}


def lines_of(hops: Sequence[Hop]) -> list[str]:
    """A line per hop: node, what it did, where to, and the label stack on that wire; with TTLs where labels do not
    simply go on counting the packet's."""
    node_width = max((len(hop.node) for hop in hops), default=0)
    did = [words(hop) for hop in hops]
    did_width = max(map(len, did), default=0)
    peer_width = max((len(hop.peer) for hop in hops), default=0)
    piped = any(max(hop.label_ttls, default=0) > hop.ttl for hop in hops)
    lines = []
    again = _again(hops)
    for at, (hop, text) in enumerate(zip(hops, did, strict=True)):
        if at in again:
            lines += ["  ... the same hops over and over"] if at == again.start else []
            continue
        stack = f"[{_stack(hop.labels_out)}]" + (f" {ttls(hop)}" if piped else "") if hop.labels_out else ""
        others = f" (or {', '.join(hop.others)})" if hop.others else ""
        onwards = f" > {hop.peer.ljust(peer_width)} {stack}{others}" if hop.peer else ""
        lines.append(f"  {hop.node.ljust(node_width)}  {text.ljust(did_width)}{onwards}".rstrip())
    return lines


def ttls(hop: Hop) -> str:
    """``ttl 255 over 63``: that of the labels, each if they differ, and that of the packet under them."""
    above = _stack(hop.label_ttls[:1] if len(set(hop.label_ttls)) == 1 else hop.label_ttls)
    return f"ttl {above} over {hop.ttl}" if above else f"ttl {hop.ttl}"


def _again(hops: Sequence[Hop]) -> range:
    """Where a packet in a loop does no more than it did before: empty if it is in none."""
    first: dict[Hop, int] = {}
    done = [replace(hop, ttl=0, label_ttls=()) for hop in hops]
    for at, hop in enumerate(done):
        if (before := first.setdefault(hop, at)) < at:
            alike = takewhile(lambda both: both[0] == both[1], zip(done[before:], done[at:], strict=False))
            return range(at, at + len(list(alike)))
    return range(0)


def words(hop: Hop) -> str:
    """What a hop does: `push 101`, `swap 101 -> 111`, `pop 111 into vrf-pe2-c1`, `forward`, `deliver`, `drop`."""
    same = 0
    kept = min(len(hop.labels_in), len(hop.labels_out)) - (hop.operation == "swap")  # it may be by the same label
    while same < kept and hop.labels_in[-1 - same] == hop.labels_out[-1 - same]:
        same += 1
    gone, new = (label_words(labels[: len(labels) - same]) for labels in (hop.labels_in, hop.labels_out))
    into = f" into {hop.vrf}" if hop.vrf else ""
    popped = f"pop {gone}{into}, " if gone else ""
    return {
        "push": f"swap {gone} -> {new}" if gone else f"push {new}",
        "swap": f"swap {gone} -> {new}",
        "pop": f"pop {gone}{into}",
        "forward": "forward",
        "deliver": f"{popped}deliver",
        "drop": f"drop: {hop.reason}" if hop.reason else "drop",
    }[hop.operation]


def _stack(labels: Sequence[int]) -> str:
    return " ".join(map(str, labels))


def trace(
    lab: Lab,
    records: Mapping[str, frozenset[Record]],
    namespaces: Mapping[str, Namespace],
    src: str,
    dst: str,
    deadline_s: float = 1.0,
) -> Trace:
    """Follows one real packet from node ``src`` to ``dst``, a node's name or an address, and its answer.
    Raises ValueError when dst is neither, CheckFailed for a node without an address."""
    world = World(lab, with_learned(lab, records, namespaces))
    with tap({node.name: namespaces[node.name] for node in lab.nodes}) as open_tap:
        return trace_on(open_tap, world, namespaces, world.vpns.call(src, dst), dst, deadline_s)


def trace_on(
    open_tap: Tap,
    world: World,
    namespaces: Mapping[str, Namespace],
    there: Call,
    dst: str,
    deadline_s: float = 1.0,
) -> Trace:
    """As `trace`, on an open tap (for many of them); ``dst`` is for the text only. Where the lab's own links may have
    lost the packet, as often as it takes."""
    patient = patience(world, [there])
    for done in range(patient.tries):
        if any(evpn.gateway for evpn in world.lab.evpns):  # PEs tell each other of who was heard
            world = World(world.lab, with_learned(world.lab, world.records, namespaces))
        found = _traced(open_tap, world, namespaces, there, dst, deadline_s, patient.rtt_s)
        by_chance = any(one.loss for one in found.differences)
        if found.ok or (done + 1 >= SOME_TRIES and not by_chance):
            break
        deadline_s = min(deadline_s, _AGAIN_S)
    if patient.hopeless and by_chance:
        return replace(found, differences=(), lost=found.differences[0].loss)
    return found


_AGAIN_S = 0.3
"""For what was asked before: who is where is known by then, or this try is lost."""


def _traced(
    open_tap: Tap,
    world: World,
    namespaces: Mapping[str, Namespace],
    there: Call,
    dst: str,
    deadline_s: float,
    rtt_s: float,
) -> Trace:
    predicted = ways(world, there)
    takers = {one[-1].node for one in predicted if one[-1].operation == "deliver"}
    expected = _answer_expected(world, predicted, there)
    open_tap.probe(there, rtt_s * 2 + (deadline_s if expected else 0.1))  # addresses get resolved, bridges learn
    seen = open_tap.probe(there, rtt_s + (deadline_s if expected else 0.3), takers)
    compared = _Compared(world, namespaces)
    request, delivered_to, reply, answered = _captured(world, seen, there.src, there.address)
    request, differences = compared.with_prediction(predicted, request, there)
    if reply and delivered_to and not differences:
        source = next(one.packet.src for one in seen.sightings if one.packet.kind == "request")
        back = Call(delivered_to, source, vrf_at(world.views[delivered_to], request[-1]))
        reply, differences = compared.with_prediction(ways(world, back), reply, back)
    return Trace(there.src, dst, there.address, there.vrf, request, reply, delivered_to, answered, differences)


def _answer_expected(world: World, predicted: Sequence[tuple[Hop, ...]], there: Call) -> bool:
    source = there.source or world.vpns.address(there.src, 6 if ":" in there.address else 4)
    ends = {one[-1] for one in predicted if one[-1].operation == "deliver"}
    back = (Call(end.node, source, vrf_at(world.views[end.node], end)) for end in ends if source)
    return any(one[-1].operation == "deliver" for call in back for one in ways(world, call))


def _captured(
    world: World, seen: Seen, src: str, wanted: str
) -> tuple[tuple[Hop, ...], str | None, tuple[Hop, ...], bool]:
    """The request's hops, who took it in, the reply's hops, and whether the reply came back."""
    found = seen.sightings
    if any(one.node == src and one.port == "lo" and one.packet.kind == "request" for one in found):
        return (Hop(src, "deliver"),), src, (), seen.answered
    request = way(world.lab, found, "request", src)
    last = request[-1]
    if last.operation != "deliver":
        return request, None, (), False
    replied = any(one.node == last.node and one.out and one.packet.kind == "reply" for one in found)
    if last.node not in seen.taken and (not replied or wanted not in world.vpns.addresses(last.node)):
        return (*request[:-1], _dropped(last, found)), None, (), False
    reply = way(world.lab, found, "reply", last.node)
    end, source = reply[-1], next(one.packet.src for one in found if one.packet.kind == "request")
    lost = end.node == src or source not in world.vpns.addresses(end.node)
    if not seen.answered and end.operation == "deliver" and lost:
        reply = (*reply[:-1], _dropped(end, found))
    return request, last.node, reply, seen.answered


def _dropped(hop: Hop, seen: Sequence[Sighting]) -> Hop:
    errors = [one for one in seen if one.packet.kind not in ("request", "reply")]
    said = f" ({errors[0].packet.src} says: {errors[0].packet.kind})" if errors else ""
    return replace(hop, operation="drop", reason=f"nothing left {hop.node}{said}")


class _Compared:
    """Prediction against capture; asks a node's kernel why it did otherwise."""

    def __init__(self, world: World, namespaces: Mapping[str, Namespace]) -> None:
        self._world, self._namespaces = world, namespaces

    def with_prediction(
        self, predicted: Sequence[tuple[Hop, ...]], got: tuple[Hop, ...], of: Call
    ) -> tuple[tuple[Hop, ...], tuple[Divergence, ...]]:
        """The captured hops with what only the prediction can tell of them, and the differences: none if the capture
        is one of the ways, else the first hop at which it leaves the nearest of them, for what follows is only a
        consequence."""
        named = tuple(self._named(predicted, got, at) for at in range(len(got)))
        shared = max((_shared(one, got) for one in predicted), default=0)
        if any(len(one) == len(got) == shared for one in predicted):
            return named, ()
        nearest = next(one for one in predicted if _shared(one, got) == shared)
        if elsewhere := self._other_next_hop(nearest, got, shared):
            return named, (elsewhere,)
        expected = nearest[shared] if shared < len(nearest) else None
        found = got[shared] if shared < len(got) else None
        node = expected.node if expected else found.node if found else of.src
        gone = found is None or found.operation == "drop"
        loss = self._loss(nearest[max(shared - 1, 0) :]) if gone else ""
        cause = loss or self._cause(found, of, shared) if found and found.node == node else ""
        told, seen = _sentence(expected), _seen(found, node)
        if expected and found and told == seen:
            told, seen = f"{told}, {ttls(expected)}", f"{seen}, {ttls(found)}"
        return named, (Divergence(node, told, seen + (f": {cause}" if cause else ""), loss),)

    def _loss(self, way: Sequence[Hop]) -> str:
        """What of the lab's own may have lost a packet, or the asking for an address, at the first two of these hops or
        on their LAN."""
        for number, hop in enumerate(way):
            if number > 1 and self._world.vpns.nodes[hop.node].role != "bridge":
                break
            if text := losses(self._world, hop):
                return text
        return ""

    def _other_next_hop(self, nearest: Sequence[Hop], got: Sequence[Hop], at: int) -> Divergence | None:
        """A bridge forwards to whom the sender means: where it does so to another node, the sender differs."""
        bridges = {name for name, node in self._world.vpns.nodes.items() if node.role == "bridge"}
        if at >= min(len(nearest), len(got)) or got[at].node not in bridges or not got[at].peer:
            return None
        ends = (
            [hop.node for hop in reversed(got[:at])],
            [hop.node for hop in nearest[at:]],
            [hop.node for hop in got[at:]],
        )
        sender, meant, taken = (next((name for name in names if name not in bridges), "") for names in ends)
        if not (sender and meant and taken) or meant == taken:
            return None
        why = "its kernel has another route or neighbour there, as after an ICMP redirect"
        return Divergence(sender, f"{meant} as next hop", f"{taken} as next hop: {why}")

    def _cause(self, found: Hop, of: Call, at: int) -> str:
        """What the node's own kernel, its observed state in the place of its records, makes of this hop."""
        node = found.node
        keys = [one.key for one in self._world.records[node] if isinstance(one, Sysctl)]
        mine = self._namespaces[node]
        observed = mine.observe([*keys, *_SILENT]) | learned(self._world.lab, node, mine)
        actual = self._world.but(node, observed)
        would = [one[at] for one in ways(actual, of) if at < len(one)]
        if found.operation == "drop":
            reasons = (hop.reason for hop in would if hop.node == node and hop.reason)
            return next(reasons, "") or self._otherwise(node, observed)
        if any(_key(hop) == _key(found) for hop in would):
            return "the lab's own route there was changed"
        if marks := sorted({one.fwmark for one in self._world.records[node] if isinstance(one, Rule) and one.fwmark}):
            told = f"rules for what is marked {', '.join(map(str, marks))}"
            return f"{node} has {told}, and a prediction does not know who marks packets"
        return "it follows a route or label entry that is not the lab's"

    def _otherwise(self, node: str, observed: frozenset[Record]) -> str:
        """What may drop a packet that the node's routes and labels would let pass."""
        if silent := [f"{one.key} is 1" for one in observed if isinstance(one, Sysctl) and one in _SILENCED]:
            return ", ".join(sorted(silent))
        records = self._world.records[node] - learned(self._world.lab, node, self._namespaces[node])
        found = drifts(node, records, self._namespaces[node])
        first = sorted((one for one in found if one.is_cause or _may_drop(one)), key=lambda one: not one.is_cause)
        if first:
            return first[0].text(vrf_names(records))
        others = [f"qdisc {kind} at {port}" for port, kind in self._namespaces[node].queues()]
        if others:
            return f"{', '.join(others)}, which is not the lab's"
        if tables := self._namespaces[node].filters():
            return f"it has a packet filter that is not the lab's: {', '.join(tables)}"
        return "it is as its records say; something outside them drops it: look at tc, nft and bridge there"

    def _named(self, predicted: Sequence[tuple[Hop, ...]], got: tuple[Hop, ...], at: int) -> Hop:
        """A capture shows neither into which VRF a label was popped nor what else would have been right."""
        hop = got[at]
        choices = [one[at] for one in predicted if at < len(one) and _shared(one, got) >= at and one[at].peer]
        taken = any(one.out_port == hop.out_port for one in choices)
        others = dict.fromkeys(
            one.peer if one.peer != hop.peer else one.out_port
            for one in choices
            if taken and one.out_port != hop.out_port
        )
        alike = (one[at] for one in predicted if at < len(one) and _key(one[at]) == _key(hop))
        if hop.operation == "drop" and (known := next((one.reason for one in alike), "")):
            hop = replace(hop, reason=hop.reason.replace(f"nothing left {hop.node}", known))
        popped = len(hop.labels_in) > len(hop.labels_out)
        return replace(hop, vrf=self._vrf(hop) if popped else "", others=tuple(others))

    def _vrf(self, hop: Hop) -> str:
        """The device into which the last label that the hop took off is popped, if that is a VRF."""
        label = hop.labels_in[len(hop.labels_in) - len(hop.labels_out) - 1]
        view = self._world.views[hop.node]
        into = view.labels[label].hops[0] if label in view.labels else None
        return into.port if into and into.port in view.vrfs and not into.via else ""


_SILENT = ("net.ipv4.icmp_echo_ignore_all", "net.ipv6.icmp.echo_ignore_all")
_SILENCED = frozenset(Sysctl(key, "1") for key in _SILENT)


def _may_drop(one: Drift) -> bool:
    return isinstance(one.wanted or one.found, Guard | Member | Qdisc | Rule | Bridge | Dummy | Tunnel)


def _key(hop: Hop) -> tuple[object, ...]:
    return hop.node, hop.operation, hop.in_port, hop.labels_in, hop.out_port, hop.labels_out, hop.label_ttls, hop.ttl


def _shared(one: tuple[Hop, ...], other: tuple[Hop, ...]) -> int:
    """How many first hops are alike."""
    same = 0
    for mine, its in zip(one, other, strict=False):
        if _key(mine) != _key(its):
            break
        same += 1
    return same


def _sentence(hop: Hop | None) -> str:
    if hop is None:
        return "nothing more"
    return words(hop) + (f" > {hop.peer}" if hop.peer else "")


def _seen(hop: Hop | None, node: str) -> str:
    if hop is None:
        return f"nothing arrive at {node}"
    if hop.operation == "drop":
        return hop.reason
    return _sentence(hop)
