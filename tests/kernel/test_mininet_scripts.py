"""Other people's Mininet scripts: stock calls, stock nodes and stock links among ours, and labs that change as they
run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mininet.link import Link, TCLink
from mininet.log import setLogLevel
from mininet.node import Host
from mininet.topo import Topo
from mininet.util import dumpNetConnections, dumpNodeConnections, specialClass

from mnmpls.errors import LabError
from mnmpls.mn.links import MPLSLink
from mnmpls.mn.net import Mininet
from mnmpls.mn.nodes import CEHost, LabHost
from mnmpls.state import Qdisc

pytestmark = pytest.mark.kernel


@pytest.fixture
def net() -> Iterator[Mininet]:
    """Two hosts at a router; addresses planned."""
    setLogLevel("warning")
    made = Mininet()
    for name, cls in (("r", CEHost), ("a", LabHost), ("b", LabHost)):
        made.addHost(name, cls=cls)
    made.addLink("a", "r")
    made.addLink("b", "r")
    made.start()
    yield made
    made.stop()


def addresses(net: Mininet, node: str) -> set[str]:
    """As the kernel has them."""
    rows = net[node].cmd("ip -4 -o addr show scope global").splitlines()
    return {row.split()[3] for row in rows if row.strip()}


def test_looking_things_up(net: Mininet) -> None:
    """net[...], get, items, keys, intf, connectionsTo, linksBetween: as in stock Mininet."""
    a, r = net.get("a", "r")
    assert (net["a"], dict(net.items())["a"], "a" in net, len(net)) == (a, a, True, 3)
    assert (a.intf(), a.intf("a-eth0"), a.intfNames()) == (a.defaultIntf(), a.defaultIntf(), ["a-eth0"])
    assert a.connectionsTo(r) == [(a.intf(), r.intf("r-eth0"))]
    assert [link.status() for link in net.linksBetween(a, r)] == ["(OK OK)"]
    assert addresses(net, "a") == {f"{a.IP()}/24"}


def test_connections_are_dumped(net: Mininet, caplog: pytest.LogCaptureFixture) -> None:
    """dumpNodeConnections and dumpNetConnections print each node's neighbours."""
    setLogLevel("output")
    dumpNodeConnections(net.hosts)
    dumpNetConnections(net)
    assert "".join(caplog.messages).count("r r-eth0:a-eth0 r-eth1:b-eth0\n") == 2


def test_commands(net: Mininet) -> None:
    """cmd, sendCmd with monitor, popen in its forms, and a background job with its lastPid."""
    a = net["a"]
    assert a.cmd(["echo", 1]) == "1\r\n"
    a.sendCmd("for i in 1 2 3; do echo $i; done")
    said = ""
    while a.waiting:
        said += a.monitor(timeoutms=1000)
    assert said.split() == ["1", "2", "3"]
    assert a.popen("echo x y").communicate() == (b"x y\n", b"")
    assert a.popen("echo x | tr x z", shell=True, text=True).communicate() == ("z\n", "")  # noqa: S604
    a.cmd("sleep 1000 &")
    assert a.lastPid
    assert "done" in a.cmd("kill %1; wait %1; echo done").splitlines()


def test_mac_is_set_on_a_running_net(net: Mininet) -> None:
    """setMAC changes the kernel's address and what MAC() says."""
    net["a"].setMAC("02:00:00:00:00:01")
    assert net["a"].cmd("cat /sys/class/net/a-eth0/address").strip() == net["a"].MAC() == "02:00:00:00:00:01"


def test_ip_is_set_on_a_running_net(net: Mininet) -> None:
    """setIP: the address across the link, planned, follows into the subnet; b's stays; all reach each other."""
    before = net["b"].IP()
    net["a"].setIP("198.51.100.1/24")
    assert (addresses(net, "a"), net["b"].IP()) == ({"198.51.100.1/24"}, before)
    assert any(each.startswith("198.51.100.") for each in addresses(net, "r"))
    net["r"].setIP("198.51.100.7", 24, "r-eth0")
    assert net.pingAll() == 0.0


def test_ip_that_cannot_be_changes_nothing(net: Mininet) -> None:
    """b's address for a: LabError, and a has its own as before."""
    before = addresses(net, "a")
    with pytest.raises(LabError, match=r"r has .* already"):
        net["a"].setIP(net["b"].IP(), 24)
    assert addresses(net, "a") == before
    assert net.pingAll() == 0.0


def test_addresses_stay_while_the_lab_grows_and_shrinks(net: Mininet) -> None:
    """A host that comes is planned around those that are there; one that goes takes its links along."""
    before = [addresses(net, name) for name in ("a", "b")]
    net.addHost("c", cls=LabHost)
    net.addLink("c", "r")
    assert net.pingAll() == 0.0
    net.delLinkBetween(net["a"], net["r"])
    net.delHost(net["c"])
    assert net["r"].namespace.ports() == {"lo", "r-eth1"}
    assert [addresses(net, name) for name in ("a", "b")] == [set(), before[1]]
    net.addLink("a", "r")
    assert (addresses(net, "b"), net.pingAll()) == (before[1], 0.0)


