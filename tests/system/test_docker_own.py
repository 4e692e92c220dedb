"""Containers without privileges, whose routers bring kernels of their own, under a docker daemon of the tests. What
runs in them is asked from outside as if it were here."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnmpls.export.containerlab import planned, spelled, topology
from mnmpls.sources import from_data
from tests.boxes import daemon, docker, good, make_image, mnmpls

pytestmark = pytest.mark.system
LIMIT_S = 300.0
"""Guests start slowly where many of them share two processors."""
ROUTED = {
    "name": "routed", "igp": "ospf", "labels": "ldp", "vpn": "bgp",
    "nodes": {"p": "p", "c1": "ce", "c2": "ce", **{pe: {"role": "pe", "vrfs": ["red"]} for pe in ("pe1", "pe2")}},
    "links": [["pe1", "p"], ["p", "pe2"], ["c1", {"pe1": {"vrf": "red"}}], ["c2", {"pe2": {"vrf": "red"}}]],
}  # fmt: skip


@pytest.fixture(scope="module")
def dockerd() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="mnmpls-docker-") as folder, daemon(Path(folder)) as address:
        make_image(frr=True, uml=True)
        yield address


def written(folder: Path) -> Path:
    """The lab for containers that may do what a user's own may."""
    tree = topology(planned(from_data(ROUTED)), "mnmpls")
    tree["topology"]["defaults"] |= {"privileged": False, "cap-add": ["NET_ADMIN"]}
    file = folder / "routed.clab.yml"
    file.write_text(spelled(tree), encoding="utf-8")
    return file


def well() -> str:
    """What `check` says, once nothing is wrong."""
    until = time.monotonic() + LIMIT_S
    while (done := mnmpls("check", "routed")).returncode:
        assert time.monotonic() < until, done.stdout + done.stderr
    return done.stdout


def test_routing_daemons_on_kernels_of_their_own(dockerd: str, tmp_path: Path) -> None:
    """`up` waits for the sessions in there; check, trace, logs, drift and drill see the routers' kernels and
    daemons; after `docker restart` of a PE all comes back, and nothing is left in the end."""
    good("up", written(tmp_path), "--runtime", "docker", "--wait", f"{LIMIT_S:g}")
    try:
        told = well()
        assert "(daemon 14 of 14, session 14 of 14, route 2 of 2, label 3 of 3, drift 5 of 5, trace 1 of 1, " in told
        assert "red" in good("exec", "routed", "pe1", "--", "ip", "-br", "link", "show", "type", "vrf")
        trace = good("trace", "routed", "c1", "c2")
        assert "push" in trace and "into red" in trace and "c2 answers" in trace, trace
        logs = good("logs", "routed", "pe1")
        assert "runs on a kernel of its own" in logs and "bgpd: " in logs
        good("exec", "routed", "p", "--", "ip", "route", "add", "unreachable", "192.0.2.0/24", "proto", "201")
        assert "p: added: " in mnmpls("drift", "routed").stdout
        good("exec", "routed", "p", "--", "ip", "route", "delete", "unreachable", "192.0.2.0/24")
        limit = ("--limit", f"{LIMIT_S:g}")
        report = good("drill", "routed", "--event", "port", "--event", "node", "--node", "p", *limit)
        assert "p: turned off" in report and "healed" in report, report
        docker("restart", "-t", "1", "clab-routed-pe1")
        good("start", "routed", "pe1")
        well()
    finally:
        good("down", "routed")
    assert docker("ps", "-aq") == ""
    assert not [name for name in os.listdir("/run/netns") if "routed" in name]
