"""Nodes with configurations of the user's own, as far as that needs no kernel: what is read, planned and started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnmpls.checks.intent import Intent
from mnmpls.checks.whole import site_pairs
from mnmpls.daemons import daemon_at, services, sessions
from mnmpls.model import Lab
from mnmpls.plan import complete, records
from mnmpls.sources import data, from_data, load
from mnmpls.state import Address, LabelRoute, Route

ZEBRA = """hostname r1
int r1-eth0
 ip addr 10.0.0.1/24
 ipv6 address fd00::1/64
!
interface lo
 ip address 1.1.1.1/32
interface red
 ip address 9.9.9.9/32
!
router-id 1.1.1.1
ip route 10.9.0.0/16 10.0.0.2
"""
BGP = "router bgp 65010\n neighbor 10.0.0.2 remote-as 65000\nrouter bgp 65011 vrf red\n"


def lab(**own: Any) -> Lab:
    nodes = {"r1": {"role": "pe", "vrfs": ["red"], **own}, "r2": {"role": "p", "frr": "hostname r2\n"}, "h": "host"}
    links = [[{"r1": {"port": "r1-eth0"}}, "r2"], ["r1", "r2"], [{"r1": {"vrf": "red", "ip": "10.5.0.1/24"}}, "h"]]
    return complete(from_data({"nodes": nodes, "links": links}))


def test_addresses_of_the_file_are_the_labs() -> None:
    """Where the lab leaves them open, by words cut short as well; a port that a file with addresses leaves out has
    none, one that the lab numbers keeps its own, and a neighbour gets its address in the same subnet."""
    found = lab(frr={"zebra": ZEBRA})
    ports = {port.name: port.addresses for link in found.links for port in link.ports}
    assert ports["r1-eth0"] == ("10.0.0.1/24", "fd00::1/64") and ports["r1-r2-eth"] == ()
    assert ports["r1-h-eth"] == ("10.5.0.1/24",)
    assert found.node("r1").loopbacks == ("1.1.1.1/32",) and found.node("r1").vrfs[0].loopbacks == ("9.9.9.9/32",)
    assert found.node("r2").loopbacks == ("none",)
    assert [each.rpartition(".")[0] for each in ports["r2-r1-eth"] or () if "." in each][:1] == ["10.0.0"]


def test_loopbacks_of_the_file_may_be_subnets() -> None:
    """What a lab file may not say of a loopback, a user's own configuration may: lo and a VRF are as zebra has them."""
    zebra = "interface lo\n ip address 60.0.0.1/24\ninterface red\n ip address 61.0.0.1/24\n"
    found = lab(frr={"zebra": zebra})
    assert {Address("lo", "60.0.0.1/24"), Address("red", "61.0.0.1/24")} <= records(found)["r1"]


def test_dummies_have_the_addresses_of_the_file() -> None:
    """As ports have; one that the lab numbers keeps its own, and one that nobody numbers has none."""
    zebra = "interface d0\n ip address 10.7.0.1/24\ninterface d1 vrf red\n ip address 10.7.1.1/24\n"
    found = lab(frr={"zebra": zebra}, dummies={"d0": {}, "d1": {"ip": "10.7.9.1/24", "vrf": "red"}, "d2": {}})
    addresses = {one.name: one.addresses for one in found.node("r1").dummies}
    assert addresses == {"d0": ("10.7.0.1/24",), "d1": ("10.7.9.1/24",), "d2": ()}


def test_nothing_is_promised_of_their_neighbours() -> None:
    """No packet is followed between two sites whose own configurations decide what they reach, though one PE has both
    in a VRF; where they have none, one is."""
    own = "router bgp 65001\n"
    for told, expected in (({}, [("a", "b")]), ({"frr": own}, [])):
        nodes = {"pe": {"role": "pe", "vrfs": ["red"]}, "a": {"role": "ce", **told}, "b": {"role": "ce", **told}}
        links = [["a", {"pe": {"vrf": "red"}}], ["b", {"pe": {"vrf": "red"}}]]
        intent = Intent(complete(from_data({"nodes": nodes, "links": links})))
        assert [pair[:2] for pair in site_pairs(intent)] == expected


