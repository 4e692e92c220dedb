"""A lab as plain data and back, and the schema that editors get."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mnmpls.errors import LabError
from mnmpls.model import Lab, Link, Node, Port
from mnmpls.plan import complete, l3vpn, records
from mnmpls.sources import data, from_data, load, schema
from mnmpls.sources.keys import (
    DUMMY,
    EVPN,
    IGP,
    IGP_OF_LINK,
    IGP_OF_NODE,
    IPSEC,
    LAB,
    LABEL_MAKER,
    LINK,
    LSP,
    MAIN,
    NODE,
    PORT,
    ROUTE,
    ROUTING,
    RULE,
    VPN_MAKER,
    VRF,
)
from tests.unit.labs import LABS

ROOT = Path(__file__).resolve().parents[2]
TOPOS = sorted((ROOT / "topos").glob("*.yml"))
SIZE = st.integers(1, 3)
VALIDATOR = jsonschema.Draft202012Validator(schema())


def _there_and_back(lab: Lab) -> Lab:
    return from_data(json.loads(json.dumps(data(lab))))


@settings(deadline=None, max_examples=100)
@given(LABS)
def test_data_reads_back_as_the_same_lab(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> None:
    """Whatever a lab file can say, sensible or not, survives JSON and YAML; the reader finds no fault in it."""
    back = _there_and_back(lab)
    assert back == lab
    assert back.faults == () and not any(back.places.values())
    path = tmp_path_factory.getbasetemp() / "data.yml"
    path.write_text(yaml.safe_dump(data(lab), allow_unicode=True, sort_keys=False), encoding="utf-8")
    assert load(str(path)) == lab


@settings(deadline=None, max_examples=30)
@given(SIZE, SIZE, st.integers(0, 2), SIZE)
def test_open_and_completed_labs_survive(customers: int, sites: int, hosts: int, core: int) -> None:
    """An L3VPN of any size: open and completed, with the same plan afterwards, and both fit the schema."""
    lab = l3vpn(customers, sites, hosts, core)
    done = complete(lab)
    assert _there_and_back(lab) == lab and _there_and_back(done) == done
    assert records(_there_and_back(done)) == records(done)
    VALIDATOR.validate(data(lab))
    VALIDATOR.validate(data(done))


@pytest.mark.parametrize("path", TOPOS, ids=lambda path: path.stem)
def test_topos_survive_and_fit_the_schema(path: Path) -> None:
    """Each lab that comes with the project."""
    lab = load(str(path))
    assert _there_and_back(lab) == lab and _there_and_back(complete(lab)) == complete(lab)
    VALIDATOR.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    VALIDATOR.validate(data(complete(lab)))


def test_no_address_and_an_open_one_stay_apart() -> None:
    """``none`` is a wish; nothing said is the planner's business."""
    ends = [Port("h", addresses=each) for each in (None, (), ("10.0.0.1/24",))]
    nodes = (Node("h", "host"), Node("p", "p", ("none",)), Node("q", "p"))
    lab = Lab("x", nodes, tuple(Link(end, Port("q")) for end in ends))
    back = _there_and_back(lab)
    assert [link.a.addresses for link in back.links] == [None, (), ("10.0.0.1/24",)]
    assert [node.loopbacks for node in back.nodes] == [(), ("none",), ()]


def test_problems_of_data_have_paths_without_lines() -> None:
    """Data is read by the rules of files; there is no line to tell."""
    with pytest.raises(LabError) as raised:
        complete(from_data({"nodes": {"p1": {"rolle": "p"}}, "links": [["p1", "p2"]]}))
    assert [(problem.path, problem.place) for problem in raised.value.problems] == [
        ("links[0].b", ""),
        ("nodes.p1", ""),
        ("nodes.p1.rolle", ""),
    ]


