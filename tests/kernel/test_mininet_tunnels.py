"""Links of Mininet that are tunnels, or unnumbered, and interfaces without a link."""

from __future__ import annotations

import pytest
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

from mnmpls.errors import LabError
from mnmpls.mn.graph import lab_of
from mnmpls.mn.net import Mininet
from mnmpls.mn.nodes import LabHost, PERouter
from mnmpls.mn.topo import LabTopo
from mnmpls.sources import from_data
from mnmpls.state import Address, Dummy, Route, Tunnel

pytestmark = pytest.mark.kernel


def _two_sites() -> Mininet:
    made = Mininet()
    for n in (1, 2):
        made.addHost(f"pe{n}", cls=PERouter, vrfs=["red"])
        made.addHost(f"h{n}", cls=LabHost)
        made.addLink(f"pe{n}", f"h{n}", vrf="red")
    made.addLink("pe1", "pe2", name="wire")
    return made


def _tunnels(made: Mininet, node: str) -> list[Tunnel]:
    return [each for each in made[node].namespace.observe() if isinstance(each, Tunnel)]


def test_a_tunnel_in_a_running_net() -> None:
    """``type`` makes a link a tunnel over another; added to a running net it carries labels at once, and delLink takes
    it out of both nodes, which then label the wire's packets again."""
    made = _two_sites()
    made.start()
    try:
        assert made.pingAll() == 0.0
        link = made.addLink("pe1", "pe2", type="gre", over="wire", gre_key=7)
        name = link.intf1.name
        assert [(each.name, each.kind, each.key) for each in _tunnels(made, "pe1")] == [(name, "gre", 7)]
        assert [each.why for each in made.results() if not each.ok] == []
        (tunnel,) = [each for each in lab_of(made["pe1"]).links if not each.is_wire]
        assert [port.mtu_bytes for port in tunnel.ports] == [1472, 1472]
        made.delLink(link)
        assert _tunnels(made, "pe1") == _tunnels(made, "pe2") == []
        assert made.pingAll() == 0.0
    finally:
        made.stop()


def test_what_carries_a_tunnel_cannot_be_taken_away() -> None:
    """delLink of a wire that alone carries one, and delNode of the router that it goes through, say so, and all is as
    before; without the tunnel they go. A node goes with its tunnel and what that runs over."""
    made = Mininet()
    for name in ("pe1", "p", "pe2", "pe3"):
        made.addHost(name, cls=PERouter, vrfs=["red"] if name != "p" else [])
        if name != "p":
            made.addHost(f"h{name[-1]}", cls=LabHost)
            made.addLink(name, f"h{name[-1]}", vrf="red")
    wire = made.addLink("pe1", "p", name="wire")
    over = made.addLink("pe1", "p", type="gre", over="wire")
    made.addLink("p", "pe2", params1={"ip": "10.5.0.1/30"}, params2={"ip": "10.5.0.2/30"})
    made.addLink("p", "pe3", params1={"ip": "10.6.0.1/30"}, params2={"ip": "10.6.0.2/30"})
    made.addLink("pe2", "pe3", type="gre", over=["10.5.0.2", "10.6.0.2"])
    made.start()
    try:
        links, before = list(made.links), {host.name: host.namespace.observe() for host in made.hosts}
        with pytest.raises(LabError, match=r"cannot go on without that link: .* no link called 'wire'"):
            made.delLink(wire)
        with pytest.raises(LabError, match="cannot go on without that link: "):
            made.delNode(made["p"])
        assert made.links == links and before == {host.name: host.namespace.observe() for host in made.hosts}
        assert made.pingAll() == 0.0 and wire.intf1.link is wire
        made.delLink(over)
        assert made.pingAll() == 0.0
        made.addLink("pe1", "p", type="gre", over="wire")
        made.delNode(made["pe1"])
        assert _tunnels(made, "p") == [] and made["p"].namespace.ports("veth") == {"p-eth2", "p-eth3"}
        assert [each.why for each in made.results([made["h2"], made["h3"]]) if not each.ok] == []
    finally:
        made.stop()


def test_an_unnumbered_link_in_a_running_net() -> None:
    """Beside a numbered wire it takes its share of the labels; delLink leaves the routers' loopbacks as they were."""
    made = _two_sites()
    made.start()
    try:
        before = {name: made[name].namespace.observe() for name in ("pe1", "pe2")}
        link = made.addLink("pe1", "pe2", unnumbered=True)
        (added,) = [each for each in lab_of(made["pe1"]).links if each.unnumbered]
        assert [port.addresses for port in added.ports] == [("10.255.0.1/32",), ("10.255.0.2/32",)]
        assert made.pingAll() == 0.0
        assert [each.why for each in made.results() if not each.ok] == []
        made.delLink(link)
        assert made.pingAll() == 0.0
        for name, observed in before.items():
            assert {each for each in observed if isinstance(each, Address | Route)} == {
                each for each in made[name].namespace.observe() if isinstance(each, Address | Route)
            }
    finally:
        made.stop()


