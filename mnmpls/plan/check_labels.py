"""What can be wrong with a label: where it comes in, and where it leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..model import Lab, Node
from ..state import EXPLICIT_NULLS
from .alloc import FIRST_LABEL, LAST_LABEL, MOST_LABELS, PLATFORM_LABELS
from .graph import ROUTERS
from .ranges import bounds

Fault = tuple[str, str]

IMPLICIT_NULL = 3
RANGE = re.compile("[0-9]{1,7}-[0-9]{1,7}")


def incoming_fault(lab: Lab, label: int) -> str:
    """Why no router can have an entry for ``label``; empty when it can."""
    if not FIRST_LABEL <= label <= LAST_LABEL:
        return label_text(label)
    if lab.platform_labels is not None and label >= lab.platform_labels:
        text = f"label {label} is beyond the routers' label tables, which end below platform_labels"
        return f"{text} {lab.platform_labels}: pin a lower one, or give platform_labels {label + 1}"
    return ""


def leaving_faults(labels: Sequence[int], path: str) -> Iterator[Fault]:
    """What is wrong with a stack on a packet that leaves."""
    for label in labels:
        if label not in EXPLICIT_NULLS and not FIRST_LABEL <= label <= LAST_LABEL:
            yield path, label_text(label)
    if len(labels) > MOST_LABELS:
        text = f"{len(labels)} labels are more than the {MOST_LABELS} that Linux puts on a packet (MAX_NEW_LABELS"
        yield path, f"{text} in net/mpls/internal.h): leave some to a router further on"


def range_fault(lab: Lab, node: Node) -> str:
    """What is wrong with a router's label_range; empty when nothing is."""
    if node.role not in ROUTERS:
        return f"{node.name} is a {node.role}: only p and pe have a label table"
    highest = min(lab.platform_labels or PLATFORM_LABELS, PLATFORM_LABELS) - 1
    if RANGE.fullmatch(node.label_range):
        numbers = bounds(node)
        if FIRST_LABEL <= numbers.start < numbers.stop <= highest + 1:
            return ""
    limit = " (below platform_labels)" if highest + 1 < PLATFORM_LABELS else ""
    return f"{node.label_range!r} is no range of labels such as 100-199, from {FIRST_LABEL} to {highest}{limit}"


def label_text(label: int) -> str:
    """Why ``label`` is none for a path."""
    if label == IMPLICIT_NULL:
        text = "3 is implicit null, which asks the router before to take the label off, and is never in a packet"
        return f"{text} (RFC 3032 2.1): give {FIRST_LABEL} to {LAST_LABEL}, or leave it out"
    if label in EXPLICIT_NULLS:
        text = f"{label} is explicit null, which every router knows by itself (RFC 3032 2.1)"
        return f"{text}: give {FIRST_LABEL} to {LAST_LABEL}"
    why = "0 to 15 are reserved (RFC 3032)" if 0 <= label < FIRST_LABEL else "a label has 20 bits"
    return f"{label} cannot be used as a label, because {why}: give {FIRST_LABEL} to {LAST_LABEL}"
