"""Labs without customers: routers ask each other, in their VRFs and outside of these."""

from __future__ import annotations

import pytest

from mnmpls.checks import check
from mnmpls.checks.intent import Intent, count, expectations, has_end_points
from mnmpls.checks.reach import probe
from mnmpls.model import Lab
from mnmpls.plan import complete
from mnmpls.sources import from_data
from mnmpls.state import LabelRoute
from tests.kernel.running import running_lab

pytestmark = pytest.mark.kernel


def _lab() -> Lab:
    """Two edges over a core router; mgmt is at both, with addresses of its own, and so is apart, which is not
    joined."""

    def edge(number: int) -> dict[str, object]:
        vrfs = {
            "mgmt": {"rt": "65000:1", "loopback": [f"10.20.0.{number}/32", f"fd20::{number}/128"]},
            "apart": {"rt": f"65000:1{number}", "loopback": f"10.20.0.{number}/32"},
        }
        return {"role": "pe", "vrfs": vrfs}

    nodes = {"p": "p", "pe1": edge(1), "pe2": edge(2)}
    links = [{"a": "pe1", "b": "p", "versions": [4, 6]}, {"a": "p", "b": "pe2", "versions": [4, 6]}]
    return complete(from_data({"name": "core", "nodes": nodes, "links": links}))


def test_who_is_meant_to_answer_whom() -> None:
    """Every loopback is reached, VRFs where route targets say; from a VRF nothing outside of it, and a node's own
    places are not asked of each other."""
    lab = _lab()
    found = {(one.src, one.dst, ":" in one.address): one for one in expectations(Intent(lab), False)}
    assert not has_end_points(lab) and count(lab) == len(found)
    reached = {(src, dst) for (src, dst, six), one in found.items() if one.reaches and not six}
    routers = {(a, b) for a in ("p", "pe1", "pe2") for b in ("p", "pe1", "pe2") if a != b}
    assert reached == routers | {("pe1 (mgmt)", "pe2 (mgmt)"), ("pe2 (mgmt)", "pe1 (mgmt)")}
    assert found["pe1 (mgmt)", "pe2 (mgmt)", True].reaches
    same = found["pe1 (mgmt)", "pe2 (apart)", False]
    assert (same.address, same.answer) == ("10.20.0.2", "pe2 (mgmt)")
    assert not any(src.split()[0] == dst.split()[0] for src, dst, _ in found)


def test_routers_are_asked() -> None:
    """Each by a real packet to the address of the other, from the right VRF; a route that is gone is told, a VPN label
    that leads into the wrong VRF, too, though the other end has the same address there."""
    with running_lab(_lab()) as lab:
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()
        assert len(report.of("reach")) == count(lab.lab)
        labels = (one for one in lab.records["pe2"] if isinstance(one, LabelRoute))
        into = next(one.label for one in labels if one.hops[0].port == "mgmt")
        lab.ip("pe2", "-f", "mpls", "route", "replace", str(into), "dev", "apart")
        lab.ip("p", "route", "del", lab.lab.node("pe1").loopbacks[0])
        told = [one.why for one in probe(lab.lab, lab.namespaces) if not one.ok]
        strayed = "the request was delivered to pe2 (apart), which was not to get it; pe2 (mgmt) was to answer"
        assert f"pe1 (mgmt) -> pe2 (mgmt) (10.20.0.2): {strayed}" in told
        assert any(one.startswith("p -> pe1 (10.255.0.2)") and one.endswith("pe1 was to answer") for one in told)
        assert not any(one.startswith("pe1 -> pe2 ") for one in told)


def test_one_node_has_nobody_to_ask() -> None:
    """And neither has a lab without addresses."""
    assert count(complete(from_data({"nodes": {"p": "p"}}))) == 0
