"""The L3VPN patterns of topos/ with real daemons: each works as its lab file says, and what it is there for fails when
its feature is taken out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from mininet.log import setLogLevel

from mnmpls.checks.reach import probe
from mnmpls.mn.net import Mininet
from mnmpls.mn.topo import LabTopo
from mnmpls.model import Lab, Node, Routing, Vrf
from mnmpls.netns import RunningLab
from mnmpls.plan import complete
from mnmpls.sources import load
from tests.kernel.test_daemons import LIMIT_S, soon, text
from tests.unit.test_daemons import TOPOS
from tests.unit.test_routing import both_ways

pytestmark = pytest.mark.kernel


def without_import(lab: Lab, vrf: str, target: str) -> Lab:
    def changed(one: Vrf) -> Vrf:
        return replace(one, imports=tuple(each for each in one.imports if each != target)) if one.name == vrf else one

    def at(node: Node) -> Node:
        return replace(node, vrfs=tuple(map(changed, node.vrfs)))

    return replace(lab, nodes=tuple(map(at, lab.nodes)))


def without_main(lab: Lab) -> Lab:
    """No VRF has routes of a main table."""
    return replace(lab, nodes=tuple(replace(node, exports=()) for node in lab.nodes))


def without_own_as(lab: Lab) -> Lab:
    links = (replace(one, routing=replace(one.routing, allow_own_as=False)) for one in lab.links)
    return replace(lab, links=tuple(links))


def without_border(lab: Lab) -> Lab:
    """Nobody speaks anything between two PEs."""
    pes = {node.name for node in lab.nodes if node.role == "pe"}
    links = (replace(k, routing=Routing()) if {k.a.node, k.b.node} <= pes else k for k in lab.links)
    return replace(lab, links=tuple(links))


def wrong(given: Lab, running: RunningLab) -> set[str]:
    """Pairs of hosts that do not do what ``given`` means, in the lab that runs."""
    results = probe(complete(given), running.namespaces, hosts_only=True, deadline_s=1.0)
    return {f"{one.src} {one.dst}" for one in results if not one.ok}


@pytest.mark.parametrize(
    ("name", "feature", "lost"),
    [
        ("hub_spoke", without_own_as, ["h1 h2"]),
        ("extranet", lambda lab: without_import(lab, "blue", "65000:30"), ["bh1 dns"]),
        ("internet", lambda lab: without_import(lab, "red", "65000:90"), ["rh1 web", "rh1 bh1"]),
        ("internet_main", without_main, ["rh1 web"]),
        ("inter_as_a", without_border, ["ha hb"]),
    ],
    ids=["hub_spoke", "extranet", "internet", "internet_main", "inter_as_a"],
)
def test_pattern(name: str, feature: Callable[[Lab], Lab], lost: Iterable[str]) -> None:
    """All that check looks at is as intended; without the feature exactly these pairs of hosts lose each other."""
    given = load(str(TOPOS / f"{name}.yml"))
    with RunningLab(given) as running:
        assert running.await_reach(LIMIT_S) == ""
        assert soon(lambda: running.check().ok), running.check().text()
        running.change(feature(given))
        assert running.await_reach(LIMIT_S) == ""
        assert soon(lambda: wrong(given, running) == both_ways(lost))


def test_labelled_unicast() -> None:
    """topos/6pe.yml: customers outside of all VRFs reach each other in both IP versions, and the core has no route to
    any of them; when they are not told with labels, it has one to each."""
    given = load(str(TOPOS / "6pe.yml"))

    def core_knows() -> set[str]:
        routes = text(running["p"], "ip", "route") + text(running["p"], "ip", "-6", "route")
        return {word for word in routes.split() if word in ("10.1.0.0/24", "10.2.0.0/24", "fd01::/64", "fd02::/64")}

    with RunningLab(given) as running:
        assert running.await_reach(LIMIT_S) == ""
        assert soon(lambda: running.check().ok), running.check().text()
        assert {one.subject for one in running.check().of("route")} >= {"pe1: routes told to it"}
        assert core_knows() == set()
        running.change(replace(given, vpn=replace(given.vpn, unicast="")))
        assert running.await_reach(LIMIT_S) == ""
        assert soon(lambda: len(core_knows()) == 4)


def test_reflectors() -> None:
    """PEs have sessions with the two reflectors only, and routes of each other in both IP versions, also from BIRD
    alone; no packet goes through that, and when it reflects no more either, each PE is alone, and check names the
    routes that are missing."""
    given = load(str(TOPOS / "reflectors.yml"))
    question = "show bgp ipv4 vpn summary json"
    with RunningLab(given) as running:
        assert running.await_reach(LIMIT_S) == ""
        assert soon(lambda: running.check().ok), running.check().text()
        said = json.loads(text(running["pe1"], "vtysh", "-c", question))
        assert set(said["peers"]) == {"10.255.0.2", "10.255.0.3"}
        ways = [str(one.data()) for one in running.check().of("trace")]
        assert any("pe2" in way and "pe3" in way for way in ways) and not any("rr2" in way for way in ways)
        lines = ["configure", "router bgp 64512", "bgp shutdown"]
        text(running["rr1"], "vtysh", *(word for line in lines for word in ("-c", line)))
        assert soon(lambda: json.loads(text(running["pe1"], "vtysh", "-c", question))["failedPeers"] == 1)
        assert soon(lambda: wrong(given, running) == set()), running.check().text()
        for number in (2, 3, 4):
            text(running["rr2"], "birdc", "-s", "/run/frr/bird.ctl", "disable", f"bgp{number}")
        assert soon(lambda: len(running.check().of("route", ok=False)) == 5)
        assert any("nobody has told it" in one.seen for one in running.check().of("route", ok=False))


def test_mininet() -> None:
    """A lab with all that PEs and CEs speak, and two providers, under Mininet: the Topo's parameters carry it, and at
    the prompt everybody is reached."""
    setLogLevel("error")
    net = Mininet(topo=LabTopo(str(TOPOS / "inter_as_a.yml")))
    try:
        net.start()
        assert soon(lambda: net.pingAll() == 0)
        assert soon(lambda: "65002" in net["ca"].cmd("vtysh -c 'show bgp ipv4 unicast'"))
    finally:
        net.stop()
