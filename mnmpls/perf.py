"""How fast packets go between two nodes, by iperf3, beside chains of as many routers: plain IP, labels, and labels in
each encapsulation. What counts is the ratio: the same kernel carries all of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .checks import pings
from .checks.vpn import END_POINTS
from .errors import CheckFailed, KernelRefused, UsageError, nearest
from .export.table import table
from .model import LINK_TYPES
from .netns import LabNodes, RunningLab
from .node import RunningNode
from .programs import find
from .sources import from_data

_RUNS, _ROUND_TRIPS = 3, 40
"""Of which the median counts."""
_ANSWER_S = 30.0
_UP_S = 20.0
_PORT = "5201"
_IPSEC = ("transport", "tunnel", "udp")


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one way. ``why``: it could not be measured."""

    way: str
    mbit_s: float = 0.0
    rtt_ms: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """``plain`` is what the others are compared with."""

    lab: Speed
    plain: Speed
    others: tuple[Speed, ...]

    def text(self) -> str:
        rows = [_row(one, self.plain) for one in (self.lab, self.plain, *self.others)]
        return table(("way", "TCP Mbit/s", "× plain IP", "round trip ms", "× plain IP"), rows)

    def data(self) -> dict[str, Any]:
        return {"lab": asdict(self.lab), "plain": asdict(self.plain), "others": [asdict(one) for one in self.others]}


def _row(one: Speed, plain: Speed) -> tuple[str, ...]:
    if one.why:
        return one.way, "-", "-", "-", one.why
    ratios = one.mbit_s / plain.mbit_s, one.rtt_ms / plain.rtt_ms
    return one.way, f"{one.mbit_s:.0f}", f"{ratios[0]:.2f}", f"{one.rtt_ms:.3f}", f"{ratios[1]:.2f}"


def measure(lab: LabNodes, src: str, dst: str, seconds: int) -> Iterator[Speed]:
    """First of the running lab, then of plain IP and the other ways, each in a chain of its own of as many routers.
    Raises UsageError for ends that are no two hosts or CEs, CheckFailed where not even the first can be measured."""
    roles = {node.name: node.role for node in lab.lab.nodes}
    for name in (src, dst):
        if roles.get(name) not in END_POINTS:
            known = [each for each, role in roles.items() if role in END_POINTS]
            raise UsageError(f"perf: {name!r} is no host or CE of this lab; {nearest(name, known)}")
    if src == dst:
        raise UsageError(f"perf: {src} is at both ends; give two hosts or CEs")
    if not find("iperf3"):
        raise CheckFailed("perf: there is no program 'iperf3' on PATH; what to do: apt-get install iperf3")
    trace = lab.trace(src, dst)
    if trace.delivered_to != dst:
        raise CheckFailed(f"perf: packets from {src} do not reach {dst}; `mnmpls trace` shows where they end")
    routers = max(2, sum(roles[hop.node] != "bridge" for hop in trace.request) - 2)
    yield _measured(f"{src} -> {dst} in {lab.lab.name}", lab, src, dst, trace.address, seconds)
    for way, data in _chains(routers).items():
        yield _of_chain(way, data, seconds)


def _of_chain(way: str, data: Mapping[str, Any], seconds: int) -> Speed:
    try:
        with RunningLab(from_data(data)) as lab:
            if said := lab.await_reach(_UP_S):
                return Speed(way, why=said.splitlines()[-1].strip())
            return _measured(way, lab, "h1", "h2", "10.2.0.1", seconds)
    except KernelRefused as error:
        return Speed(way, why=error.why)
    except CheckFailed as error:
        return Speed(way, why=str(error).splitlines()[0])


def _measured(way: str, lab: LabNodes, src: str, dst: str, address: str, seconds: int) -> Speed:
    mbit_s = median(_throughput(lab[src], lab[dst], address, seconds) for _ in range(_RUNS))
    wish = {(src, address): pings.Wish(arrival=False, answer=True)}
    ends = {src: (lab[src].namespace, "")}
    found = (pings.ask(wish, ends)[src, address].rtt_ms for _ in range(_ROUND_TRIPS))
    trips = [rtt_ms for rtt_ms in found if rtt_ms is not None]
    if not trips:
        raise CheckFailed(f"perf: {dst} ({address}) does not answer {src}")
    return Speed(way, mbit_s, median(trips))


