"""What PEs and CEs speak, with the real daemons: BGP and OSPF in VRFs, told on both ways, watched by check."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_interface

import pytest

from mnmpls.asking import events
from mnmpls.model import Lab, Routing
from mnmpls.netns import RunningLab
from mnmpls.sources import from_data, load
from tests.kernel.running import settled
from tests.kernel.test_daemons import LIMIT_S, one_pid, soon, text
from tests.unit.test_daemons import TOPOS

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    """topos/pe_ce.yml, converged."""
    with RunningLab(load(str(TOPOS / "pe_ce.yml"))) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def without(lab: Lab, *names: str) -> Lab:
    """``lab`` with these settings of its links' routing left out."""
    plain = Routing()
    taken = {name: getattr(plain, name) for name in names}
    return replace(lab, links=tuple(replace(one, routing=replace(one.routing, **taken)) for one in lab.links))


def wrong_routes(lab: RunningLab) -> dict[str, str]:
    return {one.subject: one.seen for one in lab.check().of("route", ok=False)}


def test_all_is_as_intended(lab: RunningLab) -> None:
    """Both IP versions, both protocols, two customers with the same addresses: sessions, routes in daemon and kernel,
    labels, reachability and isolation."""
    assert soon(lambda: lab.check().ok), lab.check().text()
    assert {one.subject for one in lab.check().of("route")} == {
        *(f"pe{i}: routes in {vrf}" for i in (1, 2) for vrf in ("red", "green")),
        *(f"{ce}: routes told to it" for ce in ("red1", "red2", "green1", "green2")),
    }  # fmt: skip


def test_told_not_planned(lab: RunningLab) -> None:
    """A CE's routes to other sites are its daemon's, and there is no default route."""
    for ce, protocol in (("red1", "bgp"), ("green1", "ospf")):

        def told(ce: str = ce, by: str = f" proto {protocol} ") -> set[str]:
            lines = text(lab[ce], "ip", "route").splitlines() + text(lab[ce], "ip", "-6", "route").splitlines()
            assert not [line for line in lines if line.startswith("default")]
            return {line.split()[0] for line in lines if by in line}

        assert soon(lambda told=told: told() >= {"10.2.0.0/24", "fd02::/64"}), told()  # type: ignore[misc]


def test_daemons_took_every_line(lab: RunningLab) -> None:
    """The configuration read back holds every line, and so does the file, for who looks into it."""
    for node in lab.values():
        running = text(node, "vtysh", "-c", "show running-config") if node.folders else ""
        there = {line.strip() for line in running.splitlines()}
        for service in lab.services.of(node.name):
            lines = {line.strip() for line in service.config.splitlines() if not line.startswith("!")}
            assert lines - there == set(), (node.name, service.name)
            if service.name == "ospf6d":
                assert text(node, "cat", "/etc/frr/ospf6d.conf") == service.config


def test_vrf_of_any_name(lab: RunningLab) -> None:
    """OSPFv3 is in a VRF as told, although its name sorts after that of the main table's; also when ospf6d starts
    anew, by itself or with zebra."""
    def area(node: str) -> list[str]:
        said = lab[node].run(["vtysh", "-d", "ospf6d", "-c", "show ipv6 ospf6 vrf green interface"]).stdout
        return re.findall(r"Area ID (\S+),", said)

    assert (area("pe1"), area("pe2")) == (["0.0.0.0"], ["0.0.0.7"])
    for node, daemon in (("pe1", "zebra"), ("pe2", "ospf6d")):
        os.kill(one_pid(lab, node, daemon), signal.SIGKILL)
    assert soon(lambda: [len(events(lab.folders[node])) for node in ("pe1", "pe2")] == [1, 1])
    assert soon(lambda: area("pe1") == ["0.0.0.0"] and area("pe2") == ["0.0.0.7"])
    assert lab.await_reach(LIMIT_S) == ""
    report = settled(lab)
    assert report.ok, report.text()