def test_nothing_is_planned_in_their_place() -> None:
    """Neither routes nor labels, RDs or route targets; a host behind has its default route."""
    found = lab(frr={"zebra": ZEBRA, "bgpd": BGP})
    made = records(found)
    assert not [one for node in ("r1", "r2") for one in made[node] if isinstance(one, LabelRoute)]
    assert all(one.kind == "unreachable" for one in made["r1"] if isinstance(one, Route))
    assert any(isinstance(one, Route) for one in made["h"])
    (red,) = found.node("r1").vrfs
    assert (red.table, red.rd, red.imports, red.exports) == (10, None, (), ())
    assert sessions(found) == ()


def test_daemons_are_found_in_the_files() -> None:
    """Zebra where nobody names it, staticd for zebra's static routes; in an integrated file each daemon that it has
    something for."""
    assert [one.name for one in services(lab(frr={"zebra": ZEBRA, "bgpd": BGP}))["r1"]] == ["zebra", "staticd", "bgpd"]
    assert [one.name for one in services(lab(frr={"ospfd": "router ospf\n"}))["r1"]] == ["zebra", "ospfd"]
    whole = ZEBRA + BGP + "router ospf6\n!\nmpls ldp\n!\ninterface x\n isis bfd\n ip router isis 1\n"
    some = services(lab(frr=whole, bird="protocol device {\n}\n"))["r1"]
    assert [one.name for one in some] == ["zebra", "staticd", "ospf6d", "isisd", "ldpd", "bgpd", "bfdd", "bird"]
    assert {one.file_name for one in some[:-1]} == {"frr.conf"}


def test_a_ces_as_number_is_in_its_file() -> None:
    """Its PE calls it by that; without a PE that speaks BGP with it nothing follows."""
    ce = {"role": "ce", "frr": {"bgpd": BGP}}
    nodes = {"pe1": {"role": "pe", "vrfs": ["red"]}, "pe2": {"role": "pe", "vrfs": ["red"]}, "ce": ce}
    core = {"igp": "ospf", "labels": "ldp", "vpn": "bgp", "nodes": nodes}
    end = {"pe1": {"vrf": "red", "ip": "10.0.0.2/24"}}
    spoken = {"a": end, "b": {"ce": "10.0.0.1/24"}, "routing": "bgp"}
    made = complete(from_data({**core, "links": [["pe1", "pe2"], spoken]}))
    bgp = next(one.config for one in services(made)["pe1"] if one.name == "bgpd")
    assert " neighbor 10.0.0.1 remote-as 65010\n" in bgp
    silent = complete(from_data({**core, "links": [["pe1", "pe2"], [end, {"ce": "10.0.0.1/24"}]]}))
    assert silent.node("ce").asn == 65010


def test_text_and_file_are_the_same_lab(tmp_path: Path) -> None:
    """A file's text is the lab's, wherever that is read again: data holds it whole."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "frr.conf").write_text("hostname r")
    file = tmp_path / "lab.yml"
    file.write_text("nodes: {r: {role: ce, frr: r/frr.conf}, h: host}\nlinks: [[r, h]]\n")
    read = load(str(file))
    assert read.node("r").own[0].text == "hostname r\n"
    assert from_data(data(read)) == read
    (tmp_path / "r" / "frr.conf").write_text("hostname other")
    assert load(str(file)) != read


def test_each_ends_own_daemon_is_named() -> None:
    """Of a session between FRR and BIRD a reason names what runs at the node that it is about."""
    frr, bird = ("zebra", "bgpd"), ("bird",)
    assert [daemon_at("bgpd", each) for each in (frr, bird)] == ["bgpd", "bird"]
    assert [daemon_at("bird bgp", each) for each in (frr, bird)] == ["bgpd", "bird"]
    assert daemon_at("ldpd", frr) == "ldpd"
