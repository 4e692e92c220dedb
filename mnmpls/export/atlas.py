"""Where a hop and a label lead in a planned lab: the look-ups behind every explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from ..model import Lab, Node, Vrf
from ..plan.graph import Network, interfaces, network
from ..state import EXPLICIT_NULLS, LabelRoute, NextHop, Record


@dataclass(frozen=True, slots=True)
class LabelPath:
    """The routers that a labelled packet passes, the last one taking its last label off; ``stacks`` are the labels on
    the wire to each. ``vrf`` is where the last one looks further, empty for its main table; ``whole`` is false when a
    router on the way does not know the label."""

    nodes: tuple[str, ...]
    stacks: tuple[tuple[int, ...], ...]
    vrf: str
    whole: bool = True

    def text(self) -> str:
        ways = ", ".join(self.nodes[:-1])
        end = f"to {self.nodes[-1]}" + (f", VRF {self.vrf}" if self.vrf else "")
        lost = "" if self.whole else " (which does not know the label)"
        return end + (f", by way of {ways}" if ways else "") + lost


@dataclass(frozen=True)
class Atlas:
    """A completed lab with look-up tables: ``labels`` by node and incoming label, ``vrfs`` by node and table."""

    lab: Lab
    records: Mapping[str, frozenset[Record]]
    net: Network
    labels: Mapping[str, Mapping[int, LabelRoute]]
    vrfs: Mapping[tuple[str, int], Vrf]
    _paths: dict[tuple[str, NextHop], LabelPath | None] = field(default_factory=dict, compare=False, repr=False)

    def node(self, name: str) -> Node:
        return self.net.nodes[name]

    def beyond(self, node: str, port: str, via: str = "") -> str:
        """The node on the other side of a port, or the one that has the address ``via`` there; of many the first few;
        empty for none."""
        index = self.net.segment_of.get((node, port))
        others = [each for each in self.net.segments[index].ports if each.node != node] if index is not None else []
        having = [each for each in others if any(via == str(address.ip) for address in interfaces(each))]
        names = list(dict.fromkeys(each.node for each in (having if via else others)))
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    def label_path(self, node: str, hop: NextHop) -> LabelPath | None:
        """Where a packet ends that leaves ``node`` by ``hop`` with labels; the first of equal ways at each router."""
        if (node, hop) not in self._paths:  # many prefixes take one path
            self._paths[node, hop] = self._follow(node, hop) if hop.labels else None
        return self._paths[node, hop]

    def _follow(self, node: str, hop: NextHop) -> LabelPath | None:
        stack, passed = hop.labels, dict[str, tuple[int, ...]]()

        def path(vrf: str, whole: bool = True) -> LabelPath:
            return LabelPath(tuple(passed), tuple(passed.values()), vrf, whole)

        while True:
            node = self.beyond(node, hop.port, hop.via)
            if not node or node in passed:
                return None
            passed[node] = stack
            if not stack:
                return path("")
            while stack and not (hop := self._taken_in(node, stack[0])).via:
                stack = stack[1:]
                if hop.port != "lo" or not stack:
                    return path(hop.port if hop.port != "lo" else "", whole=hop != _LOST)
            stack = (*hop.labels, *stack[1:])

    def _taken_in(self, node: str, label: int) -> NextHop:
        """The first way of a label that comes in at ``node``; explicit null ends there without an entry of ours."""
        if label in EXPLICIT_NULLS:
            return NextHop("", "lo")
        known = self.labels.get(node, {}).get(label)
        return known.hops[0] if known else _LOST


_LOST = NextHop("", "")


def atlas(lab: Lab, records: Mapping[str, frozenset[Record]]) -> Atlas:
    """The look-up tables of a completed ``lab`` with its ``records``."""
    labels = {
        node: {record.label: record for record in found if isinstance(record, LabelRoute)}
        for node, found in records.items()
    }
    vrfs = chain.from_iterable((((node.name, vrf.table or 0), vrf) for vrf in node.vrfs) for node in lab.nodes)
    return Atlas(lab, records, network(lab), labels, dict(vrfs))
