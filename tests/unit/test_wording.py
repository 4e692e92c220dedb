"""Records in the words of iproute2."""

from __future__ import annotations

import pytest

from mnmpls.state import (
    MAIN_TABLE,
    UNREACHABLE_METRIC,
    Address,
    Bridge,
    LabelRoute,
    Member,
    NextHop,
    Port,
    Record,
    Route,
    Sysctl,
    VrfDevice,
)
from mnmpls.wording import vrf_names, words

CASES: tuple[tuple[Record, str], ...] = (
    (Sysctl("net.ipv4.ip_forward", "1"), "sysctl net.ipv4.ip_forward=1"),
    (VrfDevice("red", 10), "ip link red up type vrf table 10"),
    (Bridge("br11", up=False), "ip link br11 down type bridge stp_state 0"),
    (Member("pe1-c1e1-eth", "red"), "ip link pe1-c1e1-eth master red"),
    (Port("pe1-p-eth", False, 1400), "ip link pe1-p-eth mtu 1400 down"),
    (Address("lo", "fd00::1/128"), "ip address fd00::1/128 dev lo"),
    (
        Route(10, "88.2.1.0/24", (NextHop("2.1.1.2", "pe1-p-eth", (101,)),)),
        "ip route 88.2.1.0/24 vrf red encap mpls 101 via 2.1.1.2 dev pe1-p-eth",
    ),
    (
        Route(30, "0.0.0.0/0", (), "unreachable", UNREACHABLE_METRIC),
        f"ip route unreachable default table 30 metric {UNREACHABLE_METRIC}",
    ),
    (
        Route(
            MAIN_TABLE, "fd01::/64", (NextHop("2.1.1.2", "a"), NextHop("fd00::2", "b", (17, 1000), 3)), "unicast", 1024
        ),
        "ip -6 route fd01::/64 nexthop via inet 2.1.1.2 dev a nexthop encap mpls 17/1000 via fd00::2 dev b weight 3",
    ),
    (
        LabelRoute(101, (NextHop("2.1.1.6", "p-pe2-eth", (111,)),)),
        "ip -f mpls route 101 as 111 via inet 2.1.1.6 dev p-pe2-eth",
    ),
    (LabelRoute(111, (NextHop("", "red"),)), "ip -f mpls route 111 dev red"),
)


@pytest.mark.parametrize(("record", "text"), CASES, ids=[text for _, text in CASES])
def test_a_record_in_words(record: Record, text: str) -> None:
    """Each record reads as iproute2 would print it, with a VRF by its name where the node has one for the table."""
    assert words(record, vrf_names({VrfDevice("red", 10)})) == text
