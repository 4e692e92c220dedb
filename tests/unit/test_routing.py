"""What PEs and CEs speak, on paper: who is told what, which AS numbers and gateways are planned, which daemons run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.checks.intent import intended
from mnmpls.checks.vpn_routes import faults, stated
from mnmpls.daemons import services, sessions
from mnmpls.export.plan_text import plan_text
from mnmpls.model import Lab, Labels, Routing, Vpn
from mnmpls.plan import complete, records
from mnmpls.plan.tables import tables
from mnmpls.sources import data, from_data, load
from mnmpls.state import Route

TOPOS = Path(__file__).resolve().parents[2] / "topos"
BGP = {"name": "x", "igp": "ospf", "labels": "ldp", "vpn": "bgp"}


@pytest.fixture(scope="module")
def lab() -> Lab:
    return complete(load(str(TOPOS / "pe_ce.yml")))


def two_sites(routing: object, asns: tuple[int | None, int | None] = (None, None), **more: object) -> Lab:
    """A CE at each of two PEs, each with a host behind it."""
    ces = {f"c{i}": {"role": "ce", **({"asn": asn} if asn else {})} for i, asn in enumerate(asns, 1)}
    pe = {"role": "pe", "vrfs": ["red"]}
    at = [{"a": f"c{i}", "b": {f"pe{i}": {"vrf": "red"}}, "routing": routing} for i in (1, 2)]
    links = [["pe1", "pe2"], *at, ["c1", "h1"], ["c2", "h2"]]
    return complete(from_data({**BGP, "nodes": {"pe1": pe, "pe2": pe, **ces, "h1": "host", "h2": "host"},
                               "links": links, **more}))  # fmt: skip


def reaching(lab: Lab) -> set[tuple[str, str]]:
    return {pair for pair, one in intended(lab, hosts_only=True).items() if one.reaches}


def test_it_comes_back(lab: Lab) -> None:
    """Routing of links and AS numbers of nodes, read again from a lab's own data, are the same."""
    assert from_data(data(lab)) == lab
    dual = complete(load(str(TOPOS / "dual_homed.yml")))
    assert from_data(data(dual)) == dual
    assert dual.links[3].routing == Routing("bgp", as_override=True, site_of_origin="65000:101")


def test_as_numbers() -> None:
    """Each site that speaks BGP gets an AS number of its own, which nobody else has; those given stay."""
    asns = {node.name: node.asn for node in two_sites("bgp", (None, 65001)).nodes}
    assert asns == {"pe1": None, "pe2": None, "c1": 65002, "c2": 65001, "h1": None, "h2": None}
    assert {node.asn for node in two_sites("ospf").nodes} == {None}


@pytest.mark.parametrize("protocol", ["bgp", "ospf"])
def test_ce_learns(protocol: str) -> None:
    """A CE that speaks a protocol has no static route at all, and its PE none to what is behind it; hosts have their
    gateway as ever."""
    found = records(two_sites(protocol))
    routes = {name: [one for one in some if isinstance(one, Route) and one.hops] for name, some in found.items()}
    assert {name for name, some in routes.items() if some} == {"h1", "h2"}


@pytest.mark.parametrize(("routing", "meet"), [("static", True), ("connected", False), ("ospf", True), ("bgp", True)])
def test_who_reaches_whom(routing: str, meet: bool) -> None:
    """Hosts behind CEs reach each other unless their PEs know of nothing but their own ports."""
    assert reaching(two_sites(routing)) == ({("h1", "h2"), ("h2", "h1")} if meet else set())


@pytest.mark.parametrize(("options", "meet"), [({}, False), ({"as_override": True}, True)])
def test_sites_of_one_as(options: dict[str, object], meet: bool) -> None:
    """Two sites with one AS number reject each other's routes (RFC 4271 9.1.2), unless their PE writes its own over
    it."""
    lab = two_sites({"protocol": "bgp", **options}, (65001, 65001))
    assert bool(reaching(lab)) == meet


