"""Segment routing on paper: which SIDs and labels are planned, and what the daemons are told of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mnmpls.daemons import established, services, sessions, sid_labels
from mnmpls.model import Igp, Lab, Labels
from mnmpls.plan import complete, records
from mnmpls.plan.segments import block, label, local_block
from mnmpls.sources import data, from_data, load
from mnmpls.state import Sysctl
from tests.unit.test_daemons import TOPOS


def sr_l3vpn() -> Lab:
    return load(str(TOPOS / "sr_l3vpn.yml"))


def ospf_lan() -> Lab:
    """OSPF's SIDs over a LAN, all labels kept up to the end."""
    pe = {"role": "pe", "vrfs": ["red"]}
    return from_data(
        {
            "name": "lan", "igp": "ospf", "labels": {"protocol": "sr", "srgb": "15500-19499", "pop": "explicit-null"},
            "vpn": "bgp",
            "nodes": {"p1": "p", "p2": {"role": "p", "sid": 1}, "lan": "bridge", "pe1": pe, "pe2": pe,
                      "h1": "host", "h2": "host"},
            "links": [["pe1", "p1"], ["p1", "lan"], ["p2", "lan"], ["pe2", "lan"],
                      [{"pe1": {"vrf": "red"}}, "h1"], [{"pe2": {"vrf": "red"}}, "h2"]],
        }
    )  # fmt: skip


def unnumbered_ring() -> Lab:
    """Four routers in a ring whose links have no addresses of their own."""
    routers = ("pe1", "pe2", "p2", "p1")
    loopbacks = {name: {"loopback": [f"10.0.0.{n}/32", f"fd00::{n}/128"]} for n, name in enumerate(routers, 1)}
    nodes = {name: {"role": "p", **has} for name, has in loopbacks.items()}
    nodes |= {name: {**nodes[name], "role": "pe", "vrfs": ["red"]} for name in ("pe1", "pe2")}
    ring = [{"a": a, "b": b, "unnumbered": True} for a, b in zip(routers, (*routers[1:], routers[0]), strict=True)]
    sites = [{"a": {"node": f"pe{n}", "vrf": "red"}, "b": f"h{n}", "versions": [4, 6]} for n in (1, 2)]
    made = {"name": "ring", "igp": "isis", "labels": "sr", "vpn": "bgp"}
    return from_data(made | {"nodes": {**nodes, "h1": "host", "h2": "host"}, "links": [*ring, *sites]})


def _lines(lab: Lab, node: str, daemon: str) -> set[str]:
    config = next(one.config for one in services(complete(lab))[node] if one.name == daemon)
    return {line.strip() for line in config.splitlines() if "segment-routing" in line}


def test_sids_are_planned_around_given_ones() -> None:
    """In the order of the nodes, from 1 on; the same once more, and after a round trip through data."""
    lab = complete(ospf_lan())
    assert {node.name: node.sid for node in lab.nodes if node.sid is not None} == {"p1": 2, "p2": 1, "pe1": 3, "pe2": 4}
    assert complete(lab) == lab == from_data(data(lab))
    assert {label(lab, node, 4) for node in lab.nodes if node.sid} == {15501, 15502, 15503, 15504}


@pytest.mark.parametrize(
    ("srgb", "local"),
    [("", range(15000, 16000)), ("20000-20999", range(15000, 16000)), ("15999-20000", range(14999, 15999)),
     ("1500-17000", range(17001, 18001))],
)  # fmt: skip
def test_the_local_block_stays_clear(srgb: str, local: range) -> None:
    """Of labels between two neighbours: FRR's own, or one beside the block of SIDs."""
    assert local_block(Labels("sr", srgb)) == local
    assert not set(block(Labels("sr", srgb))) & set(local)


def test_what_daemons_are_told() -> None:
    """isisd a SID for each IP version, ospfd IPv4's; both the blocks where they are not FRR's own, and who takes the
    label off. There is no ldpd."""
    assert _lines(sr_l3vpn(), "pe1", "isisd") == {
        "segment-routing on", "segment-routing prefix 10.0.0.11/32 index 11",
        "segment-routing prefix fd00::11/128 index 4011",
    }  # fmt: skip
    assert _lines(ospf_lan(), "pe1", "ospfd") == {
        "segment-routing on", "segment-routing global-block 15500 19499 local-block 14500 15499",
        "segment-routing prefix 10.255.0.3/32 index 3 explicit-null",
    }  # fmt: skip
    assert "ldpd" not in {one.name for some in services(complete(ospf_lan())).values() for one in some}


def test_kernels_are_ready() -> None:
    """The label table has room for both blocks, and labels below one that the last router takes off come in at lo."""

    def at_pe1(lab: Lab) -> set[str]:
        return {f"{one.key}={one.value}" for one in records(complete(lab))["pe1"] if isinstance(one, Sysctl)}

    lab = ospf_lan()
    assert at_pe1(lab) >= {"net.mpls.platform_labels=100000", "net.mpls.conf.lo.input=1"}
    high = replace(lab, labels=Labels("sr", "500000-500999"))
    assert "net.mpls.platform_labels=1048575" in at_pe1(high)
    assert "net.mpls.conf.lo.input=1" not in at_pe1(high)


def test_labels_that_each_router_is_to_have() -> None:
    """One for each other router and IP version, its own where it takes that off itself; none of routers that the
    routing protocol leaves out or cannot reach."""
    lab = complete(sr_l3vpn())
    wanted = sid_labels(lab)
    assert {one.label for one in wanted["p3"]} == {16001, 16002, 16011, 16012, 20001, 20002, 20011, 20012}
    egress = replace(lab, labels=replace(lab.labels, pop="egress"))
    assert {one.label for one in sid_labels(egress)["p3"]} == {*(one.label for one in wanted["p3"]), 16003, 20003}
    nodes = tuple(replace(node, sid=None, igp=Igp("none")) if node.name == "p3" else node for node in lab.nodes)
    links = tuple(replace(link, igp=Igp("none")) if link.b.node == "pe2" else link for link in lab.links)
    left = sid_labels(complete(replace(lab, nodes=nodes, links=links)))
    assert "p3" not in left and {one.node for one in left["p1"]} == {"p2", "pe1"} and left["pe2"] == ()


def test_what_zebra_says() -> None:
    """Labels that the kernel has taken; an answer cut short tells of none."""
    said = '{"16001":{"inLabel":16001,"installed":true,"nexthops":[]},"16002":{"inLabel":16002,"nexthops":[]}}'
    assert established("zebra", said) == {("16001", "")}
    assert established("zebra", said[:-1]) == frozenset()
    wanted = {one.text for one in sessions(complete(ospf_lan())) if (one.node, one.daemon) == ("p1", "zebra")}
    assert wanted == {"label 15501 to p2", "label 15503 to pe1", "label 15504 to pe2"}
