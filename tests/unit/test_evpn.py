"""EVPNs: what is planned of them, and what check makes of what PEs have been told."""

from __future__ import annotations

import pytest

from mnmpls.checks.evpn import faults, unsent
from mnmpls.checks.vpn_routes import without_neighbours
from mnmpls.daemons import services
from mnmpls.kernel.forwarding import EVERYBODY
from mnmpls.model import Lab, Vrf
from mnmpls.plan import complete, records
from mnmpls.sources import from_data
from mnmpls.state import (
    GATEWAY_MAC,
    IPV6_METRIC,
    Address,
    Bridge,
    LabelRoute,
    Member,
    NextHop,
    Port,
    Route,
    Sysctl,
    Tunnel,
)

PES = {"pe1": "10.0.0.1", "pe2": "10.0.0.2"}
ALL = frozenset((EVERYBODY,))
B1, B2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
SOUND = {
    "pe1": {"": frozenset((B1,)), "10.0.0.2": ALL | {B2}},
    "pe2": {"": frozenset((B2,)), "10.0.0.1": ALL | {B1}},
}


def lab(evpns: object, **more: object) -> dict[str, object]:
    return {
        "igp": "ospf",
        "vpn": {"protocol": "bgp", "asn": more.pop("asn", None)},
        "evpns": evpns,
        "nodes": {"pe1": "pe", "pe2": "pe", "h1": "host", "h2": "host"},
        "links": [
            {"a": "pe1", "b": "pe2", **more},
            ["h1", {"pe1": {"evpn": "blue"}}],
            ["h2", {"pe2": {"evpn": "blue"}}],
        ],
    }


@pytest.mark.parametrize(
    ("core", "lan"), [({}, 1500), ({"mtu": 1500}, 1450), ({"mtu": 9000}, 1500)], ids=["open", "1500", "9000"]
)
def test_a_lan_is_no_larger_than_what_the_core_takes(core: dict[str, int], lan: int) -> None:
    """VXLAN over IPv4 costs 50 bytes; ports of hosts on the LAN and of the PEs are alike, since nobody tells a host of
    less."""
    whole = complete(from_data(lab(["blue"], **core)))
    assert whole.links[0].a.mtu_bytes == core.get("mtu", 1550)
    assert {port.mtu_bytes for link in whole.links[1:] for port in link.ports} == {lan}


def test_a_stretched_lan_is_one_subnet() -> None:
    """Its hosts get addresses of one, and its PEs none."""
    whole = complete(from_data(lab(["blue"])))
    assert [port.addresses for link in whole.links[1:] for port in link.ports] == [
        ("192.168.1.1/24",), (), ("192.168.1.2/24",), (),
    ]  # fmt: skip


def test_numbers_are_planned_or_given() -> None:
    """VNI and targets; bgpd is not told the target that it has by itself."""
    tunnel = Tunnel("vni100", "vxlan", "10.255.0.1", "", 100)
    planned = complete(from_data(lab(["blue"], asn=4200000000)))
    assert (planned.evpns[0].vni, planned.evpns[0].imports) == (100, ("59904:100",))
    assert tunnel in records(planned)["pe1"]
    assert "route-target" not in _bgpd(planned)
    given = complete(from_data(lab({"blue": {"vni": 7, "rt": ["65000:7", "65000:8"]}})))
    lines = [line.strip() for line in _bgpd(given).splitlines() if "route-target" in line]
    assert lines == [f"route-target {way} 65000:{n}" for way in ("import", "export") for n in (8, 7)]


def test_bgp_alone() -> None:
    """With planned routes in the core, PEs run BGP and zebra, and nobody else anything."""
    found = services(complete(from_data({**lab(["blue"]), "igp": "static"})))
    assert {node: [one.name for one in some] for node, some in found.items()} == {
        "pe1": ["zebra", "bgpd"], "pe2": ["zebra", "bgpd"],
    }  # fmt: skip


def _bgpd(whole: Lab) -> str:
    return next(one.config for one in services(whole)["pe1"] if one.name == "bgpd")


def test_what_pes_were_told() -> None:
    """Of each other, in daemon and kernel; of each address behind the other; and of nobody else."""
    both = frozenset(("10.0.0.2",))
    assert list(faults("pe1", PES, SOUND, both)) == []
    assert list(faults("pe1", PES, SOUND, None)) == ["its daemon does not know the LAN"]
    assert list(faults("pe1", PES, SOUND, frozenset())) == ["nobody has told it that pe2 is on the LAN"]
    lost = {**SOUND, "pe1": {"": frozenset((B1,)), "10.0.0.2": frozenset((B2,))}}
    assert list(faults("pe1", PES, lost, both)) == ["the daemon sends to pe2 what is for all, and the kernel does not"]
    unknown = {**SOUND, "pe1": {"10.0.0.2": ALL}}
    assert list(faults("pe1", PES, unknown, both)) == [f"{B2} behind pe2, which its kernel does not know"]
    stranger = {**SOUND, "pe1": {**SOUND["pe1"], "10.0.0.9": ALL}}
    assert list(faults("pe1", PES, stranger, both)) == ["it sends to 10.0.0.9, which is no PE of this LAN"]


