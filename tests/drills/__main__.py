"""Drills of all variants of the ring, again and again, with a report that is kept and grows: see --help.

A round is each failure once, on a lab that starts for it. First comes one round of every variant, then the next:
whoever has less time has seen all of them. What former runs have kept counts, and this one goes on behind it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from mnmpls.drill import KINDS
from mnmpls.errors import LabError
from mnmpls.plan import complete
from mnmpls.plan.ring import VARIANTS, ring
from mnmpls.sources.to_yaml import to_yaml

from .rounds import Round, closing, read, summary

MNMPLS = (sys.executable, "-m", "mnmpls")


@dataclass(frozen=True)
class Variant:
    chosen: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return "-".join(("ring", *(value for _, value in self.chosen)))

    @property
    def loses_addresses(self) -> bool:
        """Links without addresses of their own: LDP's labels lead nowhere once one of a router's has failed."""
        return dict(self.chosen).get("addressing") == "unnumbered"


def variants() -> Iterator[Variant]:
    """Those that are a lab: not every tunnel can be encrypted. Then one where a way leads around each router."""
    for values in product(*VARIANTS.values()):
        chosen = tuple(zip(VARIANTS, values, strict=True))
        with suppress(LabError):
            complete(ring(**dict(chosen)))
            yield Variant(chosen)
    yield Variant((("way", "around"),))


def main(words: Sequence[str] | None = None) -> int:
    names = [each.name for each in variants()]
    parser = argparse.ArgumentParser("python -m tests.drills", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--repeat", type=int, default=20, help="rounds of each variant (20)")
    parser.add_argument("--minutes", type=float, help="begin no more rounds after so long (else until all are done)")
    parser.add_argument("--event", action="append", default=[], choices=KINDS, help="these kinds only")
    parser.add_argument("--only", action="append", default=[], choices=names, metavar="VARIANT",
                        help=f"these variants only, of {', '.join(names)}")  # fmt: skip
    parser.add_argument("--into", type=Path, default=Path("build/drill"), help="the report's folder (build/drill)")
    options = parser.parse_args(words)
    chosen = [each for each in variants() if each.name in (options.only or names)]
    until = time.monotonic() + options.minutes * 60 if options.minutes is not None else float("inf")
    left = 0
    for number in range(1, options.repeat + 1):
        for each in chosen:
            file = options.into / each.name / f"{'-'.join(options.event) or 'all'}-{number:02}.json"
            if not file.exists() and time.monotonic() < until:
                print(f"\n{each.name}, round {number} of {options.repeat}", flush=True)
                _round(each, options.event, file)
                _keep(chosen, options.into)
            left += not file.exists()
    rounds = _keep(chosen, options.into)
    print(f"\n{summary(rounds)}\n\n{closing(rounds, left)}\nkept in {options.into}: labs, measurements, summary.txt")
    return int(bool(left) or not all(one.ok for one in rounds))


def _round(variant: Variant, kinds: Sequence[str], file: Path) -> None:
    """What it measured is in ``file``, whose name it has when it is complete."""
    lab = file.parent.with_suffix(".yml")
    file.parent.mkdir(parents=True, exist_ok=True)
    lab.write_text(to_yaml(ring(**dict(variant.chosen))), encoding="utf-8")
    partial = file.with_suffix(".partial")
    chosen = [word for kind in kinds for word in ("--event", kind)]
    name = f"{variant.name}-{os.getpid()}"  # whatever else runs here
    with partial.open("wb") as out:
        try:
            if not subprocess.run([*MNMPLS, "up", str(lab), "--name", name], check=False).returncode:
                patience = ("--limit", "40") if variant.loses_addresses else ()  # a blackhole lasts
                drill = [*MNMPLS, "drill", name, "--json", *patience, *chosen]
                subprocess.run(drill, stdout=out, check=False)
        finally:
            subprocess.run([*MNMPLS, "down", name], check=False)
    partial.rename(file)


def _keep(chosen: Sequence[Variant], folder: Path) -> list[Round]:
    """All rounds of the chosen variants that there are; the summary as it stands is of every variant."""
    rounds = [
        read(each.name, file, each.loses_addresses)
        for each in variants()
        for file in sorted((folder / each.name).glob("*.json"))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.txt").write_text(f"{summary(rounds)}\n\n{closing(rounds, 0)}\n", encoding="utf-8")
    return [one for one in rounds if one.variant in {each.name for each in chosen}]


if __name__ == "__main__":
    sys.exit(main())
