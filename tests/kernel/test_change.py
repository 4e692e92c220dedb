"""A running lab that is made into another, or into itself after somebody had his hands in it."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.checks import drift
from mnmpls.kernel import Namespace
from mnmpls.kernel.netlink import NETLINK_NETFILTER, NLM_F_CREATE, NLM_F_REQUEST, nest, text, u32
from mnmpls.model import Lab, Node
from mnmpls.netns import RunningLab
from mnmpls.sources import from_data, load
from mnmpls.wording import words

pytestmark = pytest.mark.kernel

SOURCE = load(str(Path(__file__).parents[2] / "topos" / "l3vpn.yml"))


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningLab]:
    with RunningLab(SOURCE) as running:
        yield running


@pytest.fixture
def lab(shared: RunningLab) -> Iterator[RunningLab]:
    """The source's lab as it is written."""
    yield shared
    shared.change(SOURCE)


def by_hand(lab: RunningLab, node: str, command: str) -> None:
    with lab.namespaces[node].entered():
        subprocess.run(command.split(), check=True)


def drifted(lab: RunningLab) -> list[str]:
    return [one.text for one in drift(lab.records, lab.namespaces) if not one.ok]


@pytest.mark.parametrize(
    "command",
    [
        "ip route add 88.2.1.3/32 table 10 encap mpls 201 via inet 2.1.1.2 dev pe1-p-eth",
        "ip -f mpls route add 777 dev vrf-pe1-c2",
        "ip address add 9.9.9.9/32 dev pe1-p-eth",
        "ip rule add from 88.2.1.0/24 priority 5 lookup 99",
    ],
)
def test_change_removes_what_drift_calls_added(lab: RunningLab, command: str) -> None:
    """It is told, and gone; drift has nothing more to say."""
    by_hand(lab, "pe1", command)
    (text,) = drifted(lab)
    done = lab.change(SOURCE)
    assert [f"pe1: added: {words(one)}" for one in done["pe1"].remove] == [text.replace("vrf vrf-pe1-c1", "table 10")]
    assert not drifted(lab) and not any(lab.change(SOURCE).values())


@pytest.mark.parametrize("version", ["-4", "-6"])
def test_the_rule_for_vrfs_is_held(lab: RunningLab, version: str) -> None:
    """Without it no VRF's packet is looked up in its table: its absence is drift, and change puts it back, once."""
    by_hand(lab, "pe1", f"ip {version} rule del pref 1000")
    option = " -6" if version == "-6" else ""
    assert drifted(lab) == [f"pe1: missing: ip{option} rule l3mdev priority 1000 proto kernel"]
    written = lab.change(SOURCE)["pe1"].write
    assert [words(one) for one in written] == [f"ip{option} rule l3mdev priority 1000 proto kernel"]
    assert not drifted(lab) and not any(lab.change(SOURCE).values())


_ELSEWHERE = "something outside them drops it: look at tc, nft and bridge there"


@pytest.mark.parametrize(
    ("node", "command", "then", "cause"),
    [
        ("p", "tc qdisc add dev p-pe2-eth root netem loss 100%", "", "added: tc qdisc p-pe2-eth root netem"),
        ("p", "tc qdisc add dev p-pe2-eth root tbf rate 8bit burst 10 latency 1s", "", "qdisc tbf at p-pe2-eth, which"),
        ("br11", "ip link set br11-c1h1-eth nomaster", "", "missing: ip link br11-c1h1-eth master br11"),
        ("br11", "bridge link set dev br11-c1h1-eth isolated on", "bridge link set dev br11-c1e1-eth isolated on",
         _ELSEWHERE),
        ("p", "tc qdisc add dev p-pe2-eth clsact", "tc filter add dev p-pe2-eth egress matchall action drop",
         "qdisc clsact at p-pe2-eth, which is not the lab's"),
        ("br11", "ip link set br11 type bridge vlan_filtering 1", "bridge vlan del dev br11-c1h1-eth vid 1",
         _ELSEWHERE),
        ("c1h3", "sysctl -qw net.ipv4.icmp_echo_ignore_all=1", "", "net.ipv4.icmp_echo_ignore_all is 1"),
    ],
)
def test_a_trace_names_what_drops_beside_routes(
    lab: RunningLab, node: str, command: str, then: str, cause: str
) -> None:
    """A queue, a filter, a bridge's port that was taken out, a silenced node; else where to look."""
    assert lab.trace("c1h1", "c1h3").ok  # a host that has forgotten its router would ask the broken bridge for it
    for each in filter(None, (command, then)):
        by_hand(lab, node, each)
    try:
        (difference,) = lab.trace("c1h1", "c1h3").differences
    finally:
        for undo in (
            "tc qdisc del dev p-pe2-eth root", "tc qdisc del dev p-pe2-eth clsact",
            "bridge vlan add dev br11-c1h1-eth vid 1 pvid untagged", "ip link set br11 type bridge vlan_filtering 0",
            "bridge link set dev br11-c1h1-eth isolated off", "bridge link set dev br11-c1e1-eth isolated off",
            "sysctl -qw net.ipv4.icmp_echo_ignore_all=0",
        ):  # fmt: skip
            with lab.namespaces[node].entered():
                subprocess.run(undo.split(), check=False, stderr=subprocess.DEVNULL)
    assert difference.node == node and cause in difference.seen


