"""What a wire does to packets, as Mininet's TCLink and tc(8) write it: ``10ms``, a percentage, Mbit/s."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from decimal import Decimal

import yaml

from ..model import Impairment
from .reading import Entries

IMPAIRMENTS = ("bw", "delay", "jitter", "loss", "max_queue_size")

_NONE = Impairment()
_UNITS_US = {"us": 1, "ms": 1000, "s": 1_000_000}
_DIGITS = r"(\d{1,12}(?:\.\d{1,9})?)"


def impairment(has: Entries) -> Impairment:
    """What of IMPAIRMENTS ``has`` gives."""
    if has.keys().isdisjoint(IMPAIRMENTS):
        return _NONE
    return Impairment(
        rate_kbit=_scaled(has, "bw", 1000, "Mbit/s, such as 10 or 0.5"),
        delay_us=_time(has, "delay"),
        jitter_us=_time(has, "jitter"),
        loss_ppm=_scaled(has, "loss", 10_000, "per cent, such as 1 or 0.1"),
        queue_packets=has.number("max_queue_size"),
    )


def merged(own: Impairment, shared: Impairment) -> Impairment:
    """One end's, with its link's where it has none."""
    given = {each.name: getattr(shared, each.name) for each in fields(own) if getattr(own, each.name) is None}
    return replace(own, **given)


def impairment_data(given: Impairment) -> dict[str, object]:
    """The same as a lab file writes it."""
    return {
        "bw": None if given.rate_kbit is None else given.rate_kbit / 1000,
        "delay": None if given.delay_us is None else f"{given.delay_us}us",
        "jitter": None if given.jitter_us is None else f"{given.jitter_us}us",
        "loss": None if given.loss_ppm is None else given.loss_ppm / 10_000,
        "max_queue_size": given.queue_packets,
    }


def _time(has: Entries, key: str) -> int | None:
    """Microseconds."""
    given = has.text(key)
    found = re.fullmatch(_DIGITS + r"\s*(us|ms|s)", given)
    if found:
        return int(Decimal(found[1]) * _UNITS_US[found[2]])
    _fault(has, key, given, "a time with its unit, such as 10ms, 500us or 1s")
    return None


def _scaled(has: Entries, key: str, factor: int, what: str) -> int | None:
    given = has.text(key)
    found = re.fullmatch(_DIGITS + "%?", given)
    if found:
        return int(Decimal(found[1]) * factor)
    _fault(has, key, given, what)
    return None


def _fault(has: Entries, key: str, given: str, what: str) -> None:
    node = has.get(key)
    if isinstance(node, yaml.ScalarNode):
        has.notes.fault(has.under(key), node, f"expected {what}, not {given[:40]!r}")