@pytest.mark.parametrize(
    ("given_", "text"),
    [
        ({"nodes": {"p": {"role": {"p"}}}}, "nodes.p.role: a lab is made of texts, numbers, lists and mappings, not"),
        ({"name": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}, "a lab may have 20 levels; this one has more"),
        ([1], f"expected a mapping with {', '.join(LAB)}, not a list"),
        ({"platform_labels": 10**5000}, "platform_labels: no number of a lab has 16610 bits"),
        (None, "nodes: a lab needs nodes"),
        ({("a", "b"): 1, None: 2, "nodes": {}}, "expected a name before the colon, not a list"),
    ],
)
def test_data_that_is_no_lab(given_: object, text: str) -> None:
    """What no file could hold is a LabError too, with its path."""
    with pytest.raises(LabError) as raised:
        complete(from_data(given_))
    assert text in str(raised.value)


def test_a_dummy_among_the_links_is_its_nodes() -> None:
    """``type: dummy`` says the same as ``dummies`` at the node, and the schema knows it; other links keep their
    numbers and lines, and a name that is not given is the first that is free."""
    pe = {"role": "pe", "vrfs": ["red"]}
    links = [
        {"type": "dummy", "pe1": {"ip": "10.9.1.1/24", "vrf": "red", "mtu": 1400}},
        ["pe1", "p1"],
        {"type": "dummy", "name": "far", "p1": ["10.9.2.1/24"]},
    ]
    told = {"nodes": {"pe1": {**pe, "dummies": {"d0": "10.9.0.1/24"}}, "p1": "p"}, "links": links}
    VALIDATOR.validate(told)
    dummies = {"d0": "10.9.0.1/24", "d1": {"ip": "10.9.1.1/24", "vrf": "red", "mtu": 1400}}
    nodes = {"pe1": {**pe, "dummies": dummies}, "p1": {"role": "p", "dummies": {"far": "10.9.2.1/24"}}}
    assert from_data(told) == from_data({"nodes": nodes, "links": [["pe1", "p1"]]})


def test_a_lab_with_faults_has_no_data() -> None:
    """What the reader did not understand is not lost on the way: there is no way."""
    with pytest.raises(LabError, match="no key 'nmae'"):
        data(from_data({"nmae": "x", "nodes": {}}))


ROUTE_ = {"dst": "10.9.0.0/16", "label": 17, "via": "10.1.0.2", "port": "up", "labels": [16], "vrf": "red", "ttl": 9,
          "table": 100}  # fmt: skip
VRF_ = {"table": 10, "rd": "65000:1", "rt": ["65000:1"], "import": "65000:2", "export": ["65000:3"],
        "loopback": "10.0.0.2/32", "vni": 5000}  # fmt: skip
EVPN_ = {"vni": 100, "rt": "65000:100", "import": "65000:1", "export": "65000:2", "mtu": 1400,
         "vrf": "red", "gateway": "10.1.0.254/24"}  # fmt: skip
MAIN_ = {"rt": "65000:4", "import": ["65000:5"], "export": "65000:6"}
RULE_ = {"from": "10.1.0.0/16", "iif": "up", "fwmark": 7, "table": 100, "priority": 1001}
DUMMY_ = {"ip": ["10.9.0.1/24"], "vrf": "red", "mtu": 1400}
IGP_OF_NODE_ = {"area": "0.0.0.1", "metric": 20}
IGP_OF_LINK_ = {"area": 1, "metric": 20, "hello": 2, "dead": 8, "bfd": False}
IGP_ = {"protocol": "ospf", "area": "0.0.0.0", "metric": 5, "level": 2, "hello": 3, "dead": 9, "bfd": True}
LABELS_ = {"protocol": "sr", "srgb": "16000-23999", "pop": "php"}
VPN_ = {"protocol": "bgp", "asn": 64512, "reflectors": ["p"], "unicast": "labelled"}
ROUTING_ = {"protocol": "bgp", "area": "0.0.0.1", "as_override": True, "site_of_origin": "65000:1",
            "allow_own_as": True}  # fmt: skip
