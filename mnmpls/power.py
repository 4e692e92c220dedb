"""A node turned off as by its switch: nothing of it says good-bye, and nothing of what it knew is left.

Its wires stay, for they are its neighbours', too: what these see is a carrier that is gone. Turned on, it is set up as
a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import replace

from .apply import apply, remove_added
from .kernel import Namespace
from .processes import Processes
from .state import Port, Record, Sysctl

_LABELS = "net.mpls.platform_labels"


def turn_off(node: str, namespace: Namespace, processes: Processes, end_daemons: Callable[[str], None]) -> None:
    """First its ports go down, so that no daemon's last words get out. Raises KernelRefused."""
    with _apart(namespace) as own:
        wires = own.ports("veth")
        found = own.observe((_LABELS,))
        ports = (one for one in found if isinstance(one, Port) and (one.name in wires or one.name == "lo"))
        down = {replace(one, up=False) for one in ports}
        own.write(*sorted(down))
        end_daemons(node)
        processes.end_within(own.fd)
        # A table without labels has no label routes (net/mpls/af_mpls.c, resize_platform_label_table), whoever made
        # them; those of IP go with their ports and VRFs.
        none = {replace(one, value="0") for one in found if isinstance(one, Sysctl)}
        apply(frozenset(down | none), own, node)
        remove_added(frozenset(), own, node)


def turn_on(node: str, namespace: Namespace, records: frozenset[Record]) -> None:
    """Its records, all of them. Raises KernelRefused."""
    with _apart(namespace) as own:
        apply(records, own, node)


def _apart(namespace: Namespace) -> AbstractContextManager[Namespace]:
    """The same one, without disturbing who else uses it: this may be another thread."""
    return closing(Namespace.open(f"/proc/self/fd/{namespace.fd}"))
