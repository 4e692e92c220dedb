"""The lab of source 000 inside Mininet, on a kernel that has MPLS and VRFs: what was made, what runs, what it says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mininet.log import setLogLevel

from mnmpls.checks import check, trace
from mnmpls.errors import LabError
from mnmpls.mn.graph import _latest, plan_around, prepare
from mnmpls.mn.links import MPLSLink
from mnmpls.mn.net import Mininet
from mnmpls.mn.nodes import PROCESSES, CEHost, LabHost, LANBridge, MPLSRouter, PERouter
from mnmpls.mn.topo import LabTopo
from mnmpls.plan.sizes import l3vpn

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]


def forks() -> int:
    """Processes and threads made since the kernel started (proc(5), /proc/stat)."""
    rows = (row.split() for row in Path("/proc/stat").read_text().splitlines())
    return next(int(row[1]) for row in rows if row[0] == "processes")


def topo(**sizes: int) -> Any:
    spec = importlib.util.spec_from_file_location("topos_l3vpn", ROOT / "topos/l3vpn.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.L3VPN(**sizes)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    setLogLevel("warning")


@pytest.fixture(scope="module")
def net() -> Iterator[Mininet]:
    """One lab for the tests that only look, or put right what they change."""
    made = Mininet(topo=topo())
    yield made
    made.stop()


def test_everybody_reaches_only_his_own_vpn(net: Mininet) -> None:
    """All 12 × 11 pairs of end points are as intended, by who answered."""
    results = net.results()
    assert len(results) == 12 * 11
    assert [each.why for each in results if not each.ok] == []


def test_check_finds_nothing_wrong(net: Mininet) -> None:
    """Reachability, drift and labels together."""
    plan = plan_around(net["p"])
    found = check(plan.lab, plan.records, plan.namespaces)
    assert found.ok, found.text()


@pytest.mark.parametrize(
    ("src", "dst", "out", "back"),
    [("c1h1", "c1h3", (101, 111), (102, 112)), ("c2h2", "c2h4", (201, 211), (202, 212))],
)
def test_source_labels_cross_the_wire(
    net: Mininet, src: str, dst: str, out: tuple[int, ...], back: tuple[int, ...]
) -> None:
    """The labels that the source pins are those captured between the routers, there and back."""
    plan = plan_around(net[src])
    way = trace.trace(plan.lab, plan.records, plan.namespaces, src, dst)
    assert (way.ok, way.answered) == (True, True), way.text()
    for hops, labels in ((way.request, out), (way.reply, back)):
        assert tuple(hop.labels_out[0] for hop in hops if hop.labels_out) == labels


def test_names_and_addresses_are_the_sources(net: Mininet) -> None:
    """Interfaces are called NODE-PEER-eth, towards a bridge NODE-eth; no address out of Mininet's 10.0.0.0/8."""
    assert net["pe1"].intfNames() == ["pe1-p-eth", "pe1-c1e1-eth", "pe1-c2e1-eth"]
    assert net["c1h1"].intfNames() == ["c1h1-eth"]
    assert net["c1h1"].IP() == net["c2h1"].IP() == "88.1.1.1"
    assert net["c1e2"].cmd("ip -4 -o addr show c1e2-pe2-eth").split()[3] == "3.1.1.2/30"
    every = "".join(node.cmd("ip -o addr") for node in net.hosts)
    assert " 10." not in every


def test_interfaces_are_up_and_lo_too(net: Mininet) -> None:
    """A node answers its own address, which needs lo up."""
    assert "1 received" in net["c1h1"].cmd("ping -c1 -W10 88.1.1.1")


def test_building_forks_nothing() -> None:
    """No shell per node, no process per setting, node or link; stopping forks nothing either."""
    plan = topo(customers=2, sites=2, hosts=2)
    Mininet(topo=plan).stop()  # imports and one-time costs
    made = []
    for _ in range(5):  # the kernel makes a thread of its own now and then, but not each time
        before = forks()
        Mininet(topo=topo(customers=3, sites=3, hosts=2)).stop()
        made.append(forks() - before)
    assert min(made) <= 1  # the thread that answers the other commands of the machine


