"""Who reaches whom by route targets alone: mesh, hub and spoke, shared services, leaks; addresses of VRFs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.checks.reach import Result
from mnmpls.checks.trace import Trace
from mnmpls.model import Lab, Link
from mnmpls.netns import RunningLab
from mnmpls.sources import from_data, load
from mnmpls.state import Address, Member

pytestmark = pytest.mark.kernel

LAB = load(str(Path(__file__).parents[2] / "topos/targets.yml"))

REACH = {
    "m1": "m2 m3", "m2": "m1 m3", "m3": "m1 m2",
    "a": "b head hub", "b": "a head hub", "hub": "a b head", "head": "a b hub",
    "shop": "dns", "bank": "dns", "dns": "bank shop",
    "near": "beside main", "beside": "near", "main": "far near", "far": "main",
    "noc": "",
}  # fmt: skip
"""Nobody else reaches anybody."""


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    with RunningLab(LAB) as running:
        yield running


def _reached(results: tuple[Result, ...]) -> dict[str, str]:
    assert [each.why for each in results if not each.ok] == []
    return {name: " ".join(sorted(one.dst for one in results if one.src == name and one.who)) for name in REACH}


def _passed(trace: Trace) -> str:
    assert trace.ok, trace.text()
    return " ".join(hop.node for hop in trace.request)


def test_targets_decide_on_reach_and_isolation(lab: RunningLab) -> None:
    """As the table above says, seen on the kernel; and the plan intends the same by itself."""
    assert _reached(lab.probe()) == REACH


def test_spokes_meet_only_at_the_hub(lab: RunningLab) -> None:
    """The hub's CE forwards what one spoke sends to the other; a spoke's way to the hub is a straight one."""
    assert _passed(lab.trace("a", "b")) == "a pe1 p pe3 hub pe3 p pe2 b"
    assert _passed(lab.trace("a", "head")) == "a pe1 p pe3 hub head"
    assert _passed(lab.trace("head", "a")) == "head hub pe3 p pe1 a"


def test_leaks_stay_in_the_pe_or_cross_the_core(lab: RunningLab) -> None:
    """Into another VRF and into the main table of the same PE without labels; to another PE's main table with them."""
    assert _passed(lab.trace("near", "beside")) == "near pe1 beside"
    assert _passed(lab.trace("near", "main")) == "near pe1 main"
    assert _passed(lab.trace("far", "main")) == "far pe2 p pe1 main"
    assert _passed(lab.trace("main", "far")) == "main pe1 p pe2 far"


def test_a_pes_own_addresses_are_leaked_too(lab: RunningLab) -> None:
    """What goes to a VRF's address at a port is for the PE, not for the wire: a customer in the other VRF reaches it,
    and a program of the PE in either VRF has answers from the other's customers."""
    assert _passed(lab.trace("near", "10.8.3.1")) == "near pe1"
    for vrf, there in (("near", "10.8.3.2"), ("beside", "10.8.1.2"), ("near", "10.8.3.1")):
        assert lab["pe1"].run(["ping", "-c1", "-W10", there], vrf=vrf).returncode == 0, (vrf, there)


def test_addresses_of_a_vrf_are_for_its_members(lab: RunningLab) -> None:
    """The NOC reaches both PEs at their addresses in the management VRF; a customer and the core do not; a program in
    the VRF reaches its own."""
    for pe in ("pe1", "pe2"):
        assert lab.trace("noc", pe).ok
        assert lab["m1"].run(["ping", "-c1", "-W1", "10.20.0.1"]).returncode != 0
    assert lab["p"].run(["ping", "-c1", "-W1", "10.20.0.1"]).returncode != 0
    assert lab["pe1"].run(["ping", "-c1", "-W10", "10.20.0.1"], vrf="mgmt").returncode == 0
    assert lab["pe1"].run(["ping", "-c1", "-W1", "10.20.0.1"], vrf="mesh").returncode != 0


def test_changed_targets_are_changed_reach(lab: RunningLab) -> None:
    """Without the hub's route for all its sites the spokes have the hub only; without its targets they have nobody."""

    def changed(**fields: object) -> Lab:
        return replace(LAB, nodes=tuple(replace(n, **fields) if n.name == "pe3" else n for n in LAB.nodes))  # type: ignore[arg-type]

    try:
        lab.change(changed(routes=()))
        alone = REACH | {"a": "head hub", "b": "head hub"}
        assert _reached(lab.probe()) == alone
        apart = [replace(vrf, imports=(), exports=("65000:99",)) for vrf in LAB.node("pe3").vrfs[1:3]]
        lab.change(changed(routes=(), vrfs=(LAB.node("pe3").vrfs[0], *apart, LAB.node("pe3").vrfs[3])))
        assert _reached(lab.probe()) == alone | {"a": "", "b": "", "hub": "head", "head": "hub"}
    finally:
        lab.change(LAB)


def test_a_port_that_moves_between_vrfs_keeps_its_addresses() -> None:
    """The kernel drops a port's IPv6 addresses with a change of VRF (net/ipv6/addrconf.c): ours are there again after
    the lab was changed, the link-local one too, and traffic flows in the new VRF."""
    port = {"node": "pe", "port": "up", "ip": ["10.0.0.1/24", "fd00::1/64", "fe80::1/64"], "vrf": "red"}
    nodes = {"pe": {"role": "pe", "vrfs": ["red", "blue"]}, "h": "host"}
    lab = from_data({"nodes": nodes, "links": [[port, {"node": "h", "ip": ["10.0.0.2/24", "fd00::2/64"]}]]})
    wanted = {Address("up", "10.0.0.1/24"), Address("up", "fd00::1/64"), Address("up", "fe80::1/64")}
    with RunningLab(lab) as running:
        assert wanted <= running["pe"].namespace.observe()
        for vrf in ("blue", None, "red"):
            (link,) = lab.links
            running.change(replace(lab, links=(Link(replace(link.a, vrf=vrf), link.b),)))
            found = running["pe"].namespace.observe()
            assert wanted <= found and (vrf is None or Member("up", vrf) in found)
            for target in ("10.0.0.1", "fd00::1", "fe80::1%h-pe-eth"):
                assert running["h"].run(["ping", "-c1", "-W10", target]).returncode == 0, (vrf, target)
            assert running["pe"].run(["ping", "-c1", "-W10", "fd00::2"], vrf=vrf or "").returncode == 0
            assert not any(running.change(running.lab).values())
