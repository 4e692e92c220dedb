"""Run in a node: what in its kernel differs from its records, as JSON. For those who cannot look from outside, since it
has a kernel of its own."""

from __future__ import annotations

import json
import sys

from ..checks.whole import drift_of
from ..plan import records
from .entry import given
from .space import NodeNamespace, wires_of


def main() -> int:
    """A list of whether it is as it should be, what is expected, what was seen."""
    lab, name = given()
    wanted = records(lab)
    with_node = {name: NodeNamespace.of("/proc/self/ns/net", wires_of(lab, name), wanted[name])}
    print(json.dumps([[one.ok, one.expected, one.seen] for one in drift_of(name, wanted, with_node, ())]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
