"""Labs coming up and going down in one process, and what it has of everything in between: see test_cycles.py.

usage: python -m tests.system.cycles RUNTIME WARM COUNTED      prints two lines of JSON, before and after COUNTED cycles
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mnmpls.kernel import Namespace, wire
from mnmpls.mn.net import Mininet
from mnmpls.mn.topo import LabTopo
from mnmpls.model import Lab, Link, Node, Port
from mnmpls.netns import RunningLab

LAB = Lab(
    "cycles",
    (Node("h1", "host"), Node("b", "bridge"), Node("h2", "host")),
    (Link(Port("h1", addresses=("10.1.1.1/24",)), Port("b")), Link(Port("h2", addresses=("10.1.1.2/24",)), Port("b"))),
)
GONE_S = 60
TELL = "tell-"


@contextmanager
def own() -> Iterator[Mapping[str, Namespace]]:
    with RunningLab(LAB) as lab:
        assert lab["h1"].run(["ping", "-c1", "-W5", "10.1.1.2"]).returncode == 0
        yield lab.namespaces


@contextmanager
def mininet() -> Iterator[Mapping[str, Namespace]]:
    net = Mininet(topo=LabTopo(LAB))
    try:
        net.start()
        assert net["h1"].pexec("ping", "-c1", "-W5", "10.1.1.2")[2] == 0
        yield {node.name: node.namespace for node in net.hosts}
    finally:
        net.stop()


RUNTIMES: dict[str, Callable[[], AbstractContextManager[Mapping[str, Namespace]]]] = {"own": own, "mininet": mininet}


def has() -> dict[str, float]:
    """Of this process: resident memory, descriptors, threads, children; namespaces that the kernel still has are seen
    by the wires that they hold to this process's own."""
    status = Path("/proc/self/status").read_text()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "resident_kib": int(status.split("VmRSS:")[1].split()[0]),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "children": len(children),
        "files": len(list(Path(os.environ["TMPDIR"]).rglob("*"))),
    }


def cycles(runtime: str, count: int, home: Namespace) -> None:
    for number in range(count):
        with RUNTIMES[runtime]() as namespaces:
            for at, namespace in enumerate(namespaces.values()):
                wire(home, f"{TELL}{number}-{at}", namespace, "tale")


def await_end(home: Namespace) -> list[str]:
    """The wires whose other namespace is still there after a while."""
    until = time.monotonic() + GONE_S
    while (left := sorted(port for port in home.ports() if port.startswith(TELL))) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def main(runtime: str, warm: int, counted: int) -> None:
    home = Namespace.open("/proc/thread-self/ns/net")
    for count in (warm, counted):
        cycles(runtime, count, home)
        print(json.dumps({"left": await_end(home), **has()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
