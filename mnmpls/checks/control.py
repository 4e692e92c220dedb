"""The daemons' half of a check: do they run, and do they have the sessions that they are to have?"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from ..asking import answers, events
from ..daemons import ZEBRA, services, sessions
from ..model import Lab
from ..processes import Folders
from ..services import missing, refused
from .causes import cause_of
from .findings import Finding, Report


def control(
    lab: Lab, folders: Mapping[str, Folders], off: Container[str], elsewhere: Container[str] = ()
) -> Report:
    """A finding for each daemon, each configuration of the user's own and each session, but those of and with nodes
    that are ``off``, and those of nodes ``elsewhere``; that a daemon died and was started again is a note."""
    notes = tuple(f"daemon: {line}" for home in folders.values() for line in events(home))
    found = (*_running(lab, folders, off, elsewhere), *_configs(lab, folders), *_sessions(lab, folders, off, elsewhere))
    return Report(found, notes)


def _configs(lab: Lab, folders: Mapping[str, Folders]) -> Iterator[Finding]:
    """Of the user's own: FRR's daemons go on without the lines that they do not understand."""
    for service, node, problems in refused(lab, folders):
        seen = "; ".join(map(str, problems)) or "all taken"
        subject, where = f"{node} {service.file_name}", node if problems else ""
        yield Finding("config", subject, not problems, "every line taken", seen, where)


def _running(
    lab: Lab, folders: Mapping[str, Folders], off: Container[str], elsewhere: Container[str]
) -> Iterator[Finding]:
    nodes = ((node, some) for node, some in services(lab).items() if node not in off and node not in elsewhere)
    for node, service in ((node, service) for node, some in nodes for service in some):
        runs = node in folders and answers(folders[node], service.name)
        seen = "running" if runs else "does not answer"
        yield Finding("daemon", f"{node} {service.name}", runs, "running", seen, "" if runs else node)


def _sessions(
    lab: Lab, folders: Mapping[str, Folders], off: Container[str], elsewhere: Container[str]
) -> Iterator[Finding]:
    lacking = frozenset(missing(lab, folders))
    for one in sessions(lab):
        if one.node in off or one.peer_node in off or one.node in elsewhere:
            continue
        there = one not in lacking
        why = "" if there else cause_of(lab, one, folders)
        seen = f"{one.daemon} has none" + (f": {why}" if why else "")
        kind, well = ("label", "there") if one.daemon == ZEBRA else ("session", "up")
        yield Finding(kind, f"{one.node}: {one.text}", there, well, well if there else seen, "" if there else one.node)
