"""Label operations as captured: the whole stack of every frame, with its TTLs and its bottom-of-stack bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from mnmpls.checks import check
from mnmpls.checks.capture import tap
from mnmpls.checks.trace import Trace, trace_on
from mnmpls.checks.views import World
from mnmpls.model import Lab
from mnmpls.sources import load
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel

TOPOS = Path(__file__).resolve().parents[2] / "topos"

Stack = tuple[tuple[int, int], ...]
"""(label, TTL), outermost first."""


def stacks(running: Running, src: str, dst: str, kind: str = "request") -> list[tuple[str, Stack, int]]:
    """What the request or reply looked like as it left each node: (node, stack, the IP packet's TTL), on wires that
    saw it. Only the last entry of a stack has the bottom-of-stack bit."""
    world = World(running.lab, running.records)
    with tap(running.namespaces) as open_tap:
        open_tap.probe(world.vpns.call(src, dst), 1.0)  # addresses get resolved
        seen = open_tap.probe(world.vpns.call(src, dst), 1.0)
    found = []
    for one in seen.sightings:
        if one.packet.kind == kind and one.out and one.port != "lo":
            bits = [entry.bottom for entry in one.packet.stack]
            assert bits == [False] * (len(bits) - 1) + [True] * bool(bits)
            found.append((one.node, tuple((entry.value, entry.ttl) for entry in one.packet.stack), one.packet.ttl))
    return found


def traced(running: Running, pairs: Sequence[tuple[str, str]]) -> Iterator[Trace]:
    """Each goes as predicted, and is answered."""
    world = World(running.lab, running.records)
    with tap(running.namespaces) as open_tap:
        for src, dst in pairs:
            one = trace_on(open_tap, world, running.namespaces, world.vpns.call(src, dst), dst)
            assert one.ok and one.answered, one.text()
            yield one


def lab_of(folder: Path, text: str) -> Lab:
    """A lab file of these lines."""
    path = folder / "lab.yml"
    path.write_text(dedent(text), encoding="utf-8")
    return load(str(path))


def test_the_source_of_push_and_pop() -> None:
    """topos/lsp.yml: host1 pushes 112, base takes it off for host2, the answer comes with 111 and without; on base's
    veth0 the request has its label and the reply has none, as tcpdump shows it there."""
    with running_lab(load(str(TOPOS / "lsp.yml"))) as lab:
        assert stacks(lab, "host1", "10.10.10.2") == [("host1", ((112, 64),), 64), ("base", (), 63)]
        assert stacks(lab, "host2", "10.10.10.1") == [("host2", ((111, 64),), 64), ("base", (), 63)]
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()
        (one,) = traced(lab, [("host2", "10.10.10.1")])
        assert "base   pop 111" in one.text()


STATIC = """
nodes:
  a:
    role: pe
    loopback: 10.0.0.1/32
    vrfs: [red]
    routes: [%s]
  b: {role: p, routes: [{label: 100, labels: 200, via: 10.1.2.2}, {label: 101, labels: [201, 40, 41], via: 10.1.2.2}]}
  c: {role: p, routes: [{label: 200, labels: 300, via: 10.1.3.2}, {label: 201, via: 10.1.3.2}]}
  d:
    role: pe
    loopback: [10.9.0.0/32, %s]
    vrfs: [red]
    routes: [{label: 300, port: lo}, %s, {label: 500, vrf: red}]
  h1: {role: host}
  h2: {role: host}
links:
  - [a: 10.1.1.1/24, b: 10.1.1.2/24]
  - [b: 10.1.2.1/24, c: 10.1.2.2/24]
  - [c: 10.1.3.1/24, d: 10.1.3.2/24]
  - [h1: 10.7.1.2/24, a: {ip: 10.7.1.1/24, vrf: red}]
  - [h2: 10.7.2.2/24, d: {ip: 10.7.2.1/24, vrf: red}]
"""


def _static() -> str:
    """a pushes N labels for d's loopback 10.9.0.N; the outermost is swapped twice, d pops it and all others. With the
    labels 50 and 51 b pushes two, and h2 is reached by a static label into its VRF."""
    pushes = [f"{{dst: 10.9.0.{n}/32, via: 10.1.1.2, labels: {[100, *range(20, 19 + n)]}}}" for n in range(1, 9)]
    pushes += ["{dst: 10.9.0.9/32, via: 10.1.1.2, labels: 101}"]
    pushes += ["{dst: 10.7.2.0/24, via: 10.1.1.2, labels: [100, 500], vrf: red}"]
    pops = [f"{{label: {label}, port: lo}}" for label in (*range(20, 27), 40, 41)]
    return STATIC % (", ".join(pushes), ", ".join(f"10.9.0.{n}/32" for n in range(1, 10)), ", ".join(pops))


def test_static_labels(tmp_path: Path) -> None:
    """Push of 1 to 8, swap, swap with a push, pop and forward, pop and deliver, pop into a VRF, all of static routes:
    the outermost label's TTL counts down, those beneath stay as they were pushed."""
    with running_lab(lab_of(tmp_path, _static())) as lab:
        for n in range(1, 9):
            inner = tuple((label, 64) for label in range(20, 19 + n))
            assert stacks(lab, "a", f"10.9.0.{n}") == [
                ("a", ((100, 64), *inner), 64),
                ("b", ((200, 63), *inner), 64),
                ("c", ((300, 62), *inner), 64),
            ]
        three = ((201, 63), (40, 63), (41, 63))
        assert stacks(lab, "a", "10.9.0.9") == [("a", ((101, 64),), 64), ("b", three, 64), ("c", three[1:], 64)]
        assert stacks(lab, "h1", "h2")[:2] == [("h1", (), 64), ("a", ((100, 63), (500, 63)), 63)]
        found = list(traced(lab, [("a", f"10.9.0.{n}") for n in range(1, 10)] + [("h1", "h2"), ("h2", "h1")]))
        assert "d   pop 300 500 into red" in found[-2].text()
        assert "b  swap 101 -> 201 40 41" in found[8].text()
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()
