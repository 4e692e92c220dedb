"""Who is behind which port, as a namespace's bridges and VXLAN devices have it (bridge(8), fdb)."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from .netlink import Message, Socket, attributes

if TYPE_CHECKING:
    from .namespace import Namespace

_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_AF_BRIDGE, _RTM_GETNEIGH = 7, 30
_NDA_DST, _NDA_LLADDR, _NDA_MASTER = 1, 2, 9
_PERMANENT = 0x80
"""NUD_PERMANENT: an address of the port's own (include/uapi/linux/neighbour.h)."""

EVERYBODY = "00:00:00:00:00:00"
"""Where VXLAN sends what has no other entry."""


class Entry(NamedTuple):
    """An Ethernet address is behind ``port``: to VXLAN behind the address ``via``, to the bridge ``master`` just there;
    one of the two is empty."""

    mac: str
    port: str
    via: str
    master: str


_DUMP = Message(_RTM_GETNEIGH, 0, _NEIGHBOUR.pack(_AF_BRIDGE, 0, 0, 0, 0))


def forwarding(namespace: Namespace) -> frozenset[Entry]:
    """All entries but the ports' own addresses."""
    names = {number: name for name, number in namespace.indexes().items()}
    with namespace.entered():
        one = Socket()
    with closing(one):
        return frozenset(_entries(one.dump(_DUMP), names))


def _entries(bodies: Iterable[bytes], names: dict[int, str]) -> Iterator[Entry]:
    for body in bodies:
        _, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
        found = attributes(body[_NEIGHBOUR.size :])
        mac, dst = found.get(_NDA_LLADDR, b"").hex(":"), found.get(_NDA_DST, b"")
        master = names.get(int.from_bytes(found.get(_NDA_MASTER, b""), sys.byteorder), "")
        if index in names and (dst or not state & _PERMANENT):
            family = socket.AF_INET if len(dst) == 4 else socket.AF_INET6
            yield Entry(mac, names[index], socket.inet_ntop(family, dst) if dst else "", master)
