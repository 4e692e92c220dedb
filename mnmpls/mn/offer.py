"""A net's labs, offered to the other commands of this machine: ``mnmpls list``, ``exec``, ``check`` and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import registry
from ..kernel import Namespace
from ..live.serving import Door, Served, answers_of
from ..model import Lab
from ..processes import Folders, Processes
from . import switching
from .graph import lab_name
from .nodes import PROCESSES


@dataclass(frozen=True, slots=True)
class Part:
    """One connected lab of the net, as others see it."""

    lab: Lab
    namespaces: Mapping[str, Namespace]
    processes: Processes
    folders: Mapping[str, Folders]
    off: frozenset[str]
    nodes: Mapping[str, Any]

    def stop(self, name: str) -> None:
        switching.stop(self.nodes[name])

    def start(self, name: str) -> None:
        switching.start(self.nodes[name])


def offer(net: Any) -> Door | None:
    """Under the name of the Topo's lab, or "mininet"; nothing for a net without a node of ours."""
    if not net.lab_nodes():
        return None
    name, listener = registry.claim_free(lab_name(net.topo))
    return Door(listener, answers_of(name, "mininet", "", lambda: parts(net)))


def parts(net: Any) -> list[Served]:
    return [Part(plan.lab, plan.namespaces, PROCESSES, plan.folders, plan.off, plan.nodes) for plan in net.planned()]
