"""A running node is told that its lab is another now: who asks is a process beside the one that keeps the node
(``python3 -m mnmpls.containers.change``), in its guest if it has one; the lab comes in and what was done goes out as a
line of JSON."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..apply import Difference
from ..errors import MnmplsError
from ..model import Lab
from ..sources import from_data
from ..wording import words

SOCKET = "/run/mnmpls.keeper"
COMMAND = ("/usr/bin/python3", "-m", "mnmpls.containers.change")
_CHUNK = 1 << 16


class Questions:
    """Where the node's keeper hears of it."""

    def __init__(self, path: str = SOCKET) -> None:
        Path(path).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        former = os.umask(0o077)
        try:
            self._listener.bind(path)
        finally:
            os.umask(former)
        self._listener.listen()

    def fileno(self) -> int:
        return self._listener.fileno()

    def answer(self, change: Callable[[Lab], Difference]) -> None:
        """The next one. What is wrong is told to who asks: the node goes on."""
        with self._listener.accept()[0] as line, suppress(BrokenPipeError, ConnectionResetError):
            asked = _whole(line)
            if asked:
                line.sendall(json.dumps(_answered(asked, change)).encode())


def _answered(asked: bytes, change: Callable[[Lab], Difference]) -> Mapping[str, Any]:
    try:
        done = change(from_data(json.loads(asked)))
    except MnmplsError as error:
        return {"error": str(error)}
    return {"removed": [*map(words, done.remove)], "written": [*map(words, done.write)]}


def _whole(line: socket.socket) -> bytes:
    """All that comes."""
    return b"".join(iter(lambda: line.recv(_CHUNK), b""))


def main() -> int:
    lab = sys.stdin.buffer.readline()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(SOCKET)
        except OSError as error:
            print(json.dumps({"error": f"nobody keeps this node ({error.strerror}); its log tells why"}))
            return 1
        line.sendall(lab)
        line.shutdown(socket.SHUT_WR)
        print(_whole(line).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
