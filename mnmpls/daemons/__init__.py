"""The daemons of a lab's nodes: a completed lab in, each node's services with their files out, and the sessions that
they are to have. Pure; services.py starts them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..model import Lab
from . import frr, ipsec
from . import sessions as routing
from .bird_sessions import daemon_at
from .ipsec import cause, secrets_conf, strongswan_conf
from .peers import Peer, Secret
from .segments import sid_labels
from .service import INTEGRATED, Service
from .sessions import QUESTIONS, ZEBRA, Session, documents, established

__all__ = [
    "INTEGRATED", "QUESTIONS", "ZEBRA", "Peer", "Secret", "Service", "Session", "cause", "daemon_at",
    "documents", "established", "secrets_conf", "services", "sessions", "sid_labels", "strongswan_conf",
]  # fmt: skip


_LABS = 4
"""So many labs' services and sessions are kept: those of a running one are asked for several times a second."""


@lru_cache(maxsize=_LABS)
def services(lab: Lab) -> Mapping[str, tuple[Service, ...]]:
    """Node -> its daemons in the order of their start, for a completed lab; nodes without any are absent. Routing goes
    through tunnels, and so comes after their keys."""
    parts = ipsec.services(lab), frr.services(lab)
    found = {node.name: tuple(one for part in parts for one in part.get(node.name, ())) for node in lab.nodes}
    return {name: some for name, some in found.items() if some}


@lru_cache(maxsize=_LABS)
def sessions(lab: Lab) -> tuple[Session, ...]:
    """All of a completed lab, those first that others need."""
    return *ipsec.sessions(lab), *routing.sessions(lab)
