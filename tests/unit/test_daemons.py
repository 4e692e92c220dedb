"""Labs with routing daemons, on paper: what is planned, what is left to daemons, which of them run with which files.
MNMPLS_REWRITE=1 rewrites the golden configurations."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.daemons import established, services, sessions
from mnmpls.daemons.routers import routers
from mnmpls.errors import LabError
from mnmpls.export.plan_data import plan_data
from mnmpls.export.plan_text import plan_text
from mnmpls.model import Igp, Lab, Labels, Vpn
from mnmpls.plan import complete, records
from mnmpls.plan.ring import ring
from mnmpls.sources import data, from_data, load
from mnmpls.state import LabelRoute, Route, Sysctl

TOPOS = Path(__file__).resolve().parents[2] / "topos"
GOLDENS = Path(__file__).parent / "goldens" / "daemons"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return complete(load(str(TOPOS / "ldp_l3vpn.yml")))


def _site(number: int) -> list[object]:
    pe, host = ([f"10.{number}.0.{end}/24", f"fd0{number}::{end}/64"] for end in (1, 2))
    return [{f"pe{number}": {"vrf": "red", "ip": pe}}, {f"h{number}": host}]


def dual_stack() -> Lab:
    return complete(
        from_data(
            {
                "name": "dual",
                **{"igp": "ospf", "labels": "ldp", "vpn": "bgp"},
                "nodes": {
                    "pe1": {"role": "pe", "loopback": ["10.0.0.1/32", "fd00::1/128"], "vrfs": ["red"]},
                    "pe2": {"role": "pe", "loopback": ["10.0.0.2/32", "fd00::2/128"], "vrfs": {"red": {}, "blue": {}}},
                    "h1": "host",
                    "h2": "host",
                },
                "links": [["pe1", "pe2"], *(_site(number) for number in (1, 2))],
            }
        )
    )


def test_keys_come_back(lab: Lab) -> None:
    """A lab's own data, read again, is the same lab with the same daemons."""
    assert from_data(data(lab)) == lab
    assert data(lab)["igp"] == "ospf"


def test_daemons_make_what_the_planner_leaves_out(lab: Lab) -> None:
    """With daemons no node gets a label route or a route with labels, and a router none outside its VRFs; what a PE
    has behind its own CEs stays."""
    found = records(lab)
    static = records(replace(lab, igp=Igp("static"), labels=Labels(), vpn=Vpn()))
    assert any(isinstance(one, LabelRoute) for one in static["p"])
    for node, some in found.items():
        assert {one for one in some if not isinstance(one, Sysctl)} <= static[node]
        assert not any(isinstance(one, LabelRoute) for one in some)
        assert not any(hop.labels for one in some if isinstance(one, Route) for hop in one.hops)
    assert not any(isinstance(one, Route) for one in found["p"])
    behind = {(one.table, one.dst) for one in found["pe1"] if isinstance(one, Route) and one.hops}
    assert behind == {(10, "10.1.0.0/24"), (20, "10.1.0.0/24")}


@pytest.mark.parametrize("name", ["ldp_l3vpn", "dual"])
def test_configurations(name: str, lab: Lab) -> None:
    """Every daemon's file is the golden one, and the same however often it is made."""
    one = lab if name == "ldp_l3vpn" else dual_stack()
    for node, some in services(one).items():
        for service in some:
            golden = GOLDENS / f"{name}-{node}-{service.name}.conf"
            if os.environ.get("MNMPLS_REWRITE"):
                golden.parent.mkdir(exist_ok=True)
                golden.write_text(service.config, encoding="utf-8")
            assert service.config == golden.read_text(encoding="utf-8"), golden.name