def _nft(namespace: Namespace, *requests: tuple[int, bytes]) -> None:
    """nft(8)'s part in the kernel (include/uapi/linux/netfilter/nf_tables.h), for tables of the bridge family."""
    batch = [(0x10, struct.pack(">BBH", 0, 0, 10)), *((10 << 8 | kind, b"\7\0\0\0" + body) for kind, body in requests)]
    flags = NLM_F_REQUEST | NLM_F_CREATE
    sent = [(kind, flags if kind > 0x11 else NLM_F_REQUEST, body) for kind, body in (*batch, (0x11, batch[0][1]))]
    one = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    with one:
        one.send(b"".join(struct.pack("=IHHII", 16 + len(body), kind, how, 1, 0) + body for kind, how, body in sent))


def test_a_trace_names_a_packet_filter(lab: RunningLab) -> None:
    """nftables' and its predecessors' tables are named where nothing else explains what drops a packet."""
    name, hook = text(1, "strict"), nest(4, u32(1, socket.htonl(2)), u32(2, 0))  # forward, at priority 0
    chain = (3, name + text(3, "f") + hook + u32(5, 0) + text(7, "filter"))  # policy drop
    _nft(lab.namespaces["br11"], (0, name), chain)
    try:
        (difference,) = lab.trace("c1h1", "c1h3").differences
    finally:
        _nft(lab.namespaces["br11"], (2, name))
    assert difference.node == "br11" and difference.seen.endswith(
        ": it has a packet filter that is not the lab's: nft table bridge strict"
    )
    assert lab.trace("c1h1", "c1h3").answered


@pytest.mark.parametrize(
    ("node", "key", "value"),
    [
        ("p", "net.mpls.ip_ttl_propagate", "0"),
        ("p", "net.mpls.default_ttl", "3"),
        ("pe1", "net.mpls.ip_ttl_propagate", "0"),
        ("pe1", "net.mpls.default_ttl", "3"),
    ],
)
def test_how_labels_count_hops_is_held(lab: RunningLab, node: str, key: str, value: str) -> None:
    """A router's TTL settings, changed by hand, are drift, and change puts them back."""
    by_hand(lab, node, f"sysctl -qw {key}={value}")
    (text,) = drifted(lab)
    assert text.startswith(f"{node}: differs: sysctl {key}={value}, which should be: sysctl {key}=")
    assert [words(one) for one in lab.change(SOURCE)[node].write]
    assert not drifted(lab)


def changed(lab: Lab, **nodes: Node) -> Lab:
    return replace(lab, nodes=tuple(nodes.get(node.name, node) for node in lab.nodes))


