"""A core whose links have no addresses of their own."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mnmpls.apply import Difference, apply
from mnmpls.checks import check
from mnmpls.checks.layers import layers
from mnmpls.model import Lsp
from mnmpls.sources import load
from mnmpls.state import Address, NextHop, Route
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel

TOPO = Path(__file__).resolve().parents[2] / "topos" / "unnumbered.yml"


def _answers(running: Running, node: str, *args: str) -> None:
    with running.namespaces[node].entered():
        subprocess.run(["ping", "-q", "-c", "1", *args], check=True, stdout=subprocess.DEVNULL)


def _requests(running: Running, node: str, port: str, target: str) -> set[tuple[str, ...]]:
    """What arrives on a port of ``node`` with labels while ce1 pings ``target``."""
    with running.namespaces[node].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as one:
        one.bind((port, 3))
        one.settimeout(0.3)
        _answers(running, "ce1", target)
        found = set()
        try:
            while True:
                found.add(layers(one.recv(2048)))
        except TimeoutError:
            return {frame for frame in found if frame[-1].startswith("icmp") and "mpls" in " ".join(frame)}


def test_unnumbered_core() -> None:
    """Over two wires side by side and a GRE tunnel, all unnumbered: everybody answers in both IP versions with labels
    on the wire, and neighbours push labels to each other's loopback though that is the next hop, too. Applying it again
    finds nothing to do, and a route to a neighbour that was taken away comes back."""
    lab = replace(load(str(TOPO)), lsps=(Lsp(ingress="p", egress="pe2"),))
    with running_lab(lab) as running:
        report = check(running.lab, running.records, running.namespaces)
        assert report.ok, report.text()
        near = [each for each in running.records["pe1"] if isinstance(each, Route) and each.dst == "10.255.0.1/32"]
        assert sorted(each.metric for each in near) == [0, 1024, 1025]
        for target in ("10.255.0.3", "10.255.0.1", "fd00::3", "fd00::1"):
            _answers(running, "pe1", target)
        for node, target in (("ce1", "ce2"), ("p", "pe2"), ("pe1", "p")):
            seen = running.trace(node, target)
            assert seen.ok and seen.answered, seen.text()
        assert running.trace("p", "pe2").request[0].labels_out
        vpn = running.trace("ce1", "ce2").request[1].labels_out
        assert len(vpn) == 2
        target = next(str(each.cidr).partition("/")[0] for each in running.records["ce2"]
                      if isinstance(each, Address) and each.port != "lo" and "." in each.cidr)  # fmt: skip
        frames = _requests(running, "pe2", "pe2-p-eth", target)
        heads = {frame[1:4] for frame in frames if frame[-2].endswith(f"> {target}")}
        assert heads == {("ipv4 10.254.0.0 > 10.254.0.1", "gre", f"mpls {vpn[1]}")}, frames
        lost = next(each for each in near if each.metric == 1024)
        assert lost.hops == (NextHop("", "pe1-p-eth"),)
        with running.namespaces["pe1"].entered():
            subprocess.run(["ip", "route", "del", "10.255.0.1", "dev", "pe1-p-eth", "metric", "1024"], check=True)
        assert apply(running.records["pe1"], running.namespaces["pe1"], "pe1") == Difference(write=(lost,))
        for node, records in running.records.items():
            assert apply(records, running.namespaces[node], node) == Difference()