def vrfs(**red: object) -> dict[str, object]:
    """Two PEs whose VRFs EVPN tells of."""
    return {
        "igp": "ospf",
        "vpn": "evpn",
        "nodes": {name: {"role": "pe", "vrfs": {"red": red}} for name in ("pe1", "pe2")} | {"h1": "host", "h2": "host"},
        "links": [["pe1", "pe2"], ["h1", {"pe1": {"vrf": "red"}}], ["h2", {"pe2": {"vrf": "red"}}]],
    }


def test_vrfs_in_vxlan() -> None:
    """One VNI for all of a name, given at one of them or planned; a bridge in the VRF with VXLAN as its only port; room
    in the core; and no label anywhere."""
    whole = complete(from_data(vrfs()))
    assert [vrf.vni for node in whole.nodes for vrf in node.vrfs] == [100, 100]
    assert whole.links[0].a.mtu_bytes == 1550
    found = records(whole)["pe1"]
    assert {Bridge("br100"), Member("br100", "red"), Member("vni100", "br100", False, True)} <= found
    assert Tunnel("vni100", "vxlan", "10.255.0.1", "", 100) in found and Port("vni100", True, 1500) in found
    assert not any(isinstance(one, LabelRoute) or (isinstance(one, Route) and one.hops) for one in found)
    config = _bgpd(whole)
    assert " vpn" not in config and config.count("advertise-all-vni") == 1
    assert "  rd 65000:1\n  route-target import 65000:1\n  route-target export 65000:1\n" in config
    given = vrfs()
    given["nodes"]["pe2"]["vrfs"]["red"] = {"vni": 7, "rt": "65000:7"}  # type: ignore[index]
    assert [vrf.vni for node in complete(from_data(given)).nodes for vrf in node.vrfs] == [7, 7]
    assert "route-target" not in _bgpd(complete(from_data(given)))


def test_where_a_vrf_sends() -> None:
    """Its daemon knows its VNI, and its kernel the way to each PE that it has routes by."""
    red, vnis = Vrf("red", 10, vni=7), {"7": {"type": "L3", "tenantVrf": "red"}}
    places = {"10.0.0.2": "pe2"}
    assert unsent(red, vnis, {"10.0.0.2"}, {"10.0.0.2"}, places) == ""
    assert unsent(red, vnis, {"10.0.0.2"}, set(), places) == (
        "it has routes by pe2, to which its kernel does not know the way"
    )
    for wrong in ({}, {"7": {"type": "L2", "tenantVrf": "red"}}, {"7": {"type": "L3", "tenantVrf": "blue"}}):
        assert unsent(red, wrong, set(), set(), places) == "its daemon does not know VNI 7 as the VRF's"


def test_pes_that_route_for_a_lan() -> None:
    """Each PE of the LAN is its nodes' gateway by the same address and MAC address, and nodes have addresses in its
    subnet; of a LAN without a gateway the PE is no part."""
    tree = vrfs()
    tree["evpns"] = {"office": {"vrf": "red", "gateway": ["10.3.0.254/24", "fd03:0::ff/64"]}, "bare": {}}
    lans = [[f"h{n}", {f"pe{n}": {"evpn": lan}}] for lan in ("office", "bare") for n in (1, 2)]
    tree["links"] = [["pe1", "pe2"], *lans]
    whole = complete(from_data(tree))
    assert whole.evpns[0].gateway == ("10.3.0.254/24", "fd03::ff/64")
    ends = [port for link in whole.links[1:3] for port in link.ports if port.evpn is None]
    assert [port.addresses for port in ends] == [("10.3.0.1/24", "fd03::1/64"), ("10.3.0.2/24", "fd03::2/64")]
    assert [node.gateway for node in whole.nodes] == ["", "", "10.3.0.254", "10.3.0.254"]
    plan = records(whole)
    for pe in ("pe1", "pe2"):
        assert {Bridge("office", mac=GATEWAY_MAC), Member("office", "red"), Bridge("bare"),
                Address("office", "10.3.0.254/24"), Address("office", "fd03::ff/64")} <= plan[pe]  # fmt: skip
        assert Sysctl("net.ipv4.conf.office.forwarding", "0") not in plan[pe]
        assert not any(isinstance(one, Member) and one.port == "bare" for one in plan[pe])
    assert Route(254, "::/0", (NextHop("fd03::ff", "h1-pe1-eth"),), metric=IPV6_METRIC) in plan["h1"]


def test_who_is_told_of_by_neighbours_alone() -> None:
    """Single addresses of a routed LAN come and go as PEs hear of them; all other prefixes are to be told, or are
    wrong."""
    tree = vrfs()
    tree["evpns"] = {"office": {"vrf": "red", "gateway": "10.3.0.254/24"}}
    whole = from_data(tree)
    found = {"10.3.0.0/24", "10.3.0.7/32", "10.3.1.7/32", "10.3.0.128/25", "fd03::7/128"}
    assert without_neighbours(whole, {"10.3.0.0/24"}, found) == found - {"10.3.0.7/32"}
    assert without_neighbours(whole, {"10.3.0.7/32"}, found) == found
