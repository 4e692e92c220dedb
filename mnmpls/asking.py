"""What running daemons answer and what they have logged, by the folder that their sockets and logs are in."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress

from . import vici
from .daemons import BIRD, CHARON

EVENTS = "mnmpls.log"
"""In /run/frr: what was noticed about the node's daemons."""
_ANSWER_S = 2.0

_REFUSED = (
    re.compile(r"\[EC \d+\] (?P<why>[^\[\]]+) on config line (?P<line>\d+): (?P<text>.*)"),
    re.compile(r"line (?P<line>\d+): (?:% )?(?P<why>[^\[\]]+)\[\d+\](?: to \w+, line|\.\.\.)?: (?P<text>.*)"),
)
"""How a daemon names what it does not take (lib/vty.c, vty_read_file), and vtysh (vtysh.c, vtysh_config_from_file)."""


def ask(run: str, daemon: str, command: str) -> str | None:
    """What a daemon answers to a ``show`` command, by its vty socket in the folder ``run``; None if it does not. The
    answer ends with three zero bytes and a status (lib/vty.c, vtysh_read). charon has a protocol of its own."""
    if daemon.startswith(BIRD):
        return ask_bird(run, command)
    if daemon == CHARON:
        return vici.ask(f"{run}/{CHARON}.vici", command)
    # Without "enable" bfdd knows no command (bfdd_vty.c).
    asked = (each.encode() + b"\0" for each in ("enable", command))
    said = _dialogue(f"{run}/{daemon}.vty", asked, re.compile(rb"\0\0\0.\Z", re.DOTALL))
    return said[:-4].decode(errors="replace") if said else None


def ask_bird(run: str, command: str) -> str | None:
    """The same of BIRD (birdc(8)): a line for its greeting, and those that answer; the last begins with a code and a
    space."""
    end = re.compile(rb"^\d{4} [^\n]*\n\Z", re.MULTILINE)
    said = _dialogue(f"{run}/{BIRD}.ctl", (b"", command.encode() + b"\n"), end)
    return said.decode(errors="replace") if said else None


def _dialogue(path: str, asked: Iterable[bytes], end: re.Pattern[bytes]) -> bytes:
    """What is answered to the last question, each of whose answers ends in ``end``; nothing where nobody answers."""
    said = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_ANSWER_S)
        try:
            line.connect(path)
            for each in asked:
                line.sendall(each)
                said = b""
                while not end.search(said):
                    more = line.recv(1 << 16)
                    if not more:
                        return b""
                    said += more
        except OSError:
            return b""
    return said


def answers(run: str, daemon: str) -> bool:
    """Does it take questions? charon does without having read its file; then it knows nobody."""
    if daemon == CHARON:
        return ask(run, daemon, "list-conns") not in (None, "[]")
    return (ask_bird(run, "show status") if daemon == BIRD else ask(run, daemon, "show version")) is not None


def events(run: str) -> list[str]:
    """One line for each daemon of the node that died."""
    lines = log_lines(run, EVENTS.removesuffix(".log"))
    return [line.rpartition(";")[0] for line in lines if not line.startswith(" ")]


def refusals(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Line and words of each refusal in a log."""
    for line in lines:
        if found := next((found for form in _REFUSED if (found := form.search(line))), None):
            yield int(found["line"]), f"{found['text'].strip()!r}: {found['why']}"


def log_lines(run: str, daemon: str) -> list[str]:
    """What the daemon has logged, nothing where there is no log."""
    with suppress(OSError), open(f"{run}/{daemon}.log", encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
    return []