def test_shell_starts_when_used_and_ends_with_the_net() -> None:
    """``cmd`` starts one shell in a PID namespace of the lab; what runs there in the background goes with the net."""
    made = Mininet(topo=topo())
    assert made["p"].shell_state == "none"
    made["p"].cmd("sleep 1000 &")
    assert made["p"].shell_state == "running"
    assert made["p"].cmd("ip -o link").count("p-pe") == 2
    shell = Path(f"/proc/{made['p'].pid}")
    assert shell.exists()
    made.stop()
    assert not shell.exists()


def test_popen_runs_in_the_node_without_a_shell() -> None:
    """popen and pexec give a process in the node's namespaces, with its exit status."""
    made = Mininet(topo=topo())
    out, err, status = made["pe2"].pexec("ip", "-o", "link", "show", "type", "vrf")
    shells = [node for node in made.hosts if node.shell_state != "none"]
    made.stop()
    assert (out.count("vrf-pe2-c"), err, status, shells) == (2, "", 0, [])


def test_link_down_and_up_again(net: Mininet) -> None:
    """A link that goes down takes reachability with it; up again, every route is back."""
    net.configLinkStatus("pe1", "p", "down")
    assert net.ping([net["c1h1"], net["c1h3"]]) == 100.0
    net.configLinkStatus("pe1", "p", "up")
    assert net.ping([net["c1h1"], net["c1h3"]]) == 0.0


def test_script_with_add_host_and_add_link() -> None:
    """Our classes work in a plain Mininet script; VRFs by name, addresses as given or planned."""
    made = Mininet()
    for pe in ("pe1", "pe2"):
        made.addHost(pe, cls=PERouter, vrfs=["red"])
    made.addHost("core", cls=MPLSRouter)
    made.addLink("pe1", "core", cls=MPLSLink)
    made.addLink("core", "pe2", cls=MPLSLink)
    for n in (1, 2):
        made.addHost(f"ce{n}", cls=CEHost)
        made.addLink(f"ce{n}", f"pe{n}", cls=MPLSLink, vrf="red", params1={"ip": f"192.0.2.{4 * n + 1}/30"},
                     params2={"ip": f"192.0.2.{4 * n + 2}/30"})  # fmt: skip
    made.start()
    try:
        assert made.pingAll() == 0.0
        assert made["pe1"].IP() == plan_around(made["pe1"]).lab.node("pe1").loopbacks[0].split("/")[0]
        _grow(made)
    finally:
        made.stop()


def _grow(made: Mininet) -> None:
    """``net.addLink`` on a running net: the new host is planned, set up and reached at once."""
    made.addHost("lan", cls=LANBridge)
    for host in ("h1", "h2"):
        made.addHost(host, cls=LabHost)
        made.addLink(host, "lan", cls=MPLSLink)
    made.addLink("ce1", "lan", cls=MPLSLink)
    results = made.results()
    assert {each.src for each in results} == {"ce1", "ce2", "h1", "h2"}
    assert [each.why for each in results if not each.ok] == []
    made.delLink(made.linksBetween(made["h2"], made["lan"])[0])
    assert made["lan"].namespace.ports() == {"lan", "lo", "lan-eth0", "lan-eth2"}
    assert {each.src for each in made.results() if each.ok} == {"ce1", "ce2", "h1"}
    with pytest.raises(LabError, match="already"):
        made.addHost("h1", cls=LabHost)


def test_stock_mininet_takes_our_classes() -> None:
    """Under stock Mininet's own class too, and the 10.0.0.x/8 that it gives to every host does not show."""
    import mininet.net

    made = mininet.net.Mininet(topo=topo(), controller=None)
    made.start()
    try:
        assert "10.0.0." not in made["c1h1"].cmd("ip addr")
        assert "1 received" in made["c1h1"].cmd("ping -c1 -W10 88.2.1.3")
    finally:
        made.stop()
        PROCESSES.end()


