"""IS-IS on paper: its daemon's files, the adjacencies that are to be there, and what the daemon says of them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.daemons import established, services, sessions
from mnmpls.errors import LabError
from mnmpls.model import Igp, Lab
from mnmpls.plan import complete
from mnmpls.sources import data, from_data, load
from tests.unit.test_daemons import GOLDENS, TOPOS

NEIGHBOURS = """Area core:
 p2                  
    Interface: p1-eth, Level: 2, State: Up, Expires in 4s
    Adjacency flaps: 1, Last: 1m12s ago
    Area Address(es):
      49.0001
    IPv6 Address(es):
      fe80::b825:5fff:fe8e:3c5c
 p3                  
    Interface: p1-eth, Level: 2, State: Initializing, Expires in 4s
 pe1                 
    Interface: p1-pe1-eth, Level: 2, State: Up, Expires in 3s
"""  # noqa: W291  (as isisd pads them)


def isis_ldp() -> Lab:
    return load(str(TOPOS / "isis_ldp.yml"))


@pytest.mark.parametrize("node", ["p1", "pe2"])
def test_configuration(node: str) -> None:
    """isisd's file is the golden one, zebra, bfdd, ldpd and a PE's bgpd run beside it, and neither ospfd nor ospf6d."""
    some = {service.name: service for service in services(complete(isis_ldp()))[node]}
    assert some.keys() == {"zebra", "bfdd", "isisd", "ldpd", *(["bgpd"] if node == "pe2" else [])}
    golden = Path(GOLDENS, f"isis_ldp-{node}-isisd.conf")
    if os.environ.get("MNMPLS_REWRITE"):
        golden.write_text(some["isisd"].config, encoding="utf-8")
    assert some["isisd"].config == golden.read_text(encoding="utf-8")


def test_settings_reach_the_daemon() -> None:
    """Area, level, metric and timers are in isisd's file, none that is isisd's own; the smallest MTU of the core is the
    largest link state packet's; a lab's data read again is the same lab."""
    lab = isis_ldp()
    igp = Igp("isis", "49.00AB.0002", 20, 3, 30, False, "1-2")
    links = tuple(
        replace(each, a=replace(each.a, mtu_bytes=1400), b=replace(each.b, mtu_bytes=1400)) for each in lab.links[:1]
    )
    other = replace(lab, igp=igp, links=(*links, *lab.links[1:]))
    assert from_data(data(complete(other))) == complete(other)
    config = next(one.config for one in services(complete(other))["p2"] if one.name == "isisd")
    lines = set(map(str.strip, config.splitlines()))
    assert lines >= {"net 49.00ab.0002.0100.0000.0002.00", "isis metric 20", "lsp-mtu 1397"}
    assert not [line for line in lines if line.startswith(("is-type", "isis hello", "isis bfd"))]


def test_adjacencies() -> None:
    """There is one per neighbour, three routers on a LAN having two each there, and isisd's words tell which are up."""
    wanted = [one for one in sessions(complete(isis_ldp())) if one.daemon == "isisd"]
    assert {(one.peer, one.port) for one in wanted if one.node == "p1"} == {
        ("p2", "p1-eth"), ("p3", "p1-eth"), ("pe1", "p1-pe1-eth"),
    }  # fmt: skip
    assert len(wanted) == 12
    assert established("isisd", NEIGHBOURS) == {("p2", "p1-eth"), ("pe1", "p1-pe1-eth")}
    assert established("isisd", "") == frozenset()


def test_one_bfd_session_for_both_versions() -> None:
    """isisd has IPv6's only, where it speaks both; OSPFv2 and OSPFv3 have one each."""
    lab = isis_ldp()
    kinds = {one.kind for one in sessions(complete(lab)) if one.daemon == "bfdd"}
    assert kinds == {"BFD session for IPv6"}
    ospf = complete(replace(lab, igp=Igp("ospf")))
    assert {one.kind for one in sessions(ospf) if one.daemon == "bfdd"} == {"BFD session", "BFD session for IPv6"}


def test_level_1_needs_one_area() -> None:
    """On level 2 neighbours may be of several areas, on level 1 they may not."""
    lab = isis_ldp()
    nodes = tuple(replace(node, igp=Igp("", "49.0002")) if node.name == "pe1" else node for node in lab.nodes)
    complete(replace(lab, nodes=nodes))
    with pytest.raises(LabError, match=r"p1 and pe1 are neighbours, with area 49.0001 and area 49.0002: give both"):
        complete(replace(lab, nodes=nodes, igp=Igp("isis", level="1")))
