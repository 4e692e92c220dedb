"""LANs that PEs stretch over the core: BGP tells who is where, VXLAN carries the packets, and two stay apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnmpls.checks.layers import layers
from mnmpls.netns import RunningLab
from mnmpls.sources import load
from tests.kernel.running import captured, settled, traced
from tests.kernel.test_daemons import LIMIT_S, soon, text

pytestmark = pytest.mark.kernel

TOPOS = Path(__file__).resolve().parents[2] / "topos"
PE1, PE2, PE3 = "10.255.0.2", "10.255.0.3", "10.255.0.4"


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    """topos/evpn.yml, converged."""
    with RunningLab(load(str(TOPOS / "evpn.yml"))) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def routes(lab: RunningLab, node: str, kind: str) -> set[str]:
    """The EVPN routes of one type that a PE has from all of them, without their route distinguishers."""
    said = json.loads(text(lab[node], "vtysh", "-c", f"show bgp l2vpn evpn route type {kind} json"))
    return {prefix for rd in said.values() if isinstance(rd, dict) for prefix in rd if prefix.startswith("[")}


def mac(lab: RunningLab, node: str) -> str:
    found = json.loads(text(lab[node], "ip", "-j", "link", "show"))
    return str(next(each["address"] for each in found if each["ifname"] != "lo"))


def fdb(lab: RunningLab, node: str, port: str) -> set[tuple[str, str]]:
    """Address, and the PE behind which it is, of what a PE's kernel was told."""
    found = json.loads(text(lab[node], "bridge", "-j", "fdb", "show", "dev", port))
    return {(each["mac"], each["dst"]) for each in found if "dst" in each}


def test_all_is_as_intended(lab: RunningLab) -> None:
    """Both LANs work, with the same addresses and apart from each other; packets between the pieces of each go the
    predicted way, at the predicted size; and nothing of what the daemons made is drift."""
    report = settled(lab)
    assert report.ok, report.text()
    assert [one.subject for one in report.of("route")] == [
        "pe1: EVPN blue", "pe2: EVPN blue", "pe3: EVPN blue", "pe1: EVPN green", "pe2: EVPN green",
    ]  # fmt: skip
    pieces = {one.subject.partition(" (")[0] for one in report.of("trace")}
    assert pieces == {"b1 -> b2", "b1 -> b3", "b2 -> b3", "g1 -> g2"}
    assert {one.expected for one in report.of("mtu")} == {"1500 bytes pass, 1501 do not"}
    assert soon(lambda: traced(lab, "b1", "b4").text().splitlines()[1:6] == [
        "  b1      forward > pe1", "  pe1     forward > pe3", "  pe3     forward > office",
        "  office  forward > b4", "  b4      deliver",
    ])  # fmt: skip


def test_bgp_tells_who_is_where(lab: RunningLab) -> None:
    """A PE tells all others of itself (type 3) and of each address behind it (type 2); their kernels send what is for
    one address to that PE, and what is for all to each PE of the same LAN."""
    everybody = "00:00:00:00:00:00"
    assert text(lab["b1"], "ping", "-c1", "-W5", "10.1.0.4")
    b1, b2, b4 = (mac(lab, host) for host in ("b1", "b2", "b4"))
    assert soon(lambda: {(b2, PE2), (b4, PE3)} <= fdb(lab, "pe1", "vni100"))
    assert soon(lambda: (b1, PE1) in fdb(lab, "pe2", "vni100") & fdb(lab, "pe3", "vni100"))
    assert {f"[2]:[0]:[48]:[{each}]" for each in (b1, b2, b4)} <= routes(lab, "pe3", "2")
    assert (b1, PE1) not in fdb(lab, "pe2", "vni200")
    assert {far for each, far in fdb(lab, "pe1", "vni100") if each == everybody} == {PE2, PE3}
    assert {far for each, far in fdb(lab, "pe1", "vni200") if each == everybody} == {PE2}
    assert {f"[3]:[0]:[32]:[{pe}]" for pe in (PE1, PE2, PE3)} <= routes(lab, "pe1", "3")


