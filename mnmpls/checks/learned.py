"""Labs whose routes and labels are made by daemons: what their kernels hold now takes the place of a plan. A packet is
then to do what the tables of all nodes say together; that they say the right thing, who reaches whom shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..model import Lab
from ..plan.graph import ROUTERS
from ..state import Record

SPEAKERS = ROUTERS | {"ce"}

if TYPE_CHECKING:
    from ..kernel import Namespace


def learned(lab: Lab, node: str, namespace: Namespace) -> frozenset[Record]:
    """What daemons have written into this node's kernel; nothing where the lab has none there."""
    one = lab.node(node)
    has_any = one.routes_itself or (lab.has_daemons and one.role in SPEAKERS)
    return frozenset(namespace.learned()) if has_any else frozenset()


def with_learned(
    lab: Lab, records: Mapping[str, frozenset[Record]], namespaces: Mapping[str, Namespace]
) -> Mapping[str, frozenset[Record]]:
    """The records, and those of the daemons as they are now."""
    if not lab.has_daemons and not lab.has_own:
        return records
    return {node: found | learned(lab, node, namespaces[node]) for node, found in records.items()}
