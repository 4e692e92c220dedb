"""Throughput and latency between two nodes, beside chains of the same length."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mnmpls import perf
from mnmpls.errors import UsageError
from mnmpls.live.owned import offer
from mnmpls.netns import RunningLab
from mnmpls.sources import from_data
from tests.unit.test_drill import TRIANGLE

pytestmark = pytest.mark.kernel

LAB = {**{key: value for key, value in TRIANGLE.items() if key not in ("igp", "labels", "vpn")}, "name": "fast"}


def test_a_way_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's own, plain IP, labels, labels in encapsulations; what this kernel cannot do says so; as a table of
    ratios and as JSON."""
    chains = perf._chains
    chosen = ("plain IP", "MPLS", "MPLS over ip6gre", "MPLS over vxlan", "MPLS over mpls-udp")
    monkeypatch.setattr(perf, "_chains", lambda routers: {way: chains(routers)[way] for way in chosen})
    monkeypatch.setattr(perf, "_RUNS", 1)
    with RunningLab(from_data(LAB)) as lab:
        found = list(perf.measure(lab, "h1", "h2", 1))
        with pytest.raises(UsageError, match="'p' is no host or CE of this lab"):
            next(perf.measure(lab, "h1", "p", 1))
        with pytest.raises(UsageError, match="h1 is at both ends"):
            next(perf.measure(lab, "h1", "h1", 1))
    assert [one.way for one in found] == ["h1 -> h2 in fast", *chosen]
    assert all(one.mbit_s > 0 and one.rtt_ms > 0 for one in found if not one.why)
    assert {one.way for one in found if one.why} <= {"MPLS over mpls-udp"}
    report = perf.Report(found[0], found[1], tuple(found[2:]))
    lines = report.text().splitlines()
    assert lines[0].split()[:3] == ["way", "TCP", "Mbit/s"] and " 1.00 " in lines[2] and len(lines) == 7
    assert json.loads(json.dumps(report.data()))["plain"]["way"] == "plain IP"


def test_the_command() -> None:
    """Its mistakes are answered at once."""
    with RunningLab(from_data(LAB)) as lab:
        offer(lab, "")
        argv = [sys.executable, "-m", "mnmpls", "perf", "fast", "h1", "h3"]
        done = subprocess.run(argv, env={**os.environ, "MNMPLS_KERNEL": "host"}, capture_output=True, text=True,
                              timeout=180, check=False)  # fmt: skip
    assert done.returncode == 2 and "h3" in done.stderr
