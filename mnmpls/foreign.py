"""Nodes that are not ours to set up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Foreign:
    """``what`` it is instead of ours: ``image alpine:3``, ``kind ceos``. Unless it ``is_host``, whose packets are known
    without asking whoever set it up, nothing of ours could stand for it."""

    node: str
    what: str
    is_host: bool
