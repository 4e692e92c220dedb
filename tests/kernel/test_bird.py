"""BIRD in the place of FRR's daemons where it can be: it makes the same lab of the same words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mnmpls.daemons import services
from mnmpls.errors import MissingFeature
from mnmpls.kernel import Namespace
from mnmpls.netns import RunningLab
from mnmpls.plan import complete
from mnmpls.processes import Processes
from mnmpls.services import Services
from mnmpls.sources import from_data
from tests.kernel.running import settled
from tests.kernel.test_daemons import LIMIT_S, soon, text

pytestmark = pytest.mark.kernel

BIRD = {"daemon": "bird"}
LAB = {
    "igp": "ospf", "labels": "ldp", "vpn": "bgp",
    "nodes": {
        "pe": {"role": "pe", "vrfs": ["red"]}, "ce1": {"role": "ce", **BIRD}, "ce2": {"role": "ce", **BIRD},
        "h1": "host", "h2": "host",
    },
    "links": [
        ["ce1", "h1"], ["ce2", "h2"],
        {"a": {"pe": {"vrf": "red"}}, "b": "ce1", "routing": "bgp"},
        {"a": {"pe": {"vrf": "red"}}, "b": "ce2", "routing": "ospf"},
    ],
}  # fmt: skip


def test_bird_at_customers() -> None:
    """A BIRD that speaks BGP with FRR's PE and one that speaks OSPF with it: their sites meet, and check finds each
    session on both sides."""
    with RunningLab(from_data(LAB)) as running:
        assert running.await_reach(LIMIT_S) == ""
        report = settled(running)
        assert report.ok, report.text()
        assert {one.subject for one in report.of("session")} == {
            "ce1: BGP session with pe", "pe: BGP session with ce1 in red",
            "ce2: OSPF adjacency with pe on ce2-pe-eth", "pe: OSPF adjacency with ce2 on pe-ce2-eth",
        }  # fmt: skip
        daemons = {one.subject for one in report.of("daemon") if not one.subject.startswith("pe ")}
        assert daemons == {"ce1 bird", "ce2 bird"}
        assert soon(lambda: "proto bird" in text(running["ce2"], "ip", "route"))


def test_no_bird_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose image lacks it, where nobody has looked for all programs of the lab before."""
    lab, processes, namespace = complete(from_data(LAB)), Processes(), Namespace.create([])
    processes.path()
    (tmp_path / "cat").symlink_to("/usr/bin/cat")
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        with pytest.raises(MissingFeature, match=r"ce1: there is no program 'bird' here.*\n.*install bird2"):
            Services(processes).fit(lab, {"ce1": namespace}, {node.name for node in lab.nodes} - {"ce1"})
    finally:
        processes.end()
        namespace.close()


def test_bird_in_the_core() -> None:
    """A BIRD between two FRRs, by OSPF of both IP versions, with BFD."""
    nodes = {
        f"p{n}": {"role": "p", "loopback": [f"10.0.0.{n}/32", f"fd00::{n}/128"], **(BIRD if n == 2 else {})}
        for n in (1, 2, 3)
    }
    with RunningLab(from_data({"igp": "ospf", "nodes": nodes, "links": [["p1", "p2"], ["p2", "p3"]]})) as running:
        assert running.await_reach(LIMIT_S) == ""
        report = settled(running)
        assert report.ok, report.text()
        sessions = {one.subject for one in report.of("session")}
        assert {
            "p2: OSPF adjacency with p1 on p2-p1-eth", "p2: OSPFv3 adjacency with p3 on p2-p3-eth",
            "p1: BFD session with p2 on p1-p2-eth",
        } <= sessions  # fmt: skip


def test_bird_reads_what_is_written_for_it(tmp_path: Path) -> None:
    """Areas, both IP versions, LANs and passive ports: BIRD's own check takes each file."""
    v6 = {"loopback": ["10.0.0.1/32", "fd00::1/128"]}
    nodes = {
        "p1": {"role": "p", **BIRD, **v6}, "p2": {"role": "p", **BIRD, "loopback": ["10.0.0.2/32", "fd00::2/128"]},
        "p3": {"role": "p", **BIRD, "loopback": ["10.0.0.3/32", "fd00::3/128"]}, "lan": "bridge",
    }  # fmt: skip
    far = {"a": "p1", "b": "p2", "igp": {"area": 1, "metric": 5, "bfd": False}}
    links = [["p1", "lan"], ["p2", "lan"], ["p3", "lan"], far]
    core = complete(from_data({"igp": "ospf", "nodes": nodes, "links": links}))
    made = [one for lab in (core, complete(from_data(LAB))) for some in services(lab).values() for one in some]
    birds = [one for one in made if one.name == "bird"]
    assert len(birds) == 5
    for one in birds:
        file = tmp_path / "bird.conf"
        file.write_text(one.config)
        done = subprocess.run(["bird", "-p", "-c", str(file)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), one.config
