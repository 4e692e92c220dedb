"""The clock by which checks wait for packets."""

from __future__ import annotations

import time

from mnmpls.checks.clock import Clock


def test_a_pause_of_the_machine_does_not_count() -> None:
    """A turn that took far longer than planned counts as little more than planned; a short one as it was."""
    clock = Clock()
    time.sleep(0.5)
    assert 0.1 <= clock.turn(0.02) < 0.2
    before = clock.now_s
    time.sleep(0.01)
    assert clock.turn(0.02) - before >= 0.01