def test_vxlan_on_the_wire(lab: RunningLab) -> None:
    """Each LAN's packets cross the core between the PEs' loopbacks, under the LAN's own VNI; one that is for a known
    neighbour goes to its PE alone."""
    text(lab["b1"], "ping", "-c2", "-W5", "10.1.0.3")
    assert soon(lambda: (mac(lab, "b3"), PE3) in fdb(lab, "pe1", "vni100"))
    with captured(lab, "p", "p-pe2-eth") as frames:
        text(lab["b1"], "ping", "-c2", "-W5", "10.1.0.2")
        text(lab["g1"], "ping", "-c2", "-W5", "10.1.0.2")
        text(lab["b1"], "ping", "-c2", "-W5", "10.1.0.3")
    outer = ("ethernet", f"ipv4 {PE1} > {PE2}", "udp 4789")
    inner = ("ethernet", "ipv4 10.1.0.1 > 10.1.0.2", "icmp")
    seen = [layers(frame) for frame in frames]
    assert {(*outer, f"vxlan {vni}", *inner) for vni in (100, 200)} <= set(seen)
    assert not any("10.1.0.3" in layer for one in seen for layer in one)


def test_the_pe_itself_is_not_on_the_lan(lab: RunningLab) -> None:
    """What a host sends to the PE's own MAC address ends there: a LAN is no way into the core."""
    own = json.loads(text(lab["pe1"], "ip", "-j", "link", "show", "blue"))[0]["address"]
    lab["b1"].run(["ip", "neigh", "replace", "10.1.0.99", "lladdr", own, "dev", "b1-pe1-eth"], check=True)
    lab["b1"].run(["ip", "route", "add", "10.255.0.0/16", "via", "10.1.0.99"], check=True)
    try:
        with captured(lab, "p", "p-pe2-eth") as frames:
            assert lab["b1"].run(["ping", "-c2", "-W1", PE2]).returncode == 1
        assert not any(f"ipv4 10.1.0.1 > {PE2}" in layers(frame) for frame in frames)
    finally:
        lab["b1"].run(["ip", "route", "del", "10.255.0.0/16"], check=True)


def test_daemons_took_every_line(lab: RunningLab) -> None:
    """The configuration read back holds every line of BGP's file."""
    running = {line.strip() for line in text(lab["pe1"], "vtysh", "-c", "show running-config").splitlines()}
    service = next(one for one in lab.services.of("pe1") if one.name == "bgpd")
    assert {line.strip() for line in service.config.splitlines() if not line.startswith("!")} - running == set()


def test_what_is_taken_away_is_named(lab: RunningLab) -> None:
    """check tells of a port that learns by itself again, of a daemon that has let go of its LANs, and who misses it;
    last, since nothing works any more."""
    lab["pe1"].run(["ip", "link", "set", "vni100", "type", "bridge_slave", "learning", "on"], check=True)
    words = ("configure", "router bgp 65000", "address-family l2vpn evpn", "no advertise-all-vni")
    text(lab["pe2"], "vtysh", *(word for line in words for word in ("-c", line)))
    assert soon(lambda: PE2 not in {far for _, far in fdb(lab, "pe1", "vni200")})
    report = lab.check()
    found = report.of("drift", ok=False)
    assert [one.subject for one in found] == ["pe1"] and "vni100" in found[0].text
    wrong = {one.subject: one.seen for one in report.of("route", ok=False)}
    assert wrong["pe1: EVPN green"] == "nobody has told it that pe2 is on the LAN"
    assert wrong["pe2: EVPN green"] == wrong["pe2: EVPN blue"] == "its daemon does not know the LAN"
    assert "g1 -> g2" in {one.subject.partition(" (")[0] for one in report.of("reach", ok=False)}
