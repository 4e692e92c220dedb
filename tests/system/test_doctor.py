"""What the doctor and ``up`` say where something is missing: each thing hidden in turn, in a guest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnmpls.doctor import machine
from mnmpls.guests import uml
from mnmpls.guests.host import FEATURES
from tests.system.hiding import HIDES

pytestmark = pytest.mark.system

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 600
WITHOUT_VRF = """
import sys
from mnmpls import guests
guests.uml.MODULES = sys.argv[1]
raise SystemExit(guests.run(guests.choose_guest("uml"), [sys.executable, "-m", "tests.system.hiding", "vrf"]))
"""
"""Once loaded, that module stays (drivers/net/vrf.c has no exit): so this guest boots from a tree without it."""

Seen = dict[str, Any]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.run(
        [sys.executable, *argv], cwd=PROJECT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    tree = tmp_path_factory.mktemp("modules") / "tree"
    shutil.copytree(uml.MODULES, tree, copy_function=os.symlink)
    (gone,) = tree.rglob("vrf.ko")
    gone.unlink()
    (known,) = tree.glob("*/modules.dep")
    lines = [line for line in known.read_text().splitlines(keepends=True) if "/vrf.ko:" not in line]
    known.unlink()
    known.write_text("".join(lines))
    found: dict[str, Seen] = {}
    for argv in (["-m", "mnmpls", "guest", "run", "--kernel", "uml", "--", sys.executable, "-m", "tests.system.hiding"],
                 ["-c", WITHOUT_VRF, str(tree)]):  # fmt: skip
        done = run(*argv)
        assert done.returncode == 0, done.stderr
        found.update(json.loads(done.stdout))
    return found


def test_with_everything_there_nothing_is_missing(seen: dict[str, Seen]) -> None:
    """The same lab on the same kernel: the doctor finds no fault, and the lab comes up."""
    case = seen["nothing"]
    assert (case["status"], case["doctor"]["missing"]) == (0, {})
    assert case["up"] == 0, case["said"]


@pytest.mark.parametrize("hidden", [*(name for name in HIDES if name != "nothing"), "vrf"])
def test_what_is_hidden_is_named_alone(seen: dict[str, Seen], hidden: str) -> None:
    """The doctor names exactly that, with a remedy for every system, and ends with 3; so does ``up``, which leaves
    nothing behind."""
    key, case = hidden.split(",")[0], seen[hidden]
    assert case["status"] == 3
    assert list(case["doctor"]["missing"]) == [key]
    remedies = case["doctor"]["missing"][key]
    assert list(remedies) == ["Debian", "Ubuntu", "Fedora", "WSL2", "container"] and all(remedies.values())
    assert (case["up"], _named(case["said"])) == (3, [FEATURES[key].spoken if key in FEATURES else key])
    assert case["left"] == []


REFUSED = {
    "bridge": r"/run/hiding\.yml:5: nodes\.lan: lan: ip link lan up type bridge.*: this kernel has no bridges",
    "vrf": r"/run/hiding\.yml:6: nodes\.pe1\.vrfs\.red: pe1: ip link red up type vrf.*: this kernel has no VRF devices",
    "mpls": r"/run/hiding\.yml:\d+: (links|nodes).*: (p|pe\d): sysctl net\.mpls\..*: no such setting here: no MPLS",
    "mpls-encap": r"/run/hiding\.yml:13: links\[0\]\.a: pe1: ip route .* encap mpls .*: this kernel cannot push labels",
    "veth": r"/run/hiding\.yml:13: links\[0\]: wire pe1-p-eth - p-pe1-eth: this kernel has no veth pairs",
    "gre": r"/run/hiding\.yml:19: links\[6\]\.a: h1: ip link .* type gre .*: this kernel has no gre tunnels",
    "vxlan": r"/run/hiding\.yml:21: links\[8\]\.a: h1: ip link .* type vxlan .*: this kernel has no vxlan tunnels",
    "netem": r"/run/hiding\.yml:17: links\[4\]\.[ab]: (ce1|lan): tc qdisc .*: this kernel cannot delay or lose packets",
    "xfrm": r"/run/hiding\.yml:20: links\[7\]\.ipsec: h1: ip xfrm policy src .*: this kernel has no IPsec",
    "settings": r"a new network namespace: /proc/sys is mounted read-only",
    "netns": r"a new network namespace: this user may have no more of them",
}
"""What is read where the trial of the kernel is left out."""


@pytest.mark.parametrize("hidden", REFUSED)
def test_what_the_kernel_refuses_is_told_with_its_line(seen: dict[str, Seen], hidden: str) -> None:
    """File and line, node, the record as one would type it, the cause in words, what the kernel said, and a remedy;
    never a bare errno."""
    said = seen[hidden]["applied"]
    assert re.match(REFUSED[hidden], said), said
    assert "\n  what to do: " in said and "Traceback" not in said and "Errno" not in said


def test_what_the_sources_met_without_mpls_has_its_remedy(seen: dict[str, Seen]) -> None:
    """`ip -f mpls route add 101 dev lo` was "Operation not supported", and for the sysctl it was "cannot stat
    /proc/sys/net/mpls/..."."""
    route, remedy, setting, other = seen["mpls"]["by hand"].splitlines()
    assert route.startswith("ip -f mpls route 101 dev lo: this kernel has no MPLS") and "modprobe mpls_router" in remedy
    assert setting.startswith("sysctl net.mpls.conf.foo4.input=1: no such setting here: no MPLS in this kernel")
    assert "modprobe mpls_router" in other


def test_a_guest_is_booted_within_its_time() -> None:
    """What it is, and how long it took; one that takes longer is ended, and said to be too slow."""
    boots, told = machine.boot("uml", 60)
    assert boots and re.fullmatch(r"boots Linux 6\.\S+ in \d+\.\d s", told)
    assert machine.boot("uml", 0.3) == (False, "had not booted after 0.3 s")


def _named(said: str) -> list[str]:
    """What ``up`` says is missing."""
    kernel = re.search(r"but this kernel has no (.+?)(?: \(|\n)", said)
    return re.findall(r"there is no program '(.+?)'", said) + (kernel[1].split(" and no ") if kernel else [])
