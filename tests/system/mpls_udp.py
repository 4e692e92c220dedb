"""Run as root of a guest: the lab of MPLS in UDP, and what of it is seen, as one JSON object."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from pathlib import Path

from mnmpls.apply import apply
from mnmpls.checks import check
from mnmpls.checks.layers import layers
from mnmpls.commands import command
from mnmpls.sources import load
from mnmpls.state import Tunnel, UdpPort
from tests.kernel.running import Running, running_lab

LAB = Path(__file__).resolve().parents[2] / "topos" / "mpls_udp.yml"


def ping(running: Running, size_bytes: int) -> int:
    with running.namespaces["h1"].entered():
        words = ["ping", "-q", "-M", "do", "-W", "2", "-c", "1", "-s", str(size_bytes - 28), "192.168.2.1"]
        return subprocess.run(words, capture_output=True, check=False).returncode


def frames(running: Running) -> tuple[list[tuple[str, ...]], list[int]]:
    """What a ping is between the two, and the UDP source ports."""
    port = running.lab.links[1].a.name
    with running.namespaces["pe2"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as one:
        one.bind((port, 3))
        one.settimeout(1)
        ping(running, 100)
        found = []
        try:
            while True:
                found.append(one.recv(2048))
        except TimeoutError:
            echoes = [each for each in found if layers(each)[-1] == "icmp"]
            return [layers(each) for each in echoes], [int.from_bytes(each[34:36], "big") for each in echoes]


def by_hand(running: Running) -> list[str]:
    """What is typed in the place of the records is the records; what is spoiled is put right."""
    namespace, wrong = running.namespaces["pe1"], []
    ours = [each for each in running.records["pe1"] if isinstance(each, UdpPort | Tunnel)]
    with namespace.entered():
        for line in ("ip fou del port 6635", f"ip link del {running.lab.links[2].a.name}"):
            subprocess.run(shlex.split(line), check=True)
        for each in ours:
            subprocess.run(command(each), check=True)
    wrong += [str(each) for each in ours if each not in namespace.observe()]
    with namespace.entered():
        subprocess.run(["ip", "fou", "del", "port", "6635"], check=True)
    done = apply(running.records["pe1"], namespace, "pe1").write
    wrong += [] if {each for each in ours if isinstance(each, UdpPort)} <= {*done} else ["the port was not missed"]
    wrong += [str(each) for each in apply(running.records["pe1"], namespace, "pe1").write]
    namespace.remove(*(each for each in ours if isinstance(each, UdpPort)))
    wrong += [str(each) for each in namespace.observe() if isinstance(each, UdpPort)]
    return wrong


with running_lab(load(str(LAB))) as lab:
    report = check(lab.lab, lab.records, lab.namespaces)
    mtu = lab.lab.links[2].a.mtu_bytes or 0
    fits = [ping(lab, mtu - 4), ping(lab, mtu)]
    written = [apply(found, lab.namespaces[node], node).write for node, found in lab.records.items()]
    again = [str(each) for one in written for each in one]
    stacks, sources = frames(lab)
    seen = {"ok": report.ok, "report": report.text(), "mtu": mtu, "fits": fits, "again": again, "by_hand": by_hand(lab)}
    json.dump({**seen, "stacks": stacks, "sources": sources}, sys.stdout)
