"""Label operations as captured: the whole stack of every frame, with its TTLs and its bottom-of-stack bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from mnmpls.checks import check
from mnmpls.checks.capture import tap
from mnmpls.checks.trace import Trace, predictions, trace_on
from mnmpls.checks.views import World
from mnmpls.export.plan_text import plan_text
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
    wires = {(port.node, port.name) for link in running.lab.links for port in link.ports}
    found = []
    for one in seen.sightings:
        if one.packet.kind == kind and one.out and (one.node, one.port) in wires:
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


@pytest.fixture(scope="module")
def paths() -> Iterator[Running]:
    with running_lab(load(str(TOPOS / "lsps.yml"))) as lab:
        yield lab


@pytest.mark.parametrize(
    ("dst", "wires", "after"),
    [
        ("h1", [((101, 63),), ((102, 62),), ((103, 61),)], 59),
        ("h2", [((400, 63),), ((16, 62),), ()], 60),
        ("h3", [((111, 63),), ((112, 62),), ((0, 61),)], 59),
        ("h4", [((121, 255),), ((122, 254),), ((123, 253),)], 61),
        ("h5", [((131, 9),), ((132, 8),), ()], 61),
    ],
    ids=["egress", "php-planned", "explicit-null", "pipe", "php-pipe"],
)
def test_paths(paths: Running, dst: str, wires: list[Stack], after: int) -> None:
    """Each label with its TTL on each wire, and the packet's own behind the egress: uniform it has counted every
    router, in a pipe only those where it was seen as an IP packet."""
    found = stacks(paths, "g", dst)
    assert [(node, stack) for node, stack, _ in found] == [
        ("g", ()),
        *zip(("a", "p1", "p2"), wires, strict=True),
        ("z", ()),
    ]
    assert found[-1][2] == after
    list(traced(paths, [("g", dst), (dst, "g")]))


def test_paths_as_told(paths: Running) -> None:
    """trace names explicit null as such, and TTLs where a pipe makes them differ from the packet's; the plan counts
    these paths, and the whole lab holds."""
    null, pipe = traced(paths, [("g", "h3"), ("g", "h4")])
    assert "p2 swap 112 -> 0 (explicit null) > z [0]" in " ".join(null.text().split())
    assert "pop 0 (explicit null)" in null.text()
    assert "p1 swap 121 -> 122 > p2 [122] ttl 254 over 63" in " ".join(pipe.text().split())
    told = plan_text(paths.lab, paths.records)
    assert "z, by way of p1, p2" in told
    report = check(paths.lab, paths.records, paths.namespaces)
    assert report.ok, report.text()


def test_equal_paths_share_the_flows(paths: Running) -> None:
    """Of seven flows into a shortest path some take the one way and some the other (the kernel hashes both addresses);
    each is a way that was predicted, and has the labels of the path."""
    found = list(traced(paths, [("g", f"10.8.6.{n}") for n in range(2, 9)] * 4))
    firsts = {one.request[1].peer for one in found}
    assert firsts == {"p1", "q1"}
    for one in found:
        assert [hop.labels_out for hop in one.request if hop.labels_out] == [(141,), (142,), (143,)]
        (other,) = one.request[1].others
        assert {other, one.request[1].peer} == {"p1", "q1"}


CARRIED = """
ttl: %s
nodes:
  pe1: {role: pe, vrfs: [red], label_range: 1000-1009, sysctls: {net.mpls.default_ttl: 100}}
  p1: p
  p2: {role: p, label_range: 2000-2009}
  pe2: {role: pe, vrfs: [red], label_range: 3000-3009}
  h1: host
  h2: host
links:
  - [pe1, p1]
  - [p1, p2]
  - [p2, pe2]
  - [h1: [10.1.0.2/24], pe1: {ip: [10.1.0.1/24], vrf: red}]
  - [h2: [10.2.0.2/24], pe2: {ip: [10.2.0.1/24], vrf: red}]
