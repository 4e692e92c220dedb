"""``mnmpls stop`` and ``start`` of a lab of ``mnmpls up``, on this machine's own kernel and in a guest."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.system import test_live_guest as guest
from tests.system.test_live import MNMPLS, file, gone, good, inside, lab, mnmpls, name, running
from tests.watching import until

__all__ = ["file", "lab", "name"]

pytestmark = pytest.mark.system


def test_off_and_on(lab: str) -> None:
    """Its processes end; list, exec, check and apply know that it is off; on again, everything answers; a lab with a
    node that is off goes down whole."""
    with inside(lab, "echo; sleep 1000") as one:
        assert good("stop", lab, "h1", "r") == f"{lab}: h1 is off\n{lab}: r is off\n"
        assert one.wait(180) == 128 + 9
    assert good("stop", lab, "r") == f"{lab}: r is off\n"
    assert running()[lab]["off"] == ["h1", "r"] and " 5 (h1, r off) " in mnmpls("list").stdout
    refused = mnmpls("exec", lab, "r", "--", "true")
    assert refused.returncode == 1 and f"r of lab '{lab}' is turned off: `mnmpls start {lab} r`" in refused.stderr
    assert mnmpls("stop", lab, "q").returncode == 2
    assert good("apply", lab) == f"{lab}: nothing to do\n"
    check = mnmpls("check", lab, "--json")
    assert check.returncode == 1
    assert [one["subject"] for one in json.loads(check.stdout)["findings"] if one["kind"] == "node"] == ["h1", "r"]
    assert good("start", lab, "r", "h1") == f"{lab}: r is on\n{lab}: h1 is on\n"
    good("check", lab)
    good("stop", lab, "b")
    good("down", lab)
    assert gone(lab)


L3VPN = """
nodes: {p: p, pe1: {role: pe, vrfs: [red]}, pe2: {role: pe, vrfs: [red]}, h1: host, h2: host}
links: [[pe1, p], [p, pe2], [h1, {pe1: {vrf: red}}], [h2, {pe2: {vrf: red}}]]
"""


def test_in_a_guest(tmp_path: Path) -> None:
    """``list`` outside knows what is off inside; a drill runs inside, and undoes all when its command is killed."""
    one = f"{guest.NAME}-power"
    small = tmp_path / "small.yml"
    small.write_text(L3VPN)
    guest.good("up", small, "--name", one)
    try:
        with ThreadPoolExecutor(2) as pool:
            said = [*pool.map(lambda node: guest.good("stop", one, node), ("p", "h1"))]
        assert said == [f"{one}: p is off\n", f"{one}: h1 is off\n"]
        assert running()[one]["off"] == ["h1", "p"]
        assert guest.mnmpls("check", one).returncode == 1
        assert guest.good("start", one, "p", "h1") == f"{one}: p is on\n{one}: h1 is on\n"
        assert running()[one]["off"] == []
        guest.good("check", one)
        assert "\n1 event: all healed" in guest.good("drill", one, "--event", "node", "--node", "p", "--hold", "0.2")
        words = [*MNMPLS, "drill", one, "--event", "path", "--node", "p", "--node", "pe1", "--hold", "1000"]
        with subprocess.Popen([*words, "--limit", "2000"], env=guest.ENVIRONMENT, stdout=subprocess.DEVNULL) as drill:
            until(lambda: guest.mnmpls("drift", one).returncode == 1)
            drill.kill()
        until(lambda: guest.mnmpls("drift", one).returncode == 0)
    finally:
        guest.good("down", one)
