"""How long planning takes: from a lab with everything open to the records of every node."""

from __future__ import annotations

import subprocess
import sys
import time

from mnmpls.model import Lab
from mnmpls.plan import complete, records
from mnmpls.plan.sizes import l3vpn
from tests.bench import chain
from tests.bench.table import Table

SITES = (25, 50, 100, 200)
CUSTOMERS = 20
IMPORTS = ("mnmpls.netns", "mnmpls.mn.net", "mininet.net", "pyroute2", "yaml")


def tables() -> list[Table]:
    """Planning of L3VPNs in full mesh, of chains, and what starting costs before that."""
    rows = [_row(f"L3VPN, {sites} PEs with {CUSTOMERS} VRFs each", _vpn(sites)) for sites in SITES]
    rows += [_row(f"chain of {nodes}", chain.lab(nodes)) for nodes in (100, 1000)]
    heads = ("planning", "nodes", "records", "complete", "records of it", "µs per record")
    return [Table(heads, rows), Table(("import, in a process of its own", "time"), [_import(name) for name in IMPORTS])]


def _vpn(sites: int) -> Lab:
    return l3vpn(customers=CUSTOMERS, sites=sites, hosts=0, core=max(1, sites // 10))


def plan_s(lab: Lab) -> tuple[float, float, int]:
    """Seconds to complete the lab, seconds to make its records, and their number; the faster of two runs."""
    runs = []
    for _ in range(2):
        begun = time.perf_counter()
        completed = complete(lab)
        middle = time.perf_counter()
        count = sum(map(len, records(completed).values()))
        runs.append((middle - begun, time.perf_counter() - middle, count))
    return min(runs)


def _row(name: str, lab: Lab) -> tuple[str, ...]:
    completed_s, made_s, count = plan_s(lab)
    each = (completed_s + made_s) / count * 1e6
    return name, str(len(lab.nodes)), str(count), f"{completed_s:.2f} s", f"{made_s:.2f} s", f"{each:.1f}"


def _import(module: str) -> tuple[str, str]:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return module, f"{float(done.stdout):.3f} s" if done.returncode == 0 else "not installed"
