"""Labs and records as text."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mnmpls import state
from mnmpls.apply import difference
from mnmpls.export.ip_commands import ip_commands
from mnmpls.export.picture import picture
from mnmpls.export.plan_data import plan_data
from mnmpls.export.plan_text import plan_text
from mnmpls.model import Lab
from mnmpls.plan import complete, l3vpn, records
from mnmpls.sources import from_data, load
from mnmpls.state import NextHop, Record
from tests.labs import dual_stack

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = Path(__file__).parent / "goldens"


def source() -> Lab:
    return complete(load(str(ROOT / "topos" / "l3vpn.yml")))


def held(name: str, text: str) -> None:
    """``text`` is that of the golden file. MNMPLS_REWRITE=1 rewrites it."""
    golden = GOLDENS / name
    if os.environ.get("MNMPLS_REWRITE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_commands_of_the_source() -> None:
    """The lab of topos/l3vpn.yml, as it would be typed, with its reasons."""
    lab = source()
    held("l3vpn-ip.sh", ip_commands(lab, records(lab)))


def test_commands_of_some_nodes_are_theirs_only() -> None:
    """Their wires and what is set in them, in the order and the words of the whole script; as data, their records."""
    lab = source()
    lines, whole = (ip_commands(lab, records(lab), nodes).splitlines() for nodes in (["pe1"], []))
    rest = iter(whole)
    assert all(line in rest for line in lines)
    typed = [line for line in lines if line and not line.startswith("#")]
    assert all("netns pe1" in line or "-n pe1 " in line or "exec pe1 " in line for line in typed)
    assert {line for line in whole if "-n pe1 " in line or "netns pe1 type" in line} <= set(typed)
    assert list(plan_data(lab, records(lab), ["p", "pe1"])["records"]) == ["p", "pe1"]


def test_the_plan_of_the_source_as_tables() -> None:
    """Links, VRFs, paths and labels of the whole lab, then each node's interfaces, routes, labels and settings."""
    lab = source()
    held("l3vpn-plan.txt", plan_text(lab, records(lab), ["pe1", "p", "br11"]))
    whole = plan_text(lab, records(lab))
    assert whole.endswith(plan_text(lab, records(lab), [node.name for node in lab.nodes]))
    held("l3vpn-whole.txt", whole.split("\n\np: ")[0] + "\n")


def test_the_plan_of_other_labs_has_what_they_have() -> None:
    """Equal ways are rows of their own, a stack stands whole, and every loopback is listed."""
    lab = complete(dual_stack())
    lines = plan_text(lab, records(lab), ["pe1"]).splitlines()
    both = [number for number, line in enumerate(lines) if line.split()[:1] == ["fd01:2::/64"]]
    assert "up.1" in lines[both[0]] and lines[both[0] + 1].split()[0] == "-" and "pe1-b-eth" in lines[both[0] + 1]
    assert any("40/50/60" in line for line in lines)
    whole = plan_text(lab, records(lab))
    assert all(cidr in whole for node in lab.nodes for cidr in node.loopbacks if cidr != "none")


@pytest.mark.parametrize("lab", [source(), complete(dual_stack())], ids=["source", "dual-stack"])
def test_the_plan_as_data_is_whole(lab: Lab) -> None:
    """Through JSON and back, the lab is the same lab and every record the same record, in the order of writing."""
    planned = records(lab)
    told = json.loads(json.dumps(plan_data(lab, planned)))
    assert from_data(told["lab"]) == lab
    for node, found in planned.items():
        assert tuple(map(_record, told["records"][node])) == difference(found, ()).write


def _record(told: dict[str, Any]) -> Record:
    kind = getattr(state, told.pop("record"))
    if "hops" in told:
        told["hops"] = tuple(NextHop(**{**hop, "labels": tuple(hop["labels"])}) for hop in told["hops"])
    made: Record = kind(**told)
    return made


