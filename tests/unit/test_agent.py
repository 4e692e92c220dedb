"""The guest's first process, here as an ordinary one: what it says on its line."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mnmpls.guests import protocol
from mnmpls.guests.session import Command, opening
from tests.watching import LIMIT_S

AGENT = "import sys; from mnmpls.guests.agent import Agent; Agent(int(sys.argv[1]), -1).serve()"
SESSIONS = range(1, 21)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_the_commands_however_early_it_comes(number: signal.Signals) -> None:
    """With the request to start it, too: it never goes lost between the agent's fork and the command's start."""
    what = opening(Command(("sleep", "300"), {"PATH": "/usr/bin:/bin"}, "/"))
    begin = (protocol.frame(protocol.OPEN, each, what) for each in SESSIONS)
    end = (protocol.frame(protocol.SIGNAL, each, b"%d" % number) for each in SESSIONS)
    line, theirs = socket.socketpair()
    words = [sys.executable, "-c", AGENT, str(theirs.fileno())]
    project = Path(__file__).parents[2]
    with line, subprocess.Popen(words, pass_fds=[theirs.fileno()], cwd=project) as agent:
        theirs.close()
        line.settimeout(LIMIT_S)
        line.sendall(b"".join(frame for both in zip(begin, end, strict=True) for frame in both))
        heard, statuses = bytearray(), dict[int, int]()
        try:
            while len(statuses) < len(SESSIONS):
                heard += line.recv(1 << 16)
                frames = protocol.take(heard)
                statuses |= {session: int(data) for kind, session, data in frames if kind == protocol.EXIT}
        finally:
            agent.kill()
    assert statuses == dict.fromkeys(SESSIONS, 128 + number)
