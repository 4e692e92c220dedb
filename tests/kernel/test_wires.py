"""Links that labels cross without a tunnel, and tunnels in tunnels: what is on the wire, and what fits."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from mnmpls.apply import Difference, apply
from mnmpls.checks import check
from mnmpls.checks.layers import layers
from mnmpls.sources import from_data
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel


@dataclass(frozen=True)
class Kind:
    """Links between two provider edges, what is between Ethernet's header and the label there, and the MTU that was
    computed for what the label is on."""

    name: str
    links: tuple[object, ...]
    worn: tuple[str, ...]
    mtu_bytes: int


WIRE = {"a": {"pe1": "10.9.0.1/30"}, "b": {"pe2": "10.9.0.2/30"}, "name": "wire", "mtu": 1500}
INNER = {"a": {"pe1": "10.8.0.1/30"}, "b": {"pe2": "10.8.0.2/30"}, "name": "inner", "type": "gre", "over": "wire"}
OUTERMOST, INNERMOST = "ipv4 10.9.0.1 > 10.9.0.2", "ipv4 10.8.0.1 > 10.8.0.2"
KINDS = [
    Kind("veth", (["pe1", "pe2"],), (), 1508),
    Kind("lan", (["pe1", "lan"], ["pe2", "lan"]), (), 1508),
    Kind("unnumbered", ({"a": "pe1", "b": "pe2", "unnumbered": True},), (), 1508),
    Kind(
        "vxlan-in-gre",
        (WIRE, INNER, {"a": "pe1", "b": "pe2", "type": "vxlan", "vni": 5, "over": "inner"}),
        (OUTERMOST, "gre", INNERMOST, "udp 4789", "vxlan 5", "ethernet"),
        1426,
    ),
]


@pytest.fixture(scope="module", params=KINDS, ids=[kind.name for kind in KINDS])
def linked(request: pytest.FixtureRequest) -> Iterator[tuple[Kind, Running]]:
    """Two customers' hosts at wires that are wider than all between their provider edges."""
    kind = request.param
    nodes = {name: {"role": "pe", "vrfs": ["red"]} for name in ("pe1", "pe2")} | {"h1": "host", "h2": "host"}
    ends = ({"a": {f"pe{n}": {"vrf": "red", "ip": f"10.{n}.0.254/24"}}, "b": {f"h{n}": f"10.{n}.0.1/24"}, "mtu": 9000}
            for n in (1, 2))  # fmt: skip
    lan = {"lan": "bridge"} if kind.name == "lan" else {}
    with running_lab(from_data({"nodes": nodes | lan, "links": [*kind.links, *ends]})) as running:
        yield kind, running


def _ping(running: Running, size_bytes: int, wait_s: int = 10) -> int:
    """The exit status of a ping from h1 to h2 with IP packets of that size, never fragmented."""
    with running.namespaces["h1"].entered():
        command = ["ping", "-q", "-M", "do", "-W", str(wait_s), "-c", "1", "-s", str(size_bytes - 28), "10.2.0.1"]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def _at_pe2(running: Running) -> str:
    """Its port that all comes in by."""
    return next(port.name for link in running.lab.links for port in link.ports if port.node == "pe2" and link.is_wire)


def test_the_whole_stack_of_headers_is_on_the_wire(linked: tuple[Kind, Running]) -> None:
    """An echo request arrives with what its links put on it, the planned label, and nothing else."""
    kind, running = linked
    with running.namespaces["pe2"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as listening:
        listening.bind((_at_pe2(running), 3))
        listening.settimeout(30)
        assert _ping(running, 100) == 0
        frames = (layers(listening.recv(2048)) for _ in range(20))
        end = ("ipv4 10.1.0.1 > 10.2.0.1", "icmp")
        seen = next(each for each in frames if each[-2:] == end)
    (label,) = next(hop for hop in running.trace("h1", "h2").request if hop.node == "pe1").labels_out
    assert seen == ("ethernet", *kind.worn, f"mpls {label}", *end)


def test_what_fits_is_what_was_computed(linked: tuple[Kind, Running]) -> None:
    """A packet of the computed MTU less its label passes, one four bytes larger does not; the check holds, and a second
    apply writes nothing."""
    kind, running = linked
    core = [port for link in running.lab.links for port in link.ports if port.vrf is None and port.node == "pe1"]
    assert core[-1].mtu_bytes == kind.mtu_bytes
    assert _ping(running, kind.mtu_bytes - 4) == 0
    assert _ping(running, kind.mtu_bytes, 1) != 0
    report = check(running.lab, running.records, running.namespaces)
    assert report.ok, report.text()
    for node, records in running.records.items():
        assert apply(records, running.namespaces[node], node) == Difference()


def test_a_link_that_carries_less_is_found_by_its_hop(linked: tuple[Kind, Running]) -> None:
    """Four bytes less at pe1's end, and the check says that it is pe1 whose packets do not fit any more."""
    _, running = linked
    port = next(port for link in running.lab.links for port in link.ports if port.node == "pe1" and link.is_wire)
    running.ip("pe1", "link", "set", port.name, "mtu", str((port.mtu_bytes or 0) - 4))
    try:
        report = check(running.lab, running.records, running.namespaces)
        wrong = [each for each in report.findings if not each.ok and each.kind == "mtu"]
        assert wrong and all(each.node == "pe1" for each in wrong), report.text()
    finally:
        apply(running.records["pe1"], running.namespaces["pe1"], "pe1")
