"""The labs of the collection with labels in tunnels, captured as their sources show them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mnmpls.apply import Difference, apply
from mnmpls.checks import check
from mnmpls.checks.layers import layers
from mnmpls.sources import load
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel

TOPOS = Path(__file__).resolve().parents[2] / "topos"


def _ping(running: Running, node: str, target: str) -> None:
    """An answered ping: rp_filter and all."""
    with running.namespaces[node].entered():
        subprocess.run(["ping", "-q", "-c", "2", "-i", "0.05", target], check=True, stdout=subprocess.DEVNULL)


def _frames(running: Running, node: str, port: str, target: str) -> Iterator[tuple[str, ...]]:
    """Every kind of frame on the port, both ways, while the node pings ``target``."""
    _ping(running, node, target)  # addresses get resolved
    with ExitStack() as stack:
        one = stack.enter_context(running.namespaces[node].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        one.bind((port, 3))
        one.settimeout(0.3)
        _ping(running, node, target)
        try:
            while True:
                yield layers(one.recv(2048))
        except TimeoutError:
            return


def _echoes(frames: Iterator[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {frame for frame in frames if frame[-1].startswith("icmp") and "mpls" in " ".join(frame)}


def _is_as_planned(running: Running) -> None:
    report = check(running.lab, running.records, running.namespaces)
    assert report.ok, report.text()
    for node, records in running.records.items():
        assert apply(records, running.namespaces[node], node) == Difference()


def test_mpls_gre() -> None:
    """Label 100 from A to B, 101 from B to A, inside GRE from 10.128.0.2 to 10.128.100.2 through a network without
    labels; a trace follows both ways."""
    with running_lab(load(str(TOPOS / "mpls_gre.yml"))) as running:
        assert _echoes(_frames(running, "A", "eth1", "10.199.0.2")) == {
            ("ethernet", "ipv4 10.128.0.2 > 10.128.100.2", "gre", "mpls 100", "ipv4 10.199.0.1 > 10.199.0.2", "icmp"),
            ("ethernet", "ipv4 10.128.100.2 > 10.128.0.2", "gre", "mpls 101", "ipv4 10.199.0.2 > 10.199.0.1", "icmp"),
        }
        seen = running.trace("A", "10.199.0.2")
        assert seen.ok and seen.answered, seen.text()
        assert [(hop.node, hop.operation, hop.labels_out) for hop in (*seen.request, *seen.reply)] == [
            ("A", "push", (100,)), ("B", "deliver", ()), ("B", "push", (101,)), ("A", "deliver", ()),
        ]  # fmt: skip
        _is_as_planned(running)


def test_mpls_in_gre() -> None:
    """The label 100 both ways and in both IP versions, inside GRE between the two neighbours."""
    with running_lab(load(str(TOPOS / "mpls_in_gre.yml"))) as running:
        outer = {f"ipv4 192.168.1.{a} > 192.168.1.{b}": (a, b) for a, b in ((1, 2), (2, 1))}
        assert _echoes(_frames(running, "ha", "veth1", "192.168.100.2")) == {
            ("ethernet", wire, "gre", "mpls 100", f"ipv4 192.168.100.{a} > 192.168.100.{b}", "icmp")
            for wire, (a, b) in outer.items()
        }
        six = {each for each in _echoes(_frames(running, "ha", "veth1", "2100::2")) if "2100::" in each[-2]}
        assert six >= {
            ("ethernet", wire, "gre", "mpls 100", f"ipv6 2100::{a} > 2100::{b}", "icmpv6")
            for wire, (a, b) in outer.items()
        }
        for target in ("192.168.100.2", "2100::2"):
            seen = running.trace("ha", target)
            assert seen.ok and seen.answered, seen.text()
        _is_as_planned(running)


def test_tunnels_of_every_other_type() -> None:
    """One VPN label, and the transport labels around it, in another tunnel at each hop, as the wire beneath shows; a
    dummy at the far end answers."""
    with running_lab(load(str(TOPOS / "tunnels.yml"))) as running:
        _is_as_planned(running)
        ways: dict[tuple[str, str], tuple[str, ...]] = {
            ("pe1", "pe1-a-eth"): ("gre key 7",),
            ("a", "a-b-eth"): ("gre", "ethernet"),
            ("b", "b-c-eth"): ("udp 4789", "vxlan 5", "ethernet"),
            ("c", "c-pe2-eth"): (),
        }
        inner = running.lab.links[8].b
        end = (f"ipv4 {(inner.addresses or ('',))[0].split('/')[0]} > 10.2.0.1", "icmp")
        labels = [hop.labels_out for hop in running.trace("h1", "h2").request[1:5]]
        assert [len(stack) for stack in labels] == [2, 2, 2, 1]
        for ((node, port), worn), stack in zip(ways.items(), labels, strict=True):
            with running.namespaces[node].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as one:
                one.bind((port, 3))
                one.settimeout(30)
                _ping(running, "h1", "10.2.0.1")
                seen = next(each for each in (layers(one.recv(2048)) for _ in range(20)) if each[-2:] == end)
            assert (*seen[:1], *seen[2:]) == ("ethernet", *worn, f"mpls {'/'.join(map(str, stack))}", *end)
        _ping(running, "h1", "10.9.0.1")