def test_what_was_made_by_hand_stays(net: Mininet) -> None:
    """Addresses, devices and queues that commands made in a node outlive a link that goes down and up and a lab that
    grows; what the lab itself has no more goes."""
    r = net["r"]
    for command in (
        "ip addr add 203.0.113.1/32 dev lo", "ip link add mine type dummy", "ip link add vrf1 type vrf table 7",
        "ip link set mine up", "ip link set mine master vrf1", "ip addr add 203.0.113.2/32 dev mine",
        "tc qdisc add dev r-eth1 root netem delay 1ms", "ip route add 198.51.100.0/24 dev mine src 203.0.113.1",
    ):  # fmt: skip
        assert r.cmd(command) == ""
    seen = r.namespace.observe()
    net.configLinkStatus("a", "r", "down")
    net.configLinkStatus("a", "r", "up")
    assert r.namespace.observe() == seen
    before = net["a"].IP()
    net["a"].setIP("198.51.100.129/25")
    assert not any(before.rpartition(".")[0] in each for each in addresses(net, "r"))
    net.addLink(net.addHost("c", cls=LabHost), "r")
    assert {one for one in seen if "mine" in str(one) or "203.0.113" in str(one) or "delay" in str(one)} <= (
        r.namespace.observe()
    )
    assert "198.51.100.0/24 dev mine" in r.cmd("ip route show table all")


def test_wrong_link_on_a_running_net_is_taken_back(net: Mininet) -> None:
    """The error names what is wrong; the net is as it was and goes on."""
    with pytest.raises(LabError, match=r"no neighbour is in|198\.51\.100"):
        net.addLink("a", "b", params1={"ip": "198.51.100.1/24"}, params2={"ip": "203.0.113.1/24"})
    assert net["a"].namespace.ports() == {"lo", "a-eth0"}
    assert net.pingAll() == 0.0


def test_link_with_what_tclink_takes(net: Mininet) -> None:
    """bw, delay, jitter, loss and max_queue_size do at both ends what they do with TCLink; at one end's own they do it
    there; a link to somebody else's node is refused, not left as it is."""
    net.addLink("a", "b", bw=10, delay="5ms", jitter=None, loss=1, max_queue_size=50, params2={"delay": "7ms"})
    seen = [each for node in "ab" for each in net[node].namespace.observe() if isinstance(each, Qdisc)]
    assert seen == [Qdisc("a-eth1", 10_000, 5000, 0, 10_000, 50), Qdisc("b-eth1", 10_000, 7000, 0, 10_000, 50)]
    net.addHost("stock", cls=Host)
    with pytest.raises(LabError, match="a-stock: bw: only nodes of ours"):
        net.addLink("a", "stock", bw=10)


def test_the_link_option_of_mn_holds_for_links_of_ours() -> None:
    """``--link tc,bw=10`` shapes each link between nodes of ours that does not say otherwise."""
    setLogLevel("warning")
    topo = Topo()
    for name, cls in (("r", CEHost), ("a", LabHost), ("b", LabHost)):
        topo.addHost(name, cls=cls)
    topo.addLink("a", "r", cls=MPLSLink)
    topo.addLink("b", "r", cls=MPLSLink, bw=20)
    made = Mininet(topo=topo, link=specialClass(TCLink, defaults={"bw": 10, "loss": 0}))
    try:
        made.start()
        seen = {each for node in "ab" for each in made[node].namespace.observe() if isinstance(each, Qdisc)}
        assert seen == {Qdisc("a-eth0", 10_000), Qdisc("b-eth0", 20_000)}
    finally:
        made.stop()


def test_stock_link_class_between_our_nodes(net: Mininet) -> None:
    """Mininet's own Link works: its ports are planned too, and nothing is left in the root namespace."""
    link = net.addLink("a", "b", cls=Link)
    assert link.status() == "(OK OK)"
    assert {"a-eth1", "b-eth1"} <= net["a"].namespace.ports() | net["b"].namespace.ports()
    assert net.pingAll() == 0.0


def test_stock_host_among_ours() -> None:
    """An ordinary Host keeps the address and route that its script gives it, and is asked like the others."""
    setLogLevel("warning")
    made = Mininet()
    made.addHost("r", cls=CEHost)
    made.addHost("a", cls=LabHost)
    made.addHost("s", ip="192.0.2.9/24", defaultRoute="via 192.0.2.1")
    made.addLink("a", "r")
    made.addLink("s", "r", cls=MPLSLink, params2={"ip": "192.0.2.1/24"})
    try:
        made.start()
        assert made["s"].IP() == "192.0.2.9"
        assert "1 received" in made["s"].cmd("ping -c1 -W10", made["a"].IP())
        assert made.pingAll() == 0.0
        made["s"].cmd("ip route del default")
        assert made.pingAll() > 0.0
    finally:
        made.stop()


def test_static_arp_leaves_labs_alone(net: Mininet) -> None:
    """``mn --arp`` and ``net.staticArp()``: no node of a lab gets entries that would be another VPN's or none."""
    net.staticArp()
    assert "PERMANENT" not in net["a"].cmd("ip neigh show")
    assert net.pingAll() == 0.0


def test_options_of_mn_that_want_switches(net: Mininet) -> None:
    """``--innamespace`` builds a lab as ever, ``--nat`` says what it misses."""
    with pytest.raises(LabError, match="nat0: there is no switch"):
        net.addNAT()
    assert "nat0" not in net
    made = Mininet(inNamespace=True)
    try:
        made.addHost("a", cls=LabHost)
        made.start()
    finally:
        made.stop()
