"""How fast labs come up, against the kernel's own floor and others: see --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from tests.bench import containers, guest, planning
from tests.bench.one import Measured, measure
from tests.bench.table import Table
from tests.bench.variants import VARIANTS

FLOOR = "floor in C"
MOST_NODES = {"Mininet, stock": 100}
SIZES = (20, 100, 1000)

Runs = dict[tuple[str, int], list[Measured]]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"some of {', '.join(PARTS)}; all of them when left out")
    parser.add_argument("--nodes", type=int, nargs="+", default=SIZES, help="lengths of the chain")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, the variants in turn (5)")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), help="variants of the chain")
    parser.add_argument("--markdown", action="store_true", help="tables for a README")
    options = parser.parse_args(words)
    before = load()
    for part in options.part or PARTS:
        for table in PARTS[part](options):
            print(table.markdown() if options.markdown else table.text(), end="\n\n")
    print(f"{os.cpu_count()} processors, Linux {os.uname().release}, load average {before} before and {load()} after")


def load() -> str:
    return Path("/proc/loadavg").read_text().split()[0]


def chains(options: argparse.Namespace) -> list[Table]:
    """Build and stop, each repetition with all variants in turn; a ratio is taken within its repetition."""
    names = [name for name in VARIANTS if name in options.only or name == FLOOR]
    runs: Runs = {}
    for nodes in options.nodes:
        for turn in range(options.repeat):
            for name in names:
                if nodes <= MOST_NODES.get(name, nodes):
                    print(f"{nodes} nodes, {turn + 1}: {name} (load {load()})", file=sys.stderr)
                    runs.setdefault((name, nodes), []).append(measure(name, nodes))
    return [_table(runs, nodes, names) for nodes in options.nodes] + _growth(runs, options.nodes, names)


def _table(runs: Runs, nodes: int, names: Sequence[str]) -> Table:
    ratios = ("build", "× floor", "processor", "× floor")
    heads = (f"chain of {nodes}", *ratios, "stop", "build and stop", "forks, threads", "processes per node")
    return Table(heads, [_row(name, runs[name, nodes], runs[FLOOR, nodes]) for name in names if (name, nodes) in runs])


def _row(name: str, runs: Sequence[Measured], floors: Sequence[Measured]) -> tuple[str, ...]:
    def middle(what: Callable[[Measured], float]) -> float:
        return median(what(run) for run in runs)

    pairs = list(zip(runs, floors, strict=True))
    ratio = median(run["build_s"] / floor["build_s"] for run, floor in pairs)
    cpu_ratio = median(run["cpu_s"] / floor["cpu_s"] for run, floor in pairs)
    forks = median(run["forks"] for run in runs)
    return (
        name,
        f"{middle(lambda run: run['build_s']):.3f} s",
        f"{ratio:.2f}",
        f"{middle(lambda run: run['cpu_s']):.3f} s",
        f"{cpu_ratio:.2f}",
        f"{middle(lambda run: run['stop_s']):.4f} s",
        f"{middle(lambda run: run['build_s'] + run['stop_s']):.3f} s",
        f"{forks:.0f}",
        f"{middle(lambda run: run['processes'] / run['nodes']):.1f}",
    )


def _growth(runs: Runs, sizes: Sequence[int], names: Sequence[str]) -> list[Table]:
    """How the cost of a node grows with the length of the chain."""
    if len(sizes) < 2:
        return []
    small, large = sorted(sizes)[-2:]

    def grown(name: str, what: Callable[[Measured], float]) -> float:
        each = [median(what(run) for run in runs[name, nodes]) / nodes for nodes in (small, large)]
        return each[1] / each[0]

    def row(name: str, what: Callable[[Measured], float]) -> tuple[str, str]:
        return f"{grown(name, what):.2f}", f"{grown(name, what) / grown(FLOOR, what):.2f}"

    known = [name for name in names if (name, large) in runs]
    rows = [(name, *row(name, lambda run: run["build_s"]), *row(name, lambda run: run["cpu_s"])) for name in known]
    heads = ("time grows by", "× the floor's growth", "processor time grows by", "× the floor's growth")
    return [Table((f"a node, {small} to {large} nodes", *heads), rows)]


PARTS: dict[str, Callable[[argparse.Namespace], list[Table]]] = {
    "chain": chains,
    "plan": lambda _: planning.tables(),
    "guest": lambda _: guest.tables(),
    "containers": lambda options: containers.tables(options.repeat),
}

if __name__ == "__main__":
    main()
