"""The user's X display can be used from a guest, where Mininet's ``xterm`` opens its windows."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from mnmpls.guests import display

pytestmark = pytest.mark.system

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 180


@pytest.fixture
def screen() -> Iterator[str]:
    """An X server of our own, with a number that is free; it keeps its windows when the last client has gone."""
    end, start = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(start), "-noreset", "-screen", "0", "800x600x24"],
                              pass_fds=[start], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(start)
    with open(end, encoding="ascii") as file:
        number = file.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait()


def environment(screen: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "DISPLAY": screen, "MNMPLS_KERNEL": "uml"}


def test_xterm_of_a_node_opens_its_window(screen: str) -> None:
    """``xterm pe1`` at the lab's prompt opens a window on the user's display, though the lab is in a guest."""
    child = pexpect.spawn("/usr/bin/mn", ["--custom", "topos/l3vpn.py"], cwd=str(PROJECT), env=environment(screen),
                          encoding="utf-8", timeout=LIMIT_S, dimensions=(40, 160))
    child.expect("mininet> ")
    child.sendline("xterm pe1")
    child.expect("mininet> ")
    child.sendline("sh until xwininfo -root -tree | grep XTerm; do sleep 0.2; done")
    child.expect('"pe1": \\("xterm" "XTerm"\\)')
    child.expect("mininet> ")
    seen = subprocess.run(["xwininfo", "-root", "-tree"], env=environment(screen), capture_output=True, text=True,
                          timeout=LIMIT_S, check=True)
    assert '"pe1": ("xterm" "XTerm")' in seen.stdout
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def guest(screen: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/usr/bin/python3", "-m", "mnmpls", "guest", "run", "--kernel", "uml", "--", *argv],
                          cwd=PROJECT, env=environment(screen), capture_output=True, text=True, timeout=LIMIT_S,
                          check=False)


ECHO = """
import hashlib, os, socket
line = socket.socket(socket.AF_UNIX)
line.connect("/tmp/.X11-unix/X7777")
sent, got = hashlib.sha256(), hashlib.sha256()
for _ in range(40):
    data = os.urandom(50000)
    sent.update(data)
    line.sendall(data)
    got.update(line.recv(len(data), socket.MSG_WAITALL))
line.shutdown(socket.SHUT_WR)
print(f"{line.recv(1)} {got.digest() == sent.digest()}")  # as one: several write here
"""


def test_a_call_is_byte_exact_and_ends() -> None:
    """2 MB to a display's server and back arrive whole, several calls do not mix, and the server's end of a call is
    seen in the guest."""
    def serve(server: socket.socket) -> None:
        for _ in range(2):
            with server.accept()[0] as line:
                while data := line.recv(1 << 16):
                    line.sendall(data)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0/tmp/.X11-unix/X7777")
        server.listen()
        calls = [threading.Thread(target=serve, args=(server,)) for _ in range(2)]
        for each in calls:
            each.start()
        done = guest("unix:7777.1", "sh", "-c", 'echo "$DISPLAY"; for n in 1 2; do "$@" & done; wait; "$@"; exec "$@"',
                     "sh", "/usr/bin/python3", "-c", ECHO)
        for each in calls:
            each.join(LIMIT_S)
    assert done.stdout.splitlines() == [":7777.1", *["b'' True"] * 4], done.stderr


def test_a_display_without_a_server_refuses(tmp_path: Path) -> None:
    """A client ends with its own message, and the guest goes on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1] - 6000
    done = guest(f"127.0.0.1:{number}", "sh", "-c", "xwininfo -root; echo went on")
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert f'unable to open display ":{number}"' in done.stderr


@pytest.mark.parametrize(("given", "number", "inside"), [
    (":0", 0, ":0"),
    ("unix:1.2", 1, ":1.2"),
    ("localhost:10.0", 10, ":10.0"),
    ("[::1]:3", 3, ":3"),
    ("/private/tmp/socket:0x", None, "/private/tmp/socket:0x"),
    ("", None, ""),
])
def test_names_of_displays(given: str, number: int | None, inside: str) -> None:
    """Every name of an X display keeps its number and screen in the guest; what is none stays as it is."""
    assert (display.number(given), display.inside(given)) == (number, inside)
