"""Commands in a VRF of a node."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import vrf_sockets
from .errors import LabError, Problem, nearest
from .kernel import Namespace


def in_vrf(node: str, namespace: Namespace, vrf: str, argv: Sequence[str]) -> list[str]:
    """The command that runs ``argv`` with its IP sockets in ``vrf``, for that node's namespace. It ends as ``argv``
    does, or with 127 or 126 when that cannot be started. Raises LabError for a VRF that the node does not have."""
    known = namespace.ports("vrf")
    if vrf not in known:
        there = nearest(vrf, sorted(known)) if known else "it has none"
        raise LabError([Problem("", f"{node} has no VRF {vrf!r}; {there}")])
    return [sys.executable, "-IS", vrf_sockets.__file__, vrf, *argv]


def mute(node: str, namespace: Namespace, vrf: str) -> str:
    """Why nobody answers what is sent from ``vrf``; empty where that is not so."""
    if namespace.addresses(vrf):
        return ""
    text = "has no address: what is sent there has no source, and no answer comes back"
    return f"VRF {vrf} at {node} {text}; give it a loopback or a port in the lab"