def test_dummies_of_a_router() -> None:
    """``dummies`` of a router, as a parameter or by a LabTopo, are there and reached across the core."""
    given = {"d0": {"ip": "10.9.0.1/24", "vrf": "red"}, "d1": "10.8.0.1/24"}
    nodes = {"h1": "host", "pe1": {"role": "pe", "vrfs": ["red"]},
             "pe2": {"role": "pe", "vrfs": ["red"], "dummies": given}}  # fmt: skip
    links = [["h1", {"pe1": {"vrf": "red"}}], ["pe1", "pe2"]]
    by_hand = Mininet()
    by_hand.addHost("h1", cls=LabHost)
    by_hand.addHost("pe1", cls=PERouter, vrfs=["red"])
    by_hand.addHost("pe2", cls=PERouter, vrfs=["red"], dummies=given)
    by_hand.addLink("h1", "pe1", vrf="red")
    by_hand.addLink("pe1", "pe2")
    for made in (by_hand, Mininet(LabTopo(from_data({"name": "dummies", "nodes": nodes, "links": links})))):
        made.start()
        try:
            assert {each.name for each in made["pe2"].namespace.observe() if isinstance(each, Dummy)} == {"d0", "d1"}
            assert "1 received" in made["h1"].cmd("ping -c 1 -W 10 10.9.0.1")
            assert "1 received" in made["pe1"].cmd("ping -c 1 -W 10 10.8.0.1")
            assert [each.why for each in made.results() if not each.ok] == []
        finally:
            made.stop()


def test_a_tunnel_across_somebody_elses_switch() -> None:
    """A Topo whose two PEs see each other by a bridge of Mininet's own alone: a tunnel between their addresses carries
    the VPN."""
    topo = Topo()
    topo.addSwitch("s1", cls=LinuxBridge)
    for n in (1, 2):
        topo.addHost(f"pe{n}", cls=PERouter, vrfs=["red"])
        topo.addHost(f"h{n}", cls=LabHost)
        topo.addLink(f"pe{n}", f"h{n}", params1={"vrf": "red"})
        topo.addLink(f"pe{n}", "s1", params1={"ip": f"10.1.0.{n}/24"})
    topo.addLink("pe1", "pe2", type="gre", over=["10.1.0.1", "10.1.0.2"])
    made = Mininet(topo, controller=None)
    made.start()
    try:
        assert [each.why for each in made.results() if not each.ok] == []
        route = next(each for each in made["pe1"].namespace.observe() if isinstance(each, Route) and each.table == 10
                     and any(hop.labels for hop in each.hops))  # fmt: skip
        assert [hop.port for hop in route.hops] == [each.name for each in _tunnels(made, "pe1")]
    finally:
        made.stop()


def test_what_no_tunnel_can_be() -> None:
    """A tunnel needs nodes of ours, one of the known types, and Topo's own ``key`` is not GRE's."""
    made = _two_sites()
    made.addHost("stock")
    made.start()
    try:
        for wrong, text in (
            ({"type": "pppoe"}, "is not one of: veth, gre"),
            ({"type": "dummy"}, "is no link: give its node dummies="),
            ({"type": "gre", "key": 7}, "call GRE's gre_key"),
            ({"type": "gre", "over": "nowhere"}, "there is no link called 'nowhere'"),
        ):
            with pytest.raises(LabError, match=text):
                made.addLink("pe1", "pe2", **wrong)
            assert made.pingAll() == 0.0
        with pytest.raises(LabError, match="needs nodes of ours at both ends"):
            made.addLink("pe1", "stock", type="gre")
    finally:
        made.stop()


def test_a_lab_file_with_tunnels_as_a_topology() -> None:
    """What a lab file says of a link, Mininet's link has too."""
    links = [
        {"a": "pe1", "b": "pe2", "name": "wire"},
        {"a": "pe1", "b": "pe2", "type": "vxlan", "vni": 5, "ttl": 9, "over": "wire"},
        *([{"node": f"pe{n}", "vrf": "red"}, f"h{n}"] for n in (1, 2)),
    ]
    nodes = {**{f"pe{n}": {"role": "pe", "vrfs": ["red"]} for n in (1, 2)}, "h1": "host", "h2": "host"}
    made = Mininet(LabTopo(from_data({"nodes": nodes, "links": links})))
    made.start()
    try:
        assert [(each.kind, each.key, each.ttl) for each in _tunnels(made, "pe2")] == [("vxlan", 5, 9)]
        assert made.pingAll() == 0.0
    finally:
        made.stop()
