"""Run in a guest: does in its network namespace and with its daemons what somebody outside wants done (far.py), who
cannot reach another kernel.

A request is ``{"id": N, "do": WHAT, "words": [...]}``; ``{"id": N, "found": ...}``, ``{"id": N, "errno": ...}`` or
``{"id": N, "refused": [...]}`` answers it, but for a ``later``, which nobody waits for. What comes in at one of the
sockets that were asked for goes out of its own accord: ``{"of": SOCKET, "sender": [...], "extra": [...]}`` and the
data."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from .. import asking
from ..asking import RUN
from ..errors import KernelRefused
from ..kernel import Namespace
from ..processes import Folders
from .line import packed, take

KERNEL = frozenset({
    "observe", "learned", "routes_by_hand", "rules_by_hand", "lost_rules", "queues", "filters", "bridged", "ports",
    "addresses", "indexes", "set_up", "delete_port", "write", "remove",
})  # fmt: skip
"""Of Namespace."""
DAEMONS = frozenset({"ask", "answers", "initiate", "log_lines", "log_since", "logs", "kill"})
"""Of asking.py."""
_CHUNK, _EXTRA = 1 << 17, 128
_AT_ONCE = 64


class Near:
    def __init__(self, hear: int, tell: int) -> None:
        self._hear, self._tell, self._buffer = hear, tell, bytearray()
        self._namespace, self._home = Namespace.open("/proc/self/ns/net"), Folders("", RUN)
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.poll()
        self._poll.register(hear, select.POLLIN)

    def serve(self) -> None:
        """Until nobody is there any more."""
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._hear:
                    self._pass_on(fd)
                    continue
                data = os.read(self._hear, _CHUNK)
                if not data:
                    return
                self._buffer += data
                for head, body in take(self._buffer):
                    self._answer(head, body)

    def _say(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        view = memoryview(packed(head, body))
        while view:
            view = view[os.write(self._tell, view) :]

    def _answer(self, head: Mapping[str, Any], body: bytes) -> None:
        try:
            answer: dict[str, Any] = {"found": self._done(head["do"], list(head["words"]), body)}
        except KernelRefused as error:
            answer = {"refused": [error.what, error.why, error.remedy, error.errno]}
        except OSError as error:
            answer = {"errno": error.errno}
        if head["id"]:
            self._say({"id": head["id"], **answer})

    def _done(self, do: str, words: list[Any], body: bytes) -> Any:
        if do in KERNEL:
            by_hand = {"by_hand": words.pop()} if do == "remove" else {}
            found = getattr(self._namespace, do)(*words, **by_hand)
            return list(found.items()) if isinstance(found, dict) else found
        if do == "settle":
            for fd in list(self._sockets):
                self._pass_on(fd)
            return None
        if do in DAEMONS:
            return getattr(asking, do)(self._home, *words)
        return self._socket(do, *words, body=body)

    def _socket(self, do: str, *words: Any, body: bytes) -> Any:
        if do == "socket":
            made = socket.socket(*words)
            made.setblocking(False)
            self._sockets[made.fileno()] = made
            self._poll.register(made, select.POLLIN)
            return made.fileno()
        number, *rest = words
        one = self._sockets[number]
        if do == "close":
            self._poll.unregister(one)
            del self._sockets[number]
        if do == "sendto":
            return one.sendto(body, *rest)
        done: Callable[..., Any] = getattr(one, do)
        return done(*rest)

    def _pass_on(self, fd: int) -> None:
        with suppress(OSError):  # nothing more, or what it has to say is an error of what was sent before
            for _ in range(_AT_ONCE):
                if fd not in self._sockets:
                    return
                data, extra, _, sender = self._sockets[fd].recvmsg(_CHUNK, _EXTRA)
                self._say({"of": fd, "sender": sender, "extra": extra}, data)


def main() -> int:
    Near(0, os.dup(1)).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
