"""Labs of containers on a kernel with MPLS and VRFs: the same records, ways and isolation as in plain namespaces."""

from __future__ import annotations

from pathlib import Path

from mnmpls import load
from mnmpls.containers import labs
from mnmpls.export.containerlab import planned
from mnmpls.netns import RunningLab
from mnmpls.state import Sysctl
from tests.boxes import BOXED, FIVE, docker, good, mnmpls
from tests.watching import until

pytestmark = BOXED


def test_lab_is_the_same_in_containers_as_in_namespaces(dockerd: str, tmp_path: Path) -> None:
    """Each node's kernel holds the same; who reaches whom, and the labels on the wires, are proven by the same check.
    It survives `docker restart` of its P and of a PE, as what it has become by `apply`, and leaves nothing."""
    file = tmp_path / "five.yml"
    file.write_text(FIVE)
    good("up", file, "--runtime", "docker")
    try:
        lab = planned(load(str(file)))
        with RunningLab(lab) as plain, labs.join("five") as joined:
            boxes = joined.parts[0]
            assert boxes.records == plain.records
            for name, wanted in plain.records.items():
                keys = [record.key for record in wanted if isinstance(record, Sysctl)]
                assert boxes[name].namespace.observe(keys) == plain[name].namespace.observe(keys), name
            for src, dst in (("c1", "c2"), ("c2", "c1")):
                assert boxes.trace(src, dst).text() == plain.trace(src, dst).text()
        assert " findings as intended (drift 5 of 5, trace 1 of 1, mtu 2 of 2" in good("check", "five")
        assert good("exec", "five", "pe1", "--vrf", "red", "--", "cat", "/proc/sys/kernel/hostname") == "pe1\n"
        file.write_text(FIVE.replace("pe1: {role: pe, vrfs: [red]}", "pe1: {role: pe, vrfs: {red: {table: 77}}}"))
        assert "pe1: + ip link red up type vrf table 77\n" in good("apply", "five")
        for node in ("p", "pe1"):
            docker("restart", "-t", "1", f"clab-five-{node}")
            assert mnmpls("drift", "five").returncode == 1
            good("start", "five", node)
            assert "NOT" not in good("check", "five")
    finally:
        good("down", "five")
    assert docker("ps", "-aq") == ""


def test_routing_daemons_in_containers(dockerd: str, tmp_path: Path) -> None:
    """Started by each container's first process; `up` waits for their sessions, `check` asks them, `logs` shows theirs
    beside the container's own. Of a host's share of a lab, nodes that are not there are on others."""
    lab, file = tmp_path / "routed.yml", tmp_path / "routed.clab.yml"
    lab.write_text(FIVE.replace("name: five", "name: routed\nigp: ospf\nlabels: ldp\nvpn: bgp"))
    good("export", "containerlab", lab, tmp_path)
    file.write_text(file.read_text().replace("  defaults:\n", "  defaults:\n    labels: {mnmpls.host: left}\n"))
    good("up", file, "--runtime", "docker", "--wait", "300")
    try:
        until(lambda: mnmpls("check", "routed").returncode == 0, "BFD may take a busy machine's pauses for silence")
        assert '"kind": "session"' in mnmpls("check", "routed", "--json").stdout
        logs = good("logs", "routed", "pe1")
        assert "mnmpls: ready: " in logs
        assert "via inet" in good("exec", "routed", "p", "--", "ip", "-f", "mpls", "route")
        docker("rm", "-f", "clab-routed-c2")
        assert "\nc2 runs on another machine: not compared here\n" in mnmpls("drift", "routed").stdout
        assert "c2 of lab 'routed' runs on another machine" in mnmpls("exec", "routed", "c2", "--", "true").stderr
        away = mnmpls("check", "routed").stdout
        assert "\nc2 runs on another machine: here only whether answers" in away and "c2: turned off" not in away
    finally:
        good("down", "routed")
