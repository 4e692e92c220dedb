"""The verbs that look at the routing daemons of a node."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from ..errors import UsageError, nearest
from ..live.finding import node
from ..node import RunningNode
from ..processes import Folders
from .inside import run_attached
from .naming import again_inside, in_guest, name_of


def verb_vtysh(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with node(name, options.node) as one:
        if os.path.exists(f"{_folders(one, 'vtysh').run}/bird.ctl"):
            return run_attached(one, ["birdc", "-s", "/run/frr/bird.ctl", *options.commands[:1]], "")
        os.environ["VTYSH_HISTFILE"] = os.devnull
        return run_attached(one, ["vtysh", *(word for each in options.commands for word in ("-c", each))], "")


def verb_logs(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with node(name, options.node) as one:
        logs = {path.stem: path for path in sorted(Path(_folders(one, "logs").run).glob("*.log"))}
        if options.daemon and options.daemon not in logs:
            text = f"logs: {one.name} has no log of {options.daemon!r}; {nearest(options.daemon, logs)}"
            raise UsageError(text)
        for daemon in [options.daemon] if options.daemon else logs:
            for line in logs[daemon].read_text(encoding="utf-8", errors="replace").splitlines():
                print(line if options.daemon else f"{daemon}: {line}")
    return 0


def _folders(one: RunningNode, verb: str) -> Folders:
    if not one.folders:
        raise UsageError(f"{verb}: {one.name} runs no routing daemons")
    return one.folders
