"""What a lab needs against what this machine does: kernel features tried, programs, room, guests, labs, known bugs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from .. import programs
from ..errors import MnmplsError, counted
from ..guests import GUESTS, host, inside, unfit
from ..live import finding
from ..live.ipnetns import FOLDER
from ..model import Lab
from ..state import Record
from . import bugs, machine
from .report import Diagnosis, Item, State

__all__ = ["Diagnosis", "Item", "State", "examine"]

KIB_PER_NODE, KIB_PER_VRF = 325, 44
"""Of the kernel's memory, as measured for a namespace with two ports and for a VRF with a route."""


def examine(
    lab: Lab | None = None, planned: Mapping[str, frozenset[Record]] | None = None, boot_s: float = 0
) -> Diagnosis:
    """Of a completed ``lab`` with its records, or of everything that mnmpls knows. With ``boot_s`` each guest is
    booted, and has so many seconds for it. Nothing of the lab is made."""
    wanted = host.features(planned) if planned is not None else frozenset(host.FEATURES)
    wanted |= host.wishes(lab) if lab else frozenset()
    items = (
        *_features(wanted),
        *_programs(lab),
        *_room(lab),
        *_guests(wanted, boot_s),
        *_labs(),
        *_bugs(planned, lab),
    )
    return Diagnosis(lab.name if lab else "", machine.system(), machine.title(), items)


def _features(wanted: frozenset[str]) -> Iterator[Item]:
    """What is not wanted is tried all the same: the next lab may want it."""
    lacking = host.missing(host.FEATURES)
    for name, feature in host.FEATURES.items():
        needed = name in wanted
        if name in lacking:
            yield Item("kernel", feature.spoken, State.MISSING, _own_words(lacking[name]), needed, name)
        elif missing := next((each for each in feature.after if each in lacking), ""):
            yield Item("kernel", feature.spoken, State.UNKNOWN, f"needs {host.FEATURES[missing].spoken}", needed, name)
        elif lacking.keys() & {"netns", "settings"}:
            yield Item("kernel", feature.spoken, State.UNKNOWN, "could not be tried", needed, name)
        else:
            yield Item("kernel", feature.spoken, State.THERE, "", needed, name)


def _own_words(reason: str) -> str:
    """The kernel's, where it said something: that the feature is missing is told already."""
    said = re.search(r"\(the kernel says: (.*)\)", reason)
    return said[1] if said else reason


def _programs(lab: Lab | None) -> Iterator[Item]:
    needs = programs.needed(lab) if lab else map(programs.Need, programs.ALWAYS)
    wanted = {need.program: need.where for need in needs}
    for name in dict.fromkeys((*wanted, *programs.PACKAGES)):
        found, version = machine.program(name)
        state = State.THERE if found else State.MISSING
        told = version if found else f"not on PATH; wanted {wanted[name]}" if wanted.get(name) else "not on PATH"
        yield Item("programs", name, state, told, name in wanted, name)


def _room(lab: Lab | None) -> Iterator[Item]:
    vrfs = sum(len(node.vrfs) for node in lab.nodes) if lab else 0
    needs_mib = (len(lab.nodes) * KIB_PER_NODE + vrfs * KIB_PER_VRF) // 1024 + 1 if lab else 0
    yield machine.memory(needs_mib)
    yield machine.space()


def _guests(wanted: frozenset[str], boot_s: float) -> Iterator[Item]:
    if inside():
        yield Item("guests", os.environ["MNMPLS_GUEST"], State.THERE, "this is one")
        return
    for name, backend in GUESTS.items():
        problem = unfit(backend, wanted)
        if problem:
            yield Item("guests", backend.title, State.MISSING, problem)
        elif boot_s:
            boots, told = machine.boot(name, boot_s)
            yield Item("guests", backend.title, State.THERE if boots else State.MISSING, told)
        else:
            yield Item("guests", backend.title, State.THERE, "installed, and has what is needed; --boot tries it")


def _labs() -> Iterator[Item]:
    try:
        running, silent = finding.labs()
    except MnmplsError as error:
        running, silent = (), (str(error),)
    for about in running:
        told = f"{counted(about.nodes, 'node')}, {about.runtime}, process {about.pid}"
        yield Item("labs", about.name, State.THERE, told)
    for problem in silent:
        yield Item("labs", "silent", State.UNKNOWN, problem)
    if FOLDER.is_dir():
        for path in sorted(FOLDER.iterdir()):
            if path.is_symlink() and not os.path.exists(path):
                yield Item("labs", path.name, State.UNKNOWN, f"{path} leads nowhere: its lab is gone; `rm {path}`")


def _bugs(planned: Mapping[str, frozenset[Record]] | None, lab: Lab | None) -> Iterator[Item]:
    versions = {"kernel": os.uname().release, "FRR": machine.program("zebra")[1], "iproute2": machine.program("ip")[1]}
    for bug in bugs.concerning(versions, planned, lab):
        yield Item("known bugs", bug.title(), State.UNKNOWN, f"{bug.text}. {bug.advice} ({bug.source})")
