"""The guest's first process, here as an ordinary one: what it says on its line."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mnmpls.guests import protocol
from mnmpls.guests.session import Command, opening
from tests.watching import LIMIT_S, until

AGENT = "import sys; from mnmpls.guests.agent import Agent; Agent(int(sys.argv[1]), -1).serve()"
SESSIONS = range(1, 21)


class Line:
    """To an agent."""

    def __init__(self) -> None:
        self.end, theirs = socket.socketpair()
        self.end.settimeout(LIMIT_S)
        words = [sys.executable, "-c", AGENT, str(theirs.fileno())]
        self.agent = subprocess.Popen(words, pass_fds=[theirs.fileno()], cwd=Path(__file__).parents[2])
        theirs.close()
        self.heard = bytearray()

    def tell(self, *frames: tuple[int, int, bytes]) -> None:
        """All at once."""
        self.end.sendall(b"".join(protocol.frame(*each) for each in frames))

    def hear(self) -> list[tuple[int, int, bytes]]:
        self.heard += self.end.recv(1 << 16)
        return protocol.take(self.heard)

    def output(self, session: int, length: int) -> bytes:
        """So much of what a session writes, less if it ends before."""
        found, ended = b"", False
        while len(found) < length and not ended:
            mine = [(kind, data) for kind, each, data in self.hear() if each == session]
            found += b"".join(data for kind, data in mine if kind == protocol.OUT)
            ended = protocol.EXIT in dict(mine)
        return found

    def close(self) -> None:
        self.agent.kill()
        self.agent.wait()
        self.end.close()


@pytest.fixture
def line() -> Iterator[Line]:
    with closing(Line()) as made:
        yield made


def shell(script: str) -> bytes:
    return opening(Command(("sh", "-c", script), {"PATH": "/usr/bin:/bin"}, "/"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_the_commands_however_early_it_comes(line: Line, number: signal.Signals) -> None:
    """With the request to start it, too: it never goes lost between the agent's fork and the command's start."""
    begin = ((protocol.OPEN, each, shell("exec sleep 300")) for each in SESSIONS)
    end = ((protocol.SIGNAL, each, b"%d" % number) for each in SESSIONS)
    line.tell(*(frame for both in zip(begin, end, strict=True) for frame in both))
    statuses: dict[int, int] = {}
    while len(statuses) < len(SESSIONS):
        statuses |= {session: int(data) for kind, session, data in line.hear() if kind == protocol.EXIT}
    assert statuses == dict.fromkeys(SESSIONS, 128 + number)


def test_news_of_one_session_are_not_anothers(line: Line, tmp_path: Path) -> None:
    """A session that is opened at the moment when another's input is found closed, and gets its descriptor."""
    go, gone = tmp_path / "go", tmp_path / "gone"
    script = f"echo here; until test -e {go}; do sleep 0.1; done; exec <&-; echo >{gone}; exec sleep 300"
    line.tell((protocol.OPEN, 1, shell(script)))
    assert line.output(1, 5) == b"here\n"
    line.agent.send_signal(signal.SIGSTOP)
    go.touch()
    until(gone.exists)
    line.tell((protocol.IN, 1, b"too late\n"), (protocol.OPEN, 2, shell("echo there; cat")))
    line.agent.send_signal(signal.SIGCONT)
    assert line.output(2, 6) == b"there\n"
    line.tell((protocol.IN, 2, b"read\n"), (protocol.IN, 2, b""))
    assert line.output(2, 5) == b"read\n"
    line.tell((protocol.SIGNAL, 1, b"%d" % signal.SIGKILL))
    assert line.output(1, 1) == b""
