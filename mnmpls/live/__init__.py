"""Labs that outlive the command that started them: one process holds each, others find it by name and join in."""

from __future__ import annotations

from .holder import Options, hold, start
from .joining import GUEST, About, about, join, labs
from .owned import close, run
from .serving import Served, answers_of, serve_beside

__all__ = [
    "GUEST",
    "About",
    "Options",
    "Served",
    "about",
    "answers_of",
    "close",
    "hold",
    "join",
    "labs",
    "run",
    "serve_beside",
    "start",
]
