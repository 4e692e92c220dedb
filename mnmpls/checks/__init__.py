"""Is the running lab what it is meant to be? Reachability and isolation, drift, and the labels on the wires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..export.wording import vrf_names
from ..model import Lab
from ..state import Record
from .capture import tap
from .drift import drifts
from .findings import Finding, Report
from .reach import probe
from .trace import Trace, trace_on
from .views import World
from .vpn import Call, Site, Vpns, reach_each_other

if TYPE_CHECKING:
    from ..kernel import Namespace

__all__ = ["Finding", "Report", "calls", "check", "drift"]


def check(lab: Lab, records: Mapping[str, frozenset[Record]], namespaces: Mapping[str, Namespace]) -> Report:
    """Everything checked at once: each node's records against its kernel, who answers whom, and the labels of one
    packet between each two sites that reach each other (there and back)."""
    reached = (
        Finding("reach", one.expected.subject, one.ok, one.expected.meant, one.seen, detail=one)
        for one in probe(lab, namespaces)
    )
    return Report((*drift(records, namespaces), *_traces(World(lab, records), namespaces), *reached))


def drift(records: Mapping[str, frozenset[Record]], namespaces: Mapping[str, Namespace]) -> Iterator[Finding]:
    """Per node whether its kernel holds the records; a Finding for each thing that is missing, differs or was added in
    what the lab owns: its ports, its VRFs' tables, the label table."""
    for node, wanted in records.items():
        vrfs = vrf_names(wanted)
        found = drifts(node, wanted, namespaces[node])
        for one in found:
            yield Finding("drift", node, False, one.expected(vrfs), one.text(vrfs), node, one)
        if not found:
            yield Finding("drift", node, True, "its records", "as planned")


def _traces(world: World, namespaces: Mapping[str, Namespace]) -> Iterator[Finding]:
    with tap({name: namespaces[name] for name in world.vpns.nodes}) as open_tap:
        for there, dst in calls(world.vpns):
            yield _traced(trace_on(open_tap, world, namespaces, there, dst))


def _traced(one: Trace) -> Finding:
    if one.differences:
        first = one.differences[0]
        return Finding("trace", one.subject, False, first.expected, str(first), first.node, one)
    if one.answered:
        return Finding(
            "trace", one.subject, True, "the predicted way, and an answer", "as predicted, answered", "", one
        )
    last = (one.reply or one.request)[-1]
    seen = f"dropped at {last.node}, as the records say: {last.reason}"
    return Finding("trace", one.subject, False, "an answer", seen, last.node, one)


def calls(vpns: Vpns) -> Iterator[tuple[Call, str]]:
    """What is traced, and the name of who is called: between each two sites that reach each other, in each IP version
    that both speak, one pair of end points, hosts if there are any. A trace shows the way back too, so each two are
    taken once."""
    for i, near in enumerate(vpns.sites):
        for far in (far for far in vpns.sites[i + 1 :] if reach_each_other(near, far)):
            for version in (4, 6):
                src, dst = _end(vpns, near, version), _end(vpns, far, version)
                if src and dst:
                    yield vpns.call(src, dst, version), dst


def _end(vpns: Vpns, site: Site, version: int) -> str | None:
    ends = sorted(vpns.end_points(site), key=lambda name: vpns.nodes[name].role != "host")
    return next((name for name in ends if vpns.address(name, version)), None)
