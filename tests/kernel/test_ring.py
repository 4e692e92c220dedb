"""topos/ring.yml and topos/ring.py: a ring of tunnels with routing daemons, in its variants."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from mnmpls.checks.equal_ways import equal_ways
from mnmpls.checks.layers import layers
from mnmpls.daemons import sessions
from mnmpls.netns import RunningLab
from mnmpls.plan.ring import ring
from tests.kernel.running import captured, settled, traced

pytestmark = pytest.mark.kernel

LIMIT_S = 180


@pytest.fixture(scope="module")
def numbered() -> Iterator[RunningLab]:
    """topos/ring.yml with a LAN beside the clients' VPN, converged."""
    with RunningLab(ring(lan="evpn")) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def soon(holds: Callable[[], object]) -> bool:
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def told(lab: RunningLab, node: str, what: str) -> list[dict[str, str]]:
    """By ldpd, under the first key of its answer."""
    asked = lab[node].run(["vtysh", "-c", f"show mpls ldp {what} json"], check=True).stdout
    return next(iter(json.loads(asked).values()), [])


def up_s(lab: RunningLab) -> list[int]:
    """How long the LDP session of pe101 and pe201 has been there, as either says."""
    found = []
    for node, peer in (("pe101", "10.10.0.1"), ("pe201", "10.10.0.2")):
        times = [one["upTime"] for one in told(lab, node, "neighbor") if one["neighborId"] == peer]
        found += [sum(int(part) * 60**i for i, part in enumerate(reversed(time.split(":")))) for time in times]
    return found


def test_unnumbered() -> None:
    """Over VXLAN, without an address of their own for the tunnels, the same is there. With a tunnel down on one side
    comes the blackhole of unnumbered links: IPv4 stays lost and IPv6 does not, and check names the cause; it heals with
    the tunnel."""
    with RunningLab(ring(tunnel="vxlan", addressing="unnumbered")) as lab:
        assert lab.await_reach(LIMIT_S) == ""
        report = settled(lab)
        assert report.ok, report.text()
        assert lab["pe201"].run(["ip", "-br", "-4", "address"], check=True).stdout.count("10.10.0.1/32") == 3
        (direct,) = (each.name for each in lab.lab.ports("pe101") if "pe201" in each.name)
        lab["pe101"].run(["ip", "link", "set", direct, "down"], check=True)

        def causes() -> list[str]:
            found = lab.check()
            lost = found.of("reach", ok=False)
            return [one.seen for one in found.of("label", ok=False)] if len(lost) == 2 else []

        withdrawn = "pe101 gives label imp-null for 10.10.0.2/32, but does not announce (or has withdrawn) its address"
        assert soon(lambda: any(f"{withdrawn} 10.10.0.2, which is the next hop" in each for each in causes()))
        lab["pe101"].run(["ip", "link", "set", direct, "up"], check=True)
        assert lab.await_reach(LIMIT_S) == ""


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


def test_as_intended(numbered: RunningLab) -> None:
    """Adjacencies, BFD, LDP and BGP over tunnels only, both IP versions, MTUs of what the tunnels leave."""
    report = settled(numbered)
    assert report.ok, report.text()
    assert {one.subject for one in report.of("session") if one.subject.startswith("pe101: BFD")} == {
        f"pe101: BFD session{version} with {peer} on pe101-{peer}-gre"
        for version in ("", " for IPv6") for peer in ("pe102", "pe201")
    }  # fmt: skip


    def second() -> tuple[str, str, int]:
        hop = traced(numbered, "client1", "client2").request[1]
        return hop.node, hop.operation, len(hop.labels_out)

    assert soon(lambda: second() == ("pe101", "push", 1))
    assert numbered["pe101"].run(["ip", "-6", "route", "get", "2001:db8::202"], check=True).stdout.count("dev eth1")


def test_a_lan_beside_the_vpn(numbered: RunningLab) -> None:
    """Two hosts on one LAN, by VXLAN over the ring's tunnels: as large as these leave it, and in both IP versions."""
    assert {link.a.mtu_bytes for link in numbered.lab.links[-2:]} == {1456 - 4 - 50}
    underlay = ("ethernet", "ipv6 2001:db8::101 > 2001:db8::201", "gre")
    vxlan = (*underlay, "ipv4 10.10.0.2 > 10.10.0.1", "udp 4789", "vxlan 100", "ethernet")

    def crosses() -> bool:
        with captured(numbered, "pe101", "eth1") as frames:
            for cidr in numbered.lab.links[-1].a.addresses or ():
                words = ["ping", "-c1", "-W5", "-M", "do", cidr.partition("/")[0]]
                if numbered["office1"].run(words).returncode:
                    return False
        seen = [layers(frame) for frame in frames]
        four = (*vxlan, "ipv4 192.168.1.1 > 192.168.1.2", "icmp") in seen
        return four and any(one[: len(vxlan)] == vxlan and one[-1] == "icmpv6" for one in seen)

    assert soon(crosses)