def _throughput(client: RunningNode, server: RunningNode, address: str, seconds: int) -> float:
    """Mbit/s of one TCP connection, as its receiver counts them. Raises CheckFailed."""
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "text": True}
    with server.popen(["iperf3", "-s", "-1", "-p", _PORT, "--forceflush"], stdout=subprocess.PIPE, **quiet) as listener:
        try:
            for line in listener.stdout or ():
                if line.startswith("Server listening"):
                    break
            words = ["iperf3", "-J", "-p", _PORT, "-t", f"{seconds}", "-c", address]
            said = client.run(words, timeout_s=seconds + _ANSWER_S).stdout
        except subprocess.TimeoutExpired as error:
            raise CheckFailed(f"perf: iperf3 from {client.name} to {address} did not end") from error
        finally:
            listener.kill()
    with suppress(ValueError, KeyError):
        return float(json.loads(said)["end"]["sum_received"]["bits_per_second"]) / 1e6
    raise CheckFailed(f"perf: iperf3 from {client.name} to {address}: {_error(said)}")


def _error(said: str) -> str:
    with suppress(ValueError):
        return str(json.loads(said).get("error", "it measured nothing"))
    return said.strip() or "it said nothing"


def _chains(routers: int) -> dict[str, Mapping[str, Any]]:
    """By what they are called."""
    tunnels = {kind: {"type": kind} for kind in LINK_TYPES if kind != "veth"}
    secret = {f"ip6gre, IPsec {mode}": {"type": "ip6gre", "ipsec": mode} for mode in _IPSEC}
    labelled = {f"MPLS over {name}": _chain(routers, how, labels=True) for name, how in {**tunnels, **secret}.items()}
    return {"plain IP": _chain(routers, None, False), "MPLS": _chain(routers, None, True), **labelled}


def _chain(routers: int, tunnel: Mapping[str, Any] | None, labels: bool) -> Mapping[str, Any]:
    """h1 - r1 - ... - h2; a label path each way, or routes."""
    names = [f"r{i}" for i in range(1, routers + 1)]
    pairs = list(zip(names, names[1:], strict=False))
    wires: list[Any] = [[{a: _wire(i, 0)}, {b: _wire(i, 1)}] for i, (a, b) in enumerate(pairs)]
    over = [_tunnel(tunnel, i, a, b) for i, (a, b) in enumerate(pairs)] if tunnel else []
    edges = ("h1", names[0], 1), ("h2", names[-1], 2)
    sites = [[{host: f"10.{i}.0.1/24"}, {router: f"10.{i}.0.254/24"}] for host, router, i in edges]
    ways = (names, "10.2.0.0/24"), (names[::-1], "10.1.0.0/24")
    lsps = [{"path": path, "fec": fec} for path, fec in ways] if labels else []
    nodes: dict[str, Any] = {name: {"role": "p"} for name in names}
    for i, (a, b) in enumerate(pairs if not labels else ()):
        nodes[a].setdefault("routes", []).append({"dst": "10.2.0.0/24", "via": f"10.0.{i}.1"})
        nodes[b].setdefault("routes", []).append({"dst": "10.1.0.0/24", "via": f"10.0.{i}.0"})
    return {"name": "perf", "nodes": {**nodes, "h1": "host", "h2": "host"}, "links": [*wires, *over, *sites],
            **({"lsps": lsps} if lsps else {})}  # fmt: skip


def _tunnel(how: Mapping[str, Any], number: int, a: str, b: str) -> Mapping[str, Any]:
    network = {"vni": 100 + number} if how["type"] == "vxlan" else {}
    return {**how, **network, "a": a, "b": b}


def _wire(number: int, end: int) -> dict[str, list[str]]:
    return {"ip": [f"10.0.{number}.{end}/31", f"fd00:0:0:{number:x}::{end}/127"]}