def test_site_of_origin() -> None:
    """What comes from a site goes back to none that is marked with the same site of origin."""
    marked = {"protocol": "bgp", "site_of_origin": "65000:7"}
    assert not reaching(two_sites(marked))


def test_tables(lab: Lab) -> None:
    """A VRF knows what its CEs tell and what it imports, with the way there; a CE what its PE tells."""
    found = tables(lab)
    assert found["pe1", "red"]["10.2.0.0/24"].source == ("pe2", "red")
    assert found["pe1", "red"]["10.1.0.0/24"].source == ("red1", "")
    assert found["red1", ""]["10.2.0.0/24"].source == ("pe1", "red")
    assert found["red1", ""]["10.2.0.0/24"].path == (65000, 65102)
    assert found["red1", ""]["10.1.0.0/24"].source is None
    assert found["pe2", "green"]["10.9.9.1/32"].source == ("pe1", "green")
    assert "10.9.9.1/32" not in found["red2", ""]


def test_daemons(lab: Lab) -> None:
    """A CE runs what it speaks; each pair has its session, by each IP version, in the VRF."""
    kinds = {node: [service.name for service in some] for node, some in services(lab).items()}
    assert kinds["red1"] == ["zebra", "bgpd"] and kinds["green1"] == ["zebra", "ospfd", "ospf6d"]
    at_red = {(one.peer_node, one.vrf, ":" in one.peer) for one in sessions(lab) if one.daemon == "bgpd" and one.vrf}
    assert at_red == {(name, "red", v6) for name in ("red1", "red2") for v6 in (False, True)}
    told = [one.text for one in sessions(lab) if one.node == "green1"]
    assert told == ["OSPF adjacency with pe1 on green1-pe1-eth", "OSPFv3 adjacency with pe1 on green1-pe1-eth"]


def test_own_as_is_taken() -> None:
    """A hub's CE brings the provider's own AS number back; only who allows it takes that."""
    lab = two_sites("bgp")
    links = tuple(replace(link, routing=Routing("bgp", allow_own_as=True)) if link.routing.protocol == "bgp" else link
                  for link in lab.links)  # fmt: skip
    text = {service.name: service.config for service in services(replace(lab, links=links))["pe1"]}["bgpd"]
    assert text.count("allowas-in") == 2
    assert "allowas-in" not in {service.name: service.config for service in services(lab)["pe1"]}["bgpd"]


def both_ways(pairs: Iterable[str]) -> set[str]:
    return {way for pair in pairs for way in (pair, " ".join(reversed(pair.split())))}


PATTERNS = {
    "6pe": {"h1 h2"},
    "dual_homed": {"h1 h2"},
    "extranet": {"rh1 rh2", "rh1 dns", "rh2 dns", "bh1 dns"},
    "hub_spoke": {"h1 h2", "h1 head", "h2 head"},
    "inter_as_a": {"ha hb"},
    "internet": {"web rh1", "web bh1", "rh1 bh1", "g1 g2"},
    "internet_main": {"web rh1", "g1 g2"},
    "reflectors": {"r1 r2", "r1 r3", "r2 r3", "b2 b3"},
}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(name: str) -> None:
    """Who reaches whom in each lab follows from what is told; each comes back from its own data."""
    lab = complete(load(str(TOPOS / f"{name}.yml")))
    assert from_data(data(lab)) == lab
    assert {" ".join(pair) for pair in reaching(lab)} == both_ways(PATTERNS[name])


def test_reflectors() -> None:
    """With reflectors each PE speaks with these only, and they with all and with each other."""
    lab = complete(load(str(TOPOS / "reflectors.yml")))
    peers: dict[str, set[str]] = {}
    for one in sessions(lab):
        if one.kind == "BGP session":
            peers.setdefault(one.node, set()).add(one.peer_node)
    assert peers["pe1"] == {"rr1", "rr2"} and peers["rr1"] == {"rr2", "pe1", "pe2", "pe3"}
    assert peers["rr2"] == {"rr1", "pe1", "pe2", "pe3"}
    config = {service.name: service.config for service in services(lab)["rr1"]}["bgpd"]
    assert config.count("route-reflector-client") == 2 * 3
    (bird,) = services(lab)["rr2"]
    assert bird.config.count("rr client") == 3 and bird.config.count("vpn4 mpls {") == 4
    assert {vrf.rd for node in lab.nodes for vrf in node.vrfs} == {"64512:1", "64512:2"}