class Written(LabTopo):
    """In an order that is neither that of names nor that of ports."""

    def build(self) -> None:  # type: ignore[override]
        for name, cls in (("z", PERouter), ("m", MPLSRouter), ("a", PERouter)):
            self.addHost(name, cls=cls)
        self.addLink("z", "a", port1=5)
        self.addLink("m", "z")
        self.addLink("a", "z", port2=2)
        self.addLink("a", "m")


@pytest.mark.parametrize(
    ("lab", "nodes", "links"),
    [("topos/mpls_gre.yml", ["A", "B", "net"], ["A-net", "B-net", "A-B"]),
     (Written, ["z", "m", "a"], ["z-a", "m-z", "a-z", "a-m"])],
)  # fmt: skip
def test_a_lab_keeps_its_order_and_is_planned_once(lab: Any, nodes: list[str], links: list[str]) -> None:
    """Nodes and links of a lab file or a Topo are planned as they were written, and the plan is the one that was made
    before there was a node."""
    written = LabTopo(str(ROOT / lab)) if isinstance(lab, str) else lab()
    prepare(written)
    before = list(_latest.values())
    made = Mininet(topo=written)
    try:
        (planned,) = made.planned()
        assert [planned.plan] == before
        assert [node.name for node in planned.lab.nodes] == nodes
        assert [f"{link.a.node}-{link.b.node}" for link in planned.lab.links] == links
    finally:
        made.stop()


@pytest.mark.parametrize("sizes", [{"customers": 3, "sites": 3, "hosts": 1, "core": 2}, {"core": 1, "hosts": 1}])
def test_other_sizes_with_planned_labels(sizes: dict[str, int]) -> None:
    """Planned names, addresses and labels work as the pinned ones do."""
    made = Mininet(topo=LabTopo(l3vpn(**sizes)))
    try:
        plan = made.planned()[0]
        found = check(plan.lab, plan.records, plan.namespaces)
        assert found.ok, found.text()
    finally:
        made.stop()


COMMANDS = """nodes
net
links
intfs
dump
c1h1 ping -c1 c1h3
c1h1 ping -c1 c2h3
py c1h1.IP()
link c1e1 pe1 down
link c1e1 pe1 up
sh echo from-outside
pingall
iperf c1h1 c1h3
vrf
lfib p
trace c1h1 c1h3
check
trace c1h1 br11
iperfudp 5M c1h2 c1h4
source /nowhere
help trace
nonsense
"""

ANSWERS = [
    "pe1 ",
    "pe1 pe1-p-eth:p-pe1-eth",
    "pe1-p-eth<->p-pe1-eth (OK OK)",
    "c1h1-eth",
    "<LabHost c1h1: c1h1-eth:88.1.1.1 pid=",
    "1 received",
    "c2h3 stands for 88.2.1.3, which for c1h1 is c1h3's address",
    "88.1.1.1\n",
    "from-outside",
    "*** Results: 0% dropped (132/132 as intended)",
    "/sec",
    "vrf-pe1-c1",
    "swap 111",
    "push 101",
    "Usage: trace SRC DST",
    "node br11 has no address",
    "*** Results: ['5M', '",
    "cannot read /nowhere: No such file or directory",
    "Unknown command: nonsense",
]


def test_every_cli_command() -> None:
    """mn's commands and ours, in one session; the status is 0 and nothing was said on the way out."""
    mn = ["/usr/bin/mn", "--custom", str(ROOT / "topos/l3vpn.py"), "-v", "output"]
    done = subprocess.run([sys.executable, *mn], input=COMMANDS, capture_output=True, text=True, timeout=600)
    said = done.stdout + done.stderr
    assert [answer for answer in ANSWERS if answer not in said.replace("\r\n", "\n")] == [], said
    assert done.returncode == 0
    assert "Traceback" not in said
    assert "pid=None" not in said
