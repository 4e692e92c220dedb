"""How long labs of containers take: `mnmpls up --runtime docker`, docker alone with the same containers, and
Containerlab where that is and can. Each in turn, with a docker daemon of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.bench.table import Table
from tests.boxes import daemon, docker, good, make_image

ROUTERS = 4
Timed = tuple[float, float]
"""Seconds until all are made and, but for docker alone, have set themselves up; seconds until nothing is left."""


def tables(repeat: int) -> list[Table]:
    """Medians; nothing where there is no docker."""
    if not shutil.which("dockerd"):
        print("containers: there is no dockerd", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="mnmpls-bench-") as folder, daemon(Path(folder)):
        make_image()
        file = Path(folder) / "bench.clab.yml"
        file.write_text("\n".join(topology()), encoding="utf-8")
        runs: dict[str, list[Timed]] = {name: [] for name in VARIANTS}
        for turn in range(repeat):
            for name, variant in VARIANTS.items():
                print(f"containers, {turn + 1}: {name}", file=sys.stderr)
                if timed := variant(file):
                    runs[name].append(timed)
    heads = (f"{ROUTERS + 2} containers, {ROUTERS + 1} links", "up", "× docker alone", "down")
    return [Table(heads, [_row(name, each, runs["docker run"]) for name, each in runs.items()])]


def topology() -> Iterator[str]:
    """A chain of routers between two hosts, with nothing that needs rights over the machine."""
    yield "name: bench\ntopology:\n  defaults: {kind: linux, image: mnmpls, privileged: false, cap-add: [NET_ADMIN],"
    yield "    network-mode: none, binds: ['bench.clab.yml:/etc/mnmpls/lab.clab.yml:ro']}"
    yield "  groups: {ce: {sysctls: {net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1}}}\n  nodes:"
    yield from (f"    {name}: {{group: {'host' if name[0] == 'h' else 'ce'}}}" for name in _names())
    yield "  links:"
    yield from (f"    - endpoints: ['{a}:eth2', '{b}:eth1']" for a, b in zip(_names(), _names()[1:], strict=False))


def _names() -> list[str]:
    return ["h1", *(f"r{number}" for number in range(1, ROUTERS + 1)), "h2"]


def _row(name: str, runs: list[Timed], alone: list[Timed]) -> tuple[str, ...]:
    if not runs:
        return name, "not here", "-", "-"
    up, down = (median(run[which] for run in runs) for which in (0, 1))
    return name, f"{up:.1f} s", f"{up / median(run[0] for run in alone):.2f}", f"{down:.1f} s"


def _docker(file: Path) -> Timed:
    """The same containers, one after the other, without links."""
    names = [f"clab-bench-{name}" for name in _names()]

    def up() -> None:
        for name in names:
            rights = ("--network=none", "--cap-add=NET_ADMIN", f"--volume={file}:/etc/mnmpls/lab.clab.yml:ro")
            docker("run", "-dit", "--name", name, f"--hostname={name.rpartition('-')[2]}", *rights, "mnmpls")

    return _timed(up, lambda: docker("rm", "-f", *names))


def _mnmpls(file: Path) -> Timed:
    return _timed(lambda: good("up", file, "--runtime", "docker", "--wait", "0"), lambda: good("down", "bench"))


def _containerlab(file: Path) -> Timed | None:
    """None where it is not, or cannot: it wants a kernel with modules."""
    program = shutil.which("containerlab")
    if not program or not Path("/proc/modules").exists():
        return None

    def ran(verb: str, *words: str) -> None:
        subprocess.run([program, verb, "-t", file, *words], check=True, capture_output=True)

    def up() -> None:
        ran("deploy")
        while any("ready: " not in docker("logs", f"clab-bench-{name}") for name in _names()):
            time.sleep(0.1)

    return _timed(up, lambda: ran("destroy", "--cleanup"))


def _timed(up: Callable[[], object], down: Callable[[], object]) -> Timed:
    begun = time.monotonic()
    up()
    made = time.monotonic()
    down()
    return made - begun, time.monotonic() - made


VARIANTS: dict[str, Callable[[Path], Timed | None]] = {
    "docker run": _docker,
    "mnmpls up --runtime docker": _mnmpls,
    "containerlab deploy": _containerlab,
}
