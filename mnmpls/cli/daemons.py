"""The verbs that look at the routing daemons of a node."""

from __future__ import annotations

import os
import time
from argparse import Namespace

from ..asking import BIRD, answers, log_since, logs
from ..errors import UsageError, nearest
from ..node import RunningNode
from ..processes import Folders
from .inside import run_attached
from .naming import DOCKER, about, again_inside, boxes, entered, in_guest, name_of

_AGAIN_S = 0.2
"""How often a log is looked at again."""


def verb_vtysh(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    with entered(name, options.node) as one:
        if answers(_folders(one, "vtysh"), BIRD):
            return run_attached(one, ["birdc", "-s", "/run/frr/bird.ctl", *options.commands[:1]], "")
        os.environ["VTYSH_HISTFILE"] = os.devnull
        return run_attached(one, ["vtysh", *(word for each in options.commands for word in ("-c", each))], "")


def verb_logs(options: Namespace) -> int:
    name = name_of(options.lab)
    if in_guest(name):
        return again_inside(name, options.words)
    container = boxes().said(name, options.node) if about(name).runtime == DOCKER else None
    with entered(name, options.node) as one:
        if container is not None and not options.daemon:
            print(container, end="")
            if not one.folders:
                return 0
        home = _folders(one, "logs")
        known = logs(home)
        if options.daemon and options.daemon not in known:
            text = f"logs: {one.name} has no log of {options.daemon!r}; {nearest(options.daemon, known)}"
            raise UsageError(text)
        read: dict[str, int] = {}
        _show(home, options.daemon, read)
        while options.follow and logs(home):  # there are none when the lab has ended
            time.sleep(_AGAIN_S)
            _show(home, options.daemon, read)
    return 0


def _show(home: Folders, daemon: str | None, read: dict[str, int]) -> None:
    """What is new in the logs, of one daemon or of all, as whole lines. ``read`` is how far each was shown already."""
    for each in [daemon] if daemon else logs(home):
        new, read[each] = log_since(home, each, read.get(each, 0))
        for line in new.splitlines():
            print(line if daemon else f"{each}: {line}", flush=True)


def _folders(one: RunningNode, verb: str) -> Folders:
    if not one.folders:
        raise UsageError(f"{verb}: {one.name} runs no routing daemons")
    return one.folders