lsps:
  - {ingress: pe1, egress: pe2, pop: explicit-null}
  - {ingress: pe2, egress: pe1, pop: %s}
"""


@pytest.mark.parametrize("ttl", ["uniform", "pipe"])
def test_vpns_go_by_the_paths_between_their_routers(tmp_path: Path, ttl: str) -> None:
    """A path to a PE's loopback carries the VPN label beneath its own, that of explicit null included, and labels are
    from the range of the router at which they come in. As a pipe the core's routers are hidden, and labels begin with
    net.mpls.default_ttl."""
    first, after = {"uniform": (63, 62), "pipe": (100, 62)}[ttl]
    with running_lab(lab_of(tmp_path, CARRIED % (ttl, "egress"))) as lab:
        assert stacks(lab, "h1", "h2") == [
            ("h1", (), 64),
            ("pe1", ((16, first), (3000, first)), 63),
            ("p1", ((2000, first - 1), (3000, first)), 63),
            ("p2", ((0, first - 2), (3000, first)), 63),
            ("pe2", (), after),
        ]
        found = list(traced(lab, [("h1", "h2"), ("h2", "h1")]))
        assert "pop 0 (explicit null) 3000 into red" in found[0].text()
        assert "[2001 1001]" in found[1].text()
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()


def test_ipv6_over_an_ipv4_core() -> None:
    """topos/6vpe.yml: the labels are those of IPv4, the core has no subnet of IPv6, and every router's count is in the
    hop limit that is left."""
    with running_lab(load(str(TOPOS / "6vpe.yml"))) as lab:
        assert stacks(lab, "h1", "h2") == [
            ("h1", (), 64),
            ("ce1", (), 63),
            ("pe1", ((17, 62), (1001, 62)), 62),
            ("p", ((1001, 62),), 62),
            ("pe2", (), 61),
            ("ce2", (), 60),
        ]
        core = [cidr for link in lab.lab.links[:2] for port in link.ports for cidr in port.addresses or ()]
        assert [cidr for cidr in core if ":" in cidr] == ["fe80::1/64", "fe80::2/64"] * 2
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()


SIXES = """
nodes:
  a: {role: pe, loopback: "fd00:ff::1/128"}
  p: {role: p, loopback: "fd00:ff::2/128"}
  z: {role: pe, loopback: "fd00:ff::3/128", vrfs: [red]}
  b: {role: pe, loopback: "fd00:ff::4/128", vrfs: [red]}
  g: {role: host, sysctls: {net.ipv4.ip_default_ttl: 40, net.ipv6.conf.g-a-eth.hop_limit: 50}}
  h: host
  x: host
  y: host
links:
  - [a: "fd00:0:0:1::1/64", p: "fd00:0:0:1::2/64"]
  - [p: "fd00:0:0:2::1/64", z: "fd00:0:0:2::2/64"]
  - [b: "fd00:0:0:3::1/64", p: "fd00:0:0:3::2/64"]
  - [g: [10.7.0.2/24, "fd07::2/64"], a: [10.7.0.1/24, "fd07::1/64"]]
  - [h: [10.8.0.2/24, "fd08::2/64"], z: [10.8.0.1/24, "fd08::1/64"]]
  - [x: 10.1.0.2/24, z: {ip: 10.1.0.1/24, vrf: red}]
  - [y: 10.2.0.2/24, b: {ip: 10.2.0.1/24, vrf: red}]
lsps:
  - {ingress: a, egress: z, labels: 100, fec: 10.8.0.0/24, pop: explicit-null}
  - {ingress: z, egress: a, labels: 101, fec: 10.7.0.0/24, pop: php}
  - {ingress: a, egress: z, labels: 102, fec: "fd08::/64", pop: explicit-null}
  - {ingress: z, egress: a, labels: 103, fec: "fd07::/64", pop: php}
