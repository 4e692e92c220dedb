"""Segment routing's half of a check: is the label of each router's SID in the daemons and in the kernels of the
others?"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping

from ..daemons import sid_labels
from ..processes import Folders
from ..services import ask
from .findings import Finding
from .views import World

_QUESTION = "show mpls table json"


def segments(world: World, folders: Mapping[str, Folders], off: Container[str]) -> Iterator[Finding]:
    """A finding for each router and each SID that it is to know, but those of nodes that are ``off``."""
    for node, wanted in sid_labels(world.lab).items():
        if node in off:
            continue
        known = installed(ask(folders[node].run, "zebra", _QUESTION) or "") if node in folders else frozenset()
        for one in wanted:
            if one.node not in off:
                lacking = ["zebra"] if one.label not in known else []
                lacking += ["the kernel"] if one.label not in world.views[node].labels else []
                seen = f"{' and '.join(lacking)} of {node} has none" if lacking else "there"
                subject = f"{node}: label {one.label} to {one.node}"
                yield Finding("label", subject, not lacking, "there", seen, node if lacking else "")


def installed(answer: str) -> frozenset[int]:
    """The labels that zebra says it has given to the kernel. An answer that is no JSON says nothing."""
    try:
        said = json.loads(answer or "{}")
    except ValueError:
        return frozenset()
    return frozenset(int(label) for label, one in said.items() if one.get("installed"))