def test_a_vrf_gets_another_table_and_its_own_back(lab: RunningLab) -> None:
    """Nothing is left of what was in the table before."""
    pe1 = next(node for node in lab.lab.nodes if node.name == "pe1")
    vrfs = tuple(replace(vrf, table=(vrf.table or 0) + 1000) for vrf in pe1.vrfs)
    by_hand(lab, "pe1", "ip route add 88.2.1.3/32 table 10 encap mpls 201 via inet 2.1.1.2 dev pe1-p-eth")
    for wanted in (changed(SOURCE, pe1=replace(pe1, vrfs=vrfs)), SOURCE):
        lab.change(wanted)
        assert not drifted(lab) and not [one.why for one in lab.probe() if not one.ok]
    assert not any(lab.change(SOURCE).values())


def test_a_tunnel_that_runs_over_other_addresses() -> None:
    """It is made anew, and what is on it comes back: its new routes need it up, which it was before."""
    nodes: dict[str, object] = {f"pe{n}": {"role": "pe", "vrfs": ["red"]} for n in (1, 2)}
    nodes |= {"h1": "host", "h2": "host"}

    def lab(wire: tuple[str, str], inside: tuple[str, str]) -> Lab:
        links: list[object] = [
            {"a": {"pe1": wire[0]}, "b": {"pe2": wire[1]}, "name": "wire"},
            {"a": {"pe1": inside[0]}, "b": {"pe2": inside[1]}, "type": "gre", "over": "wire"},
            *([{"node": f"pe{n}", "vrf": "red"}, f"h{n}"] for n in (1, 2)),
        ]
        return from_data({"nodes": nodes, "links": links})

    with RunningLab(lab(("10.8.0.1/30", "10.8.0.2/30"), ("10.9.0.1/30", "10.9.0.2/30"))) as running:
        running.change(lab(("10.8.0.5/30", "10.8.0.6/30"), ("10.9.0.5/30", "10.9.0.6/30")))
        assert not drifted(running) and not [one.why for one in running.probe() if not one.ok]


def test_a_port_goes_to_another_vrf_and_back(lab: RunningLab) -> None:
    """Customer 2's site moves into customer 1's VRF, in the place of its own; afterwards all is as it was."""
    links = tuple(
        replace(link, b=replace(link.b, vrf="vrf-pe2-c1")) if link.b.vrf == "vrf-pe2-c2" else link
        for link in SOURCE.links
    )
    moved = replace(SOURCE, links=tuple(link for link in links if link.a.node != "c1e2" or link.b.node != "pe2"))
    for wanted in (moved, SOURCE):
        lab.change(wanted)
        assert not drifted(lab) and not [one.why for one in lab.probe() if not one.ok]


def test_a_vrf_goes_and_comes_back(lab: RunningLab) -> None:
    """With its customer's link; what somebody had put into its table goes as well."""
    by_hand(lab, "pe1", "ip route add 88.2.1.3/32 table 20 encap mpls 201 via inet 2.1.1.2 dev pe1-p-eth")
    pe1 = next(node for node in SOURCE.nodes if node.name == "pe1")
    kept = replace(pe1, vrfs=tuple(vrf for vrf in pe1.vrfs if vrf.table != 20))
    links = tuple(link for link in SOURCE.links if "vrf-pe1-c2" not in (link.a.vrf, link.b.vrf))
    lsps = tuple(lsp for lsp in SOURCE.lsps if not (lsp.vrf or "").endswith("c2"))
    for wanted in (replace(changed(SOURCE, pe1=kept), links=links, lsps=lsps), SOURCE):
        lab.change(wanted)
        assert not drifted(lab) and not [one.why for one in lab.probe() if not one.ok]
        assert not [route for route in lab.namespaces["pe1"].routes_by_hand() if "88.2.1.3" in str(route)]


def test_a_tunnel_becomes_a_wire_of_the_same_name() -> None:
    """And a tunnel again: whatever is in the way of a port goes."""
    nodes = {"a": "p", "b": "p"}
    ends: dict[str, object] = {"a": {"a": {"port": "x"}}, "b": {"b": {"port": "x"}}}
    wire = {"a": "a", "b": "b", "name": "wire"}
    labs = [from_data({"nodes": nodes, "links": [wire, {**ends, **more}]}) for more in ({"type": "gre"}, {})]
    with RunningLab(labs[0]) as running:
        for wanted in (labs[1], labs[0]):
            running.change(wanted)
            assert not drifted(running)
