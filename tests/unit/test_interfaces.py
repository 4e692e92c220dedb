"""Addresses are read faster than ipaddress does it, and no differently."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from typing import TypeVar

import pytest

from mnmpls.plan.graph import canonical, interface
from mnmpls.plan.spelling import is_address

T = TypeVar("T")

ODD = (
    "::ffff:1.2.3.4", "::1.2.3.4", "fe80::1%e0", "1.2.3.4%e", "::", "::1", "1::", "01.2.3.4", "1.2.3.04", "FD00::A",
    "::ffff:0:1", "1:0:0:2::", "0:0:1::", "1::0:0:2:0:0:3", "1:::2", "1.2.3", "1.2.3.4.5", "256.1.1.1", "12345::",
    "64:ff9b::1.2.3.4", ":1", "1:",
)  # fmt: skip
LENGTHS = ("", "/0", "/24", "/32", "/33", "/64", "/128", "/129", "/024", "/", "/ 4", "/255.255.255.0", "/-1", "/٣")


def _or_none(read: Callable[[str], T], text: str) -> T | None:
    try:
        return read(text)
    except ValueError:
        return None


def _any_address(chance: random.Random) -> str:
    if chance.random() < 0.4:
        return ".".join(str(chance.choice((0, 1, 255, 256, chance.randrange(256)))) for _ in range(4))
    parts = ("", "0", "0", "1", "00ab", "ABCD", "12345", f"{chance.randrange(2**16):x}")
    return ":".join(chance.choice(parts) for _ in range(chance.choice((8, 8, 5, 3))))


@pytest.mark.parametrize("seed", range(5))
def test_addresses_are_what_ipaddress_makes_of_them(seed: int) -> None:
    """Read as the same value or refused alike, and spelled alike, IPv4 in IPv6, scopes and nonsense too."""
    chance = random.Random(seed)
    read = 0
    for address in (*ODD, *(_any_address(chance) for _ in range(300))):
        for text in (address + length for length in LENGTHS):
            theirs = _or_none(ip_interface, text)
            assert _or_none(interface, text) == theirs, text
            if theirs is not None:
                read += 1
                assert interface(text).network == theirs.network and canonical(text) == str(theirs)
            assert is_address(text) is (_or_none(ip_address, text) is not None), text
    assert read > 100