NODE_ = {"role": "pe", "loopback": "10.0.0.1/32", "vrfs": {"red": VRF_}, "main": MAIN_, "rules": [RULE_],
         "dummies": {"d0": DUMMY_, "d1": "10.8.0.1/24"},
         "routes": [ROUTE_], "sysctls": {"net.ipv4.ip_forward": 1}, "gateway": "none", "exec": ["true"],
         "frr": {"zebra": "hostname r\n", "ospfd": "router ospf\n"}, "bird": "router id 1.1.1.1;\n", "daemon": "frr",
         "swanctl": "secrets {\n}\n", "label_range": "100-199", "igp": IGP_OF_NODE_, "sid": 5,
         "asn": 65001}  # fmt: skip
IMPAIRED_ = {"bw": 0.5, "delay": "10ms", "jitter": "1.5ms", "loss": "0.1", "max_queue_size": 100}
END_ = {"node": "pe", "port": "up", "ip": ["10.1.0.1/30"], "vrf": "red", "evpn": "blue", "mtu": 1500,
        "mac": "02:00:00:00:00:01", **IMPAIRED_}  # fmt: skip
IPSEC_ = {"mode": "udp", "cipher": "aes-gcm", "secret": ["one", "two"], "rekey": 60}
LINK_ = {"a": END_, "b": "p", "type": "veth", "mtu": 1500, "name": "tail", "over": ["10.0.0.1", "10.0.0.2"],
         "key": 1, "vni": 2, "ttl": 3, "encaplimit": "none", "versions": [4, 6], "unnumbered": True,
         "igp": IGP_OF_LINK_, "routing": ROUTING_, "ipsec": IPSEC_,
         **IMPAIRED_}  # fmt: skip
LSP_ = {"path": ["p", "pe"], "labels": [16], "vrf": "red", "ingress": "p", "egress": "pe", "fec": ["10.9.0.0/16"],
        "pop": "php", "ttl": "pipe"}  # fmt: skip
FULL = {"name": "full", "platform_labels": 100, "igp": IGP_, "labels": LABELS_, "vpn": VPN_, "ttl": "pipe",
        "evpns": {"blue": EVPN_},
        "nodes": {"pe": NODE_, "p": "p"}, "links": [LINK_],
        "lsps": [LSP_]}  # fmt: skip


@pytest.mark.parametrize(
    ("known", "entry"),
    [(LAB, FULL), (NODE, NODE_), (VRF, VRF_), (MAIN, MAIN_), (ROUTE, ROUTE_), (RULE, RULE_), (LINK, LINK_),
     (("node", *PORT), END_), (LSP, LSP_), (DUMMY, DUMMY_), (IPSEC, IPSEC_), (IGP, IGP_), (IGP_OF_NODE, IGP_OF_NODE_),
     (IGP_OF_LINK, IGP_OF_LINK_), (LABEL_MAKER, LABELS_), (VPN_MAKER, VPN_), (ROUTING, ROUTING_), (EVPN, EVPN_)],
    ids=["lab", "node", "vrf", "main", "route", "rule", "link", "end", "lsp", "dummy", "ipsec",
         "igp", "igp of a node", "igp of a link", "labels", "vpn", "routing", "evpn"],
)
def test_schema_and_reader_know_the_same_keys(known: Collection[str], entry: dict[str, object]) -> None:
    """A lab with every key there is passes both; with one more key in any of its mappings it passes neither."""
    assert set(entry) == set(known)
    VALIDATOR.validate(FULL)
    assert from_data(FULL).faults == ()
    entry["unknown"] = "x"
    try:
        assert not VALIDATOR.is_valid(FULL)
        assert "there is no key 'unknown' here" in from_data(FULL).faults[0].text
    finally:
        del entry["unknown"]


def test_schema_is_a_schema() -> None:
    """It is sound itself, and goes through JSON as it is."""
    jsonschema.Draft202012Validator.check_schema(schema())
    assert json.loads(json.dumps(schema())) == schema()