def test_route_that_is_gone_or_too_much(lab: RunningLab) -> None:
    """Check tells a route that was not told, and one that nobody was to tell."""

    def configure(*lines: str) -> None:
        into = ("configure", "router bgp 65102", "address-family ipv4 unicast")
        text(lab["red2"], "vtysh", *(word for line in (*into, *lines) for word in ("-c", line)))

    configure("no redistribute connected")
    lost = "nobody has told it 10.2.0.0/24"
    assert soon(lambda: wrong_routes(lab) == {"pe1: routes in red": lost, "pe2: routes in red": lost,
                                              "red1: routes told to it": lost})  # fmt: skip
    configure("redistribute connected")
    text(lab["red2"], "ip", "address", "add", "10.99.0.1/16", "dev", "lo")
    there = "it has 10.99.0.0/16, which nobody was to tell it"
    assert soon(lambda: wrong_routes(lab).get("red1: routes told to it") == there)
    text(lab["red2"], "ip", "address", "delete", "10.99.0.1/16", "dev", "lo")
    assert soon(lambda: not wrong_routes(lab))


def test_dual_homed() -> None:
    """topos/dual_homed.yml works; without its sites of origin, routes come back to the sites that they are of, and
    check tells it; without as_override, sites of one AS have no routes of each other, which is then what is meant."""
    given = load(str(TOPOS / "dual_homed.yml"))
    with RunningLab(given) as running:
        assert running.await_reach(LIMIT_S) == ""
        assert soon(lambda: running.check().ok), running.check().text()
        running.change(without(given, "site_of_origin"))
        back = "came back from the provider, which may loop: give all links of the site one site_of_origin"
        assert soon(lambda: back in wrong_routes(running).get("ce: routes told to it", ""))
        running.change(without(given, "as_override"))
        assert running.await_reach(LIMIT_S) == ""
        assert not any(each.expected.reaches for each in running.probe() if {each.src, each.dst} == {"h1", "h2"})


def test_dual_homed_by_ospf() -> None:
    """Two PEs of one site tell it the VPN's routes by OSPF; what each hears there of the other's is of no use to it,
    not even before it has them by BGP: else it would tell them to the VPN as its own. A port that was
    down is one of the site's two ways again when it is back."""
    pe = {"role": "pe", "vrfs": ["red"]}
    given = {
        "name": "two_exits", "igp": "ospf", "labels": "ldp", "vpn": "bgp",
        "nodes": {"pe1": pe, "pe2": pe, "pe3": pe, "ce": "ce", "h1": "host", "h2": "host"},
        "links": [
            ["pe1", "pe2"], ["pe2", "pe3"], ["ce", "h1"], [{"pe3": {"vrf": "red"}}, "h2"],
            *({"a": "ce", "b": {f"pe{i}": {"vrf": "red"}}, "routing": "ospf"} for i in (1, 2)),
        ],
    }  # fmt: skip
    with RunningLab(from_data(given)) as running:
        far = next(cidr for port in running.lab.ports("h2") for cidr in port.addresses or ())
        prefix = str(ip_interface(far).network)

        def heard() -> list[bool]:
            """Whether each OSPF route there, at the PE that was off, is of use."""
            said = json.loads(text(running["pe1"], "vtysh", "-c", f"show ip route vrf red {prefix} json"))
            ways = (way for way in said.get(prefix, ()) if way["protocol"] == "ospf")
            return [any(hop.get("active") for hop in way["nexthops"]) for way in ways]

        def ways_of_ce() -> int:
            return running["ce"].run(["ip", "route", "show", prefix]).stdout.count(" via ")

        assert running.await_reach(LIMIT_S) == ""
        running.stop("pe1")
        running.start("pe1")
        assert soon(lambda: heard() != [])
        assert heard() == [False]
        assert running.await_reach(LIMIT_S) == ""
        assert soon(lambda: running.check().ok), running.check().text()
        for port in ("ce-pe1-eth", "ce-pe2-eth"):
            for state, ways in (("down", 1), ("up", 2)):
                text(running["ce"], "ip", "link", "set", port, state)
                assert soon(lambda ways=ways: ways_of_ce() == ways)  # type: ignore[misc]
