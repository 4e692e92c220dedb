"""What the owner of a lab tells those who ask for it (see registry.py for how they ask)."""

from __future__ import annotations

import errno
import json
import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Protocol

from .. import registry
from ..errors import CheckFailed, MnmplsError, nearest
from ..kernel import Namespace
from ..model import Lab
from ..node import NoSuchNode
from ..processes import Folders, Processes
from ..sources import data

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]
_ANSWER_S, _AGAIN_S = 2.0, 0.2
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_CALLERS = 64


class Served(Protocol):
    """A lab as its owner has it, with the descriptors of its nodes."""

    @property
    def lab(self) -> Lab: ...
    @property
    def namespaces(self) -> Mapping[str, Namespace]: ...
    @property
    def processes(self) -> Processes: ...
    @property
    def folders(self) -> Mapping[str, Folders]: ...
    @property
    def off(self) -> Collection[str]: ...
    def stop(self, name: str) -> None: ...
    def start(self, name: str) -> None: ...


def answers_of(name: str, runtime: str, file: str, parts: Callable[[], list[Served]]) -> dict[str, Answer]:
    """The questions that each owner answers. ``parts`` gives the connected labs under this name, one but for ``mn``."""
    since = time.time()

    def about(_: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": name, "runtime": runtime, "file": file, "pid": os.getpid(), "since": since,
            "kernel": f"{os.environ.get('MNMPLS_GUEST') or 'host'}, Linux {platform.release()}",
            "nodes": sum(len(part.namespaces) for part in parts()), "off": off(),
        }  # fmt: skip

    def off() -> list[str]:
        return sorted(node for part in parts() for node in sorted(part.off))

    def part_of(wanted: str) -> Served:
        for part in parts():
            if wanted in part.namespaces:
                return part
        known = [each for part in parts() for each in part.namespaces]
        raise NoSuchNode(f"lab {name!r} has no node {wanted!r}; {nearest(wanted, known)}")

    def node(request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = str(request["node"])
        part = part_of(wanted)
        if wanted in part.off:
            raise CheckFailed(f"{wanted} of lab {name!r} is turned off: `mnmpls start {name} {wanted}` turns it on")
        folders = part.folders.get(wanted)
        where = {"namespace": _path(part.namespaces[wanted]), "processes": part.processes.path()}
        return {**where, "folders": asdict(folders) if folders else None}

    def stop(request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = str(request["stop"])
        part_of(wanted).stop(wanted)
        return {"off": off()}

    def start(request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = str(request["start"])
        part_of(wanted).start(wanted)
        return {"off": off()}

    def whole(_: Mapping[str, Any]) -> dict[str, Any]:
        return {"parts": [_part(part) for part in parts()]}

    return {"about": about, "node": node, "lab": whole, "stop": stop, "start": start}


def _path(namespace: Namespace) -> str:
    return f"/proc/{os.getpid()}/fd/{namespace.fd}"


def _part(part: Served) -> dict[str, Any]:
    paths = {name: _path(namespace) for name, namespace in part.namespaces.items()}
    folders = {name: asdict(found) for name, found in list(part.folders.items())}
    return {"lab": data(part.lab), "namespaces": paths, "processes": part.processes.path(), "folders": folders,
            "off": sorted(part.off)}  # fmt: skip


def answer(listener: socket.socket, answers: Mapping[str, Answer]) -> None:
    """Take one caller and answer; whoever is not of our user or root, or is slow, gets nothing. Where no more files can
    be open, the caller waits for a next time."""
    try:
        caller, _ = listener.accept()
    except OSError as error:
        if error.errno not in _SHORT:
            raise
        time.sleep(_AGAIN_S)
        return
    with caller, suppress(OSError):
        caller.settimeout(_ANSWER_S)
        if registry.peer(caller)[1] not in (0, os.geteuid()):
            return
        caller.sendall(json.dumps(_reply(caller, answers)).encode() + b"\n")


def _reply(caller: socket.socket, answers: Mapping[str, Answer]) -> dict[str, Any]:
    try:
        request = json.loads(registry.read_line(caller))
        if not isinstance(request, dict):
            raise ValueError("a request is an object")
        asked = next((each for each in answers if request.get(each)), "")
        if not asked:
            return {"error": f"this lab answers {', '.join(answers)}; asked was {', '.join(request)}", "exit_code": 1}
        return answers[asked](request)
    except ValueError as error:
        return {"error": f"not understood: {error}", "exit_code": 1}
    except MnmplsError as error:
        return registry.problem(error)


class Door:
    """Answers from a thread of its own, until it is closed or the process ends."""

    def __init__(self, listener: socket.socket, answers: Mapping[str, Answer]) -> None:
        self._listener, self._answers = listener, answers
        listener.listen(_CALLERS)
        self._thread = threading.Thread(target=self._serve, name="lab's door", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                answer(self._listener, self._answers)

    def close(self) -> None:
        """Nobody is being answered any more then: to be done before anything of the lab goes."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self._thread.join()
        self._listener.close()
