"""The laws of the records, for every kind and variant, against the real kernel."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from mnmpls.apply import Difference, apply
from mnmpls.state import Port, Record, Sysctl
from tests.kernel.cases import CASES, Case
from tests.kernel.scene import GROUND, Scene

pytestmark = pytest.mark.kernel

_EVERY = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
_REMOVABLE = pytest.mark.parametrize(
    "case", [case for case in CASES if case.removal], ids=[case.name for case in CASES if case.removal]
)
_CHANGES = [(case, command) for case in CASES for command in case.changes]


def _about(record: Record) -> Hashable:
    if isinstance(record, Sysctl):
        return record.key
    return record.name if isinstance(record, Port) else record


def _wanted(case: Case) -> frozenset[Record]:
    """The ground with the case in the place of what is about the same."""
    own = {*case.needs, case.record}
    return frozenset({record for record in GROUND if _about(record) not in set(map(_about, own))} | own)


def _run(scene: Scene, commands: str) -> None:
    for command in commands.split(" && "):
        scene.by_hand(command)


@_EVERY
def test_written_reads_back_equal(scene: Scene, case: Case) -> None:
    """A record that was written is observed exactly as it was written."""
    apply(_wanted(case), scene.here)
    assert _wanted(case) <= scene.observe(case.record)


@_EVERY
def test_second_apply_writes_nothing(scene: Scene, case: Case) -> None:
    """What is there already is neither written again nor removed."""
    apply(_wanted(case), scene.here)
    assert apply(_wanted(case), scene.here) == Difference()


@_REMOVABLE
def test_removed_by_hand_is_restored(scene: Scene, case: Case) -> None:
    """A record that somebody removed is missed and written again."""
    apply(_wanted(case), scene.here)
    _run(scene, case.removal)
    assert case.record not in scene.observe(case.record)
    assert apply(_wanted(case), scene.here) == Difference((), (case.record,))
    assert case.record in scene.observe(case.record)


@pytest.mark.parametrize(("case", "command"), _CHANGES, ids=[f"{case.name}: {command}" for case, command in _CHANGES])
def test_changed_by_hand_is_replaced(scene: Scene, case: Case, command: str) -> None:
    """A record that somebody changed is noticed and put right; nothing of the change stays."""
    apply(_wanted(case), scene.here)
    before = scene.observe(case.record)
    _run(scene, command)
    assert case.record not in scene.observe(case.record)
    done = apply(_wanted(case), scene.here)
    assert case.record in done.write
    assert scene.observe(case.record) == before
    assert apply(_wanted(case), scene.here) == Difference()


@_REMOVABLE
def test_no_longer_wanted_is_removed(scene: Scene, case: Case) -> None:
    """A record of ours that the plan no longer has goes away, and nothing else does."""
    apply(GROUND, scene.here)
    before = scene.observe(case.record)
    apply(_wanted(case), scene.here)
    done = apply(GROUND, scene.here)
    assert case.record in done.remove
    assert scene.observe(case.record) == before
