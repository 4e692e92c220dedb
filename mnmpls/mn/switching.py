"""Nodes of a Mininet net turned off and on again (see power.py)."""

from __future__ import annotations

import threading
from typing import Any

from mininet.log import error

from ..errors import CheckFailed
from ..power import turn_off
from ..processes import run_lines
from .graph import configure, fit_daemons

_LOCK = threading.Lock()
"""Other programs ask for it, too, in another thread than the prompt's."""


def stop(node: Any) -> None:
    """As RunningLab.stop; its shell ends with it. Raises CheckFailed for a node that is not ours."""
    _require_ours(node)
    with _LOCK:
        if not node.off:
            node.off = True
            services = node.daemons
            turn_off(node.name, node.namespace, node.processes, services.cut if services else lambda _: None)
            node.forget_shell()


def start(node: Any) -> None:
    """As RunningLab.start. Raises CheckFailed for a node that is not ours."""
    _require_ours(node)
    with _LOCK:
        was_off, node.off = node.off, False
        if was_off:
            configure(node)
        services = fit_daemons(node, lambda text: error(f"*** {text}\n"))
        if services:
            services.renew(node.name)
        if was_off:
            run_lines(node.name, node.params.get("exec", ()), node.popen)


def _require_ours(node: Any) -> None:
    if not hasattr(node, "role"):
        raise CheckFailed(f"{node.name} is no node of a lab, but another program's: it cannot be turned off and on")
