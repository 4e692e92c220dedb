"""A node's network namespace in a container, without what the runtime has in it beside the node's own."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..kernel import Namespace
from ..model import Lab
from ..state import Address, Bridge, Dummy, Member, Qdisc, Record, Tunnel, VrfDevice


def wires_of(lab: Lab, name: str) -> list[str]:
    """The ports that the container's runtime makes: those of the node's wires."""
    return [port.name for link in lab.links if link.is_wire for port in link.ports if port.node == name]


class NodeNamespace(Namespace):
    """What is seen of it is what the lab may have made: no interface of the runtime's, such as eth0 with its address,
    and nothing that a wire is made of here, such as VXLAN between two hosts."""

    _wires: frozenset[str] = frozenset()
    _own: frozenset[str] = frozenset()

    @classmethod
    def of(cls, path: str, wires: Iterable[str], wanted: Iterable[Record]) -> NodeNamespace:
        """The one at ``path``, of the node with these ports and records. Raises OSError."""
        found = cls(os.open(path, os.O_RDONLY))
        found.own(wires, wanted)
        return found

    def own(self, wires: Iterable[str], wanted: Iterable[Record]) -> None:
        """From now on it is that of a node with these."""
        names = (getattr(record, "name", "") for record in wanted)
        self._wires = frozenset(wires)
        self._own = frozenset(("lo", *self._wires, *filter(None, names)))

    def observe(self, sysctls: Iterable[str] = ()) -> frozenset[Record]:
        return frozenset(record for record in self.observed(sysctls) if not self._is_foreign(record))

    def observed(self, sysctls: Iterable[str]) -> frozenset[Record]:
        """With the runtime's own."""
        return super().observe(sysctls)

    def _is_foreign(self, record: Record) -> bool:
        if isinstance(record, VrfDevice | Bridge | Dummy | Tunnel):
            return record.name not in self._own or record.name in self._wires
        if isinstance(record, Address | Member | Qdisc):
            return record.port not in self._own
        return False
