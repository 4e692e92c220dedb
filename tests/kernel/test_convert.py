"""A DOT file becomes YAML becomes a running lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnmpls.cli import main
from mnmpls.mn.net import Mininet
from mnmpls.mn.topo import LabTopo
from mnmpls.netns import RunningLab
from mnmpls.sources import load

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
DOT = str(ROOT / "topos" / "l3vpn.dot")


def test_dot_becomes_yaml_becomes_a_running_lab(tmp_path: Path) -> None:
    """What comes up is proven as the lab of the YAML file is, and is the same lab."""
    there, back = str(tmp_path / "l3vpn.yml"), str(tmp_path / "l3vpn.dot")
    assert main(["convert", DOT, there]) == 0 and main(["convert", there, back]) == 0
    lab = load(there)
    assert lab == load(DOT) == load(back) == load(str(ROOT / "topos" / "l3vpn.yml"))
    with RunningLab(lab) as running:
        assert running.check().ok
        assert running.trace("c1h1", "c1h3").ok


def test_dot_is_a_mininet_topology() -> None:
    """Straight from the file."""
    net = Mininet(LabTopo(DOT))
    net.start()
    try:
        assert "1 received" in net["c1h1"].cmd("ping -c1 -W10 88.2.1.3")
    finally:
        net.stop()
