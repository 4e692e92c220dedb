"""Many label routes and many VRFs in a UML guest, against ``ip -batch``.

usage: python -m tests.bench.guest      inside the guest: prints what was measured as one line of JSON
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from mnmpls.apply import apply
from mnmpls.kernel import Namespace, wire
from mnmpls.state import Address, LabelRoute, NextHop, Port, Record, Route, Sysctl, VrfDevice
from tests.bench.table import Table

LABELS, VRFS, TURNS = 10_000, 1_000, 5
PROJECT = Path(__file__).resolve().parents[2]

GROUND: frozenset[Record] = frozenset(
    (
        Port("lo", True, 65536),
        Port("out"),
        Address("out", "10.0.0.1/24"),
        Sysctl("net.mpls.platform_labels", str(LABELS + 100)),
    )
)


def tables() -> list[Table]:
    """Starts the guest."""
    command = [sys.executable, "-m", "mnmpls", "guest", "run", "--", sys.executable, "-m", "tests.bench.guest"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the guest: status {done.returncode}\n{done.stdout}{done.stderr}")
    measured = json.loads(done.stdout.splitlines()[-1])
    return [Table(("in a UML guest", "mnmpls", "ip -batch", "ratio"), [_row(*each) for each in measured.items()])]


def _row(what: str, runs: list[tuple[float, float]]) -> tuple[str, ...]:
    ours, theirs = (median(each) for each in zip(*runs, strict=True))
    return what, f"{ours:.3f} s", f"{theirs:.3f} s", f"{median(b / a for a, b in runs):.1f}"


def _measure() -> dict[str, list[tuple[float, float]]]:
    """By what is built, the seconds of mnmpls and of ip, in turn; each in a new namespace."""
    kinds = {
        f"{LABELS} label routes": (frozenset(_labels()), list(_label_lines()), "mpls"),
        f"{VRFS} VRFs with a route each": (frozenset(_vrfs()), list(_vrf_lines()), "inet"),
    }
    return {
        what: [(_ours(records), _theirs(lines, family, records)) for _ in range(TURNS)]
        for what, (records, lines, family) in kinds.items()
    }


def _labels() -> Iterator[Record]:
    for label in range(16, 16 + LABELS):
        yield LabelRoute(label, (NextHop("10.0.0.2", "out", (label + 7,)),))


def _label_lines() -> Iterator[str]:
    for label in range(16, 16 + LABELS):
        yield f"route add {label} as {label + 7} via inet 10.0.0.2 dev out proto 201"


def _vrfs() -> Iterator[Record]:
    for number in range(1, VRFS + 1):
        yield VrfDevice(f"vrf{number}", 1000 + number)
        yield Route(1000 + number, "10.9.0.0/16", (NextHop("10.0.0.2", "out"),))


def _vrf_lines() -> Iterator[str]:
    for number in range(1, VRFS + 1):
        yield f"link add vrf{number} up type vrf table {1000 + number}"
        yield f"route add 10.9.0.0/16 via 10.0.0.2 dev out table {1000 + number} proto 201"


def _ours(wanted: frozenset[Record]) -> float:
    """The second apply of the namespace, as of a running lab: it looks at what is there first."""
    with closing(Namespace.create()) as here, closing(Namespace.create()) as there:
        _ground(here, there)
        everything = GROUND | wanted
        gc.collect()  # what the verification before has left
        begun = time.perf_counter()
        apply(everything, here)
        taken_s = time.perf_counter() - begun
        _verify(here, wanted)
        return taken_s


def _theirs(lines: list[str], family: str, wanted: frozenset[Record]) -> float:
    with closing(Namespace.create()) as here, closing(Namespace.create()) as there:
        _ground(here, there)
        text = "".join(f"{line}\n" for line in lines)
        with here.entered():
            begun = time.perf_counter()
            subprocess.run(["ip", "-f", family, "-batch", "-"], input=text, text=True, check=True)
            taken_s = time.perf_counter() - begun
        _verify(here, wanted)
        return taken_s


def _ground(here: Namespace, there: Namespace) -> None:
    wire(here, "out", there, "in")
    apply(GROUND, here)


def _verify(here: Namespace, wanted: frozenset[Record]) -> None:
    missing = wanted - here.observe()
    if missing:
        raise SystemExit(f"{len(missing)} records are not there, such as {next(iter(missing))}")


if __name__ == "__main__":
    print(json.dumps(_measure()))
