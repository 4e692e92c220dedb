"""Is the running lab what it is meant to be? Reachability and isolation, drift, labels and MTUs on the wires."""

from __future__ import annotations

from .elsewhere import note
from .findings import Finding, Report
from .whole import LIMIT_S, check, drift

__all__ = ["LIMIT_S", "Finding", "Report", "check", "drift", "note"]
