"""rtnetlink's wire format and one socket that speaks it (RFC 3549; include/uapi/linux/netlink.h).

Written here and not taken from a library: in a UML guest importing pyroute2 costs 0.5 s and more and one of its calls
2.6 ms, against 6 µs for a label route among many. Only this room uses it.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

NETLINK_NETFILTER, NETLINK_GENERIC = 12, 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x10, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
NLMSGERR_ATTR_MSG = 1
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 10, 11, 12

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=HHI")
_PADDING = (b"", bytes(3), bytes(2), bytes(1))
_RECEIVE_BYTES = 1 << 16
_DUMP_TRIES = 10
_BATCH_MESSAGES, _BATCH_BYTES = 100, 1 << 16
"""What goes out in one send: below the socket's default buffer of 212992 bytes, and so few that their refusals, each
up to 1280 bytes of the kernel's memory, fit into the buffer of the same size that they come back in."""


class Message(NamedTuple):
    """One request: its type, flags beside REQUEST and ACK, and what follows the header."""

    kind: int
    flags: int
    body: bytes


class Refused(Exception):
    """The kernel answered a request with an error number; ``said`` is its extended ack text, or empty. ``name``
    is the interface that the request asked for. namespace.py turns it into a KernelRefused."""

    def __init__(self, code: int, said: str, name: str = "") -> None:
        self.code, self.said, self.name = code, said, name
        super().__init__(f"{os.strerror(code)}: {said or name}")


def attribute(kind: int, *payload: bytes) -> bytes:
    """A ``struct nlattr`` with its payload, padded to 4 bytes."""
    data = payload[0] if len(payload) == 1 else b"".join(payload)
    return _ATTRIBUTE.pack(4 + len(data), kind) + data + _PADDING[len(data) & 3]


def u32(kind: int, value: int) -> bytes:
    return _U32.pack(8, kind, value)


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def nest(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, *attributes)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in ``data``, by type."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        found[kind & NLA_TYPE_MASK] = data[at + 4 : at + length]
        at += max(length + 3 & ~3, 4)
    return found


class Socket:
    """An rtnetlink socket of the namespace that the calling thread is in when it is made."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        self._sequence = 0
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        self._socket.close()

    def write(self, messages: Iterable[Message]) -> dict[int, Refused]:
        """Has all of them carried out, in order, and gives by position what the kernel refused; it goes on after
        a refusal."""
        refusals: dict[int, Refused] = {}
        start = 0
        with self._one_at_a_time:
            for batch in _batches(messages):
                refusals.update((start + at, error) for at, error in self._write_batch(batch))
                start += len(batch)
        return refusals

    def _write_batch(self, messages: Sequence[Message]) -> Iterator[tuple[int, Refused]]:
        """Only the last is acknowledged when it is well; what is refused is answered in any case."""
        first, last = self._sequence + 1, self._sequence + len(messages)
        self._sequence = last
        out = [_packed(message, NLM_F_REQUEST, first + at) for at, message in enumerate(messages[:-1])]
        self._socket.sendto(b"".join(out) + _packed(messages[-1], NLM_F_REQUEST | NLM_F_ACK, last), (0, 0))
        answered = 0
        while answered != last:
            for _, flags, answered, body in self._receive():
                if answered >= first and (error := _error(flags, body)):
                    yield answered - first, error

    def dump(self, message: Message, flags: int = NLM_F_DUMP) -> list[bytes]:
        """The bodies of all answers; asked anew when the kernel says that its table changed meanwhile. Raises
        Refused. ``flags`` NLM_F_ACK ask for one thing instead of all."""
        with self._one_at_a_time:
            for _ in range(_DUMP_TRIES):
                self._send(message, flags)
                answers = list(self._answers())
                if not any(flags & NLM_F_DUMP_INTR for flags, _ in answers):
                    break
            return [body for _, body in answers]

    def _send(self, message: Message, flags: int) -> None:
        self._sequence += 1
        self._socket.sendto(_packed(message, NLM_F_REQUEST | flags, self._sequence), (0, 0))

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != self._sequence:  # the rest of an answer that was interrupted
                    continue
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    if error := _error(flags, body):
                        raise error
                    return
                yield flags, body

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        return unpacked(self._socket.recv(_RECEIVE_BYTES))


def unpacked(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, sequence number and body of each message in a datagram."""
    at = 0
    while at < len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        yield kind, flags, sequence, data[at + _HEADER.size : at + length]
        at += length + 3 & ~3


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """What goes out in one send each. Ten thousand messages are never there all at once: Python's garbage collector
    would take more time over them than the kernel."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == _BATCH_MESSAGES or size + len(message.body) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += len(message.body) + _HEADER.size
    if batch:
        yield batch


def _packed(message: Message, flags: int, sequence: int) -> bytes:
    """Bodies are whole attributes, so that the next message starts aligned."""
    length = _HEADER.size + len(message.body)
    return _HEADER.pack(length, message.kind, flags | message.flags, sequence, 0) + message.body


def _error(flags: int, body: bytes) -> Refused | None:
    """What an NLMSG_ERROR or NLMSG_DONE says; None when all is well."""
    code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if code <= 0:
        return None
    said = b""
    if flags & NLM_F_ACK_TLVS:
        asked = _HEADER.size if flags & NLM_F_CAPPED else struct.unpack_from("=I", body, 4)[0] + 3 & ~3
        said = attributes(body[4 + asked :]).get(NLMSGERR_ATTR_MSG, b"")
    return Refused(code, said.rstrip(b"\0").decode(errors="replace"))
