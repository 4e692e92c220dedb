"""One PE with 2,000 VRFs: it comes up, works where it is looked at, and goes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from mnmpls.model import Lab, Link, Node, Port, Vrf
from mnmpls.netns import RunningLab
from mnmpls.state import VrfDevice

pytestmark = pytest.mark.kernel

VRFS, CUSTOMERS = 2000, 20


def _lab() -> Lab:
    """Every hundredth VRF has a customer with a site at either PE, all of them with the same addresses."""
    near = tuple(Vrf(f"v{i}", loopbacks=(f"10.{i >> 8}.{i & 255}.1/32",)) for i in range(VRFS))
    far = tuple(Vrf(f"v{i}") for i in range(0, VRFS, VRFS // CUSTOMERS))
    nodes = [Node("pe1", "pe", vrfs=near), Node("pe2", "pe", vrfs=far)]
    links = [Link(Port("pe1"), Port("pe2"))]
    for vrf in far:
        for pe, subnet in (("pe1", "88.1.1"), ("pe2", "88.2.1")):
            host = f"{vrf.name}-{pe}"
            nodes.append(Node(host, "host"))
            ends = Port(pe, addresses=(f"{subnet}.1/24",), vrf=vrf.name), Port(host, addresses=(f"{subnet}.2/24",))
            links.append(Link(*ends))
    return Lab("many", tuple(nodes), tuple(links))


def _holds(namespace: int) -> bool:
    """Whether a process is in the network namespace with this number, or this one has a descriptor of it."""
    said = subprocess.run(["lsns", "-nt", "net", "-o", "NS"], capture_output=True, text=True, check=True).stdout
    ours = {path.stat().st_ino for path in Path("/proc/self/fd").iterdir() if path.exists()}
    return str(namespace) in said.split() or namespace in ours


def test_two_thousand_vrfs() -> None:
    """All of them are in the kernel, and applying again finds nothing to do; each of 40 hosts reaches the one other
    of its customer and none of the 38 (1,560 pairs asked); five VRFs are used from within; nothing is left."""
    began = time.monotonic()
    with RunningLab(_lab()) as lab:
        print(f"{VRFS} VRFs and {CUSTOMERS * 2} hosts are up after {time.monotonic() - began:.1f} s")
        pe = lab["pe1"]
        assert sum(isinstance(each, VrfDevice) for each in pe.namespace.observe()) == VRFS
        assert not any(lab.change(lab.lab).values())
        results = lab.probe()
        assert len(results) == 1560 and [each.why for each in results if not each.ok] == []
        assert sum(each.expected.reaches for each in results) == CUSTOMERS * 2
        for i in (0, 7, 999, 1000, VRFS - 1):
            own, other = f"10.{i >> 8}.{i & 255}.1", "10.0.8.1"
            assert pe.run(["ping", "-c1", "-W10", own], vrf=f"v{i}").returncode == 0
            assert pe.run(["ping", "-c1", "-W1", other], vrf=f"v{i}").returncode != 0
        namespace = os.stat(f"/proc/self/fd/{pe.namespace.fd}").st_ino
        assert _holds(namespace)
        began = time.monotonic()
    print(f"gone after {time.monotonic() - began:.1f} s")
    assert not _holds(namespace)
