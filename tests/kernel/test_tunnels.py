"""Tunnels between two provider edges: what is on the wire, and what fits."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from mnmpls.apply import Difference, apply
from mnmpls.checks import check
from mnmpls.checks.layers import layers
from mnmpls.checks.mtu import PathMtu
from mnmpls.plan import complete
from mnmpls.plan import records as plan_records
from mnmpls.sources import from_data
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel

V4, V6 = ("10.9.0.1/30", "10.9.0.2/30"), ("fd09::1/64", "fd09::2/64")


@dataclass(frozen=True)
class Kind:
    """A link's settings, what its packets wear between the wire's Ethernet header and the labels, and its MTU over a
    wire of 1500 bytes."""

    settings: dict[str, object]
    under: tuple[str, str]
    worn: tuple[str, ...]
    mtu_bytes: int

    @property
    def name(self) -> str:
        shown = [f"{key}={value}" for key, value in self.settings.items() if key not in ("type", "over")]
        return "-".join([str(self.settings["type"]), f"v{4 + 2 * (self.under == V6)}", *shown])


def _outer(under: tuple[str, str]) -> str:
    a, b = (cidr.split("/")[0] for cidr in under)
    return f"ipv{6 if ':' in a else 4} {a} > {b}"


KINDS = [
    Kind({"type": "gre"}, V4, ("gre",), 1476),
    Kind({"type": "gre", "key": 7, "ttl": 9}, V4, ("gre key 7",), 1472),
    Kind({"type": "ip6gre"}, V6, ("gre",), 1456),
    Kind({"type": "ip6gre", "encaplimit": 4}, V6, ("options", "gre"), 1448),
    Kind({"type": "ip6gre", "key": 5}, V6, ("gre key 5",), 1452),
    Kind({"type": "gretap", "key": 1}, V4, ("gre key 1", "ethernet"), 1458),
    Kind({"type": "gretap"}, V6, ("gre", "ethernet"), 1442),
    Kind({"type": "vxlan", "vni": 100}, V4, ("udp 4789", "vxlan 100", "ethernet"), 1450),
    Kind({"type": "vxlan", "vni": 16777215}, V6, ("udp 4789", "vxlan 16777215", "ethernet"), 1430),
    Kind({"type": "mpls-ip"}, V4, (), 1480),
    Kind({"type": "mpls-ip"}, V6, (), 1460),
]


@pytest.fixture(scope="module", params=KINDS, ids=[kind.name for kind in KINDS])
def tunnelled(request: pytest.FixtureRequest) -> Iterator[tuple[Kind, Running]]:
    """Two customers' hosts, two provider edges, and between those a tunnel over a wire."""
    kind = request.param
    a, b = kind.under
    nodes = {name: {"role": "pe", "vrfs": ["red"]} for name in ("pe1", "pe2")} | {"h1": "host", "h2": "host"}
    links: list[object] = [
        {"a": {"pe1": a}, "b": {"pe2": b}, "name": "wire", "mtu": 1500},
        {"a": {"pe1": {"port": "tunnel"}}, "b": {"pe2": {"port": "tunnel"}}, "over": "wire", **kind.settings},
        *([{"node": f"pe{n}", "vrf": "red", "ip": f"10.{n}.0.254/24"}, {f"h{n}": f"10.{n}.0.1/24"}] for n in (1, 2)),
    ]
    with running_lab(from_data({"nodes": nodes, "links": links})) as running:
        yield kind, running


