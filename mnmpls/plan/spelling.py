"""How single values must be spelled."""

from __future__ import annotations

import re
from functools import lru_cache

from ..state import FALLBACK_DEVICES
from .graph import Interface, check_address, interface
from .names import NAME_BYTES

NAME = re.compile(r"[A-Za-z0-9_.-]+")
NUMBER = re.compile(r"[0-9]{1,10}")
NOT_INTERFACES = frozenset({".", "..", "lo", "all", "default"}) | FALLBACK_DEVICES
"""The kernel refuses the first two (dev_valid_name); ``all`` and ``default`` are not devices in net.*.conf; tunnel
modules make some by themselves."""

HOSTNAME_BYTES = 64
"""uname(2); of a node that is not ours, whose ports have names of their own."""

MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


def name_fault(name: str, what: str, most_bytes: int = NAME_BYTES) -> str:
    """What is wrong with the name of a node, VRF or port; empty when nothing is."""
    if len(name.encode()) > most_bytes:
        why = " (interfaces are named after nodes)" if what == "node" else ""
        text = f"the {what} name {name!r} has {len(name.encode())} bytes, and the kernel takes {most_bytes}"
        return f"{text}{why}: shorten it"
    if not NAME.fullmatch(name):
        return f"the {what} name {name!r} may have letters (a to z), digits and _ . - only, and one at least"
    if name.startswith("-"):
        return f"the {what} name {name!r} would be an option to commands: begin it with a letter or a digit"
    if name in NOT_INTERFACES:
        return f"{name!r} means something else to the kernel: give the {what} another name"
    return ""


def cidr(text: str) -> Interface | None:
    """An address with its prefix length, or None; a bare address counts as a single one (/32, /128)."""
    try:
        return interface(text)
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def is_address(text: str) -> bool:
    try:
        check_address(text)
    except ValueError:
        return False
    return True


def pair_fault(text: str, what: str) -> str:
    """What is wrong with an RD or RT (RFC 4364 4.2): ASN:number or IPv4:number, 2 and 4 bytes either way round."""
    left, _, right = text.rpartition(":")
    if NUMBER.fullmatch(right):
        if NUMBER.fullmatch(left):
            if int(left) < 2**16 and int(right) < 2**32:
                return ""
            if int(left) < 2**32 and int(right) < 2**16:
                return ""
        elif is_address(left) and ":" not in left and int(right) < 2**16:
            return ""
    if NUMBER.fullmatch(left) and NUMBER.fullmatch(right):
        return f"one half of the {what} {text!r} has to be below 65536, and the other below 4294967296"
    return f"the {what} {text!r} is not ASN:NUMBER or ADDRESS:NUMBER, such as 65000:1 or 10.0.0.1:1"
