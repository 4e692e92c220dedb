"""The docker daemon, by its Python SDK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from typing import Any

from ..errors import CheckFailed

_TIMEOUT_S = 600


def refusals() -> Any:
    """The docker SDK's own kinds of errors."""
    return import_module("docker.errors")


@contextmanager
def connected() -> Iterator[Any]:
    """A client of the daemon that DOCKER_HOST names, or the machine's own. What the daemon refuses inside comes out as
    CheckFailed with its words, and so does one that does not answer."""
    try:
        docker = import_module("docker")
    except ImportError as error:
        raise CheckFailed("there is no docker SDK for Python: run apt-get install python3-docker") from error
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    try:
        client = docker.from_env(timeout=_TIMEOUT_S)
        with closing(client):
            client.ping()
            yield client
    except docker.errors.APIError as error:
        raise CheckFailed(f"docker: {error.explanation or error}") from error
    except (docker.errors.DockerException, OSError) as error:
        told = f"no docker daemon answers at {where} ({_cause(error)}); {_remedy(error)}"
        raise CheckFailed(told) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The SDK wraps the kernel's word several times."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _cause(error: BaseException) -> str:
    said = [each.strerror for each in _causes(error) if isinstance(each, OSError) and each.strerror]
    return said[-1] if said else str(error)


def _remedy(error: BaseException) -> str:
    if any(isinstance(each, PermissionError) for each in _causes(error)):
        return "use sudo"
    return "start it (systemctl start docker), or set DOCKER_HOST to where one listens"
