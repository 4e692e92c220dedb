"""IS-IS for real: topos/isis_ldp.yml, dual stack, with a LAN and two equal ways in its core."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mnmpls.netns import RunningLab
from tests.kernel.running import not_taken, settled, traced
from tests.kernel.test_daemons import LIMIT_S, soon, text
from tests.unit.test_isis import isis_ldp

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    with RunningLab(isis_ldp()) as running:
        assert running.await_reach(LIMIT_S) == ""
        yield running


def test_all_is_as_intended(lab: RunningLab) -> None:
    """Both IP versions answer over LDP's labels, and each daemon has all that it is to have."""
    report = settled(lab)
    assert report.ok, report.text()
    assert sum("IS-IS adjacency" in one.subject for one in report.of("session")) == 12
    assert {one.subject.count(":") > 0 for one in report.of("trace")} == {True, False}


def test_labels_on_the_wire(lab: RunningLab) -> None:
    """From pe1 on two labels, LDP's swapped by p1 and taken off behind the LAN."""
    assert settled(lab).ok
    planned = [
        ("forward", 0), ("push", 2), ("swap", 2), ("forward", 2), ("pop", 1), ("pop", 0), ("deliver", 0),
    ]  # fmt: skip

    def seen() -> list[tuple[str, int]]:
        return [(hop.operation, len(hop.labels_out)) for hop in traced(lab, "h1", "h2").request]

    assert soon(lambda: seen() == planned), seen()


def test_daemons_took_every_line(lab: RunningLab) -> None:
    """The configuration read back from isisd holds every line of its file."""
    assert not_taken(lab) == set()


def test_without_isis(lab: RunningLab) -> None:
    """Taken away at one port of the LAN, check names the adjacencies that are gone, at both ends, and no others; given
    back, all is well."""

    def said(*lines: str) -> None:
        words = [word for line in ("configure", "interface p2-eth", *lines) for word in ("-c", line)]
        text(lab["p2"], "vtysh", *words)

    def missing() -> set[str]:
        report = lab.check()
        return {one.subject for one in report.of("session", ok=False) if "IS-IS" in one.subject}

    said("no ip router isis core", "no ipv6 router isis core")
    pairs = [pair for other in ("p1", "p3") for pair in (("p2", other), (other, "p2"))]
    wanted = {f"{here}: IS-IS adjacency with {there} on {here}-eth" for here, there in pairs}
    assert soon(lambda: missing() == wanted)
    said("ip router isis core", "ipv6 router isis core")
    assert settled(lab).ok
