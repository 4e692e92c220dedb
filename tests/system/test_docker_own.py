"""Containers of routers that bring kernels of their own, with routing daemons, under a docker daemon of the tests. What
runs in them is asked from outside as if it were here."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnmpls.containers import labs
from mnmpls.export.containerlab import planned, spelled, topology
from mnmpls.sources import from_data
from tests.boxes import daemon, docker, good, make_image, mnmpls, said

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:distutils Version"),  # in Debian's docker SDK
]
LIMIT_S = 300.0
"""Guests start slowly where many share few processors. For the same reason nobody watches for silence by BFD."""
ROUTED = {
    "name": "routed", "igp": {"protocol": "ospf", "bfd": False}, "labels": "ldp", "vpn": "bgp",
    "nodes": {"c1": "ce", "c2": "ce", **{pe: {"role": "pe", "vrfs": ["red"]} for pe in ("pe1", "pe2")}},
    "links": [["pe1", "pe2"], ["c1", {"pe1": {"vrf": "red"}}], ["c2", {"pe2": {"vrf": "red"}}]],
}  # fmt: skip
RUNS = "pe1 runs on a kernel of its own, in this container"


@pytest.fixture(scope="module")
def dockerd() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="mnmpls-docker-") as folder, daemon(Path(folder)) as address:
        make_image(frr=True, uml=True)
        yield address


def written(folder: Path) -> Path:
    """No container has all rights, and pe1 has none but those that docker gives to everyone."""
    tree = topology(planned(from_data(ROUTED)), "mnmpls")
    tree["topology"]["defaults"]["privileged"] = False
    for node in ("c1", "c2", "pe2"):
        tree["topology"]["nodes"][node]["cap-add"] = ["NET_ADMIN"]
    file = folder / "routed.clab.yml"
    file.write_text(spelled(tree), encoding="utf-8")
    return file


def settled() -> str:
    """What `check` says, once the daemons have agreed again on all that they are to know."""
    with labs.join("routed") as joined:
        assert joined.parts[0].await_reach(LIMIT_S) == ""
    until = time.monotonic() + LIMIT_S
    while (done := mnmpls("check", "routed")).returncode:
        assert time.monotonic() < until, done.stdout + done.stderr
    return done.stdout


def test_routing_daemons_on_kernels_of_their_own(dockerd: str, tmp_path: Path) -> None:
    """`up` waits for the sessions in there; check, trace, logs, vtysh, drift and drill see the routers' kernels and
    daemons. After `docker restart` of one PE, and the other off and on, all comes back, as its file says by then;
    nothing is left in the end. No rights are needed for any of it."""
    file = written(tmp_path)
    good("up", file, "--runtime", "docker", "--wait", f"{LIMIT_S:g}")
    try:
        assert "(daemon 8 of 8, session 6 of 6, route 2 of 2, label 2 of 2, drift 4 of 4, trace 1 of 1, " in settled()
        assert f"may not set up its network: {RUNS}" in said("clab-routed-pe1", "ready: ")
        assert " runs on a kernel" not in docker("logs", "clab-routed-c1")
        assert "red" in good("exec", "routed", "pe1", "--", "ip", "-br", "link", "show", "type", "vrf")
        good("exec", "routed", "pe1", "--", "ip", "link", "add", "d9", "type", "dummy")
        assert "dummy0" not in good("exec", "routed", "pe1", "--", "ip", "link")  # which its module would make
        good("exec", "routed", "pe1", "--", "ip", "link", "delete", "d9")
        inside = mnmpls("exec", "routed", "pe1", "--vrf", "red", "--", "ping", "-c1", "172.16.0.0")
        assert inside.returncode == 0 and not inside.stderr, inside  # the VRF has an address: no word about that
        trace = good("trace", "routed", "c1", "c2")
        assert "push" in trace and "into red" in trace and "c2 answers" in trace, trace
        logs = good("logs", "routed", "pe1")
        assert RUNS in logs and "bgpd: " in logs
        assert "OPERATIONAL" in good("vtysh", "routed", "pe1", "-c", "show mpls ldp neighbor")
        drill = good("drill", "routed", "--event", "port", "--hold", "1", "--limit", f"{LIMIT_S:g}")
        assert "undone: as before" in drill and "all healed" in drill, drill
        good("exec", "routed", "pe1", "--", "ip", "route", "add", "unreachable", "192.0.2.0/24", "proto", "201")
        assert "pe1: added: " in mnmpls("drift", "routed").stdout
        good("stop", "routed", "pe2")
        docker("restart", "-t", "1", "clab-routed-pe1")
        good("start", "routed", "pe2")
        file.write_text(file.read_text().replace("172.16.0.0", "172.16.9.0").replace("172.16.0.1", "172.16.9.1"))
        assert "pe1: + ip address 172.16.9.1/31 dev eth2\n" in good("apply", "routed")
        assert "NOT" not in settled()
    finally:
        good("down", "routed")
    assert docker("ps", "-aq") == ""
    assert not [name for name in os.listdir("/run/netns") if "routed" in name]


def test_bridge_on_a_kernel_of_its_own(dockerd: str, tmp_path: Path) -> None:
    """It hears nothing of the frames that it sends, from which it would learn that everybody is behind every port."""
    lan = {"name": "lan", "nodes": {"b": "bridge", "h1": "host", "h2": "host"},
           "links": [["b", {"h1": "10.0.0.1/24"}], ["b", {"h2": "10.0.0.2/24"}]]}  # fmt: skip
    tree = topology(planned(from_data(lan)), "mnmpls")
    tree["topology"]["defaults"]["privileged"] = False
    for node in ("h1", "h2"):
        tree["topology"]["nodes"][node]["cap-add"] = ["NET_ADMIN"]
    file = tmp_path / "lan.clab.yml"
    file.write_text(spelled(tree), encoding="utf-8")
    good("up", file, "--runtime", "docker", "--wait", f"{LIMIT_S:g}")
    assert "b runs on a kernel of its own" in docker("logs", "clab-lan-b")
    good("down", "lan")


def test_too_few_rights_for_a_kernel_of_its_own(dockerd: str, tmp_path: Path) -> None:
    """Who may not have its ports' frames is told so, and nothing of what kernels have."""
    binds = ["-v", f"{written(tmp_path)}:/etc/mnmpls/lab.clab.yml:ro", "-e", "CLAB_LABEL_CLAB_NODE_NAME=pe1"]
    docker("run", "-d", "--name", "poor", "--network=none", "--cap-drop=NET_RAW", *binds, "mnmpls")
    try:
        told = said("poor", "nothing was set up")
        assert "give it cap-add: [NET_ADMIN]" in told and "CAP_NET_RAW, by which such a kernel" in told, told
        assert "has no" not in told and "Traceback" not in told
    finally:
        docker("rm", "-f", "poor")
