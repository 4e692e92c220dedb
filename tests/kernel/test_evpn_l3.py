"""VRFs whose packets cross the core in VXLAN: BGP tells prefixes and where to send to, PEs route between LANs that they
stretch, and two VRFs stay apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnmpls.checks.layers import layers
from mnmpls.netns import RunningLab
from mnmpls.sources import load
from tests.kernel.running import captured, not_taken, settled, traced
from tests.kernel.test_daemons import soon, text

pytestmark = pytest.mark.kernel

TOPOS = Path(__file__).resolve().parents[2] / "topos"
LIMIT_S = 60
PE1, PE2 = "10.255.0.2", "10.255.0.3"
TO_INNER_BYTES = 14 + 20 + 8 + 8
"""Ethernet, IPv4, UDP, VXLAN."""


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    """topos/evpn_l3.yml, converged."""
    with RunningLab(load(str(TOPOS / "evpn_l3.yml"))) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def mac(lab: RunningLab, node: str, port: str) -> str:
    return str(json.loads(text(lab[node], "ip", "-j", "link", "show", port))[0]["address"])


def routes(lab: RunningLab, node: str, vrf: str, version: int = 4) -> dict[str, tuple[str, str]]:
    """Of those that BGP wrote, prefix -> next hop and port."""
    found = json.loads(text(lab[node], "ip", f"-{version}", "-j", "route", "show", "vrf", vrf, "proto", "bgp"))
    return {each["dst"]: (each["gateway"], each["dev"]) for each in found}


def test_all_is_as_intended(lab: RunningLab) -> None:
    """Each customer reaches its own, in both IP versions, and nobody else; LANs of one VRF reach each other; packets
    go the predicted way, at the predicted size; and nothing of what the daemons made is drift."""
    report = settled(lab)
    assert report.ok, report.text()
    subjects = [one.subject for one in report.of("route")]
    assert {f"{pe}: VNI of {vrf}" for pe in ("pe1", "pe2") for vrf in ("red", "blue")} < {*subjects}
    assert {f"{pe}: routes in {vrf}" for pe in ("pe1", "pe2") for vrf in ("red", "blue")} < {*subjects}
    assert {one.expected for one in report.of("mtu")} == {"1500 bytes pass, 1501 do not"}
    assert traced(lab, "bh1", "bh2").text().splitlines()[1:5] == [
        "  bh1  forward > pe1", "  pe1  forward > pe2", "  pe2  forward > bh2", "  bh2  deliver",
    ]  # fmt: skip
    assert not_taken(lab) == set()


def test_bgp_tells_prefixes(lab: RunningLab) -> None:
    """By type 5 (RFC 9136), with the MAC address of the VRF's bridge; kernels send what is for such a prefix to that
    PE, by this bridge."""
    said = json.loads(text(lab["pe1"], "vtysh", "-c", "show bgp l2vpn evpn route type prefix json"))
    paths = {prefix: one["paths"][0][0] for rd in said.values() if isinstance(rd, dict)
             for prefix, one in rd.items() if prefix.startswith("[5]")}  # fmt: skip
    assert {"[5]:[0]:[24]:[10.1.0.0]", "[5]:[0]:[24]:[10.4.0.0]", "[5]:[0]:[64]:[fd04::]"} <= paths.keys()
    assert f"Rmac:{mac(lab, 'pe2', 'br300')}" in paths["[5]:[0]:[64]:[fd04::]"]["extendedCommunity"]["string"]
    assert routes(lab, "pe1", "red")["10.4.0.0/24"] == (PE2, "br300")
    assert routes(lab, "pe1", "red", 6)["fd04::/64"] == (f"::ffff:{PE2}", "br300")
    assert routes(lab, "pe2", "blue")["10.1.0.0/24"] == (PE1, "br400")


def test_vxlan_on_the_wire(lab: RunningLab) -> None:
    """Both VRFs' packets cross the core between the PEs' loopbacks, under the VNI of each, to the MAC address of the
    other PE's bridge; the core has no route to any customer."""
    with captured(lab, "p", "p-pe2-eth") as frames:
        for node, address in (("rh1", "10.4.0.2"), ("bh1", "10.4.0.2"), ("o1", "fd04::2")):
            text(lab[node], "ping", "-c2", "-W5", address)
    outer = ("ethernet", f"ipv4 {PE1} > {PE2}", "udp 4789")
    seen = {layers(frame): frame for frame in frames}
    for vni, *inside in ((300, "ipv4 10.1.0.1 > 10.4.0.2", "icmp"), (400, "ipv4 10.1.0.1 > 10.4.0.2", "icmp"),
                         (300, "ipv6 fd03::1 > fd04::2", "icmpv6")):  # fmt: skip
        frame = seen[(*outer, f"vxlan {vni}", "ethernet", *inside)]
        to = frame[TO_INNER_BYTES : TO_INNER_BYTES + 6]
        assert to.hex(":") == mac(lab, "pe2", f"br{vni}")
    assert "10.4.0.0" not in text(lab["p"], "ip", "route", "show", "table", "all")


def test_a_gateway_is_at_each_pe(lab: RunningLab) -> None:
    """Each PE answers for it, with the MAC address that all have: a packet to another LAN is routed where it comes in,
    and where both ends are at one PE it does not cross the core. PEs tell each other of who is where on a LAN (type 2),
    and their kernels send what is for such an address to that PE at once."""
    text(lab["o2"], "ping", "-c2", "-W5", "10.3.0.254")
    text(lab["l2"], "ping", "-c1", "-W5", "10.3.0.1")
    for node, port in (("o1", "o1-pe1-eth"), ("o2", "o2-pe2-eth")):
        found = json.loads(text(lab[node], "ip", "-j", "neigh", "show", "10.3.0.254", "dev", port))
        assert [each["lladdr"] for each in found] == ["00:00:5e:00:01:01"]
    assert soon(lambda: routes(lab, "pe2", "red").get("10.3.0.1") == (PE1, "br300"))
    assert soon(lambda: routes(lab, "pe1", "red").get("10.3.0.2") == (PE2, "br300"))
    with captured(lab, "p", "p-pe2-eth") as frames:
        text(lab["o2"], "ping", "-c2", "-W5", "10.4.0.2")
        text(lab["o2"], "ping", "-c2", "-W5", "10.3.0.1")
    inner = {layers(frame)[3:] for frame in frames}
    assert ("vxlan 100", "ethernet", "ipv4 10.3.0.2 > 10.3.0.1", "icmp") in inner
    assert not any("10.4.0.2" in layer for one in inner for layer in one)


def test_what_is_taken_away_is_named(lab: RunningLab) -> None:
    """check tells of a daemon that has let go of a VRF's VNI, and of who misses it; last, since nothing works any
    more."""
    text(lab["pe2"], "vtysh", "-c", "configure", "-c", "vrf red", "-c", "no vni 300")
    assert soon(lambda: "10.4.0.0/24" not in routes(lab, "pe1", "red"))
    report = lab.check()
    wrong = {one.subject: one.seen for one in report.of("route", ok=False)}
    assert wrong["pe2: VNI of red"] == "its daemon does not know VNI 300 as the VRF's"
    assert wrong["pe1: routes in red"].startswith("nobody has told it 10.4.0.0/24")
    broken = {one.subject.partition(" (")[0] for one in report.of("reach", ok=False)}
    assert "rh1 -> l2" in broken and "bh1 -> bh2" not in broken
