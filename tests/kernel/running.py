"""A lab that runs in namespaces of its own, to be checked and to be spoiled by hand."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mnmpls.apply import apply
from mnmpls.checks.findings import Report
from mnmpls.checks.reach import probe
from mnmpls.checks.trace import Trace, trace
from mnmpls.kernel import Namespace, wire
from mnmpls.model import Lab
from mnmpls.netns import RunningLab
from mnmpls.plan import complete, records
from mnmpls.state import Record

SO_RCVBUFFORCE = 33  # include/uapi/asm-generic/socket.h
LIMIT_S = 180.0
"""What a test waits for at most: on a slow machine with much else to do."""


@dataclass(frozen=True)
class Running:
    """A lab in namespaces of its own."""

    lab: Lab
    records: dict[str, frozenset[Record]]
    namespaces: dict[str, Namespace]

    def trace(self, src: str, dst: str) -> Trace:
        return trace(self.lab, self.records, self.namespaces, src, dst)

    def failures(self) -> list[str]:
        return [one.why for one in probe(self.lab, self.namespaces, hosts_only=True) if not one.ok]

    def ip(self, node: str, *words: str) -> None:
        with self.namespaces[node].entered():
            subprocess.run(["ip", *words], check=True)

    def tc(self, node: str, *words: str) -> None:
        with self.namespaces[node].entered():
            subprocess.run(["tc", *words], check=True)

    def mac(self, node: str, port: str) -> str:
        with self.namespaces[node].entered():
            return subprocess.run(
                ["ip", "-br", "link", "show", port], check=True, capture_output=True, text=True
            ).stdout.split()[2]

    def set(self, node: str, key: str, value: str) -> None:
        with self.namespaces[node].entered():
            Path("/proc/sys", *key.split(".")).write_text(value, encoding="ascii")


@contextmanager
def running_lab(lab: Lab) -> Iterator[Running]:
    lab = complete(lab)
    plan = records(lab)
    with ExitStack() as stack:
        namespaces = {node.name: Namespace.create() for node in lab.nodes}
        for one in namespaces.values():
            stack.callback(one.close)
        for link in filter(lambda link: link.is_wire, lab.links):
            wire(namespaces[link.a.node], link.a.name, namespaces[link.b.node], link.b.name)
        for node, one in namespaces.items():
            apply(plan[node], one, node)
        yield Running(lab, dict(plan), namespaces)


def settled(lab: RunningLab) -> Report:
    """A check that holds, or the last one: BFD takes a busy machine's pauses for a neighbour's silence."""
    until = time.monotonic() + LIMIT_S
    while not (report := lab.check()).ok and time.monotonic() < until:
        time.sleep(0.2)
    return report


def traced(lab: RunningLab, src: str, dst: str) -> Trace:
    """A trace that is answered as planned, or the last one."""
    until = time.monotonic() + LIMIT_S
    while not ((way := lab.trace(src, dst)).ok and way.answered) and time.monotonic() < until:
        time.sleep(0.2)
    return way


def not_taken(lab: RunningLab, nodes: Iterable[str] = ()) -> set[tuple[str, str, str]]:
    """Lines of the daemons' files that are not in the configuration read back: node, daemon, line."""
    found = set()
    for node in nodes or lab:
        if services := lab.services.of(node):
            read = lab[node].run(["vtysh", "-c", "show running-config"], check=True).stdout
            there = {line.strip() for line in read.splitlines()}
            wanted = ((one.name, line.strip()) for one in services for line in one.config.splitlines())
            found |= {(node, name, line) for name, line in wanted if line not in there and not line.startswith("!")}
    return found


@contextmanager
def captured(lab: RunningLab, node: str, port: str) -> Iterator[list[bytes]]:
    """Every frame at the port, both ways, while inside; sorted out afterwards."""
    frames: list[bytes] = []
    with lab[node].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        tap.bind((port, 3))
        over = threading.Event()

        def take() -> None:
            while True:
                tap.settimeout(0 if over.is_set() else 0.1)
                try:
                    frames.append(tap.recv(4096))
                except (TimeoutError, BlockingIOError):
                    if over.is_set():
                        return

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield frames
        finally:
            over.set()
            thread.join()