def test_own_command_lines_are_told_but_not_run() -> None:
    """exec: lines of a lab stand in the script as comments, each on one line, whatever they contain."""
    lab = source()
    lines = ("echo 1\nreboot", "ping -c1 88.2.1.3")
    nodes = tuple(replace(node, exec=lines) if node.name == "c1h1" else node for node in lab.nodes)
    script = ip_commands(replace(lab, nodes=nodes), records(lab))
    assert "#   ip netns exec c1h1 echo 1 reboot\n#   ip netns exec c1h1 ping -c1 88.2.1.3\n" in script
    assert "\nreboot" not in script


def test_a_labs_name_stays_in_its_comment() -> None:
    """Nothing of a lab's name becomes a command of the script."""
    lab = replace(source(), name="x\nreboot\r`reboot`")
    for line in ip_commands(lab, records(lab)).splitlines():
        assert not line.lstrip().startswith("reboot")


def test_reasons_name_vpn_and_path() -> None:
    """A pushed stack is explained by what carries it, where it ends and by which way; a pop before the last as such."""
    lab = complete(l3vpn(customers=1, sites=2, hosts=0, core=2))
    script = ip_commands(lab, records(lab))
    assert (
        "# vrf-c1: label 1001, carried by 17 through the core, leads to pe2, VRF vrf-c1, by way of p1, p2 (RFC 4364 5)"
        in script
    )
    assert "# label 17 is popped for pe2, the next router and its last (RFC 3031 3.16)" in script
    assert "# label 17 leads to pe2, by way of p1, p2 (RFC 3031 3.10)" in script


def test_forms_of_paths_are_told() -> None:
    """Explicit null by its name, TTLs that do not go on with the packet's, and where each path leads: in the tables, in
    the commands' reasons and in the drawing."""
    lab = complete(load(str(ROOT / "topos" / "lsps.yml")))
    planned = records(lab)
    told = [" ".join(line.split()) for line in plan_text(lab, planned).splitlines()]
    assert "112 0 (explicit null) 10.254.0.5 p2-z-eth z" in told
    assert "10.8.4.0/24 121 ttl 255 10.254.0.1 a-p1-eth z, by way of p1, p2" in told
    assert "123 popped (pipe) lo" in told and "132 popped (pipe) 10.254.0.5 p2-z-eth z" in told
    assert "a 111 z, by way of p1, p2" in told and "a 141 z, by way of q1, q2" in told
    script = ip_commands(lab, planned)
    assert "# label 112 becomes 0 (explicit null), on to z (RFC 3031 3.10)\n" in script
    assert "route add 10.8.4.0/24 encap mpls 121 ttl 255 via" in script
    assert "; the packet keeps its own TTL (RFC 3443)\nip -n p2 -f mpls route add 132 ttl-propagate disabled" in script
    arrows = {(each.src, each.dst, each.text) for each in picture(lab, planned).arrows}
    assert {("p2", "z", "0 (explicit null)"), ("p1", "p2", "132"), ("q2", "z", "143")} <= arrows


def test_dummies_are_drawn_at_their_node() -> None:
    """Their names and addresses stand with the loopbacks."""
    dummies = {"d0": ["10.9.0.1/24", "fd09::1/64"], "d1": "10.9.1.1/32"}
    lab = complete(from_data({"nodes": {"a": {"role": "p", "loopback": "10.0.0.1/32", "dummies": dummies}}}))
    assert picture(lab).boxes[0].lines == ("10.0.0.1/32", "d0 10.9.0.1/24 fd09::1/64", "d1 10.9.1.1/32")


def test_a_host_with_several_links_is_told_to_forward_nothing() -> None:
    """Before anybody wonders why nothing gets through it."""
    lab = complete(from_data({"nodes": {"a": "host", "m": "host", "b": "host"}, "links": [["a", "m"], ["m", "b"]]}))
    assert "m is a host between a, b: it forwards nothing; a ce would" in plan_text(lab, records(lab)).splitlines()
