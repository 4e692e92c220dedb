"""Policy routing rules to rtnetlink messages and back. Pure (include/uapi/linux/fib_rules.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Mapping

from ..state import L3MDEV, RTPROT_MNMPLS, Rule
from .messages import RTPROT_BOOT, RTPROT_KERNEL
from .netlink import NLM_F_CREATE, NLM_F_EXCL, Message, attribute, attributes, text, u32

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_PROTOCOL = 2, 3, 6, 10, 15, 16, 21
FRA_L3MDEV = 19
L3MDEV_PRIORITY = 1000
RTPROT_UNSPEC = 0
BY_HAND = (RTPROT_UNSPEC, RTPROT_BOOT)
"""What ip(8) makes a rule with: nothing, of which the kernel knows no better, or as it makes routes."""
FR_ACT_TO_TBL = 1

_RULE = struct.Struct("=BBBBBBBBI")
_WHOLE_MARK = 2**32 - 1


def rule_new(record: Rule) -> Message:
    return Message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, _rule(record))


def rule_delete(record: Rule, protocol: int) -> Message:
    """By whom it was made; RTPROT_BOOT and RTPROT_UNSPEC stand for anybody."""
    return Message(RTM_DELRULE, 0, _rule(record, RTPROT_UNSPEC if protocol in BY_HAND else protocol))


def _rule(record: Rule, protocol: int = RTPROT_MNMPLS) -> bytes:
    family = socket.AF_INET6 if record.version == 6 else socket.AF_INET
    source, _, length = record.src.partition("/")
    body = _RULE.pack(family, 0, int(length or 0), 0, 0, 0, 0, FR_ACT_TO_TBL, 0)
    body += u32(FRA_PRIORITY, record.priority)
    if record.table == L3MDEV:
        return body + attribute(FRA_L3MDEV, b"\1") + attribute(FRA_PROTOCOL, bytes([RTPROT_KERNEL]))
    body += u32(FRA_TABLE, record.table) + attribute(FRA_PROTOCOL, bytes([protocol]))
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


def rule(body: bytes, made_by: Collection[int] = (RTPROT_MNMPLS,)) -> Rule | None:
    """None for one that was not ``made_by`` these, such as the kernel's own, or is none of a record's form."""
    family, to, length, tos, table, _, _, action, _ = _RULE.unpack_from(body)
    found = attributes(body[_RULE.size :])
    ours = found.get(FRA_PROTOCOL, b"\0")[0] in made_by and family in (socket.AF_INET, socket.AF_INET6)
    if not ours or action != FR_ACT_TO_TBL or to or tos:
        return None
    source = f"{socket.inet_ntop(family, found[FRA_SRC])}/{length}" if FRA_SRC in found else ""
    mark = _number(found, FRA_FWMARK) if _number(found, FRA_FWMASK) else None
    name = found.get(FRA_IIFNAME, b"").split(b"\0")[0].decode()
    version = 6 if family == socket.AF_INET6 else 4
    return Rule(_number(found, FRA_PRIORITY), version, _number(found, FRA_TABLE) or table, source, name, mark)


def l3mdev_version(body: bytes) -> int:
    """The IP version of a rule that leads each VRF's packets to its table, whoever made it; 0 for any other."""
    family, to, length, tos, *_ = _RULE.unpack_from(body)
    found = attributes(body[_RULE.size :])
    every = not (to or length or tos or FRA_IIFNAME in found) and found.get(FRA_L3MDEV) == b"\1"
    return {socket.AF_INET: 4, socket.AF_INET6: 6}.get(family, 0) if every else 0


def _number(found: Mapping[int, bytes], key: int) -> int:
    return int(struct.unpack("=I", found[key])[0]) if key in found else 0
