"""strongSwan's control protocol (src/libcharon/plugins/vici/README.md): what a charon says of itself."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

_REQUEST, _RESPONSE, _REGISTER, _CONFIRM, _EVENT = 0, 1, 3, 5, 7
_SECTION, _SECTION_END, _VALUE, _ITEM = 1, 2, 3, 5
_EVENTS = {"list-sas": "list-sa", "list-conns": "list-conn"}
"""The command -> the events that its answer consists of."""

ANSWER_S = 2.0


def ask(path: str, command: str) -> str | None:
    """All that the daemon behind the socket ``path`` tells of ``list-sas`` or ``list-conns``, as JSON: a list with one
    entry for each association or connection. None if it does not answer."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as line:
        line.settimeout(ANSWER_S)
        try:
            line.connect(path)
            _send(line, _REGISTER, _EVENTS[command])
            if _receive(line)[0] != _CONFIRM:
                return None
            _send(line, _REQUEST, command)
            return json.dumps(list(_events(line)))
        except (OSError, struct.error, IndexError):
            return None


def initiate(path: str, connection: str, child: str) -> None:
    """Has the daemon behind the socket ``path`` begin to agree on keys; nothing where it does not answer."""
    told = b"".join(_value(*each) for each in (("child", child), ("ike", connection), ("timeout", "-1")))
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as line, suppress(OSError):
        line.settimeout(ANSWER_S)
        line.connect(path)
        _send(line, _REQUEST, "initiate", told)
        _receive(line)


def _value(name: str, text: str) -> bytes:
    return struct.pack("!BB", _VALUE, len(name)) + name.encode() + struct.pack("!H", len(text)) + text.encode()


def _events(line: socket.socket) -> Iterator[dict[str, Any]]:
    while True:
        kind, body = _receive(line)
        if kind == _EVENT:
            yield _section(memoryview(body), 1 + body[0])[0]
        elif kind == _RESPONSE:
            return
        else:
            raise OSError(f"charon answers with a message of type {kind}")


def _send(line: socket.socket, kind: int, name: str, body: bytes = b"") -> None:
    line.sendall(struct.pack("!IBB", 2 + len(name) + len(body), kind, len(name)) + name.encode() + body)


def _receive(line: socket.socket) -> tuple[int, bytes]:
    size = struct.unpack("!I", _exactly(line, 4))[0]
    packet = _exactly(line, size)
    return packet[0], packet[1:]


def _exactly(line: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        more = line.recv(size - len(parts))
        if not more:
            raise OSError("charon ends in the middle of its answer")
        parts += more
    return parts


def _section(data: memoryview, at: int) -> tuple[dict[str, Any], int]:
    """What stands from ``at`` to the section's end, and where that is."""
    found: dict[str, Any] = {}
    while at < len(data):
        kind = data[at]
        if kind == _SECTION_END:
            return found, at + 1
        name, at = _text(data, at + 1, 1)
        if kind == _SECTION:
            found[name], at = _section(data, at)
        elif kind == _VALUE:
            found[name], at = _text(data, at, 2)
        else:
            found[name], at = _items(data, at)
    return found, at


def _items(data: memoryview, at: int) -> tuple[list[str], int]:
    found = []
    while data[at] == _ITEM:
        text, at = _text(data, at + 1, 2)
        found.append(text)
    return found, at + 1


def _text(data: memoryview, at: int, length_bytes: int) -> tuple[str, int]:
    start = at + length_bytes
    end = start + int.from_bytes(data[at:start], "big")
    return bytes(data[start:end]).decode(errors="replace"), end
