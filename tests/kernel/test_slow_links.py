"""Labs whose links are slow or lose packets, as they are meant to: checks wait and ask again, and hold."""

from __future__ import annotations

import pytest

from mnmpls.checks import check
from mnmpls.checks.intent import Intent
from mnmpls.checks.patience import NONE, Patience, patience
from mnmpls.checks.trace import trace
from mnmpls.checks.vpn import Call
from mnmpls.model import Lab
from mnmpls.netns import RunningLab
from mnmpls.plan import complete
from mnmpls.sources import from_data
from tests.kernel.running import LIMIT_S, running_lab

pytestmark = pytest.mark.kernel


def _lab(**core: object) -> Lab:
    """red from pe1 to pe2 over one core link that is impaired; blue at pe1 alone, with its own host."""
    vrfs = {"red": {"rt": "65000:1"}, "blue": {"rt": "65000:2"}}
    nodes: dict[str, object] = {"pe1": {"role": "pe", "vrfs": vrfs}, "pe2": {"role": "pe", "vrfs": vrfs}}
    links = [
        {"a": "pe1", "b": "pe2", **core},
        *({"a": {"node": pe, "vrf": vrf}, "b": f"{vrf}{pe[-1]}"} for pe in ("pe1", "pe2") for vrf in vrfs),
    ]
    nodes.update(dict.fromkeys(("red1", "red2", "blue1", "blue2"), "host"))
    return complete(from_data({"name": "slow", "nodes": nodes, "links": links}))


def test_links_of_a_second_and_a_half() -> None:
    """Three seconds there and back, as long as the kernel waits for a neighbour: the lab comes up at its first wait, a
    trace is whole, and the check holds."""
    lab = _lab(delay="1500ms")
    with RunningLab(lab) as running:
        assert running.await_reach(LIMIT_S) == ""
        report = running.check()
    assert report.ok, report.text()
    assert {one.kind for one in report.findings} == {"drift", "trace", "mtu", "reach"}


def test_links_that_lose_packets() -> None:
    """A fifth in each direction: asked until it means something, and what is broken is still told."""
    with running_lab(_lab(loss=20)) as lab:
        for _ in range(2):
            report = check(lab.lab, lab.records, lab.namespaces)
            assert report.ok, report.text()
        lab.ip("pe1", "route", "flush", "table", "10", "proto", "201")
        assert any(one.endswith("red2 was to answer") for one in lab.failures())


@pytest.mark.parametrize(
    ("core", "wanted"),
    [({}, NONE), ({"delay": "20ms", "jitter": "5ms"}, Patience(0.05, 3)), ({"loss": 50}, Patience(0.0, 41))],
    ids=["none", "delay", "loss"],
)
def test_patience_follows_from_the_way(core: dict[str, object], wanted: Patience) -> None:
    """Delay and jitter of each link there and back; of losses as many tries as leave one in 100,000 in doubt. A way
    that does not take the link needs none."""
    world = Intent(_lab(**core)).world
    found = patience(world, [Call("red1", world.vpns.address("red2") or "")])
    assert found.rtt_s == pytest.approx(wanted.rtt_s) and found.tries == wanted.tries
    assert patience(world, [Call("red1", world.vpns.call("red1", "pe1").address)]) == NONE


def test_patience_for_what_a_tunnel_runs_over() -> None:
    """The wire beneath it delays what goes through it."""
    ends = {"a": {"node": "a", "ip": "10.0.0.1/30"}, "b": {"node": "b", "ip": "10.0.0.2/30"}}
    inner = {"a": {"node": "a", "ip": "10.1.0.1/30"}, "b": {"node": "b", "ip": "10.1.0.2/30"}, "type": "gre"}
    links = [{**ends, "delay": "30ms", "name": "wire"}, {**inner, "over": "wire"}]
    lab = complete(from_data({"nodes": {"a": "host", "b": "host"}, "links": links}))
    assert patience(Intent(lab).world, [Call("a", "10.1.0.2")]).rtt_s == pytest.approx(0.06)


def _mute() -> Lab:
    """red's only way between the PEs is a tunnel over a wire that loses nearly all; red3's own link loses all."""
    vrf = {"vrfs": {"red": {"rt": "65000:1"}}}
    nodes: dict[str, object] = {"pe1": {"role": "pe", **vrf}, "pe2": {"role": "pe", **vrf}}
    links = [
        {"a": "pe1", "b": {"node": "pe2", "loss": 99}, "name": "wire"},
        {"a": "pe1", "b": "pe2", "type": "gre", "over": "wire"},
        *({"a": {"node": f"pe{n}", "vrf": "red"}, "b": f"red{n}"} for n in (1, 2)),
        {"a": {"node": "pe1", "vrf": "red", "loss": 100}, "b": "red3"},
        {"a": {"node": "pe1", "vrf": "red"}, "b": "red4"},
    ]
    nodes.update(dict.fromkeys(("red1", "red2", "red3", "red4"), "host"))
    return complete(from_data({"name": "mute", "nodes": nodes, "links": links}))


def test_links_that_lose_everything() -> None:
    """Nobody has to answer over one, be it a wire or what a tunnel runs over, and nobody asks forever: the check has
    time for all and says what is lost, as a trace does. What else is broken is told."""
    with running_lab(_mute()) as lab:
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok and not report.notes, report.text()
        assert "pe1-red3-eth loses 100 % of its packets, as the lab has it" in str(report.data())
        assert "~ lost, as the lab has it" in report.text() and len(report.of("trace")) == 6
        found = trace(lab.lab, lab.records, lab.namespaces, "red1", "red3")
        assert found.ok and not found.answered and "lost: pe1-red3-eth loses 100 %" in found.text()
        assert trace(lab.lab, lab.records, lab.namespaces, "red1", "red4").answered
        lab.ip("pe1", "route", "flush", "table", "10", "proto", "201")
        lab.ip("pe1", "addr", "flush", "dev", "pe1-red4-eth")
        assert any("red4 was to answer" in one for one in lab.failures())
