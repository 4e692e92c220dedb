"""Drills of all variants of the ring, again and again, with a report that is kept: see --help."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from mnmpls.drill import KINDS
from mnmpls.errors import LabError
from mnmpls.export.table import table
from mnmpls.plan import complete
from mnmpls.plan.ring import VARIANTS, ring
from mnmpls.sources.to_yaml import to_yaml

MNMPLS = (sys.executable, "-m", "mnmpls")
HEADS = ("variant", "event", "runs", "not well", "gap, median", "gap, longest")


@dataclass(frozen=True)
class Variant:
    chosen: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return "-".join(("ring", *(value for _, value in self.chosen)))


def variants() -> Iterator[Variant]:
    """Those that are a lab: not every tunnel can be encrypted."""
    for values in product(*VARIANTS.values()):
        chosen = tuple(zip(VARIANTS, values, strict=True))
        with suppress(LabError):
            complete(ring(**dict(chosen)))
            yield Variant(chosen)


def main(words: Sequence[str] | None = None) -> int:
    names = [each.name for each in variants()]
    parser = argparse.ArgumentParser("python -m tests.drills", description=__doc__)
    parser.add_argument("--repeat", default="20", help="runs of each event (20)")
    parser.add_argument("--event", action="append", default=[], choices=KINDS, help="these kinds only")
    parser.add_argument("--only", action="append", default=[], choices=names, metavar="VARIANT",
                        help=f"these variants only, of {', '.join(names)}")
    parser.add_argument("--into", type=Path, default=Path("build/drill"), help="the report's folder (build/drill)")
    options = parser.parse_args(words)
    options.into.mkdir(parents=True, exist_ok=True)
    chosen = [each for each in variants() if each.name in (options.only or names)]
    status = [_drilled(each, options) for each in chosen]
    summary = table(HEADS, [row for each in chosen for row in _rows(each, options.into)])
    (options.into / "summary.txt").write_text(summary + "\n", encoding="utf-8")
    print(f"\n{summary}\n\nkept in {options.into}: each variant's lab and all measurements")
    return max(status)


def _drilled(variant: Variant, options: argparse.Namespace) -> int:
    """Its exit status; what it measured is in a file of its own."""
    file = options.into / f"{variant.name}.yml"
    file.write_text(to_yaml(ring(**dict(variant.chosen))), encoding="utf-8")
    print(f"\n{variant.name}", flush=True)
    report = options.into / f"{variant.name}.json"
    report.unlink(missing_ok=True)
    try:
        if subprocess.run([*MNMPLS, "up", str(file), "--name", variant.name], check=False).returncode:
            return 1
        kinds = [word for kind in options.event for word in ("--event", kind)]
        drill = [*MNMPLS, "drill", variant.name, "--json", "--repeat", options.repeat, *kinds]
        with report.open("wb") as out:
            return subprocess.run(drill, stdout=out, check=False).returncode
    finally:
        subprocess.run([*MNMPLS, "down", variant.name], check=False)


def _rows(variant: Variant, folder: Path) -> Iterator[tuple[str, ...]]:
    report = folder / f"{variant.name}.json"
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    data: dict[str, Any] = json.loads(text) if text else {"events": [], "stopped": "it did not come up"}
    for kind in KINDS:
        if found := [one for one in data["events"] if one["event"]["kind"] == kind]:
            gaps = [_gap_ms(one) for one in found]
            bad = sum(not one["ok"] for one in found)
            yield variant.name, kind, str(len(found)), str(bad), f"{median(gaps):.0f} ms", f"{max(gaps):.0f} ms"
    if data["stopped"]:
        yield variant.name, f"ended before its time: {data['stopped']}", "", "1", "", ""


def _gap_ms(event: dict[str, Any]) -> float:
    """The longest, of streams that have another way."""
    return max((one["gap_ms"] for one in event["failing"]["streams"] if one["expected_to_work"]), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