def test_settings_of_the_nearest_count() -> None:
    """What a link says of OSPF comes before what its node says, and that before the lab; a link or a node without it
    has none, and BFD is there unless it is not wanted."""
    lab = from_data(
        {
            "igp": {"protocol": "ospf", "metric": 5, "hello": 2, "bfd": False}, "labels": "ldp", "vpn": "bgp",
            "nodes": {"a": "p", "b": {"role": "p", "igp": {"metric": 7}}, "c": "p", "d": {"role": "p", "igp": "none"}},
            "links": [["a", "b"], {"a": "b", "b": "c", "igp": {"metric": 9, "area": 1, "dead": 3, "bfd": True}},
                      {"a": "a", "b": "c", "igp": "none"}, ["c", "d"]],
        }
    )  # fmt: skip
    ports = {(one.name, port.name): port for one in routers(complete(lab)).values() for port in one.ports}
    told = {key: (port.area, port.metric, port.hello_s, port.dead_s, port.bfd) for key, port in ports.items()}
    assert told == {
        ("a", "a-b-eth"): ("0.0.0.0", 5, 2, 8, False),
        ("b", "b-a-eth"): ("0.0.0.0", 7, 2, 8, False),
        ("b", "b-c-eth"): ("0.0.0.1", 9, 2, 3, True),
        ("c", "c-b-eth"): ("0.0.0.1", 9, 2, 3, True),
    }


def test_tunnels_are_the_core() -> None:
    """topos/ring.yml: the routing protocol runs on the tunnels, not on the LAN that carries them; topos/ring.py makes
    the same lab and its variants, and tells which there are."""
    lab = load(str(TOPOS / "ring.yml"))
    assert replace(lab, places={}) == ring() != ring(tunnel="vxlan")
    ports = {port.name for port in routers(complete(lab))["pe101"].ports}
    assert ports == {"pe101-pe201-gre", "pe101-pe102-gre"}
    assert all(link.unnumbered for link in ring(addressing="unnumbered").links[4:8])
    lan = ring(lan="evpn")
    assert lan.links[:-2] == ring().links and [link.b.evpn for link in lan.links[-2:]] == ["office", "office"]
    around = ring(way="around").links
    assert around[4].igp.metric == 100 and (*around[:4], *around[5:]) == (*ring().links[:4], *ring().links[5:])
    with pytest.raises(LabError, match=r"there is no tunnel=vxln; did you mean 'vxlan'\?\n.*no 'via'"):
        ring(tunnel="vxln", via=1)


def test_who_runs_what(lab: Lab) -> None:
    """A P has no BGP, a customer's node has nothing, OSPFv3 runs where routers have IPv6 loopbacks, and zebra comes
    first; a static lab has none at all."""
    kinds = {node: [service.name for service in some] for node, some in services(lab).items()}
    pe = ["zebra", "bfdd", "ospfd", "ldpd", "bgpd"]
    assert kinds == {"p": pe[:4], "pe1": pe, "pe2": pe}
    assert "ospf6d" in {service.name for service in services(dual_stack())["pe1"]}
    assert services(complete(load(str(TOPOS / "l3vpn.yml")))) == {}


def test_sessions_and_what_daemons_say_of_them(lab: Lab) -> None:
    """Every router has an adjacency and an LDP session with each neighbour, every PE a BGP session with each other PE;
    each daemon's answer tells which of them are up, and an answer cut short tells of none."""
    wanted = sessions(lab)
    assert [one.daemon for one in wanted].count("bgpd") == 2
    assert {one.text for one in wanted if one.node == "pe1"} == {
        "OSPF adjacency with p on pe1-p-eth", "BFD session with p on pe1-p-eth", "LDP session with p",
        "BGP session with pe2",
    }  # fmt: skip
    ospf = '{"red":{"neighbors":{"10.255.0.1":[{"nbrState":"Full/-","ifaceName":"pe1-p-eth:10.254.0.0"}]}}}'
    assert established("ospfd", ospf) == {("10.255.0.1", "pe1-p-eth")}
    assert established("ospfd", ospf.replace("Full", "ExStart")) == frozenset()
    ospf6 = '{"neighbors":[{"neighborId":"10.255.0.1","state":"Full","interfaceName":"a"}]}'
    assert established("ospf6d", f'{ospf6}\n{{"neighbors":[\n]}}{ospf6.replace("0.1", "0.2")}') == {
        ("10.255.0.1", "a"), ("10.255.0.2", "a"),
    }  # fmt: skip
    peers = '{"peers":{"10.255.0.3":{"state":"Established"},"10.255.0.4":{"state":"Active"}}}'
    assert established("bgpd", f'{{"default":{{"ipv4Vpn":{peers}}},"red":{{"ipv4Unicast":{peers}}}}}') == {
        ("10.255.0.3", ""), ("10.255.0.3", "red"),
    }  # fmt: skip
    assert established("ldpd", '{"neighbors":[{"neighborId":"10.255.0.1","state":"OPERATIONAL"}]}') == {
        ("10.255.0.1", "")
    }
    assert established("ldpd", ospf[:-1]) == frozenset()
    bfd = '[{"peer":"10.0.0.1","interface":"a","status":"up"},{"peer":"fe80::1","interface":"b","status":"down"}]'
    assert established("bfdd", bfd) == {("10.0.0.1", "a")}
    assert established("bfdd", bfd.replace("down", "up")) == {("10.0.0.1", "a"), ("fe80::", "b")}


