"""VRFs whose packets cross the core in VXLAN: BGP tells prefixes and where to send to, and two stay apart."""

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
    """Each customer reaches its own, in both IP versions, and nobody else; packets go the predicted way, at the
    predicted size; and nothing of what the daemons made is drift."""
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
    assert {"[5]:[0]:[24]:[10.1.0.0]", "[5]:[0]:[24]:[10.2.0.0]", "[5]:[0]:[64]:[fd02::]"} <= paths.keys()
    assert f"Rmac:{mac(lab, 'pe2', 'br100')}" in paths["[5]:[0]:[64]:[fd02::]"]["extendedCommunity"]["string"]
    assert routes(lab, "pe1", "red")["10.2.0.0/24"] == (PE2, "br100")
    assert routes(lab, "pe1", "red", 6)["fd02::/64"] == (f"::ffff:{PE2}", "br100")
    assert routes(lab, "pe2", "blue")["10.1.0.0/24"] == (PE1, "br200")


def test_vxlan_on_the_wire(lab: RunningLab) -> None:
    """Both VRFs' packets cross the core between the PEs' loopbacks, under the VNI of each, to the MAC address of the
    other PE's bridge; the core has no route to any customer."""
    with captured(lab, "p", "p-pe2-eth") as frames:
        for node, address in (("rh1", "10.2.0.1"), ("bh1", "10.2.0.1"), ("rh1", "fd02::1")):
            text(lab[node], "ping", "-c2", "-W5", address)
    outer = ("ethernet", f"ipv4 {PE1} > {PE2}", "udp 4789")
    seen = {layers(frame): frame for frame in frames}
    for vni, *inside in ((100, "ipv4 10.1.0.1 > 10.2.0.1", "icmp"), (200, "ipv4 10.1.0.1 > 10.2.0.1", "icmp"),
                         (100, "ipv6 fd01::1 > fd02::1", "icmpv6")):  # fmt: skip
        frame = seen[(*outer, f"vxlan {vni}", "ethernet", *inside)]
        to = frame[TO_INNER_BYTES : TO_INNER_BYTES + 6]
        assert to.hex(":") == mac(lab, "pe2", f"br{vni}")
    assert "10.2.0.0" not in text(lab["p"], "ip", "route", "show", "table", "all")


def test_what_is_taken_away_is_named(lab: RunningLab) -> None:
    """check tells of a daemon that has let go of a VRF's VNI, and of who misses it; last, since nothing works any
    more."""
    text(lab["pe2"], "vtysh", "-c", "configure", "-c", "vrf red", "-c", "no vni 100")
    assert soon(lambda: "10.2.0.0/24" not in routes(lab, "pe1", "red"))
    report = lab.check()
    wrong = {one.subject: one.seen for one in report.of("route", ok=False)}
    assert wrong["pe2: VNI of red"] == "its daemon does not know VNI 100 as the VRF's"
    assert wrong["pe1: routes in red"].startswith("nobody has told it 10.2.0.0/24")
    broken = {one.subject.partition(" (")[0] for one in report.of("reach", ok=False)}
    assert "rh1 -> rh2" in broken and "bh1 -> bh2" not in broken
