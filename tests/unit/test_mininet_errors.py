"""What a wrong parameter of a Mininet topology is answered: the same as in a lab file."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

from mnmpls.errors import LabError
from mnmpls.mn.graph import lab_from_topo
from mnmpls.mn.links import MPLSLink
from mnmpls.mn.nodes import CEHost, MPLSRouter, PERouter
from mnmpls.model import Lsp, StaticRoute, Vrf
from mnmpls.plan import complete
from tests.unit.test_mutations import ODD


def _topo(pe: dict[str, Any], wire: dict[str, Any] | None = None, p: dict[str, Any] | None = None) -> Topo:
    made = Topo()
    made.addHost("pe1", cls=PERouter, **pe)
    made.addHost("p1", cls=MPLSRouter, **(p or {}))
    made.addHost("ce1", cls=CEHost)
    made.addLink("pe1", "p1", cls=MPLSLink)
    made.addLink("ce1", "pe1", cls=MPLSLink, **(wire or {}))
    return made


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"vrfs": {"red": {"tabel": 10}}}, {}, "nodes.pe1.vrfs.red.tabel: there is no key 'tabel' here; did you mean"),
    ({"vrfs": {"red": {"table": "ten"}}}, {}, "nodes.pe1.vrfs.red.table: expected a whole number, not 'ten'"),
    ({"vrfs": ["red"]}, {"vrf": "rad"},
     "links[0].b.vrf: link ce1 - pe1: pe1 has no VRF 'rad'; did you mean 'red'?"),
    ({"vrfs": ["red"]}, {"params2": {"vrf": "rad"}},
     "links[0].b.vrf: link ce1 - pe1: pe1 has no VRF 'rad'; did you mean 'red'?"),
    ({"vrfs": [["red"]]}, {}, "nodes.pe1.vrfs[0]: expected a text, not a list"),
    ({"vrf": ["red"]}, {}, "nodes.pe1.vrf: there is no key 'vrf' here; did you mean 'vrfs'?"),
    ({"vrfs": ["red"]}, {"params1": {"ips": "10.1.0.1/30"}},
     "links[0].a.ips: there is no key 'ips' here; did you mean 'ip'?"),
    ({"vrfs": ["red"]}, {"params1": {"ip": "10.1.0.1"}},
     "links[0].a.ip: link ce1 - pe1: 10.1.0.1 lacks its prefix length: write 10.1.0.1/30, or how long it is"),
    ({"vrfs": ["red"]}, {"params1": {"mtu": "big"}}, "links[0].a.mtu: expected a whole number, not 'big'"),
    ({"loopback": 7}, {}, "nodes.pe1.loopback: '7' is not an address"),
    ({"platform_labels": "many"}, {}, "platform_labels: expected a whole number, not 'many'"),
    ({"routes": ["default"]}, {}, "nodes.pe1.routes[0]: expected a mapping with dst, label, via, port, labels,"),
    ({"routes": [{"to": "default"}]}, {}, "nodes.pe1.routes[0]: where does this route lead? Give via (an address)"),
    ({"lsps": {"path": ["pe1"], "labels": [101]}}, {}, "lsps[0].path: a path has two nodes at least"),
    ({"sysctls": "net.ipv4.ip_forward=1"}, {}, "nodes.pe1.sysctls: expected a mapping, not 'net.ipv4.ip_forward=1'"),
    ({"vrfs": {"red": {1, 2}}}, {}, "nodes.pe1.vrfs.red: a lab is made of texts, numbers, lists and mappings, not"),
]  # fmt: skip


@pytest.mark.parametrize(("pe", "wire", "text"), WRONG, ids=[text.split(":")[0] for *_, text in WRONG])
def test_wrong_parameter_is_told_as_in_a_lab_file(pe: dict[str, Any], wire: dict[str, Any], text: str) -> None:
    """A LabError that names the node or the link by its ends, what is wrong and what to do."""
    with pytest.raises(LabError) as raised:
        complete(lab_from_topo(_topo(pe, wire)))
    assert str(raised.value).startswith(text)


def test_every_wrong_parameter_is_told_at_once() -> None:
    """Several mistakes at several nodes and links are one error."""
    with pytest.raises(LabError) as raised:
        complete(lab_from_topo(_topo({"vrfs": ["lo"]}, {"params1": {"mtu": 1}}, {"loopback": "x"})))
    paths = [problem.path for problem in raised.value.problems]
    assert paths == ["links[0].a.mtu", "nodes.p1.loopback", "nodes.pe1.vrfs.lo"]


AT_A_NODE = ("loopback", "vrfs", "routes", "sysctls", "gateway", "lsps", "platform_labels", "ip", "defaultRoute")
AT_A_LINK = ("ip", "vrf", "mtu", "type", "intfName1")
STRANGE = [*ODD, object(), {1, 2}, b"x", 10**5000, Vrf(""), StaticRoute(""), Lsp((), (), ""), [Vrf("a"), 7], ((),)]


@pytest.mark.parametrize("name", AT_A_NODE)
def test_strange_value_at_a_node(name: str) -> None:
    """Whatever stands there, it is a lab or a LabError."""
    for value in STRANGE:
        with suppress(LabError):
            complete(lab_from_topo(_topo({"vrfs": ["red"], name: value}, {"vrf": "red"})))


@pytest.mark.parametrize("name", AT_A_LINK)
def test_strange_value_at_a_link(name: str) -> None:
    """Whatever stands there, it is a lab or a LabError."""
    for value in STRANGE:
        for wire in ({name: value}, {"params1": {name: value}}, {"params2": {name: value}}):
            with suppress(LabError):
                complete(lab_from_topo(_topo({"vrfs": ["red"]}, wire)))


def test_values_of_the_model_are_parameters_too() -> None:
    """What Python has a type for may be given as a value of it; a link's VRF is the PE's end's."""
    vrf = Vrf("red", 77, "65000:7", ("65000:8",), ("65000:9",))
    route, lsp = StaticRoute("10.9.0.0/16", "10.1.0.2", vrf="red"), Lsp(("p1", "pe1"), (101,), "red")
    lab = lab_from_topo(_topo({"vrfs": [vrf], "routes": (route,)}, {"vrf": "red"}, {"lsps": [lsp]}))
    assert lab.node("pe1").vrfs == (vrf,) and lab.node("pe1").routes == (route,) and lab.lsps == (lsp,)
    assert [port.vrf for port in lab.links[0].ports] == [None, "red"]


