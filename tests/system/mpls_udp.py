"""Run as root of a guest: the lab of MPLS in UDP, over IPv4 and over IPv6, and what of each is seen, as JSON."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnmpls.apply import apply
from mnmpls.checks import check
from mnmpls.checks.layers import layers
from mnmpls.commands import command
from mnmpls.guests import host
from mnmpls.model import Lab
from mnmpls.sources import data, from_data, load
from mnmpls.state import Tunnel, UdpPort
from tests.kernel.running import Running, running_lab

LAB = Path(__file__).resolve().parents[2] / "topos" / "mpls_udp.yml"
FLOWS = 16
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def ping(running: Running, size_bytes: int) -> int:
    with running.namespaces["h1"].entered():
        words = ["ping", "-q", "-M", "do", "-W", "2", "-c", "1", "-s", str(size_bytes - 28), "192.168.2.1"]
        return subprocess.run(words, capture_output=True, check=False).returncode


def frames(running: Running, outer_bytes: int) -> tuple[list[tuple[str, ...]], list[int]]:
    """What a ping is between the two, and the UDP source ports."""
    with listening(running) as one:
        ping(running, 100)
        echoes = [each for each in heard(one) if layers(each)[-1] == "icmp"]
    return [layers(each) for each in echoes], [number(each, outer_bytes) for each in echoes]


def listening(running: Running) -> socket.socket:
    """What comes in at the end of the way between the two."""
    one = running.namespaces["pe2"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    one.bind((running.lab.links[1].a.name, 3))
    one.settimeout(1)
    return one


def heard(one: socket.socket) -> Iterator[bytes]:
    try:
        while True:
            yield one.recv(2048)
    except TimeoutError:
        return


def number(frame: bytes, at: int) -> int:
    """A port's number there, after Ethernet's header."""
    return int.from_bytes(frame[14 + at : 16 + at], "big")


def flows(running: Running, outer_bytes: int) -> list[list[int]]:
    """Each flow's source ports of the outer header: of FLOWS, of three packets each, which the network between the two
    can tell apart by those alone (RFC 7510 3)."""
    found: dict[int, list[int]] = {}
    inner = outer_bytes + 8 + 4 + 20  # UDP, a label, IPv4
    with listening(running) as one, running.namespaces["h2"].socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("192.168.2.1", 9))
        senders = []
        for _ in range(FLOWS):
            sender = running.namespaces["h1"].socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.connect(("192.168.2.1", 9))
            senders.append(sender)
        for sender in senders * 3:
            sender.send(b"x")
        for frame in heard(one):
            if layers(frame)[-2:] == ("ipv4 192.168.1.1 > 192.168.2.1", "udp 9"):
                found.setdefault(number(frame, inner), []).append(number(frame, outer_bytes))
        for sender in senders:
            sender.close()
    return list(found.values())


def by_hand(running: Running) -> list[str]:
    """What is typed in the place of the records is the records; what is spoiled is put right."""
    namespace, wrong = running.namespaces["pe1"], []
    six = " -6" if ":" in running.lab.links[2].over[0] else ""
    ours = [each for each in running.records["pe1"] if isinstance(each, UdpPort | Tunnel)]
    with namespace.entered():
        for line in (f"ip fou del port 6635{six}", f"ip link del {running.lab.links[2].a.name}"):
            subprocess.run(shlex.split(line), check=True)
        for each in ours:
            subprocess.run(command(each), check=True)
    wrong += [str(each) for each in ours if each not in namespace.observe()]
    with namespace.entered():
        subprocess.run(shlex.split(f"ip fou del port 6635{six}"), check=True)
    done = apply(running.records["pe1"], namespace, "pe1").write
    wrong += [] if {each for each in ours if isinstance(each, UdpPort)} <= {*done} else ["the port was not missed"]
    wrong += [str(each) for each in apply(running.records["pe1"], namespace, "pe1").write]
    namespace.remove(*(each for each in ours if isinstance(each, UdpPort)))
    wrong += [str(each) for each in namespace.observe() if isinstance(each, UdpPort)]
    return wrong


def narrow(running: Running) -> list[list[str]]:
    """What a check finds when the wire takes four bytes less than the plan thinks: (kind, node)."""
    running.ip("pe1", "link", "set", running.lab.links[0].a.name, "mtu", "1496")
    report = check(running.lab, running.records, running.namespaces)
    apply(running.records["pe1"], running.namespaces["pe1"], "pe1")
    return [[each.kind, each.node] for each in report.findings if not each.ok]


def seen(lab: Lab, outer_bytes: int) -> dict[str, Any]:
    with running_lab(lab) as running:
        report = check(running.lab, running.records, running.namespaces)
        mtu = running.lab.links[2].a.mtu_bytes or 0
        fits = [ping(running, mtu - 4), ping(running, mtu)]
        written = [apply(found, running.namespaces[node], node).write for node, found in running.records.items()]
        again = [str(each) for one in written for each in one]
        stacks, sources = frames(running, outer_bytes)
        told = {"stacks": stacks, "sources": sources, "flows": flows(running, outer_bytes)}
        told |= {"ok": report.ok, "report": report.text(), "mtu": mtu, "fits": fits, "again": again}
        told["narrow"] = narrow(running)
        return {**told, "by_hand": by_hand(running)}


def over_ipv6(lab: Lab) -> Lab:
    """The same between two addresses of IPv6."""
    text = json.dumps(data(lab))
    text = re.sub(r"10\.128\.(\d+)\.(\d)(/24)?", lambda m: f"fd00:{m[1]}::{m[2]}{'/64' if m[3] else ''}", text)
    return from_data(json.loads(text))


def in_a_user_namespace() -> str:
    """What its root, who has all rights in there, is told of this kernel."""
    hear, tell = os.pipe()
    if os.fork() == 0:
        ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNET)
        Path("/proc/self/uid_map").write_text("0 0 1", encoding="ascii")
        os.write(tell, host.describe(host.missing({"fou", "fou6"})).encode())
        os._exit(0)
    os.close(tell)
    with open(hear, encoding="ascii") as said:
        return said.read()


LOADED = load(str(LAB))
FOUND = {"4": seen(LOADED, 20), "6": seen(over_ipv6(LOADED), 40)}
json.dump({**FOUND, "forbidden": in_a_user_namespace()}, sys.stdout)
