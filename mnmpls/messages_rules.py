"""Policy routing rules to rtnetlink messages and back. Pure (include/uapi/linux/fib_rules.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

from .messages import RTPROT_MNMPLS
from .netlink import NLM_F_CREATE, NLM_F_EXCL, Message, attribute, attributes, text, u32
from .state import Rule

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_PROTOCOL = 2, 3, 6, 10, 15, 16, 21
FR_ACT_TO_TBL = 1

_RULE = struct.Struct("=BBBBBBBBI")
_WHOLE_MARK = 2**32 - 1


def rule_new(record: Rule) -> Message:
    return Message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, _rule(record))


def rule_delete(record: Rule) -> Message:
    return Message(RTM_DELRULE, 0, _rule(record))


def _rule(record: Rule) -> bytes:
    family = socket.AF_INET6 if record.version == 6 else socket.AF_INET
    source, _, length = record.src.partition("/")
    body = _RULE.pack(family, 0, int(length or 0), 0, 0, 0, 0, FR_ACT_TO_TBL, 0)
    body += u32(FRA_PRIORITY, record.priority) + u32(FRA_TABLE, record.table)
    body += attribute(FRA_PROTOCOL, bytes([RTPROT_MNMPLS]))
    if source:
        body += attribute(FRA_SRC, socket.inet_pton(family, source))
    if record.iif:
        body += text(FRA_IIFNAME, record.iif)
    if record.fwmark is not None:
        body += u32(FRA_FWMARK, record.fwmark) + u32(FRA_FWMASK, _WHOLE_MARK)
    return body


def rule_dump() -> Message:
    """Of both IP versions."""
    return Message(RTM_GETRULE, 0, _RULE.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0))


def rule(body: bytes) -> Rule | None:
    """None for one that is not ours, such as the kernel's own."""
    family, to, length, tos, table, _, _, action, _ = _RULE.unpack_from(body)
    found = attributes(body[_RULE.size :])
    ours = found.get(FRA_PROTOCOL) == bytes([RTPROT_MNMPLS]) and family in (socket.AF_INET, socket.AF_INET6)
    if not ours or action != FR_ACT_TO_TBL or to or tos:
        return None
    source = f"{socket.inet_ntop(family, found[FRA_SRC])}/{length}" if FRA_SRC in found else ""
    mark = _number(found, FRA_FWMARK) if _number(found, FRA_FWMASK) else None
    name = found.get(FRA_IIFNAME, b"").split(b"\0")[0].decode()
    version = 6 if family == socket.AF_INET6 else 4
    return Rule(_number(found, FRA_PRIORITY), version, _number(found, FRA_TABLE) or table, source, name, mark)


def _number(found: Mapping[int, bytes], key: int) -> int:
    return int(struct.unpack("=I", found[key])[0]) if key in found else 0
