"""Routing daemons: a completed lab in, each node's services with their files out, and the sessions that they are to
have. Pure; services.py starts them."""

from __future__ import annotations

from .frr import Service, services
from .sessions import QUESTIONS, Session, established, sessions

__all__ = ["QUESTIONS", "Service", "Session", "established", "services", "sessions"]