def test_ldp_outlives_a_silent_failure(numbered: RunningLab) -> None:
    """A tunnel that carries packets one way only, until its LDP neighbours are lost, and that then comes back: LDP's
    session is the same afterwards, since it has gone the long way round meanwhile, and all is as intended at once in
    both IP versions. (It would be up at one end only and down at the other, for minutes.)"""
    before = up_s(numbered)
    assert len(before) == 2
    numbered["pe101"].run(["ip", "-6", "route", "add", "blackhole", "2001:db8::201/128"], check=True)
    assert soon(lambda: "pe201-pe101-gre" not in {one.get("interface") for one in told(numbered, "pe201", "discovery")})
    numbered["pe101"].run(["ip", "-6", "route", "del", "blackhole", "2001:db8::201/128"], check=True)
    assert numbered.await_reach(LIMIT_S) == ""
    after = up_s(numbered)
    assert len(after) == 2 and all(late > early for early, late in zip(before, after, strict=True))
    report = settled(numbered)
    assert report.ok, report.text()


def unequal(lab: RunningLab, node: str) -> str:
    """What check has to say about a node's equal ways, without patience; empty if all is well."""
    found = equal_ways(lab.lab, lab.namespaces, lab.folders, (), patience_s=0)
    return "; ".join(one.seen for one in found if one.node == node)


def spoil(lab: RunningLab, node: str, *what: str) -> None:
    """Takes one of two next hops off a route of the kernel's behind zebra's back, if there are two of them."""
    words = lab[node].run(["ip", what[0], "route", "show", *what[1:]], check=True).stdout.split()
    if words.count("nexthop") == 2:
        second = words.index("nexthop", words.index("nexthop") + 1)
        lab[node].run(["ip", what[0], "route", "replace", *words[:second]])


def test_one_of_two_equal_ways_is_missing(numbered: RunningLab) -> None:
    """pe202 is as far from pe101 by either tunnel. With one taken out of the kernel's routes, and of the label's, all
    are still reached, and check names it. The daemons write it anew when a tunnel comes back."""
    v6 = "fd53:ba85:6bf9:10::3"
    (label,) = {one["localLabel"] for one in told(numbered, "pe101", "binding") if one["prefix"] == "10.10.0.3/32"}
    assert soon(lambda: not unequal(numbered, "pe101"))

    def is_named(text: str, *what: str) -> bool:
        spoil(numbered, "pe101", *what)  # again, if BFD has had it written anew meanwhile
        return f"the kernel sends {text} not by " in unequal(numbered, "pe101")

    assert soon(lambda: is_named(f"{v6}/128", "-6", v6))
    assert soon(lambda: is_named(f"label {label}", "-M", label))

    def is_found() -> bool:
        spoil(numbered, "pe101", "-4", "10.10.0.3")
        return "pe101: equal ways" in {one.subject for one in numbered.check().of("route", ok=False)}

    assert soon(is_found)
    for state in ("down", "up"):
        numbered["pe101"].run(["ip", "link", "set", "pe101-pe102-gre", state], check=True)
    assert soon(lambda: not unequal(numbered, "pe101")) and settled(numbered).ok


def test_a_label_that_the_kernel_has_not(numbered: RunningLab) -> None:
    """ldpd has given a label, and the kernel does not know it: check tells whose and which."""
    (label,) = {one["localLabel"] for one in told(numbered, "pe202", "binding") if one["prefix"] == "10.10.0.2/32"}
    numbered["pe202"].run(["ip", "-M", "route", "del", label], check=True)
    why = f"label {label}, given for 10.10.0.2/32, becomes nothing in the kernel"

    def is_told() -> bool:
        found = {one.subject: one.seen for one in numbered.check().of("label", ok=False)}
        return [*found] == ["pe202: LDP"] and why in found["pe202: LDP"]

    assert soon(is_told)
