"""What goes over the line between this machine and a process in a guest (near.py and far.py are its two ends): frames
of a head, which is JSON, and a body of bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from .. import state

_SIZES = struct.Struct("!II")
_RECORDS = {name: each for name, each in vars(state).items() if isinstance(each, type) and is_dataclass(each)}
_KIND, _BYTES = "is", "bytes"


def packed(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """A frame."""
    text = json.dumps(plain(head)).encode()
    return _SIZES.pack(len(text), len(body)) + text + body


def take(buffer: bytearray) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The whole frames at its beginning, which they leave."""
    while len(buffer) >= _SIZES.size:
        head, body = _SIZES.unpack_from(buffer)
        end = _SIZES.size + head + body
        if len(buffer) < end:
            return
        found = json.loads(buffer[_SIZES.size : _SIZES.size + head])
        content = bytes(buffer[_SIZES.size + head : end])
        del buffer[:end]
        yield {key: meant(value) for key, value in found.items()}, content


def plain(value: Any) -> Any:
    """Records, and what is made of them, as JSON can say it."""
    if is_dataclass(value) and not isinstance(value, type):
        told = {each.name: plain(getattr(value, each.name)) for each in fields(value)}
        return {_KIND: type(value).__name__, **told}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return {_BYTES: value.hex()} if isinstance(value, bytes) else value


def meant(value: Any) -> Any:
    """The same again; a list is a tuple."""
    if isinstance(value, list):
        return tuple(meant(each) for each in value)
    if isinstance(value, dict) and _KIND in value:
        told = {key: meant(each) for key, each in value.items() if key != _KIND}
        return _RECORDS[value[_KIND]](**told)
    if isinstance(value, dict) and _BYTES in value:
        return bytes.fromhex(value[_BYTES])
    return value
