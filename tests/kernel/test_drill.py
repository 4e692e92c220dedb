"""Drills on running labs: real failures, real packets, and nothing of them left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from mnmpls.drill import Drill, Options, Outcome, events, owners, pairs
from mnmpls.drill.ways import stacks
from mnmpls.errors import CheckFailed
from mnmpls.live.owned import offer
from mnmpls.netns import RunningLab
from mnmpls.sources import from_data
from mnmpls.state import Port, Qdisc, Sysctl
from tests.kernel.running import settled
from tests.unit.test_drill import TRIANGLE

pytestmark = pytest.mark.kernel

LIMIT_S = 180
STATIC = {key: value for key, value in TRIANGLE.items() if key not in ("igp", "labels", "vpn")}


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    with RunningLab(from_data(TRIANGLE)) as running:
        offer(running, "")
        assert running.await_reach(LIMIT_S) == ""
        yield running


@pytest.fixture(scope="module")
def static() -> Iterator[RunningLab]:
    with RunningLab(from_data({**STATIC, "name": "static"})) as running:
        offer(running, "")
        yield running


def drill(lab: RunningLab, options: Options, *kinds: str, nodes: tuple[str, ...] = ()) -> list[Outcome]:
    one = Drill(lab, owners(lab.lab.name), pairs(lab.lab), options)
    return list(one.run(events(lab.lab, kinds, nodes, ["ospfd"] if kinds == ("daemon",) else [])))


def soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("kind", ["port", "path"])
def test_a_link_fails(lab: RunningLab, kind: str) -> None:
    """Packets are lost for a while, then they go round by P, with one more label or another; undone, they come back to
    the direct way, with every session."""
    assert soon(lambda: all("> p [" not in stack for stack in stacks(lab.lab, lab.namespaces, pairs(lab.lab)).values()))
    (one,) = drill(lab, Options(limit_s=LIMIT_S), kind, nodes=("pe1", "pe2"))
    assert one.ok, one.text()
    assert [measured.pair.text for measured in one.failing.measured] == ["h1 -> h2", "h2 -> h1"]
    for failing, undone in zip(one.failing.measured, one.undone.measured, strict=True):
        assert 0 < failing.lost < failing.sent and failing.gap_ms > 0 and failing.ended_well
        assert "> p [" in failing.labels and "> p [" not in failing.labels_before
        assert "> p [" not in undone.labels and undone.ended_well
    assert settled(lab).ok


def test_a_node_fails(lab: RunningLab) -> None:
    """Without P all goes on. Without PE 2 its customers have no other way. Both heal."""
    between, beside = drill(lab, Options(limit_s=LIMIT_S), "node", nodes=("p", "pe2"))
    assert beside.ok and between.ok, beside.text() + between.text()
    assert {(one.ended_well, one.can) for one in beside.failing.measured} == {(True, True)}
    assert {(one.ended_well, one.can) for one in between.failing.measured} == {(False, False)}
    assert "no other way" in between.text() and "=>  lost at " in between.text()
    assert {one.ended_well for one in between.undone.measured} == {True}
    assert lab.off == set() and settled(lab).ok


def test_a_daemon_dies_again_and_again(lab: RunningLab) -> None:
    """Each death is undone: also the second, after which a daemon stays down otherwise."""
    for _ in range(2):
        (one,) = drill(lab, Options(limit_s=LIMIT_S), "daemon", nodes=("p",))
        assert one.ok and one.event.text == "p: ospfd killed", one.text()


def test_what_takes_too_long(lab: RunningLab) -> None:
    """A gap longer than it may be."""
    (slow,) = drill(lab, Options(limit_s=LIMIT_S, within_ms={"port": 0.0}), "port", nodes=("pe1", "pe2"))
    assert {one.rpartition(",")[2] for one in slow.problems} == {" more than 0 ms"}


def test_what_stays_lost(lab: RunningLab) -> None:
    """Where the other way swallows packets, though all sessions are there: it is told, and at which node."""
    assert settled(lab).ok
    keys = [f"net.mpls.conf.p-pe{n}-eth.input" for n in (1, 2)]
    lab["p"].namespace.write(*(Sysctl(key, "0") for key in keys))
    one = Drill(lab, owners("triangle"), pairs(lab.lab), Options(limit_s=15))
    outcomes = one.run(events(lab.lab, ["port"], ["pe1", "pe2"]))
    with closing(outcomes):
        stuck = next(outcomes)
    lab["p"].namespace.write(*(Sysctl(key, "1") for key in keys))
    assert "h1 -> h2: nothing arrives by the other way that there is" in stuck.problems, stuck.text()
    assert [one for one in stuck.problems if one.startswith("p: ") or one.startswith("at p: ")], stuck.text()
    assert lab.await_reach(LIMIT_S) == "" and settled(lab).ok


def test_a_lab_that_does_not_work(static: RunningLab) -> None:
    """There is nothing to be learned from failures of it."""
    static["pe1"].namespace.set_up("pe1-h1-eth", False)
    with pytest.raises(CheckFailed, match="does not work as it stands: h1 -> h2 loses packets, 2 streams of 2 do"):
        drill(static, Options(limit_s=1), "port")
    static.change(from_data({**STATIC, "name": "static"}))
    assert settled(static).ok


def test_without_daemons(static: RunningLab) -> None:
    """Nothing reroutes, and it says so; it is no failure of the drill, and heals when undone."""
    for one in drill(static, Options(hold_s=0.5), "port", "path", nodes=("pe1", "pe2")):
        assert one.ok, one.text()
        assert "lost: nothing reroutes without routing daemons" in one.text()
        assert "undone: as before after" in one.text() or "undone: nothing lost, as before" in one.text()
    assert settled(static).ok


def command(lab: RunningLab, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "mnmpls", "drill", lab.lab.name, *words]
    return subprocess.Popen(argv, env={**os.environ, "MNMPLS_KERNEL": "host"}, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def test_the_command(static: RunningLab) -> None:
    """Its text as it goes, and JSON; its exit status."""
    said, _ = command(static, "--event", "path", "--node", "ce2", "--hold", "0.5").communicate(timeout=LIMIT_S)
    assert said.startswith("static: 2 events, 2 streams of a packet each 10 ms; no routing daemon runs")
    assert said.rstrip().endswith("2 events: all healed")
    with command(static, "--event", "port", "--node", "h1", "--hold", "0.5", "--within", "0", "--json") as one:
        data = json.loads(one.communicate(timeout=LIMIT_S)[0])
    assert one.returncode == 0 and data["ok"] and len(data["events"]) == 1
    with command(static, "--event", "node", "--node", "h7") as one:
        assert "there is no node 'h7'" in one.communicate(timeout=LIMIT_S)[1]
    assert one.returncode == 2


@pytest.mark.parametrize(
    ("kind", "number"),
    [("port", signal.SIGINT), ("path", signal.SIGKILL), ("node", signal.SIGKILL), ("node", signal.SIGTERM)],
)
def test_nothing_is_left(static: RunningLab, kind: str, number: signal.Signals) -> None:
    """However a drill ends, what it made is undone."""

    def is_made() -> bool:
        observed = static["pe1"].namespace.observe()
        shut = any(isinstance(one, Port) and not one.up for one in observed)
        return shut if kind != "path" else any(isinstance(one, Qdisc) for one in observed)

    with command(static, "--event", kind, "--node", "pe1", "--hold", "1000", "--limit", "2000") as one:
        assert soon(is_made)
        one.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            one.communicate(timeout=LIMIT_S)
    assert one.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 128 + signal.SIGINT)
    assert soon(lambda: not static.off and not any(each for each in static.check().findings if not each.ok))
