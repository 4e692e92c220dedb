"""The daemons' half of a check: do they run, and do they have the sessions that they are to have?"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from ..daemons import ZEBRA, services, sessions
from ..model import Lab
from ..processes import Folders
from ..services import answers, events, missing, why_missing
from .findings import Finding, Report


def control(lab: Lab, folders: Mapping[str, Folders], off: Container[str]) -> Report:
    """A finding for each daemon and each session, but those of and with nodes that are ``off``; that a daemon died and
    was started again is a note."""
    notes = tuple(f"daemon: {line}" for home in folders.values() for line in events(home.run))
    return Report((*_running(lab, folders, off), *_sessions(lab, folders, off)), notes)


def _running(lab: Lab, folders: Mapping[str, Folders], off: Container[str]) -> Iterator[Finding]:
    wanted = ((node, service) for node, some in services(lab).items() if node not in off for service in some)
    for node, service in wanted:
        runs = node in folders and answers(folders[node].run, service.name)
        seen = "running" if runs else "does not answer"
        yield Finding("daemon", f"{node} {service.name}", runs, "running", seen, "" if runs else node)


def _sessions(lab: Lab, folders: Mapping[str, Folders], off: Container[str]) -> Iterator[Finding]:
    lacking = frozenset(missing(lab, folders))
    for one in sessions(lab):
        if one.node in off or one.peer_node in off:
            continue
        there = one not in lacking
        why = "" if there else why_missing(lab, one, folders)
        seen = f"{one.daemon} has none" + (f": {why}" if why else "")
        kind, well = ("label", "there") if one.daemon == ZEBRA else ("session", "up")
        yield Finding(kind, f"{one.node}: {one.text}", there, well, well if there else seen, "" if there else one.node)
