"""topos/ring.yml and topos/ring.py: a ring of tunnels with routing daemons, in its variants."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mnmpls.checks.layers import layers
from mnmpls.daemons import sessions
from mnmpls.netns import RunningLab
from mnmpls.plan.ring import ring
from tests.kernel.running import captured

pytestmark = pytest.mark.kernel

LIMIT_S = 60
CLIENT2 = ("172.16.0.2", "fd00:172:0:2::")


@pytest.fixture(scope="module")
def numbered() -> Iterator[RunningLab]:
    """topos/ring.yml, converged."""
    with RunningLab(ring()) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


@pytest.fixture(scope="module")
def unnumbered() -> Iterator[RunningLab]:
    with RunningLab(ring(tunnel="vxlan", addressing="unnumbered")) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def test_as_intended(numbered: RunningLab) -> None:
    """Adjacencies, BFD, LDP and BGP over tunnels only, both IP versions, MTUs of what the tunnels leave."""
    report = numbered.check()
    assert report.ok, report.text()
    assert {one.subject for one in report.of("session") if one.subject.startswith("pe101: BFD")} == {
        f"pe101: BFD session{version} with {peer} on pe101-{peer}-gre"
        for version in ("", " for IPv6") for peer in ("pe102", "pe201")
    }  # fmt: skip
    way = numbered.trace("client1", "client2")
    assert [(hop.node, hop.operation, len(hop.labels_out)) for hop in way.request][1] == ("pe101", "push", 1)
    assert numbered["pe101"].run(["ip", "-6", "route", "get", "2001:db8::202"], check=True).stdout.count("dev eth1")


def test_unnumbered_as_intended(unnumbered: RunningLab) -> None:
    """The same over VXLAN, without an address of their own for the tunnels."""
    report = unnumbered.check()
    assert report.ok, report.text()
    ports = unnumbered["pe201"].run(["ip", "-br", "-4", "address"], check=True).stdout
    assert ports.count("10.10.0.1/32") == 3


def test_encrypted_as_intended() -> None:
    """With ESP in tunnel mode and in UDP around each tunnel: the same sessions over smaller tunnels, and from the first
    of charon's on nothing but ESP in UDP on the underlay."""
    with RunningLab(ring(ipsec="udp-tunnel")) as running:
        with captured(running, "internet", running.lab.links[0].b.name) as frames:
            assert running.await_reach(LIMIT_S) == ""
        assert sum(one.kind == "IPsec" for one in sessions(running.lab)) == 8
        assert {link.a.mtu_bytes for link in running.lab.links[4:8]} == {1374}
        seen = {layers(frame)[-1] for frame in frames}
        assert {"udp 4500"} <= seen <= {"udp 4500", "udp 500", "icmpv6"}
