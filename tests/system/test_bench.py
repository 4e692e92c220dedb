"""The bench measures what it says: every variant builds the very same chain, and ours forks nothing for it."""

from __future__ import annotations

from contextlib import closing

import pytest

from mnmpls.kernel import Namespace
from mnmpls.state import Address
from tests.bench import __main__ as bench
from tests.bench import chain
from tests.bench.one import measure
from tests.bench.variants import VARIANTS

pytestmark = pytest.mark.system

OURS = {"mnmpls", "mnmpls, planned before"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_builds_the_chain(variant: str) -> None:
    """Every sampled node holds exactly the planned records, and the ends reach each other."""
    measured = measure(variant, 5)
    assert measured["verified"] == "3 nodes compared, end to end pinged"
    assert measured["build_s"] > 0 and measured["cpu_s"] > 0
    if variant in OURS:
        assert (measured["forks"], measured["processes"]) == (0, 0)


def test_chain_that_is_wrong_is_told() -> None:
    """A node that does not hold what it should ends the bench with the difference."""
    steps = VARIANTS["mnmpls, planned before"](3)
    next(steps)
    paths = next(steps)
    with closing(Namespace.open(paths[1])) as middle:
        middle.remove(Address("e0", "10.0.0.1/31"))
    with pytest.raises(SystemExit, match=r"r1 lacks .*10\.0\.0\.1/31"):
        chain.verify(3, paths)
    next(steps, None)


def test_table_for_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    """Ratios beside the times, and the load of the machine."""
    bench.main(["chain", "--nodes", "3", "--repeat", "1", "--only", "mnmpls", "--markdown"])
    shown = capsys.readouterr().out
    assert "| chain of 3 | build | × floor |" in shown
    assert "| floor in C | " in shown and "| mnmpls | " in shown
    assert "load average" in shown
