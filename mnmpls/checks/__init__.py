"""Is the running lab what it is meant to be? Reachability and isolation, drift, and the labels on the wires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..apply import difference
from ..model import Lab
from ..state import Record, Sysctl
from .capture import tap
from .reach import Result, matrix, probe
from .trace import Trace, trace_on
from .vpn import END_POINTS, Call, Site, address, call, reach_each_other, sites

if TYPE_CHECKING:
    from ..kernel import Namespace


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing checked: ``kind`` is reach, drift or trace, ``text`` a sentence or (trace) a small table;
    ``detail`` is the Result or Trace behind it."""

    kind: str
    ok: bool
    text: str
    detail: Result | Trace | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one check."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.findings)

    def text(self, encoding: str | None = None) -> str:
        """For a person: the matrix, the traces, what drifted, and a closing line."""
        results = [one.detail for one in self.findings if isinstance(one.detail, Result)]
        parts = [matrix(results, encoding)] if results else []
        parts += [one.text for one in self.findings if one.kind == "trace"]
        drifted = [one.text for one in self.findings if one.kind == "drift" and not one.ok]
        parts += ["\n".join(drifted)] if drifted else []
        bad = sum(not one.ok for one in self.findings)
        total = len(self.findings)
        parts.append(f"{total - bad} of {total} findings as intended" + (f", {bad} NOT" if bad else ""))
        return "\n\n".join(parts)


def check(lab: Lab, records: Mapping[str, frozenset[Record]], namespaces: Mapping[str, Namespace]) -> Report:
    """Everything checked at once: who answers whom, each node's records against its kernel, and the labels of one
    packet between each two sites that reach each other (there and back)."""
    reach = (Finding("reach", one.ok, one.why, one) for one in probe(lab, namespaces))
    return Report((*reach, *drift(records, namespaces), *_traces(lab, records, namespaces)))


def drift(records: Mapping[str, frozenset[Record]], namespaces: Mapping[str, Namespace]) -> Iterator[Finding]:
    """Per node whether its kernel holds the records; a Finding for each record that it lacks or has too many."""
    for node, wanted in records.items():
        keys = [one.key for one in wanted if isinstance(one, Sysctl)]
        found = difference(wanted, namespaces[node].observe(keys))
        for record in found.write:
            yield Finding("drift", False, f"{node}: its kernel lacks {record}")
        for record in found.remove:
            yield Finding("drift", False, f"{node}: its kernel has beyond the plan {record}")
        if not (found.write or found.remove):
            yield Finding("drift", True, f"{node}: as planned")


def _traces(
    lab: Lab, records: Mapping[str, frozenset[Record]], namespaces: Mapping[str, Namespace]
) -> Iterator[Finding]:
    with tap({node.name: namespaces[node.name] for node in lab.nodes}) as open_tap:
        for there, dst in calls(lab):
            one = trace_on(open_tap, lab, records, namespaces, there, dst)
            yield Finding("trace", one.ok and one.answered, one.text(), one)


def calls(lab: Lab) -> Iterator[tuple[Call, str]]:
    """What is traced, and the name of who is called: between each two sites that reach each other, in each IP version
    that both speak, one pair of end points, hosts if there are any. A trace shows the way back too, so each two are
    taken once."""
    all_sites = sites(lab)
    for i, near in enumerate(all_sites):
        for far in (far for far in all_sites[i + 1 :] if reach_each_other(near, far)):
            for version in (4, 6):
                src, dst = _end(lab, near, version), _end(lab, far, version)
                if src and dst:
                    yield call(lab, src, dst, version), dst


def _end(lab: Lab, site: Site, version: int) -> str | None:
    roles = {node.name: node.role for node in lab.nodes}
    ends = sorted((name for name in site.nodes if roles[name] in END_POINTS), key=lambda name: roles[name] != "host")
    return next((name for name in ends if address(lab, name, version)), None)
