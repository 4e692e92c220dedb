"""What a person would type for a record makes exactly that record true."""

from __future__ import annotations

import shlex

import pytest

from mnmpls.apply import apply, difference
from mnmpls.commands import commands
from mnmpls.state import Dummy, Port, Tunnel
from tests.kernel.cases import CASES, Case
from tests.kernel.scene import GROUND, Scene

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_command_makes_its_record(scene: Scene, case: Case) -> None:
    """Typed where the record is not yet true, its commands make it true and leaves everything else as it was."""
    apply(GROUND | {*case.needs}, scene.here)
    if case.removal and case.record in scene.observe(case.record):
        scene.by_hand(case.removal)
    before = scene.observe(case.record)
    for each in commands(case.record):
        scene.by_hand(shlex.join(each))
    after = scene.observe(case.record)
    assert case.record in after
    # A port comes with these.
    own = {one for one in after if isinstance(one, Port) and isinstance(case.record, Dummy | Tunnel)}
    assert not difference(after, before | {case.record} | own)