def _encrypted(kind: str, mode: str, **more: object) -> Lab:
    over = ["10.0.0.1", "10.0.0.2"] if kind == "gre" else ["fd00::1", "fd00::2"]
    wire = [{f"p{end}": f"{ip}/{64 if ':' in ip else 24}"} for end, ip in enumerate(over, 1)]
    link = {"a": "p1", "b": "p2", "type": kind, "over": over, "ipsec": {"mode": mode, **more}}
    named = {**link, "vni": 1} if kind == "vxlan" else link
    return complete(from_data({"name": "esp", "nodes": {"p1": "p", "p2": "p"}, "links": [wire, named]}))


@pytest.mark.parametrize(
    ("kind", "mtus"),
    [("ip6gre", (1422, 1382, 1414, 1374)), ("vxlan", (1396, 1356, 1388, 1348)), ("gre", (1442, 1422, 1434, 1414))],
)
def test_room_beside_esp(kind: str, mtus: tuple[int, ...]) -> None:
    """The MTUs of encrypted tunnels over 1500 bytes are those that were measured on Linux 6.1, with either cipher."""
    for cipher in ("chacha20poly1305", "aes-gcm"):
        labs = [_encrypted(kind, mode, cipher=cipher) for mode in ("transport", "tunnel", "udp", "udp-tunnel")]
        assert tuple(lab.links[1].a.mtu_bytes for lab in labs) == mtus


def test_one_charon_for_all_links() -> None:
    """Its file is the golden one; two links between the same addresses are one connection, and the secret is in none of
    it."""
    lab = _encrypted("vxlan", "udp-tunnel", cipher="aes-gcm", secret="sword fish", rekey=60)
    ends = (replace(port, name="g", addresses=None, mtu_bytes=None) for port in lab.links[1].ports)
    more = replace(lab.links[1].between(*ends), type="ip6gre", vni=None)
    whole = complete(replace(lab, links=(*lab.links, more)))
    assert from_data(data(whole)) == whole
    (service,) = services(whole)["p1"]
    golden = GOLDENS / "esp-p1-swanctl.conf"
    if os.environ.get("MNMPLS_REWRITE"):
        golden.write_text(service.config, encoding="utf-8")
    assert service.config == golden.read_text(encoding="utf-8")
    assert [one.text for one in sessions(whole)] == [
        "IPsec with p2 on g", "IPsec with p2 on p1-p2-vx", "IPsec with p1 on g", "IPsec with p1 on p2-p1-vx",
    ]  # fmt: skip
    hidden = "sword fish", b"sword fish".hex()
    shown = repr(whole), repr(service), str(plan_data(whole, records(whole))), plan_text(whole, records(whole))
    assert not [word for word in hidden for text in shown if word in text]


def test_what_charon_has() -> None:
    """An association counts when it is in the kernel, one that is being replaced too, and VXLAN's only with both."""
    children = {"gre-4": "REKEYING", "gre-5": "INSTALLED", "vxlan-in-2": "INSTALLED", "vxlan-out-3": "CREATED"}
    told = [{"p2": {"child-sas": {name: {"name": name[:-2], "state": state} for name, state in children.items()}}}]
    assert established("charon", json.dumps(told)) == {("p2/gre", "")}
    told[0]["p2"]["child-sas"]["vxlan-out-3"]["state"] = "INSTALLED"
    assert established("charon", json.dumps(told)) == {("p2/gre", ""), ("p2/vxlan", "")}
