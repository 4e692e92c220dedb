"""Time as it goes for those whose packets are awaited."""

from __future__ import annotations

import time

_SLACK_S = 0.08


class Clock:
    """Of a turn that took much longer than it was to, only what it was to take counts: the machine, or that of a guest
    kernel, had no time for us, and none for the nodes either."""

    def __init__(self) -> None:
        self.now_s, self._seen = 0.0, time.monotonic()

    def turn(self, planned_s: float) -> float:
        """What it shows after a turn that was to take so long at most."""
        now = time.monotonic()
        self.now_s += min(now - self._seen, planned_s + _SLACK_S)
        self._seen = now
        return self.now_s
