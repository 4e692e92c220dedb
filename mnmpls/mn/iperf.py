"""iperf between two nodes of a lab: both ends' figures, or the reason why there are none."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..checks import intent, trace
from ..errors import CheckFailed
from ..model import DEFAULT_MTU_BYTES
from .graph import Planned, plan_around

_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp (include/net/tcp_states.h)
_IPERF_BYTES = 1470  # iperf's own payload of a datagram
_HEADER_BYTES = 28  # IPv4 and UDP
_FIGURE = re.compile(r"[\d.]+ \w+/sec")


def measure(client: Any, server: Any, options: list[str], sending: list[str], seconds: float, port: int) -> list[str]:
    """[server's, client's] bandwidth. ``options`` are for both ends, ``sending`` for the client's. Raises CheckFailed
    when the lab keeps the two apart, and when nothing could be measured."""
    udp = "-u" in options
    if hasattr(client, "role") and hasattr(server, "role"):
        plan = plan_around(client)
        _refuse_isolated(plan, client, server)
        sending = [*sending, *(["-l", str(_datagram_bytes(plan, client.name, server.name))] if udp else [])]
    common = ["iperf", "-p", str(port), *options]
    listener = server.popen([*common, "-s"], text=True)
    try:
        _wait_listening(listener.pid, port, udp)
        run = client.popen([*common, "-t", str(seconds), "-c", server.IP(), *sending], text=True)
        sent = _bandwidth(_output_of(run, seconds + 60))
        received = _bandwidth(_read_figure(listener))
    finally:
        listener.send_signal(signal.SIGINT)
        _output_of(listener, 5)
    return [received, sent]


def _refuse_isolated(plan: Planned, client: Any, server: Any) -> None:
    """Raises CheckFailed for two nodes that are not to reach each other: nothing could be measured, or another node
    that has the same address would answer."""
    if server.name not in plan.nodes:
        raise CheckFailed(f"iperf: {client} and {server} are not connected")
    if not server.IP():
        raise CheckFailed(f"iperf: {server} has no address")
    expected = intent.intended(plan.lab).get((client.name, server.name))
    if expected and expected.one_way:
        raise CheckFailed(f"iperf: packets of {client} reach {expected.taker}, which has no way back to {client}")
    if expected and not expected.reaches:
        owner = "its own" if expected.answer == client.name else f"{expected.answer}'s"
        instead = f"; for {client}, {server.IP()} is {owner} address" if expected.answer else ""
        raise CheckFailed(f"iperf: {client} is not meant to reach {server}, which is in another VPN{instead}")


def _datagram_bytes(plan: Planned, client: str, server: str) -> int:
    """As much as fits into every link of the way beside its labels, or iperf's usual size if that does. Larger ones
    start with one dropped for path MTU discovery (RFC 3032 3.5), and the server must see the first one."""
    mtus = {(port.node, port.name): port.mtu_bytes for link in plan.lab.links for port in link.ports}
    hops = trace.predict(plan.lab, plan.records, client, server)
    room = [(mtus.get((hop.node, hop.out_port)) or DEFAULT_MTU_BYTES) - 4 * len(hop.labels_out) for hop in hops]
    return min(_IPERF_BYTES, *(bytes_free - _HEADER_BYTES for bytes_free in room))


def _wait_listening(pid: int, port: int, udp: bool, limit_s: float = 30) -> None:
    """Until the process's network namespace shows a socket on ``port``. Raises CheckFailed after ``limit_s``."""
    tables = [Path(f"/proc/{pid}/net/{kind}") for kind in (("udp", "udp6") if udp else ("tcp", "tcp6"))]
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        rows = [row.split() for table in tables for row in _lines(table)[1:]]
        if any(row[1].endswith(f":{port:04X}") and (udp or row[3] == _LISTEN) for row in rows):
            return
        time.sleep(0.02)
    raise CheckFailed(f"iperf: the server did not open port {port} within {limit_s:.0f} s")


def _lines(table: Path) -> list[str]:
    with suppress(OSError):  # the process may end while it is looked at; and not every kernel has IPv6
        return table.read_text().splitlines()
    return []


def _read_figure(server: subprocess.Popen[str], limit_s: float = 15) -> str:
    """What the server says until its figures are there, which for UDP is after the client's end. SIGINT before that
    ends it without any."""
    assert server.stdout
    heard, until = "", time.monotonic() + limit_s
    while not _FIGURE.search(heard) and time.monotonic() < until:
        if select.select([server.stdout], [], [], until - time.monotonic())[0]:
            more = os.read(server.stdout.fileno(), 65536).decode()
            if not more:
                break
            heard += more
    return heard


def _output_of(process: subprocess.Popen[str], limit_s: float) -> str:
    """Both streams, as the reason for a failure is on the second."""
    try:
        return "".join(process.communicate(timeout=limit_s))
    except subprocess.TimeoutExpired:
        process.kill()
        return "".join(process.communicate())


def _bandwidth(text: str) -> str:
    found = _FIGURE.findall(text)
    if not found:
        raise CheckFailed("iperf measured nothing; it said:\n" + text)
    return str(found[-1])
