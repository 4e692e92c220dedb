"""Failures on a running lab, made and undone, and what they cost: packets, time, and whether all is as before."""

from __future__ import annotations

from .events import KINDS, Event, events
from .report import Outcome, Report
from .run import Drill, Options, pairs
from .streams import Pair
from .switch import Power, owners

__all__ = ["KINDS", "Drill", "Event", "Options", "Outcome", "Pair", "Power", "Report", "events", "owners", "pairs"]
