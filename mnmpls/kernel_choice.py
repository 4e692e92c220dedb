"""The kernel that a lab runs on: this one if it can, else the same command once more in a guest."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn

from . import guests, programs, registry
from .errors import MissingFeature
from .guests import host
from .model import Lab
from .phases import hand_over
from .plan import complete, records
from .state import Record


def ensure_kernel(lab: Lab, wanted: Mapping[str, frozenset[Record]], name: str) -> None:
    """Return if this kernel has what the completed ``lab`` with these records needs; else run this same command in a
    guest, and do not return. Others find the guest under ``name``, or the next free one.

    MNMPLS_KERNEL (auto, host, uml, qemu) decides. Raises MissingFeature when the kernel asked for lacks something.
    """
    _ensure(host.features(wanted) | host.wishes(lab), name, len(wanted))


def ensure_kernel_for(lab: Lab) -> None:
    """The same for a lab that was not planned yet, and its programs."""
    programs.require(lab)
    if lab.nodes:
        _ensure(_features(lab), lab.name, len(lab.nodes))


def ensure_root() -> None:
    """An ordinary user can have a lab too: as root of a guest."""
    if os.geteuid() != 0:
        _ensure(host.BASICS, "lab")


def choice_for(lab: Lab, kernel: str | None = None) -> guests.Choice:
    """Where ``lab`` runs; ``kernel`` is auto or a kernel's name, MNMPLS_KERNEL unless given. Raises MissingFeature, for
    a program that is missing, too."""
    programs.require(lab)
    return _choose(_features(lab), kernel)


def _features(lab: Lab) -> frozenset[str]:
    whole = complete(lab)
    return host.features(records(whole)) | host.wishes(whole)


@cache
def _choose(features: frozenset[str], kernel: str | None = None) -> guests.Choice:
    return guests.choose(kernel or os.environ.get("MNMPLS_KERNEL", "auto"), features)


def _ensure(features: frozenset[str], name: str, nodes: int = 0) -> None:
    choice = _choose(features)
    if choice.name != "host":
        _again_in(choice, {"name": name, "nodes": nodes})


def _again_in(choice: guests.Choice, about: Mapping[str, Any]) -> NoReturn:
    if "pytest" in sys.modules:
        raise MissingFeature(
            f"{choice.why}; and a test cannot be moved into a guest while it runs: mark it with "
            "@pytest.mark.lab_kernel, and it is run there"
        )
    if hasattr(sys, "ps1") or sys.flags.interactive:
        raise MissingFeature(
            f"{choice.why}; and an interactive Python cannot be moved into a guest: "
            f"start it there yourself, with `mnmpls guest run -- {' '.join(sys.orig_argv)}`"
        )
    name, listener = registry.claim_free(about["name"])
    told = {guests.WHY: choice.why, registry.NAME_OUTSIDE: name, **hand_over()}
    with listener:
        raise SystemExit(guests.run(choice, sys.orig_argv, told, offer=guests.Offer(listener, {**about, "name": name})))
