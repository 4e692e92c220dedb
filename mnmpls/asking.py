"""What running daemons answer and what they have logged, by the folder that their sockets and logs are in: ``run`` is
that folder for these functions, which are called with the node's Folders."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from . import vici
from .processes import Folders

BIRD, CHARON = "bird", "charon"
RUN = "/run/frr"
"""Their folder, in a node."""
EVENTS = "mnmpls.log"
"""In /run/frr: what was noticed about the node's daemons."""
_ANSWER_S = 5.0

_PORTS = "show yang operational-data /frr-interface:lib"
"""All of FRR's daemons know this one; a port that is not there, but in a configuration, has no number."""

_REFUSED = (
    re.compile(r"\[EC \d+\] (?P<why>[^\[\]]+) on config line (?P<line>\d+): (?P<text>.*)"),
    re.compile(r"line (?P<line>\d+): (?:% )?(?P<why>[^\[\]]+)\[\d+\](?: to \w+, line|\.\.\.)?: (?P<text>.*)"),
)
"""How a daemon names what it does not take (lib/vty.c, vty_read_file), and vtysh (vtysh.c, vtysh_config_from_file)."""


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _there(asked: Callable[Concatenate[str, _P], _T]) -> Callable[Concatenate[Folders, _P], _T]:
    """Done by whoever has the folder."""

    @wraps(asked)
    def ask_there(home: Folders, /, *words: _P.args, **named: _P.kwargs) -> _T:
        if home.far is None:
            return asked(home.run, *words, **named)
        found: _T = home.far(asked.__name__, words)
        return found

    return ask_there


@_there
def ask(run: str, daemon: str, command: str) -> str | None:
    """What a daemon answers to a ``show`` command, by its vty socket in the folder ``run``; None if it does not. The
    answer ends with three zero bytes and a status (lib/vty.c, vtysh_read). charon has a protocol of its own."""
    return _ask(run, daemon, command)


def _ask(run: str, daemon: str, command: str) -> str | None:
    if daemon.startswith(BIRD):
        return _ask_bird(run, command)
    if daemon == CHARON:
        return vici.ask(f"{run}/{CHARON}.vici", command)
    # Without "enable" bfdd knows no command (bfdd_vty.c).
    asked = (each.encode() + b"\0" for each in ("enable", command))
    said = _dialogue(f"{run}/{daemon}.vty", asked, re.compile(rb"\0\0\0.\Z", re.DOTALL))
    return said[:-4].decode(errors="replace") if said else None


def _ask_bird(run: str, command: str) -> str | None:
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


@_there
def answers(run: str, daemon: str) -> bool:
    """Does it take questions? charon does without having read its file; then it knows nobody."""
    if daemon == CHARON:
        return _ask(run, daemon, "list-conns") not in (None, "[]")
    return _ask(run, daemon, "show status" if daemon == BIRD else "show version") is not None


@_there
def ports(run: str, daemon: str) -> frozenset[tuple[str, str]]:
    """Each port of the kernel that a daemon of FRR's has heard of, and its VRF; none if it does not tell."""
    try:
        said = json.loads(_ask(run, daemon, _PORTS) or "{}")
    except ValueError:
        return frozenset()
    found = said.get("frr-interface:lib", {}).get("interface", ())
    there = (one for one in found if one.get("state", {}).get("if-index"))
    return frozenset((one.get("name", ""), one.get("vrf", "")) for one in there)


@_there
def initiate(run: str, connection: str, child: str) -> None:
    """Has charon begin to agree on keys."""
    vici.initiate(f"{run}/{CHARON}.vici", connection, child)


@_there
def kill(run: str, daemon: str) -> None:
    """Has it end as by a crash: the process that listens where it is asked (SO_PEERCRED, unix(7)). Raises OSError."""
    socket_of = {BIRD: f"{BIRD}.ctl", CHARON: f"{CHARON}.vici"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(f"{run}/{socket_of.get(daemon, f'{daemon}.vty')}")
        pid, *_ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    os.kill(pid, signal.SIGKILL)


def events(home: Folders) -> list[str]:
    """One line for each daemon of the node that died."""
    lines = log_lines(home, EVENTS.removesuffix(".log"))
    return [line.rpartition(";")[0] for line in lines if not line.startswith(" ")]


def refusals(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Line and words of each refusal in a log."""
    for line in lines:
        if found := next((found for form in _REFUSED if (found := form.search(line))), None):
            yield int(found["line"]), f"{found['text'].strip()!r}: {found['why']}"


@_there
def log_lines(run: str, daemon: str) -> list[str]:
    """What the daemon has logged, nothing where there is no log."""
    with suppress(OSError), open(f"{run}/{daemon}.log", encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
    return []


@_there
def log_since(run: str, daemon: str, at: int) -> tuple[str, int]:
    """Its log from byte ``at`` on, as whole lines, and where they end."""
    with suppress(OSError), open(f"{run}/{daemon}.log", "rb") as file:
        file.seek(at)
        new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        return whole.decode(errors="replace"), at + len(whole)
    return "", at


@_there
def logs(run: str) -> list[str]:
    """The daemons that have one; none where the folder is gone."""
    return sorted(path.stem for path in Path(run).glob("*.log"))
