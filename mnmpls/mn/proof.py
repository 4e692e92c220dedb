"""The proof of a running lab, for a person to read: ``mn --custom topos/l3vpn.py --test prove`` (and ``check``)."""

from __future__ import annotations

import os
import platform
from typing import Any

from mininet.log import output

from .. import checks, guests
from ..checks import reach, trace
from ..checks.learned import with_learned
from ..errors import CheckFailed
from ..phases import mark, taken
from .graph import Planned


def prove(net: Any) -> None:
    """Print the kernel and why it was taken, who reaches whom, one packet's way on the wire and the time each phase
    took. Raises CheckFailed when the lab does not do what it should."""
    mark("lab up: nodes, links, VRFs, labels")
    output(f"\nKernel     {_kernel()}\n")
    failures = [text for plan in net.planned() for text in _prove(plan)]
    output("\nTime       " + "\n           ".join(f"{seconds:6.2f} s  {name}" for name, seconds in taken()) + "\n")
    if failures:
        raise CheckFailed("the lab is up, but it does not do what it should:\n  " + "\n  ".join(failures))
    output("\nProven: every host reaches its own VPN and no other, and the labels on the wire are the planned ones.\n")


def check(net: Any) -> None:
    """Reachability, isolation, labels on the wire, and every record read back. Raises CheckFailed."""
    wrong = []
    for plan in net.planned():
        report = checks.check(plan.lab, plan.records, plan.namespaces, folders=plan.folders, off=plan.off)
        output(report.text() + "\n")
        wrong += [finding for finding in report.findings if not finding.ok]
    if wrong:
        raise CheckFailed(f"{len(wrong)} findings are not as intended, see above")


def _prove(plan: Planned) -> list[str]:
    results = reach.probe(plan.lab, plan.namespaces, hosts_only=True)
    mark(f"{len(results)} pairs of hosts asked")
    output("\nReachability and isolation (row asks column)\n\n" + reach.matrix(results) + "\n")
    failures = [each.why for each in results if not each.ok]
    pair = next(((each.src, each.dst) for each in results if _crosses_core(plan, each)), None)
    if not pair:
        output("\nNo two hosts here have routers with labels between them: no packet to follow.\n")
    else:
        way = trace.trace(plan.lab, plan.records, plan.namespaces, *pair)
        mark("one packet followed on the wire")
        output("\nOne packet's way, as captured on the wire\n\n" + way.text() + "\n")
        failures += [*map(str, way.differences), *([] if way.answered else [f"{pair[0]}: no answer came back"])]
    return failures


def _crosses_core(plan: Planned, result: reach.Result) -> bool:
    if not result.expected.reaches:
        return False
    records = with_learned(plan.lab, plan.records, plan.namespaces)
    hops = trace.predict(plan.lab, records, result.src, result.dst)
    return any(hop.operation in ("push", "swap") for hop in hops)


def _kernel() -> str:
    guest = os.environ.get("MNMPLS_GUEST")
    where = f"a guest ({guest.upper()})" if guest else "this machine's own"
    return f"Linux {platform.release()}, {where}: {os.environ.get(guests.WHY) or 'it has what the lab needs'}"
