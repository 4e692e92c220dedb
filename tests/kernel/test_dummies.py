"""Interfaces that lead nowhere, and their subnets."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from mnmpls.apply import Difference, apply
from mnmpls.checks import check
from mnmpls.model import Dummy, Lab, Link, Node, Port, Vrf
from mnmpls.plan import records
from mnmpls.state import Dummy as DummyDevice
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel

LAB = Lab(
    "dummies",
    (
        Node("h1", "host"),
        Node("pe1", "pe", vrfs=(Vrf("red"),)),
        Node("p1", "p", dummies=(Dummy("d1", ("10.8.0.1/24",)), Dummy("d2"))),
        Node("pe2", "pe", vrfs=(Vrf("red"),), dummies=(Dummy("d0", ("10.9.0.1/24", "fd09::1/64"), "red", 1400),)),
    ),
    (
        Link(Port("h1"), Port("pe1", vrf="red"), versions=(4, 6)),
        Link(Port("pe1"), Port("p1")),
        Link(Port("p1"), Port("pe2")),
    ),
)


def _answers(running: Running, node: str, target: str) -> bool:
    with running.namespaces[node].entered():
        done = subprocess.run(["ping", "-q", "-c", "1", "-W", "5", target], check=False, stdout=subprocess.DEVNULL)
    return done.returncode == 0


def test_dummies_are_reached_as_ports_are() -> None:
    """A host reaches both addresses of a dummy in a VRF across the core, and not the one in the main table, which
    routers reach. The check of the lab is content; applying it again changes nothing, and a dummy that was deleted, or
    is wanted no more, comes and goes with all that was on it."""
    with running_lab(LAB) as running:
        report = check(running.lab, running.records, running.namespaces)
        assert report.ok, report.text()
        assert _answers(running, "h1", "10.9.0.1")
        assert _answers(running, "h1", "fd09::1")
        assert _answers(running, "pe2", "10.8.0.1")
        assert not _answers(running, "h1", "10.8.0.1")
        assert "d2" in running.namespaces["p1"].ports()  # without an address
        there, wanted = running.namespaces["pe2"], running.records["pe2"]
        assert apply(wanted, there) == Difference()
        there.delete_port("d0")
        assert DummyDevice("d0") in apply(wanted, there).write
        assert _answers(running, "h1", "10.9.0.1")
        without = replace(running.lab, nodes=tuple(replace(node, dummies=()) for node in running.lab.nodes))
        apply(records(without)["pe2"], there)
        assert "d0" not in there.ports()
