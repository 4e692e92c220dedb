"""Records as facts in the words of iproute2 and procps, for reports that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .commands import OURS, command
from .state import EXPLICIT_NULLS, Record, Route, VrfDevice

_VERBS = ("add", "set", "-qw")
_INTRODUCED = ("name", "dev")
"""The first of these makes a command of a fact, and one of those may introduce a device after it."""


def words(record: Record, vrfs: Mapping[int, str] | None = None) -> str:
    """The fact, such as ``ip route 88.2.1.0/24 vrf red encap mpls 101 via 2.1.1.2 dev pe1-p-eth``. ``vrfs`` names the
    tables of the node's VRFs (see `vrf_names`)."""
    told = command(record)
    verb = next(at for at, word in enumerate(told) if word in _VERBS)
    del told[verb : verb + 2 if told[verb + 1] in _INTRODUCED else verb + 1]
    text = " ".join(told).removesuffix(" nodad").replace(f" {' '.join(OURS)}", "", 1)
    if isinstance(record, Route) and record.table in (vrfs or {}):
        return text.replace(f" table {record.table}", f" vrf {(vrfs or {})[record.table]}", 1)
    return text


def vrf_names(records: Iterable[Record]) -> dict[int, str]:
    """{table: VRF device} of one node's records."""
    return {one.table: one.name for one in records if isinstance(one, VrfDevice)}


def label_words(labels: Iterable[int]) -> str:
    """A stack, outermost first; explicit null by its name."""
    return " ".join(f"{label} (explicit null)" if label in EXPLICIT_NULLS else str(label) for label in labels)
