"""Labs whose nodes are containers: what runs inside of each, and how they are made without Containerlab."""

from __future__ import annotations

import os
import stat

_SOCKET = "/var/run/docker.sock"


def has_daemon() -> bool:
    """Whether it is worth asking docker: the SDK takes time to come in, and most machines have no daemon."""
    try:
        return bool(os.environ.get("DOCKER_HOST")) or stat.S_ISSOCK(os.stat(_SOCKET).st_mode)
    except OSError:
        return False