"""


def test_ipv4_over_an_ipv6_core(tmp_path: Path) -> None:
    """MPLS goes over next hops of IPv6 only, and carries IPv4 and IPv6, in VRFs and outside; explicit null is 0 for the
    one and 2 for the other, and the router before the last pops for either."""
    with running_lab(lab_of(tmp_path, SIXES)) as lab:
        assert stacks(lab, "g", "10.8.0.2")[1:] == [("a", ((100, 39),), 39), ("p", ((0, 38),), 39), ("z", (), 36)]
        assert stacks(lab, "g", "fd08::2")[1:] == [("a", ((102, 49),), 49), ("p", ((2, 48),), 49), ("z", (), 46)]
        assert stacks(lab, "h", "10.7.0.2")[1:] == [("z", ((101, 63),), 63), ("p", (), 62), ("a", (), 61)]
        assert stacks(lab, "h", "fd07::2")[1:] == [("z", ((103, 63),), 63), ("p", (), 62), ("a", (), 61)]
        assert stacks(lab, "x", "y")[1:] == [("z", ((17, 63), (1001, 63)), 63), ("p", ((1001, 63),), 63), ("b", (), 62)]
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()


TRANSIT = """
nodes:
  a: {role: pe, loopback: 10.0.0.1/32}
  m: p
  p: p
  q: p
  z: {role: pe, loopback: [%s]}
links:
  - [a, m]
  - [m, p]
  - [m, q]
  - [p, z]
  - [q, z]
lsps:
  - {ingress: a, egress: z, labels: [100, 101, 102]}
  - {ingress: a, egress: z, labels: [110, 111, 112], fec: 10.9.1.0/24, ttl: 2}
"""


def test_a_router_in_the_middle_shares_the_flows_too(tmp_path: Path) -> None:
    """Where label routes have two ways, a label's packets take both: the kernel hashes what is under it
    (mpls_multipath_hash in net/mpls/af_mpls.c). A TTL that is too small for the path ends on the way, as predicted."""
    loopbacks = [f"10.0.9.{n}" for n in range(1, 17)]
    with running_lab(lab_of(tmp_path, TRANSIT % ", ".join(f"{address}/32" for address in loopbacks))) as lab:
        found = list(traced(lab, [("a", address) for address in loopbacks]))
        assert {one.request[1].peer for one in found} == {"p", "q"}
        assert {one.request[1].others for one in found} == {("p",), ("q",)}
        short = lab.trace("a", "10.9.1.1")
        assert short.ok and not short.answered, short.text()
        assert [hop.label_ttls for hop in short.request if hop.labels_out] == [(2,), (1,)]
        ways = predictions(lab.lab, lab.records, "a", "10.9.1.1")
        assert {one[-1].reason for one in ways} == {"the TTL of label 111 ran out"}


INTO_VRFS = """
nodes:
  pe1: {role: pe, vrfs: [red]}
  p: p
  pe2: {role: pe, vrfs: [red]}
  h1: host
  h2: host
links:
  - [pe1, p]
  - [p, pe2]
  - [h1: 10.1.0.2/24, pe1: {ip: 10.1.0.1/24, vrf: red}]
  - [h2: 10.2.0.2/24, pe2: {ip: 10.2.0.1/24, vrf: red}]
lsps:
  - {path: [pe1, p, pe2], vrf: red, ttl: pipe}
  - {ingress: pe2, egress: pe1, vrf: red, ttl: 40}
"""


def test_paths_into_a_vrf_with_planned_labels_as_pipes(tmp_path: Path) -> None:
    """One label from end to end, without a VPN label beneath it; the core's router does not count."""
    with running_lab(lab_of(tmp_path, INTO_VRFS)) as lab:
        assert stacks(lab, "h1", "h2")[1:] == [("pe1", ((16, 255),), 63), ("p", ((16, 254),), 63), ("pe2", (), 62)]
        assert stacks(lab, "h2", "h1")[1:] == [("pe2", ((17, 40),), 63), ("p", ((17, 39),), 63), ("pe1", (), 62)]
        report = check(lab.lab, lab.records, lab.namespaces)
        assert report.ok, report.text()
