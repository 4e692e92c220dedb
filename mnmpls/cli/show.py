"""The verbs that tell about a lab, running or not, without touching it."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Collection, Mapping
from pathlib import Path

from .. import registry
from ..asking import CHARON
from ..daemons import services
from ..errors import UsageError, nearest
from ..export.convert import WRITERS
from ..export.graph import graph
from ..export.ip_commands import ip_commands
from ..export.plan_data import plan_data
from ..export.plan_text import plan_text
from ..live.joining import join
from ..model import Lab
from ..plan import complete, records
from ..sources import SOURCES, load, public, schema
from ..state import Record
from .naming import again_inside, in_guest


def _lab(given: str) -> tuple[Lab, Mapping[str, frozenset[Record]]]:
    """Of a lab file, or as it runs under that name. Raises LabError, NotRunning, UsageError."""
    if Path(given).suffix in SOURCES or os.path.exists(given) or given not in registry.names():
        if Path(given).suffix not in SOURCES and not os.path.exists(given):
            raise UsageError(f"there is neither a lab file nor a running lab {given!r}; `mnmpls list` shows what runs")
        lab = complete(load(given))
        return lab, records(lab)
    with join(given) as joined:
        if len(joined.parts) != 1:
            raise UsageError(f"lab {given!r} falls apart into {len(joined.parts)} labs that are not connected")
        return joined.parts[0].lab, joined.parts[0].records


def _runs_in_guest(given: str) -> bool:
    return given in registry.names() and in_guest(given)


def verb_plan(options: Namespace) -> int:
    if _runs_in_guest(options.lab):
        return again_inside(options.lab, options.words)
    lab, planned = _lab(options.lab)
    for node in options.nodes:
        if node not in planned:
            raise UsageError(f"lab {lab.name!r} has no node {node!r}; {nearest(node, planned)}")
    if options.configs:
        _write_configs(lab, options.nodes, Path(options.configs))
    elif options.ip:
        print(ip_commands(lab, planned, options.nodes), end="")
    elif options.json:
        print(json.dumps(plan_data(lab, planned, options.nodes)))
    else:
        print(plan_text(lab, planned, options.nodes))
    return 0


def _write_configs(lab: Lab, nodes: Collection[str], folder: Path) -> None:
    """Those of ``nodes``, of all if none are named, but for the user's own that have secrets. Raises UsageError for a
    lab without daemons."""
    every = ((node, one) for node, some in services(lab).items() for one in some if not nodes or node in nodes)
    found = [(node, one) for node, one in every if not (one.where and one.name == CHARON)]
    if not found:
        raise UsageError(f"plan --configs: no routing daemon runs in {', '.join(nodes) or lab.name}")
    for node, service in found:
        path = folder / node / service.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(service.config, encoding="utf-8")
        print(path)


def verb_graph(options: Namespace) -> int:
    if _runs_in_guest(options.lab):
        return again_inside(options.lab, options.words)
    lab, planned = _lab(options.lab)
    sys.stdout.write(graph(public(lab), options.format, planned if options.lsps else None))
    return 0


def verb_convert(options: Namespace) -> int:
    form = Path(options.to).suffix
    if form not in WRITERS:
        raise UsageError(f"convert: {options.to} ends in none of {', '.join(WRITERS)}")
    text = WRITERS[form](load(options.file))
    try:
        with open(options.to, "w" if options.force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"convert: {options.to} is there already; --force overwrites it") from error
    except OSError as error:
        raise UsageError(f"convert: cannot write {options.to}: {error.strerror}") from error
    return 0


def verb_schema(_: Namespace) -> int:
    print(json.dumps(schema(), indent=2))
    return 0