def _ping(running: Running, size_bytes: int, wait_s: int = 10) -> int:
    """The exit status of a ping from h1 to h2 with IP packets of that size, never fragmented."""
    with running.namespaces["h1"].entered():
        command = ["ping", "-q", "-M", "do", "-W", str(wait_s), "-c", "1", "-s", str(size_bytes - 28), "10.2.0.1"]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def test_the_whole_stack_of_headers_is_on_the_wire(tunnelled: tuple[Kind, Running]) -> None:
    """An echo request crosses the wire with exactly the tunnel's headers and the planned labels."""
    kind, running = tunnelled
    ports = running.lab.links[0].ports
    with running.namespaces["pe2"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as listening:
        listening.bind((ports[1].name, 3))
        listening.settimeout(30)
        assert _ping(running, 100) == 0
        frames = (layers(listening.recv(2048)) for _ in range(20))
        seen = next(each for each in frames if each[-2:] == ("ipv4 10.1.0.1 > 10.2.0.1", "icmp"))
    label = running.trace("h1", "h2").request[1].labels_out[0]
    assert seen == ("ethernet", _outer(kind.under), *kind.worn, f"mpls {label}", "ipv4 10.1.0.1 > 10.2.0.1", "icmp")


def test_what_fits_is_what_was_computed(tunnelled: tuple[Kind, Running]) -> None:
    """The device has the computed MTU, and of that a label takes four bytes: a packet of the rest passes, one four
    bytes larger does not."""
    kind, running = tunnelled
    assert [port.mtu_bytes for port in running.lab.links[1].ports] == [kind.mtu_bytes] * 2
    assert _ping(running, kind.mtu_bytes - 4) == 0
    assert _ping(running, kind.mtu_bytes, 1) != 0


def test_nothing_is_lost_on_the_way_and_nothing_drifts(tunnelled: tuple[Kind, Running]) -> None:
    """Reachability, labels through the tunnel, path MTU and records: all as planned; a second apply writes nothing."""
    _, running = tunnelled
    report = check(running.lab, running.records, running.namespaces)
    assert report.ok, report.text()
    assert [hop.out_port for hop in running.trace("h1", "h2").request][1] == "tunnel"
    for node, records in running.records.items():
        assert apply(records, running.namespaces[node], node) == Difference()


def test_a_wire_that_carries_less_is_found_by_its_hop(tunnelled: tuple[Kind, Running]) -> None:
    """Somebody makes the wire narrower by four bytes: the check says which router's packets do not fit any more."""
    _, running = tunnelled
    wire = running.lab.links[0].a
    running.ip("pe1", "link", "set", wire.name, "mtu", "1496")
    try:
        report = check(running.lab, running.records, running.namespaces)
        wrong = [each for each in report.findings if not each.ok and each.kind == "mtu"]
        assert wrong and all(each.node == "pe1" for each in wrong), report.text()
    finally:
        apply(running.records["pe1"], running.namespaces["pe1"], "pe1")


def test_tunnels_over_a_network_of_several_hops() -> None:
    """Tunnels run between loopbacks, or addresses beyond a router that knows nothing of labels; their own packets are
    never routed into a tunnel, and customers' packets take the tunnel with the fewest hops."""
    nodes: dict[str, object] = {f"pe{n}": {"role": "pe", "vrfs": ["red"]} for n in (1, 2, 3)}
    nodes |= {"p": "p", "isp": "ce", **{f"h{n}": "host" for n in (1, 2, 3)}}
    links: list[object] = [
        *([f"pe{n}", "p"] for n in (1, 2)),
        *([{f"pe{n}": f"10.8.{n}.1/24"}, {"isp": f"10.8.{n}.254/24"}] for n in (1, 3)),
        {"a": "pe1", "b": "pe2", "type": "gre"},
        {"a": "pe1", "b": "pe3", "type": "gretap", "over": ["10.8.1.1", "10.8.3.1"]},
        *([{"node": f"pe{n}", "vrf": "red"}, f"h{n}"] for n in (1, 2, 3)),
    ]
    with running_lab(from_data({"nodes": nodes, "links": links})) as running:
        report = check(running.lab, running.records, running.namespaces)
        assert report.ok, report.text()
        assert [hop.node for hop in running.trace("h2", "h3").request] == ["h2", "pe2", "pe1", "pe3", "h3"]
        loopback = running.lab.node("pe2").loopbacks[0].split("/")[0]
        assert [hop.node for hop in running.trace("pe1", loopback).request] == ["pe1", "p", "pe2"]


def test_impaired_links_delay_and_lose_packets() -> None:
    """What is sent by a port with a delay takes that long, by one with a loss of all is gone; tunnels and wires alike,
    each end for itself or both by the link."""
    nodes = {"a": "host", "r": "ce", "b": "host"}
    links: list[object] = [
        {"a": {"a": "10.1.0.1/24"}, "b": {"r": "10.1.0.2/24"}, "delay": "40ms", "name": "w"},
        {"a": {"node": "a", "ip": "10.2.0.1/24"}, "b": {"node": "r", "ip": "10.2.0.2/24", "loss": "100%"}},
        {"a": {"node": "a", "ip": "10.3.0.1/24"}, "b": {"node": "r", "ip": "10.3.0.2/24"}, "type": "gre", "over": "w",
         "delay": "30ms"},
        {"a": {"r": "10.4.0.1/24"}, "b": {"node": "b", "ip": "10.4.0.2/24"}, "bw": 8, "max_queue_size": 9},
    ]  # fmt: skip

    def ping(target: str, below_ms: float = 0.0) -> float:
        """The shortest round trip in ms, -1 for none; asked for until it is below that: the machine may be busy."""
        shortest = float("inf")
        with running.namespaces["a"].entered():
            for _ in range(30 if below_ms else 1):
                command = ["ping", "-c", "2", "-i", "0.2", "-W", "1", target]
                said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
                if "rtt" in said:
                    shortest = min(shortest, float(said.rpartition("= ")[2].split("/")[0]))
                if shortest < below_ms:
                    break
        return shortest if shortest < float("inf") else -1

    with running_lab(from_data({"nodes": nodes, "links": links})) as running:
        assert 80 <= ping("10.1.0.2", 140) < 140
        assert ping("10.2.0.2") == -1
        assert 140 <= ping("10.3.0.2", 220) < 220
        for node, records in running.records.items():
            assert apply(records, running.namespaces[node], node) == Difference()


def test_the_far_end_of_a_lan_keeps_its_carrier() -> None:
    """Behind a bridge a port that goes down is not noticed by its neighbour; at the other end of a wire it is."""
    nodes = {"a": "host", "b": "host", "lan": "bridge"}
    links = [["a", "lan"], ["b", "lan"], {"a": {"a": {"port": "wire"}}, "b": {"b": {"port": "wire"}}}]
    with running_lab(from_data({"nodes": nodes, "links": links})) as running:
        for port in (running.lab.links[0].a.name, "wire"):
            running.ip("a", "link", "set", port, "down")
        with running.namespaces["b"].entered():
            command = ["ip", "-br", "link", "show", "up"]
            rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        states = {row.split("@")[0].split()[0]: row.split()[1] for row in rows}
        assert (states[running.lab.links[1].a.name], states["wire"]) == ("UP", "LOWERLAYERDOWN")


def test_planned_addresses_of_both_ip_versions() -> None:
    """``versions`` says of which IP versions a link's addresses are planned: a /31 and a /127 between two routers
    (RFC 3021, RFC 6164), IPv6 alone beneath a tunnel, a /64 on a LAN; everybody answers in each."""
    nodes: dict[str, object] = {f"pe{n}": {"role": "pe", "vrfs": ["red"]} for n in (1, 2)}
    nodes |= {"lan": "bridge", **{f"h{n}": "host" for n in (1, 2, 3)}}
    links: list[object] = [
        {"a": "pe1", "b": "pe2", "name": "wire", "versions": 6},
        {"a": "pe1", "b": "pe2", "type": "ip6gre", "over": "wire", "versions": [4, 6]},
        {"a": {"pe1": {"vrf": "red"}}, "b": "h1", "versions": [4, 6]},
        {"a": {"pe2": {"vrf": "red"}}, "b": "lan", "versions": [4, 6]},
        *({"a": h, "b": "lan", "versions": [4, 6]} for h in ("h2", "h3")),
    ]
    with running_lab(from_data({"nodes": nodes, "links": links})) as running:
        ends = [[port.addresses for port in link.ports] for link in running.lab.links]
        assert ends[0] == [("fd00:254:0:1::/127",), ("fd00:254:0:1::1/127",)]
        assert ends[1] == [("10.254.0.0/31", "fd00:254:0:2::/127"), ("10.254.0.1/31", "fd00:254:0:2::1/127")]
        assert [cidr.split("/")[1] for end in ends[2:] for cidr in end[0] or ()] == ["31", "127", *["29", "64"] * 3]
        report = check(running.lab, running.records, running.namespaces)
        assert report.ok, report.text()
        assert running.trace("h1", str(ends[4][0][1]).split("/")[0]).answered  # type: ignore[index]


def test_routes_by_a_tunnel_alone_and_a_stack_of_eight() -> None:
    """A tunnel without Ethernet inside needs no next hop: routes by its port reach what is behind its other end, which
    takes off all of eight labels, and the check knows that."""
    stack = list(range(101, 109))
    taken = [{"label": label, "port": "lo"} for label in (*stack, 300)]
    nodes: dict[str, object] = {
        "a": {"role": "p", "routes": [{"dst": "10.2.0.0/24", "port": "g", "labels": stack}, *taken]},
        "b": {"role": "p", "routes": [{"dst": "10.1.0.0/24", "port": "g", "labels": 300}, *taken]},
        "h1": "host", "h2": "host",
    }  # fmt: skip
    links: list[object] = [
        {"a": "a", "b": "b", "name": "wire"},
        {"a": {"a": {"port": "g"}}, "b": {"b": {"port": "g"}}, "type": "gre", "over": "wire"},
        [{"a": "10.1.0.254/24"}, {"h1": "10.1.0.1/24"}],
        [{"b": "10.2.0.254/24"}, {"h2": "10.2.0.1/24"}],
    ]
    with running_lab(from_data({"nodes": nodes, "links": links})) as running:
        report = check(running.lab, running.records, running.namespaces)
        assert report.ok, report.text()
        seen = running.trace("h1", "h2")
        assert seen.ok and seen.request[1].labels_out == tuple(stack) and seen.reply[1].labels_out == (300,)


def test_customers_own_tunnels_bend_nothing_of_the_vpn() -> None:
    """Two CEs in one VPN have a tunnel of their own through it: the PEs' routes are what they are without, their sites
    reach each other by the tunnel, the third site both of them by the VPN. A CE that is joined to its VRF by a tunnel
    has its default gateway there, not at the wire beneath; a branch whose one way into the VPN is a tunnel to another
    site's CE is found behind that."""
    sites = range(1, 6)
    nodes: dict[str, object] = {f"pe{n}": {"role": "pe", "vrfs": ["red"]} for n in (1, 2, 3)}
    nodes |= {"p": "p", **{f"ce{n}": "ce" for n in sites}, **{f"h{n}": "host" for n in sites}}
    links: list[object] = [
        *([f"pe{n}", "p"] for n in (1, 2, 3)),
        *([{f"ce{n}": f"10.{n}.0.254/24"}, {f"h{n}": f"10.{n}.0.1/24"}] for n in sites),
        *([{"node": f"pe{n}", "vrf": "red", "ip": f"10.0.{n}.1/24"}, {f"ce{n}": f"10.0.{n}.2/24"}] for n in (1, 2, 3)),
        [{"pe3": "10.0.4.1/24"}, {"ce4": "10.0.4.2/24"}],
        {"a": {"node": "pe3", "vrf": "red"}, "b": "ce4", "type": "gre", "over": ["10.0.4.1", "10.0.4.2"]},
        [{"ce1": "10.0.5.1/24"}, {"ce5": "10.0.5.2/24"}],
        {"a": "ce1", "b": "ce5", "type": "gre", "over": ["10.0.5.1", "10.0.5.2"]},
    ]
    own = {"a": {"ce1": "10.0.9.1/24"}, "b": {"ce2": "10.0.9.2/24"}, "type": "gre", "over": ["10.0.1.2", "10.0.2.2"]}
    without = plan_records(complete(from_data({"nodes": nodes, "links": links})))
    with running_lab(from_data({"nodes": nodes, "links": [*links, own]})) as running:
        for name in ("pe1", "pe2", "pe3", "p", "ce3", "ce4"):
            assert running.records[name] == without[name], name
        report = check(running.lab, running.records, running.namespaces)
        assert report.ok, report.text()
        assert [hop.node for hop in running.trace("h1", "h2").request] == ["h1", "ce1", "ce2", "h2"]
        assert [hop.node for hop in running.trace("h3", "h2").request] == ["h3", "ce3", "pe3", "p", "pe2", "ce2", "h2"]
        assert [hop.node for hop in running.trace("h4", "h5").request][:3] == ["h4", "ce4", "pe3"]
        assert running.trace("h4", "h5").answered and running.trace("h2", "h5").answered


_VRF = {"role": "pe", "vrfs": ["red"]}
_BYPASS = {
    "nodes": {
        "pe1": _VRF, "m": "p", "pe2": _VRF, "h1": "host", "h2": "host",
        "x": {"role": "p", "loopback": ["10.255.6.1/32", "10.255.7.1/32"]},
        "y": {"role": "p", "loopback": ["10.255.6.2/32", "10.255.7.2/32"]},
    },
    "links": [
        ["pe1", "x"], ["x", "m"], ["m", "y"], ["y", "pe2"],
        {"a": "x", "b": "y", "type": "gre", "over": ["10.255.7.1", "10.255.7.2"]},
        [{"node": "pe1", "vrf": "red"}, "h1"], [{"node": "pe2", "vrf": "red"}, "h2"],
    ],
    "lsps": [
        {"path": ["x", "m", "y"], "labels": [900, 901], "fec": "10.255.7.2/32"},
        {"path": ["y", "m", "x"], "labels": [902, 903], "fec": "10.255.7.1/32"},
    ],
}  # fmt: skip
_BACKDOOR = {
    "nodes": {
        "pe1": _VRF, "p": "p", "pe2": _VRF, "ce1": {"role": "ce", "loopback": "172.31.0.1/32"},
        "ce2": {"role": "ce", "loopback": "172.31.0.2/32"}, "h1": "host", "h2": "host",
    },
    "links": [
        {"a": "pe1", "b": "p", "mtu": 1500}, {"a": "pe2", "b": "p", "mtu": 1500},
        [{"node": "pe1", "vrf": "red", "ip": "10.1.0.1/30"}, {"ce1": "10.1.0.2/30"}],
        [{"node": "pe2", "vrf": "red", "ip": "10.2.0.1/30"}, {"ce2": "10.2.0.2/30"}],
        {"a": "ce1", "b": "ce2", "type": "vxlan", "vni": 3, "over": ["172.31.0.1", "172.31.0.2"]},
        ["h1", "ce1"], ["h2", "ce2"],
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "size"),
    [(_BYPASS, 1500 + 8 - 4 - 24 - 8), (_BACKDOOR, 1500 - 8 - 50)],
    ids=["over an LSP", "over a VPN"],
)
def test_a_tunnel_leaves_room_for_the_labels_of_what_carries_it(tree: dict[str, object], size: int) -> None:
    """Its own packets get labels on their way, from an LSP to its end or a VPN between its two: what was computed
    passes, and not a byte more."""
    with running_lab(from_data(tree)) as running:
        report = check(running.lab, running.records, running.namespaces)
    assert report.ok, report.text()
    assert {one.detail.bytes for one in report.of("mtu") if isinstance(one.detail, PathMtu)} == {size}
