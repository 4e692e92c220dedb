"""A packet's way: predicted from the records, captured on every wire, and the two compared.

`predict` is pure (see predict.py). `trace` sends one real echo request and follows it and its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..model import Lab
from ..state import LabelRoute, Record, Sysctl
from .capture import Sighting, Tap, tap, way
from .predict import Hop, operation, predict, predictions, target
from .vpn import addresses

if TYPE_CHECKING:
    from ..kernel import Namespace

__all__ = ["Hop", "Trace", "operation", "predict", "predictions", "trace", "trace_on"]


@dataclass(frozen=True, slots=True)
class Trace:
    """One probe's way there (``request``) and back (``reply``) as captured; ``delivered_to`` took the request in
    (None: nobody), ``answered`` tells whether the reply came back; ``differences`` from the prediction."""

    src: str
    dst: str
    address: str
    request: tuple[Hop, ...]
    reply: tuple[Hop, ...]
    delivered_to: str | None
    answered: bool
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Did it go as the records say? (A packet that was dropped as predicted is ok, too.)"""
        return not self.differences

    def text(self) -> str:
        head = f"{self.src} -> {self.dst}" + (f" ({self.address})" if self.address != self.dst else "")
        lines = [head, *lines_of(self.request)]
        if self.reply:
            lines += [f"{self.delivered_to} answers", *lines_of(self.reply)]
        return "\n".join([*lines, *(f"differs: {one}" for one in self.differences)])


def lines_of(hops: Sequence[Hop]) -> list[str]:
    """A line per hop: node, what it did, where to, and the label stack on that wire."""
    node_width = max((len(hop.node) for hop in hops), default=0)
    did = [words(hop) for hop in hops]
    did_width = max(map(len, did), default=0)
    peer_width = max((len(hop.peer) for hop in hops), default=0)
    lines = []
    for hop, text in zip(hops, did, strict=True):
        stack = f"[{_stack(hop.labels_out)}]" if hop.labels_out else ""
        onwards = f" > {hop.peer.ljust(peer_width)} {stack}" if hop.peer else ""
        lines.append(f"  {hop.node.ljust(node_width)}  {text.ljust(did_width)}{onwards}".rstrip())
    return lines


