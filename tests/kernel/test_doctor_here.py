"""The doctor on a kernel that has everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnmpls.doctor import State, examine, machine
from mnmpls.guests.host import FEATURES, missing
from mnmpls.live.ipnetns import FOLDER
from mnmpls.plan import complete, records
from mnmpls.sources import load

pytestmark = pytest.mark.kernel

LAB = complete(load(str(Path(__file__).parents[2] / "topos" / "l3vpn.yml")))


def test_a_lab_that_this_kernel_can_have() -> None:
    """Every feature it needs is there, its room is told, and the status is 0. Nothing of the lab is made."""
    interfaces = Path("/proc/net/dev").read_text().count(":")
    found = examine(LAB, records(LAB))
    assert (found.exit_code, found.missing, found.lab) == (0, (), "l3vpn")
    needed = {item.key for item in found.items if item.topic == "kernel" and item.needed}
    assert needed == {"netns", "pidns", "veth", "settings", "ipv6", "bridge", "vrf", "mpls", "mpls-encap"}
    assert all(item.state is State.THERE for item in found.items if item.key in needed)
    assert any(item.key == "memory" and "the lab takes about 7 MiB" in item.told for item in found.items)
    assert found.text().endswith("All that is needed is here.")
    assert Path("/proc/net/dev").read_text().count(":") == interfaces


def test_features_can_be_tried_again_and_again() -> None:
    """A trial leaves nothing that the next one would meet."""
    first = missing(FEATURES)
    assert missing(FEATURES) == first


def test_what_a_lab_left_is_told() -> None:
    """A name for ip(8) that leads nowhere, with what to do; one that leads somewhere is somebody's."""
    FOLDER.mkdir(exist_ok=True)
    dead, alive = FOLDER / "gone-pe1", FOLDER / "here-pe1"
    dead.symlink_to("/proc/1/fd/987654")
    alive.symlink_to("/proc/self/ns/net")
    try:
        told = {item.name: item.told for item in examine().items if item.topic == "labs"}
    finally:
        dead.unlink()
        alive.unlink()
    assert f"`rm {dead}`" in told["gone-pe1"] and "here-pe1" not in told


def test_a_lab_too_large_for_the_memory() -> None:
    """More than there is counts as missing."""
    assert machine.memory(10**9).lacks and not machine.memory(1).lacks
