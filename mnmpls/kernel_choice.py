"""The kernel that a lab runs on: this one if it can, else the same command once more in a guest."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import NoReturn

from . import guests
from .errors import MissingFeature
from .guests import host
from .model import Lab
from .phases import hand_over
from .plan import complete, records
from .state import Record

EVERYTHING = frozenset({"netns", "veth", "bridge", "vrf", "mpls", "mpls-encap"})


def ensure_kernel(wanted: Mapping[str, frozenset[Record]]) -> None:
    """Return if this kernel has what these records need; else run this same command in a guest, and do not return.

    MNMPLS_KERNEL (auto, host, uml, qemu) decides. Raises MissingFeature when the kernel asked for lacks something.
    """
    _ensure(host.features(wanted))


def ensure_kernel_for(lab: Lab) -> None:
    """The same for a lab that was not planned yet."""
    if lab.nodes:
        ensure_kernel(records(complete(lab)))


def choice_for(lab: Lab, kernel: str | None = None) -> guests.Choice:
    """Where ``lab`` runs; ``kernel`` is auto or a kernel's name, MNMPLS_KERNEL unless given. Raises MissingFeature."""
    return guests.choose(kernel or os.environ.get("MNMPLS_KERNEL", "auto"), host.features(records(complete(lab))))


def ensure_root() -> None:
    """An ordinary user can have a lab too: as root of a guest."""
    if os.geteuid() != 0:
        _ensure(EVERYTHING)


@cache
def _ensure(features: frozenset[str]) -> None:
    choice = guests.choose(os.environ.get("MNMPLS_KERNEL", "auto"), features)
    if choice.name != "host":
        _again_in(choice)


def _again_in(choice: guests.Choice) -> NoReturn:
    if hasattr(sys, "ps1") or sys.flags.interactive or "pytest" in sys.modules:
        raise MissingFeature(
            f"{choice.why}; and an interactive Python or pytest cannot be moved into a guest: "
            f"start it there yourself, with `mnmpls guest run -- {' '.join(sys.orig_argv)}`"
        )
    raise SystemExit(guests.run(choice, sys.orig_argv, {guests.WHY: choice.why, **hand_over()}))
