"""What a user reads where the kernel lacks a feature: errors and sentences as such a kernel gave them."""

from __future__ import annotations

import errno
import os

import pytest

from mnmpls.kernel.refusals import refused
from mnmpls.state import (
    Address,
    Bridge,
    Guard,
    LabelRoute,
    Member,
    NextHop,
    Port,
    Qdisc,
    Record,
    Route,
    Sysctl,
    Tunnel,
    UdpPort,
    VrfDevice,
)
from mnmpls.wording import words

_HOP = NextHop("10.0.0.2", "a", (100,))
LACKING: list[tuple[Record, int, str, str]] = [
    (VrfDevice("red", 10), errno.EOPNOTSUPP, "Unknown device type", "modprobe vrf"),
    (Bridge("br0"), errno.EOPNOTSUPP, "Unknown device type", "modprobe bridge"),
    (Tunnel("t", "ip6gre", "fd00::1", "fd00::2"), errno.EOPNOTSUPP, "Unknown device type", "modprobe ip6_gre"),
    (Tunnel("t", "gre", "10.0.0.1", "10.0.0.2"), errno.EEXIST, "", "give one of the tunnels a key"),
    (Tunnel("t", "ipip", "10.0.0.1", "10.0.0.2", udp_port=6635), errno.EINVAL, "", "MNMPLS_KERNEL=qemu"),
    (UdpPort(6635, 4, 137), errno.ENOENT, "", "MNMPLS_KERNEL=qemu"),
    (UdpPort(6635, 4, 137), errno.EADDRINUSE, "", "ss -lunp"),
    (Guard("out", "10.0.0.1", "10.0.0.2", 47), errno.EPROTONOSUPPORT, "", "modprobe xfrm_user"),
    (Qdisc("eth0", loss_ppm=1), errno.ENOENT, "Specified qdisc kind is unknown", "modprobe sch_netem"),
    (LabelRoute(100, (_HOP,)), errno.EOPNOTSUPP, "", "modprobe mpls_router"),
    (LabelRoute(100, (_HOP,)), errno.EINVAL, "MPLS only supports the main route table", "live in the main table only"),
    (
        Route(254, "10.0.0.0/8", (_HOP,)),
        errno.EOPNOTSUPP,
        "lwt encapsulation type not supported",
        "modprobe mpls_iptunnel",
    ),
    (Route(254, "10.0.0.0/8", (_HOP,)), errno.ENOBUFS, "", "more memory"),
]


EVERY: list[object] = [
    *dict.fromkeys(record for record, *_ in LACKING), Member("a", "b"), Port("a"), Address("a", "::1/64"),
    Sysctl("net.ipv4.ip_forward", "1"), "a new network namespace", "wire a - b",
]  # fmt: skip


@pytest.mark.parametrize("record", EVERY, ids=str)
def test_no_refusal_is_a_bare_error_number(record: object) -> None:
    """Whatever the number, there is a sentence and something to do."""
    for code in errno.errorcode:
        error = refused(record, code, "")
        assert error.why and error.why != os.strerror(code), (code, error.why)
        assert error.remedy


@pytest.mark.parametrize(("record", "code", "said", "text"), LACKING, ids=[text for *_, text in LACKING])
def test_lacking_feature_is_named_with_its_remedy(record: Record, code: int, said: str, text: str) -> None:
    """The text has the record, what the kernel said, and what to do."""
    error = refused(record, code, said)
    assert str(error).startswith(f"{words(record)}: ")
    assert text in str(error)
    assert said in str(error)
    assert error.errno == code
