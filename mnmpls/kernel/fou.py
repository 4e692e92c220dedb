"""UDP ports that take packets out of UDP (FOU, foo over UDP): generic netlink messages and back. Pure
(include/uapi/linux/{fou,genetlink}.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator

from ..state import UdpPort
from .netlink import Message, attribute, attributes, text

_FAMILY_CONTROL, _CTRL_GETFAMILY, _CTRL_ID, _CTRL_NAME = 0x10, 3, 1, 2
_ADD, _DELETE, _GET = 1, 2, 3
_PORT, _AF, _PROTOCOL, _TYPE = 1, 2, 3, 4
_DIRECT = b"\1"
_HEADER_BYTES = 4
_FAMILIES: dict[int, int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_VERSIONS = {family: version for version, family in _FAMILIES.items()}


def _message(family: int, command: int, *body: bytes) -> Message:
    return Message(family, 0, struct.pack("=BBH", command, 1, 0) + b"".join(body))


def family_asked() -> Message:
    """Has the kernel load the module, too."""
    return _message(_FAMILY_CONTROL, _CTRL_GETFAMILY, text(_CTRL_NAME, "fou"))


def family(answers: Iterable[bytes]) -> int:
    """The number of the message type; ValueError without an answer."""
    (body,) = answers
    return int(struct.unpack("=H", attributes(body[_HEADER_BYTES:])[_CTRL_ID])[0])


def port_new(number: int, record: UdpPort) -> Message:
    protocol = attribute(_PROTOCOL, bytes([record.protocol])) + attribute(_TYPE, _DIRECT)
    return _message(number, _ADD, _which(record), protocol)


def port_delete(number: int, record: UdpPort) -> Message:
    return _message(number, _DELETE, _which(record))


def _which(record: UdpPort) -> bytes:
    family_ = attribute(_AF, bytes([_FAMILIES[record.version]]))
    return attribute(_PORT, struct.pack(">H", record.port)) + family_


def ports_asked(number: int) -> Message:
    return _message(number, _GET)


def ports(answers: Iterable[bytes]) -> Iterator[UdpPort]:
    for body in answers:
        found = attributes(body[_HEADER_BYTES:])
        if found.get(_TYPE) == _DIRECT and found[_AF][0] in _VERSIONS:
            yield UdpPort(int.from_bytes(found[_PORT], "big"), _VERSIONS[found[_AF][0]], found[_PROTOCOL][0])
