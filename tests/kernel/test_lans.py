"""LANs with two routers: nobody is told of a nearer one, and packets go on as planned."""

from __future__ import annotations

import time

import pytest

from mnmpls.checks import check
from mnmpls.checks.capture import tap
from mnmpls.checks.trace import trace_on
from mnmpls.checks.views import World
from mnmpls.checks.vpn import Call
from mnmpls.sources import from_data
from tests.kernel.running import LIMIT_S, Running, running_lab

pytestmark = pytest.mark.kernel

LAB = {
    "nodes": {
        "pe": {"role": "pe", "vrfs": ["red"]}, "lan": "bridge", "near": "ce", "far": "ce", "h": "host", "k": "host",
    },
    "links": [
        {"a": {"node": "pe", "vrf": "red"}, "b": "near", "versions": [4, 6]},
        *({"a": node, "b": "lan", "versions": [4, 6]} for node in ("near", "far", "h")),
        {"a": "far", "b": "k", "versions": [4, 6]},
    ],
}  # fmt: skip


def _ways(lab: Running, version: int) -> list[list[str]]:
    """The nodes that three packets of h to k pass, one after the other."""
    world = World(lab.lab, lab.records)
    there = Call("h", world.vpns.address("k", version) or "")
    with tap(lab.namespaces) as open_tap:
        traced = [trace_on(open_tap, world, lab.namespaces, there, "k") for _ in range(3)]
    return [[hop.node for hop in one.request] for one in traced]


def test_routers_of_a_lan_do_not_redirect() -> None:
    """h's gateway sends what is for the other router's site back over the LAN, in both IP versions and each time; the
    kernel's own setting would have h told to go there itself."""
    planned = ["h", "lan", "near", "lan", "far", "k"]
    with running_lab(from_data(LAB)) as lab:
        assert _ways(lab, 4) == _ways(lab, 6) == [planned] * 3
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()
        # A router does not listen to redirects, and a new namespace forwards where its machine does.
        lab.set("h", "net.ipv4.ip_forward", "0")
        lab.set("near", "net.ipv4.conf.all.send_redirects", "1")
        told = ["h", "lan", "far", "k"]
        # The kernel sends fewer and fewer redirects, then none for 20 s (ip_rt_send_redirect(), net/ipv4/route.c).
        limit = time.monotonic() + LIMIT_S
        while told not in (seen := _ways(lab, 4)):
            assert time.monotonic() < limit, seen
