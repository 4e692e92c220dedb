"""MPLS in UDP (RFC 7510), on the one guest kernel that has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mnmpls import guests
from mnmpls.errors import MissingFeature
from mnmpls.guests import host
from mnmpls.plan import complete, records
from mnmpls.sources import load

pytestmark = pytest.mark.system

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 300


@pytest.fixture(scope="module")
def both() -> dict[str, Any]:
    """The lab over IPv4 and over IPv6 in QEMU, booted once."""
    script = str(PROJECT / "tests/system/mpls_udp.py")
    done = subprocess.run(
        [sys.executable, "-m", "mnmpls", "guest", "run", "--kernel", "qemu", "--", sys.executable, script],
        cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(params=["4", "6"])
def version(request: pytest.FixtureRequest) -> str:
    """Of IP, outside."""
    return str(request.param)


@pytest.fixture
def seen(both: dict[str, Any], version: str) -> dict[str, Any]:
    """What was seen of one of the two."""
    found: dict[str, Any] = both[version]
    return found


def test_auto_takes_the_guest_that_has_it() -> None:
    """A lab with MPLS in UDP needs what UML has not: where this machine's own kernel has it neither, it is QEMU."""
    wanted = host.features(records(complete(load(str(PROJECT / "topos/mpls_udp.yml")))))
    assert "fou" in wanted
    with pytest.raises(MissingFeature, match="the UML guest has no tunnels for MPLS in UDP"):
        guests.choose_guest("uml", wanted)
    assert guests.choose_guest("auto", wanted).guests == ("qemu",)


def test_the_whole_stack_of_headers_is_on_the_wire(seen: dict[str, Any], version: str) -> None:
    """IP, UDP to port 6635 from a port that the kernel chooses, the label, the customer's packet; both ways."""
    a, b = {"4": ("10.128.0.2", "10.128.100.2"), "6": ("fd00:0::2", "fd00:100::2")}[version]
    a, b = (str(ip_address(each)) for each in (a, b))
    assert {(stack[1], stack[-2]) for stack in seen["stacks"]} == {
        (f"ipv{version} {a} > {b}", "ipv4 192.168.1.1 > 192.168.2.1"),
        (f"ipv{version} {b} > {a}", "ipv4 192.168.2.1 > 192.168.1.1"),
    }
    for stack in seen["stacks"]:
        assert (stack[0], stack[2], stack[3].split()[0], len(stack)) == ("ethernet", "udp 6635", "mpls", 6)
    assert seen["sources"] and all(port >= 32768 for port in seen["sources"])


def test_every_flow_has_a_source_port_of_its_own(seen: dict[str, Any]) -> None:
    """The outer source port is the flow's (RFC 7510 3): all three packets of a flow have one, and 16 flows have about
    as many, of some 28,000 that are possible."""
    assert [len(ports) for ports in seen["flows"]] == [3] * 16
    assert all(len(set(ports)) == 1 for ports in seen["flows"])
    assert len({ports[0] for ports in seen["flows"]}) >= 14


def test_what_fits_is_what_was_computed(seen: dict[str, Any], version: str) -> None:
    """1500 bytes less 20 of IPv4, or 40 of IPv6, and 8 of UDP, of which a label takes four; four bytes more do not
    pass."""
    assert seen["mtu"] == {"4": 1472, "6": 1452}[version]
    assert seen["fits"] == [0, 1]


def test_a_wire_that_carries_less_is_found_by_its_hop(seen: dict[str, Any]) -> None:
    """Four bytes less at the wire beneath: the check says whose packets do not fit any more."""
    wrong = [node for kind, node in seen["narrow"] if kind == "mtu"]
    assert wrong and {*wrong} == {"pe1"}, seen["narrow"]


def test_all_is_as_planned(seen: dict[str, Any]) -> None:
    """The check finds nothing, a second apply writes nothing, typed commands make the records, and what is spoiled by
    hand is missed and put right."""
    assert seen["ok"], seen["report"]
    assert (seen["again"], seen["by_hand"]) == ([], [])


def test_root_of_a_user_namespace_is_told_that_it_may_not(both: dict[str, Any]) -> None:
    """As in docker with userns-remap: the kernel has it, and gives it to the machine's own root alone."""
    told = "tunnels for MPLS in UDP and tunnels for MPLS in UDP over IPv6"
    assert both["forbidden"] == f"this kernel lets nobody in a user namespace have {told}"