@pytest.mark.parametrize("between", ["switch", "host"])
def test_other_peoples_nodes_are_part_of_the_lab(between: str) -> None:
    """A tunnel between two nodes of ours that only Mininet's own switch or host joins has something to run over; what
    is not connected to a node of ours is left out, and so is a Topo without one."""
    made = Topo()
    for n in (1, 2):
        made.addHost(f"pe{n}", cls=PERouter)
    if between == "switch":
        made.addSwitch("s1", cls=LinuxBridge)
    else:
        made.addHost("s1")
    for n in (1, 2):
        made.addLink(f"pe{n}", "s1", params1={"ip": f"10.1.{n if between == 'host' else 0}.{n}/24"})
    made.addHost("far")
    over = ["10.1.0.1", "10.1.0.2"] if between == "switch" else ["10.1.1.1", "10.1.2.2"]
    made.addLink("pe1", "pe2", cls=MPLSLink, type="gre", over=over)
    lab = complete(lab_from_topo(made))
    roles = {node.name: node.role for node in lab.nodes}
    assert roles == {"pe1": "pe", "pe2": "pe", "s1": {"switch": "bridge"}.get(between, "host")}
    assert next(link.over for link in lab.links if not link.is_wire) == tuple(over)
    stock = Topo()
    stock.addLink(stock.addHost("h1"), stock.addSwitch("s1"))
    assert lab_from_topo(stock).nodes == ()