def test_nothing_goes_through_a_reflector_without_labels() -> None:
    """OSPF is to avoid BIRD where labels are, and nobody waits for LDP from there; a core of routes alone has both."""
    given = load(str(TOPOS / "reflectors.yml"))
    lab = complete(given)
    (bird,) = services(lab)["rr2"]
    assert bird.config.count("stub router yes;") == 2
    frr = {service.name: service.config for service in services(lab)["pe2"]}
    assert "interface pe2-p-eth" in frr["ldpd"] and "pe2-rr2-eth" not in frr["ldpd"]
    assert "neighbor 10.255.0.3 targeted" not in frr["ldpd"] and "neighbor 10.255.0.1 targeted" in frr["ldpd"]
    _, _, at_bird = frr["ospfd"].partition("interface pe2-rr2-eth")
    assert "no ip ospf mpls ldp-sync" in at_bird.partition("!")[0]
    plain = replace(given, labels=Labels(), vpn=Vpn(), links=tuple(link for link in given.links if not link.b.vrf),
                    nodes=tuple(replace(node, vrfs=()) for node in given.nodes if node.role != "host"))  # fmt: skip
    assert "stub router" not in services(complete(plain))["rr2"][0].config


def test_main_table_and_vrfs() -> None:
    """VRFs have of the main table what it has outside of the core, and it has what they export; what the core's routing
    protocol tells another main table is for no VRF."""
    lab = complete(load(str(TOPOS / "internet_main.yml")))
    config = {service.name: service.config for service in services(lab)["pe3"]}["bgpd"]
    assert " rt vpn import 65000:91\n  rt vpn export 65000:90\n" in config
    told = [line.split()[-1] for line in config.splitlines() if "prefix-list MAIN seq" in line]
    assert told == ["192.0.2.0/30", "198.51.100.0/24", "0.0.0.0/0"]
    beside = replace(lab, links=tuple(replace(link, a=replace(link.a, vrf=None), b=replace(link.b, vrf=None))
                                      if link.a.node == "g2" else link for link in lab.links))  # fmt: skip
    found = tables(beside)
    assert found["pe3", ""]["172.16.0.2/31"].by_igp and "172.16.0.2/31" not in found["pe1", "red"]
    assert intended(beside)["g2", "web"].reaches and not intended(beside)["g2", "rh1"].reaches


def test_plan_tells_the_edge() -> None:
    """``plan`` shows who speaks what with whom, the planned AS numbers too."""
    lab = complete(load(str(TOPOS / "dual_homed.yml")))
    told = [" ".join(line.split()) for line in plan_text(lab, records(lab)).splitlines()]
    assert "pe2 red bgp ce 65101 AS override, site of origin 65000:101" in told
    lab = complete(load(str(TOPOS / "inter_as_a.yml")))
    told = [" ".join(line.split()) for line in plan_text(lab, records(lab)).splitlines()]
    assert {"a1 red bgp ca 65003", "a2 red bgp b1 65002", "b2 red ospf cb -"} <= set(told)


def test_what_is_wrong_with_a_table() -> None:
    """What was not told, what the kernel lost, and what nobody was to tell."""
    assert list(faults({"a", "b"}, {"a", "b"}, {"a", "b"})) == []
    assert [*stated({"a": "failed", "b": "installed", "c": "failed"})] == [
        "zebra calls a, c failed", "zebra calls b installed",
    ]  # fmt: skip
    assert list(faults({"a", "b", "c"}, {"a", "b"}, {"a", "d"})) == [
        "nobody has told it c", "the daemon has b, and the kernel has not", "it has d, which nobody was to tell it",
    ]  # fmt: skip