def words(hop: Hop) -> str:
    """What a hop does: `push 101`, `swap 101 -> 111`, `pop 111 into vrf-pe2-c1`, `forward`, `deliver`, `drop`."""
    same = 0
    while same < min(len(hop.labels_in), len(hop.labels_out)) and hop.labels_in[-1 - same] == hop.labels_out[-1 - same]:
        same += 1
    gone, new = (_stack(labels[: len(labels) - same]) for labels in (hop.labels_in, hop.labels_out))
    into = f" into {hop.vrf}" if hop.vrf else ""
    popped = f"pop {gone}{into}, " if gone else ""
    return {
        "push": f"push {new}",
        "swap": f"swap {gone} -> {new}" if gone else "forward",
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
    Raises ValueError when dst is neither."""
    with tap({node.name: namespaces[node.name] for node in lab.nodes}) as open_tap:
        return trace_on(open_tap, lab, records, namespaces, src, dst, deadline_s)


def trace_on(
    open_tap: Tap,
    lab: Lab,
    records: Mapping[str, frozenset[Record]],
    namespaces: Mapping[str, Namespace],
    src: str,
    dst: str,
    deadline_s: float = 1.0,
) -> Trace:
    """As `trace`, on an open tap (for many of them)."""
    wanted = target(lab, dst)
    ways = predictions(lab, records, src, wanted)
    expects_answer = any(one[-1].operation == "deliver" for one in ways)
    open_tap.probe(src, wanted, deadline_s if expects_answer else 0.1)  # addresses get resolved, bridges learn
    seen = open_tap.probe(src, wanted, deadline_s if expects_answer else 0.3)
    compared = _Compared(lab, records, namespaces)
    request, delivered_to, reply, answered = _captured(lab, seen, src, wanted)
    differences = compared.differences(ways, request, src, wanted, seen)
    if delivered_to and not differences and delivered_to != src:
        source = next(one.packet.src for one in seen if one.packet.kind == "request")
        back = predictions(lab, records, delivered_to, source)
        differences = compared.differences(back, reply, delivered_to, source, seen)
    named = compared.named
    return Trace(src, dst, wanted, named(request), named(reply), delivered_to, answered, differences)


def _captured(
    lab: Lab, seen: Sequence[Sighting], src: str, wanted: str
) -> tuple[tuple[Hop, ...], str | None, tuple[Hop, ...], bool]:
    """The request's hops, who took it in, the reply's hops, and whether the reply came back."""
    if any(one.node == src and one.port == "lo" and one.packet.kind == "reply" for one in seen):
        return (Hop(src, "deliver"),), src, (), True
    request = way(lab, seen, "request", src)
    last = request[-1]
    replied = any(one.node == last.node and one.out and one.packet.kind == "reply" for one in seen)
    if last.operation == "deliver" and (not replied or wanted not in addresses(lab, last.node)) and not last.out_port:
        dropped = replace(last, operation="drop", reason=_last_words(last, seen))
        return (*request[:-1], dropped), None, (), False
    if last.operation != "deliver":
        return request, None, (), False
    reply = way(lab, seen, "reply", last.node)
    answered = reply[-1].node == src and reply[-1].operation == "deliver"
    if not answered and reply[-1].operation == "deliver":
        reply = (*reply[:-1], replace(reply[-1], operation="drop", reason=_last_words(reply[-1], seen)))
    return request, last.node, reply, answered


def _last_words(hop: Hop, seen: Sequence[Sighting]) -> str:
    errors = [one for one in seen if one.packet.kind not in ("request", "reply")]
    said = f" ({errors[0].packet.src} says: {errors[0].packet.kind})" if errors else ""
    return f"nothing left {hop.node}{said}"


class _Compared:
    """Prediction against capture; asks a node's kernel why it did otherwise."""

    def __init__(
        self, lab: Lab, records: Mapping[str, frozenset[Record]], namespaces: Mapping[str, Namespace]
    ) -> None:
        self._lab, self._records, self._namespaces = lab, records, namespaces

    def differences(
        self, ways: Sequence[tuple[Hop, ...]], got: tuple[Hop, ...], src: str, wanted: str, seen: Sequence[Sighting]
    ) -> tuple[str, ...]:
        """Empty if the capture is one of the ways, else the first hop at which it leaves the nearest of them:
        what follows is only a consequence."""
        shared = max((_shared(one, got) for one in ways), default=0)
        if any(len(one) == len(got) == shared for one in ways):
            return ()
        nearest = next(one for one in ways if _shared(one, got) == shared)
        expected = nearest[shared] if shared < len(nearest) else None
        found = got[shared] if shared < len(got) else None
        node = expected.node if expected else found.node if found else src
        text = f"at {node}: expected {_sentence(expected)}, saw {_seen(found, node)}"
        cause = self._cause(found, src, wanted, shared) if found and found.node == node else ""
        return (text + (f": {cause}" if cause else ""),)

    def _cause(self, found: Hop, src: str, wanted: str, at: int) -> str:
        """What the node's own kernel, its observed state in the place of its records, makes of this hop."""
        node = found.node
        keys = [one.key for one in self._records[node] if isinstance(one, Sysctl)]
        actual = {**self._records, node: self._namespaces[node].observe(keys)}
        would = [one[at] for one in predictions(self._lab, actual, src, wanted) if at < len(one)]
        if found.operation == "drop":
            return next((hop.reason for hop in would if hop.node == node and hop.reason), "")
        if any(_key(hop) == _key(found) for hop in would):
            return "the lab's own route there was changed"
        return "it follows a route or label entry that is not the lab's"

    def named(self, hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        """A capture does not show into which VRF a label was popped: the records do."""
        return tuple(replace(hop, vrf=self._vrf(hop)) if hop.operation == "pop" else hop for hop in hops)

    def _vrf(self, hop: Hop) -> str:
        into = {
            one.label: one.hops[0].port
            for one in self._records[hop.node]
            if isinstance(one, LabelRoute) and len(one.hops) == 1 and not one.hops[0].via
        }
        return into.get(hop.labels_in[len(hop.labels_in) - len(hop.labels_out) - 1], "")


def _key(hop: Hop) -> tuple[object, ...]:
    return hop.node, hop.operation, hop.in_port, hop.labels_in, hop.out_port, hop.labels_out


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
