"""Stock topologies made of our nodes: LANs in the place of their switches, and what scripts of Mininet do with them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from mininet.log import setLogLevel
from mininet.node import Host
from mininet.topo import LinearTopo, SingleSwitchTopo, Topo

from mnmpls.errors import CheckFailed, LabError
from mnmpls.mn.cli import CLI
from mnmpls.mn.net import LIVE, Mininet
from mnmpls.mn.nodes import CEHost, LabHost, LANBridge, MPLSRouter
from mnmpls.state import Qdisc
from tests.watching import until

pytestmark = pytest.mark.kernel

SYSCTL = "net.ipv4.ip_default_ttl"


@pytest.fixture
def net() -> Iterator[Mininet]:
    """LinearTopo(2), of a host made by a partial and a LAN of ours."""
    setLogLevel("warning")
    host = partial(LabHost, sysctls={SYSCTL: "77"})
    made = Mininet(topo=LinearTopo(2), host=host, switch=LANBridge, waitConnected=True)
    made.start()
    yield made
    made.stop()


def works(net: Mininet) -> bool:
    """Once carriers are back, of which the kernel tells once in a second."""
    until(lambda: net.pingAll() == 0.0, "somebody is not reached")
    return True


def test_stock_topology_of_ours(net: Mininet) -> None:
    """Hosts and switches are of the classes that the net was given, where a script looks for them, under the names
    that Mininet gives them, and without a controller."""
    assert {type(each) for each in net.hosts} == {LabHost}
    assert [each.name for each in net.switches] == ["s1", "s2"]
    assert net["s1"].intfNames() == ["s1-eth1", "s1-eth2"]
    assert net["h1"].cmd("sysctl -n", SYSCTL).strip() == "77"
    assert (net.controllers, net.waitConnected(timeout=0), net.pingAll()) == ([], True, 0.0)


def test_switches_come_and_go(net: Mininet) -> None:
    """At the prompt `switch s1 stop` and `start`, and `dpctl` says why not; a script adds one, and takes one away."""
    prompt = CLI.__new__(CLI)
    prompt.mn = net
    prompt.onecmd("switch s1 stop")
    assert net.pingAll() == 100.0
    prompt.onecmd("switch s1 start")
    assert works(net)
    with pytest.raises(CheckFailed, match="s1 is a LAN, and no OpenFlow switch"):
        net["s1"].dpctl("show")
    added = net.addSwitch("s3")
    net.addLink(added, "s2")
    net.addLink(net.addHost("h3"), added)
    assert works(net) and added.intfNames() == ["s3-eth1", "s3-eth2"]
    net.delLinkBetween(net["h1"], net["s1"])
    net.addLink("h1", added)
    net.delSwitch(net["s1"])
    assert works(net) and ([each.name for each in net.switches], len(net.results())) == (["s2", "s3"], 6)


def test_port_is_shaped_while_it_runs(net: Mininet) -> None:
    """intf.config(bw=…) as with TCIntf, each call in the place of the one before; what cannot be changes nothing."""
    port = net["h1"].intf()
    seen = []
    for given in ({"bw": 10, "loss": 1}, {"delay": "5ms"}):
        port.config(**given)
        seen += [each for each in net["h1"].namespace.observe() if isinstance(each, Qdisc)]
    assert seen == [Qdisc("h1-eth0", 10_000, loss_ppm=10_000), Qdisc("h1-eth0", delay_us=5000)]
    with pytest.raises(LabError, match="delay"):
        port.config(delay="soon")
    assert [each for each in net["h1"].namespace.observe() if isinstance(each, Qdisc)] == seen[1:]
    port.config(mac="02:00:00:00:00:01", ip="198.51.100.1/24")
    assert works(net) and (port.MAC(), port.IP()) == ("02:00:00:00:00:01", "198.51.100.1")


def test_port_gets_another_name(net: Mininet) -> None:
    """intf.rename: the lab goes on with it; a name that is too long changes nothing."""
    port = net["h1"].intf()
    with pytest.raises(LabError, match="the kernel takes 15"):
        port.rename("much-too-long-a-name")
    port.rename("wan0")
    assert net["h1"].namespace.ports() == {"lo", "wan0"}
    assert works(net) and net["h1"].intf("wan0") == port


class Routed(Topo):  # type: ignore[misc]
    """As Mininet's example of a Linux router, with its addresses."""

    def build(self) -> None:
        self.addHost("r0", cls=CEHost, ip="192.168.1.1/24")
        for n, net in ((1, "192.168.1.{}/24"), (2, "172.16.0.{}/12"), (3, "10.0.0.{}/8")):
            self.addLink(self.addSwitch(f"s{n}"), "r0", intfName2=f"r0-eth{n}", params2={"ip": net.format(1)})
            route = f"via {net.format(1).partition('/')[0]}"
            self.addLink(self.addHost(f"h{n}", ip=net.format(100), defaultRoute=route), f"s{n}")


@pytest.mark.parametrize("host", [LabHost, Host])
def test_addresses_of_nodes_are_kept(host: type[Host]) -> None:
    """A node's own `ip` is its first port's, out of 10.0.0.0/8 too; hosts are ours or Mininet's."""
    setLogLevel("warning")
    made = Mininet(topo=Routed(), host=host, switch=LANBridge)
    try:
        made.start()
        assert [made[f"h{n}"].IP() for n in (1, 2, 3)] == ["192.168.1.100", "172.16.0.100", "10.0.0.100"]
        assert "1 received" in made["h1"].cmd("ping -c1 -W10 10.0.0.100")
        assert works(made)
    finally:
        made.stop()


def test_address_without_a_prefix() -> None:
    """`ip='10.0.0.1'` of a node is one of a /8, as in Mininet; a controller that is asked for and not installed is
    none."""
    setLogLevel("warning")
    made = Mininet(switch=LANBridge)
    try:
        made.addController("c0")
        made.addSwitch("s1")
        for n in (1, 2):
            made.addLink(made.addHost(f"h{n}", cls=LabHost, ip=f"10.0.0.{n}"), "s1")
        made.start()
        assert "10.0.0.1/8" in made["h1"].cmd("ip -4 -o addr show dev h1-eth0")
        assert works(made)
    finally:
        made.stop()


def test_switch_that_is_none() -> None:
    """Another role than a LAN's for a switch is refused, and nothing is left of the net."""
    before = len(LIVE)
    with pytest.raises(LabError, match=r"nodes\.s1: MPLSRouter is no switch: give LANBridge"):
        Mininet(topo=SingleSwitchTopo(2), host=LabHost, switch=MPLSRouter)
    assert len(LIVE) == before
