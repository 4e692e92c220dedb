"""One variant builds and stops one chain, in namespaces of its own: mounts, network, processes.

usage: python -m tests.bench.one VARIANT NODES      prints what was measured as one line of JSON
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TypedDict

from mnmpls.kernel import Namespace, wire
from mnmpls.processes import dying_with_us
from tests.bench import chain
from tests.bench.variants import NAMED, VARIANTS

LIMIT_S = 600
PROJECT = Path(__file__).resolve().parents[2]


class Measured(TypedDict):
    """Seconds, those of the processors during the build among them; forks and threads during build and stop; processes
    that the build has added."""

    nodes: int
    build_s: float
    cpu_s: float
    stop_s: float
    forks: int
    processes: int
    verified: str


def measure(variant: str, nodes: int) -> Measured:
    """In a process of its own. Raises SystemExit, with what it said, when the chain was not as it should be."""
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable]
    with dying_with_us() as die_with_us:
        done = subprocess.run(
            [*command, "-m", "tests.bench.one", variant, str(nodes)],
            capture_output=True, text=True, timeout=LIMIT_S, cwd=PROJECT, check=False, preexec_fn=die_with_us,
        )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{variant}, {nodes} nodes: status {done.returncode}\n{done.stdout}{done.stderr}")
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    return measured


def _run(variant: str, nodes: int) -> Measured:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    NAMED.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "names", NAMED], check=True)
    for _ in VARIANTS[variant](2):  # What is done once in a process (imports, compiled patterns) is not to be measured.
        pass
    _await_kernel()
    steps = VARIANTS[variant](nodes)
    next(steps)
    processes, births = _processes(), _births()
    gc.collect()  # what getting ready has left
    cpu, begun = _cpu_s(), time.perf_counter()
    paths = next(steps)
    built, cpu = time.perf_counter(), _cpu_s() - cpu
    forks, processes = _births() - births - 1, _processes() - processes
    verified = chain.verify(nodes, paths)
    births = _births()
    stopping = time.perf_counter()
    next(steps, None)
    stopped = time.perf_counter()
    forks += _births() - births - 1
    _await_kernel()
    return Measured(
        nodes=nodes,
        build_s=built - begun,
        cpu_s=cpu,
        stop_s=stopped - stopping,
        forks=forks,
        processes=processes,
        verified=verified,
    )


def _births() -> int:
    """How many processes and threads there have been: a PID namespace gives its numbers one after the other."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def _processes() -> int:
    return sum(entry.name.isdigit() for entry in Path("/proc").iterdir())


def _cpu_s() -> float:
    """Of this process, of the others that are there (Documentation/scheduler/sched-stats.rst), and of our children that
    have been; those of a shell are not counted, nor what the kernel does by itself."""
    others = [entry / "schedstat" for entry in Path("/proc").glob("[0-9]*") if entry.name != str(os.getpid())]
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    there = sum(int(each.read_text().split()[0]) for each in others) / 1e9
    return time.process_time() + there + ended.ru_utime + ended.ru_stime


def _await_kernel() -> None:
    """Until the namespaces are really gone, so that the next one to measure has the machine for itself: the kernel
    takes them down in order (net/core/net_namespace.c, cleanup_net), and the last one holds a wire to here."""
    with closing(Namespace.open("/proc/self/ns/net")) as here:
        last = Namespace.create()
        wire(here, "canary", last, "canary")
        last.close()
        while "canary" in here.ports():
            time.sleep(0.01)


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], int(sys.argv[2]))))
