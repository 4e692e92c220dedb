"""Labs and records as text."""

from __future__ import annotations

import os
from pathlib import Path

from mnmpls.export.ip_commands import ip_commands
from mnmpls.model import Lab
from mnmpls.plan import complete, records
from mnmpls.sources import load

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = Path(__file__).parent / "goldens"


def source() -> Lab:
    return complete(load(str(ROOT / "topos" / "l3vpn.yml")))


def held(name: str, text: str) -> None:
    """``text`` is that of the golden file. MNMPLS_REWRITE=1 rewrites it."""
    golden = GOLDENS / name
    if os.environ.get("MNMPLS_REWRITE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_commands_of_the_source() -> None:
    """The lab of topos/l3vpn.yml, as it would be typed, with its reasons."""
    lab = source()
    held("l3vpn-ip.sh", ip_commands(lab, records(lab)))
