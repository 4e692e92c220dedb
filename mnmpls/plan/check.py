"""What can be wrong in a lab, all of it at once."""

from __future__ import annotations

from ..errors import Problem
from ..model import Lab


def problems(lab: Lab) -> tuple[Problem, ...]:
    return ()
