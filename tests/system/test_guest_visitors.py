"""A guest that stays, and the sessions that other processes of this machine have in it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from mnmpls import registry
from mnmpls.errors import LabError, MnmplsError
from tests.watching import alive, busy, descendants, until

pytestmark = pytest.mark.system

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 180
STRANGER = 12345
"""A user id that this machine has not given to anybody."""

START = """
import os, sys
from mnmpls import guests, registry
from mnmpls.errors import MnmplsError
try:
    with registry.claim(sys.argv[1]) as listener:
        offer = guests.Offer(listener, {"name": sys.argv[1], "nodes": 7})
        print(guests.start(guests.choose_guest(os.environ["MNMPLS_KERNEL"]), sys.argv[2:], offer)[0])
except MnmplsError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

VISIT = """
import sys
from mnmpls import guests
from mnmpls.errors import MnmplsError
try:
    sys.exit(guests.run_in_lab(sys.argv[1], sys.argv[2:]))
except MnmplsError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

HOLDER = ("sh", "-c", "echo complaint >&2; echo made; echo mnmpls: ready; exec sleep 1000")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1", **more}


def start(name: str, *argv: str, user: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", START, name, *argv], cwd=PROJECT, text=True, stdin=subprocess.DEVNULL,
                          env=environment(**{"MNMPLS_KERNEL": "uml", **env}), capture_output=True, timeout=LIMIT_S,
                          check=False, user=user)


def visit(name: str, *argv: str, stdin: bytes = b"", cwd: Path = PROJECT, user: int | None = None,
          ) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", VISIT, name, *argv], cwd=cwd, env=environment(), input=stdin,
                          capture_output=True, timeout=LIMIT_S, check=False, user=user)


def visiting(name: str, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", VISIT, name, *argv], cwd=PROJECT, env=environment(),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def in_guest(name: str, word: str) -> int:
    """How many processes in the guest have this word as an argument."""
    script = f'grep -lszx "[{word[0]}]{word[1:]}" /proc/[0-9]*/cmdline | wc -l'
    return int(visit(name, "sh", "-c", script).stdout)


def new_name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    """A guest that stays, for all tests here; whoever ends it, its processes are gone then."""
    name = new_name()
    done = start(name, *HOLDER)
    assert (done.returncode, done.stderr) == (0, "complaint\n")
    told, pid = done.stdout.splitlines()
    assert told == "made"
    below = [int(pid), *descendants(int(pid))]
    yield name
    os.kill(int(pid), signal.SIGTERM)
    until(lambda: not any(map(alive, below)), f"still there: {below}")
    assert name not in registry.names()


def test_what_is_known_of_it(name: str) -> None:
    """Anybody of this user may ask: the guest's kernel, since when, whose process, and what its starter had to say."""
    about = registry.ask(name, {"about": True})
    assert about["runtime"] == "guest"
    assert about["kernel"].startswith("uml, Linux 6.")
    assert (about["name"], about["nodes"], about["writable"]) == (name, 7, [str(PROJECT)])
    assert alive(about["pid"])
    assert 0 < time.time() - about["since"] < 1000


def test_streams_and_status_are_the_commands(name: str) -> None:
    """stdin, stdout, stderr and the status pass as they are, every byte value included, a small one and much."""
    every = bytes(range(256)) * 64
    done = visit(name, "sh", "-c", "cat; printf 'e\\000\\377\\r\\n' >&2; exit 7", stdin=every)
    assert (done.returncode, done.stdout, done.stderr) == (7, every, b"e\0\xff\r\n")
    data = os.urandom(1 << 20) * 10
    done = visit(name, "cat", stdin=data)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_visitors_do_not_disturb_each_other(name: str) -> None:
    """One whose output nobody reads, one that sends and takes megabytes, and a quick one, all at once."""
    with visiting(name, "sh", "-c", "echo on; exec cat /dev/zero") as stuck, visiting(name, "md5sum") as busy:
        assert stuck.stdout and stuck.stdout.read(3) == b"on\n"
        data = os.urandom(1 << 20) * 5
        assert visit(name, "echo", "quick").stdout == b"quick\n"
        out, _ = busy.communicate(data, timeout=LIMIT_S)
        assert out.split()[0].decode() == hashlib.md5(data).hexdigest()
        stuck.stdout.close()
        assert stuck.wait(LIMIT_S) == 128 + signal.SIGPIPE  # as a command whose reader has gone


def test_output_that_nobody_takes_is_not_hoarded(name: str) -> None:
    """Its command waits, as at a pipe that is full; the runner does not grow."""
    def resident_kib() -> int:
        status = Path(f"/proc/{registry.ask(name, {'about': True})['pid']}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    before = resident_kib()
    with visiting(name, "cat", "/dev/zero") as stuck:
        assert stuck.stdout and stuck.stdout.read(1) == b"\0"
        time.sleep(2)
        assert resident_kib() < before + 4096
        stuck.kill()


def test_the_current_folder_and_the_environment_are_the_visitors(name: str, tmp_path: Path) -> None:
    """A visitor from elsewhere is where he was, sees this machine's files, and is told what becomes of his own."""
    (tmp_path / "given").write_text("of the host\n")
    done = visit(name, "sh", "-c", 'pwd; cat given; echo lost >made; echo "$MNMPLS_GUEST"', cwd=tmp_path)
    assert done.stdout.decode().splitlines() == [str(tmp_path), "of the host", "uml"]
    assert done.stderr.decode() == (
        f"mnmpls: what is written in {tmp_path} stays in the guest: it writes through to {PROJECT} only\n"
    )
    assert not (tmp_path / "made").exists()
    assert visit(name, "true", cwd=PROJECT / "tests").stderr == b""


def test_a_terminal_is_a_terminal(name: str) -> None:
    """Size and its change, Ctrl-C, Ctrl-D, status; and the visitor's terminal is given back as it was."""
    shell = pexpect.spawn("/bin/bash", ["--norc"], cwd=str(PROJECT), env=environment(PS1="host> "), encoding="utf-8",
                          timeout=LIMIT_S, dimensions=(31, 97))
    shell.expect_exact("host> ")
    shell.sendline("stty -g >/dev/shm/$$.before")
    shell.expect_exact("host> ")
    Path(f"/dev/shm/{shell.pid}.py").write_text(VISIT)
    try:
        shell.sendline(f"{sys.executable} /dev/shm/$$.py {name} env PS1='guest> ' sh")
        shell.expect_exact("guest> ")
        shell.sendline("stty size")
        shell.expect_exact("31 97\r\n")
        shell.setwinsize(40, 120)
        shell.expect_exact("guest> ")
        shell.sendline("until stty size | grep '^40 120$'; do sleep 0.1; done")
        shell.expect_exact("40 120\r\n")
        shell.expect_exact("guest> ")
        busy(shell)
        shell.sendintr()
        shell.expect_exact("guest> ")
        shell.sendline("(exit 9)")
        shell.expect_exact("guest> ")
        shell.sendeof()
        shell.expect_exact("host> ")
        shell.sendline("echo status=$?; stty -g | diff - /dev/shm/$$.before && echo as before")
        shell.expect_exact("status=9\r\nas before\r\n")
        shell.sendline("exit 4")
        shell.expect(pexpect.EOF)
        shell.close()
        assert shell.exitstatus == 4
    finally:
        for end in ("before", "py"):
            Path(f"/dev/shm/{shell.pid}.{end}").unlink(missing_ok=True)
        shell.close()


def test_a_terminal_that_nobody_reads_holds_up_nobody(name: str) -> None:
    """Its command waits, and the others go on."""
    script = f"exec '{sys.executable}' -c \"$VISIT\" {name} cat /dev/zero"
    stuck = pexpect.spawn("/bin/sh", ["-c", script], env=environment(VISIT=VISIT), cwd=str(PROJECT), timeout=LIMIT_S)
    for _ in range(5):
        time.sleep(0.3)  # its buffer fills
        assert stuck.read(700)  # and now there is room, but not for much
        assert visit(name, "echo", "quick").stdout == b"quick\n"
    stuck.close(force=True)


def test_typed_input_without_a_terminal(name: str) -> None:
    """A command whose output is a pipe has no terminal, but what is typed reaches it, up to Ctrl-D."""
    shell = pexpect.spawn("/bin/sh", ["-c", f"'{sys.executable}' -c \"$VISIT\" {name} cat | sed s/^/got:/"],
                          env=environment(VISIT=VISIT), cwd=str(PROJECT), encoding="utf-8", timeout=LIMIT_S)
    shell.sendline("typed")
    shell.expect_exact("typed\r\n")
    shell.sendeof()
    shell.expect_exact("got:typed\r\n")
    shell.expect(pexpect.EOF)
    shell.close()
    assert (shell.exitstatus, shell.before) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_the_commands(name: str, number: signal.Signals) -> None:
    """A signal to the visitor reaches its command, which may tidy up and choose its status."""
    script = f"trap 'echo tidy; exit 5' {number.name[3:]}; echo set; while :; do sleep 0.1; done"
    visitor = visiting(name, "sh", "-c", script)
    assert visitor.stdout and visitor.stdout.readline() == b"set\n"
    visitor.send_signal(number)
    out, _ = visitor.communicate(timeout=LIMIT_S)
    assert (visitor.returncode, out) == (5, b"tidy\n")


@pytest.mark.parametrize("trap", ["", "trap '' HUP TERM INT; "])
def test_a_visitor_that_is_killed_takes_its_command_along(name: str, trap: str) -> None:
    """Also when the command ignores what it is told."""
    word = str(2000 + len(trap))
    visitor = visiting(name, "sh", "-c", f"{trap}echo on; exec sleep {word}")
    assert visitor.stdout and visitor.stdout.readline() == b"on\n"
    until(lambda: in_guest(name, word) == 1, "it is not there")
    visitor.kill()
    visitor.communicate()
    until(lambda: in_guest(name, word) == 0, "its command goes on")


@pytest.mark.parametrize(("said", "answer"), [
    (b"no JSON\n", "not understood"),
    (b'{"down": true}\n', "only about, off, on and run are answered here"),
    (b'{"run": []}\n', "no command given"),
    (b'{"run": ["true"], "env": {}, "cwd": "/", "tty": null}\n', "3 descriptors"),
    (b'{"run": ["true"], "env": {"A": 1}, "cwd": "/", "tty": null}\n', "1 is no text"),
    (b'{"run": ["true"], "env": {}, "cwd": "/", "tty": [1, -1]}\n', "no size of a window"),
    (b'{"run": ["\\ud800"], "env": {}, "cwd": "/", "tty": null}\n', "not understood"),
])
def test_what_is_not_understood_is_refused(name: str, said: bytes, answer: str) -> None:
    """With the reason; and the guest goes on."""
    with registry.connect(name) as line:
        line.sendall(said)
        told = json.loads(registry.read_line(line))
    assert answer in told["error"]
    assert visit(name, "true").returncode == 0


def test_an_impossible_environment_is_the_commands_problem(name: str) -> None:
    """A variable without a name cannot be given to a command: it ends as one that cannot be run."""
    with registry.connect(name) as line, open(os.devnull, "r+b") as null:
        request = {"run": ["true"], "env": {"": "x"}, "cwd": "/", "tty": None}
        socket.send_fds(line, [json.dumps(request).encode() + b"\n"], [null.fileno()] * 3)
        answers = [json.loads(text) for text in (registry.read_line(line) + registry.read_line(line)).splitlines()]
    assert answers[-1] == {"status": 126}
    assert visit(name, "true").returncode == 0


def test_another_user_is_not_let_in(name: str) -> None:
    """Neither to ask nor to run something."""
    done = visit(name, "true", user=STRANGER)
    assert done.returncode != 0
    code = f"from mnmpls import registry; print(registry.ask({name!r}, {{'about': True}}))"
    asked = subprocess.run([sys.executable, "-c", code], cwd="/", env=environment(), user=STRANGER, timeout=LIMIT_S,
                           capture_output=True, check=False)
    assert (asked.returncode, asked.stdout) == (1, b"")


def test_a_name_that_is_taken_is_refused_before_anything_starts(name: str) -> None:
    """Status 2, the name and what to do."""
    done = start(name, "true")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"a lab named '{name}' runs already" in done.stderr
    with pytest.raises(LabError):
        registry.claim(name)


def test_a_start_that_fails_says_why_and_has_the_status() -> None:
    """The command's own words and status when it ends before it is ready; the guest's when that does not come up."""
    done = start(new_name(), "sh", "-c", "echo half made; echo no space >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "half made\n", "no space\n")
    done = start(new_name(), "true", MNMPLS_MEMORY_MIB="12")
    assert (done.returncode, done.stdout) == (125, "")
    assert "mnmpls: UML guest: the guest kernel" in done.stderr


def test_qemu_has_visitors_too() -> None:
    """Debian's kernel is asked and visited in the same way."""
    name = new_name()
    pid = int(start(name, *HOLDER, MNMPLS_KERNEL="qemu").stdout.splitlines()[-1])
    assert registry.ask(name, {"about": True})["kernel"].startswith("qemu, Linux 6.")
    data = os.urandom(1 << 20)
    done = visit(name, "sh", "-c", "cat; exit 7", stdin=data)
    os.kill(pid, signal.SIGTERM)
    assert (done.returncode, done.stdout == data) == (7, True)
    until(lambda: not alive(pid), "it goes on")


def test_an_ordinary_user_has_a_guest_that_stays() -> None:
    """Without sudo. Nobody else gives his terminal to it, root neither."""
    name = new_name()
    pid = int(start(name, *HOLDER, user=STRANGER).stdout.splitlines()[-1])
    own, roots = visit(name, "id", "-u", user=STRANGER), visit(name, "id", "-u")
    os.kill(pid, signal.SIGTERM)
    assert (own.stdout, roots.stdout) == (b"0\n", b"")
    assert f"belongs to user {STRANGER}" in roots.stderr.decode()
    until(lambda: not alive(pid), "it goes on")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_starts_ends_all(number: signal.Signals) -> None:
    """Whoever waits for the guest and gives up leaves nothing, though the guest has no part in his terminal."""
    name = new_name()
    starter = subprocess.Popen([sys.executable, "-c", START, name, *HOLDER], cwd=PROJECT, stdin=subprocess.DEVNULL,
                               env=environment(MNMPLS_KERNEL="qemu"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: len(descendants(starter.pid)) > 3, "it does not start")
    below = descendants(starter.pid)
    starter.send_signal(number)
    _, said = starter.communicate(timeout=LIMIT_S)
    assert (starter.returncode, said) == (128 + number, b"")
    until(lambda: not any(map(alive, below)), f"still there: {below}")
    assert name not in registry.names()


def test_the_end_of_the_runner_is_the_end_of_all() -> None:
    """Killed, it leaves nothing, and its visitors say so."""
    name = new_name()
    pid = int(start(name, *HOLDER).stdout.splitlines()[-1])
    below = descendants(pid)
    visitor = visiting(name, "sh", "-c", "echo on; exec sleep 1000")
    assert visitor.stdout and visitor.stdout.readline() == b"on\n"
    os.kill(pid, signal.SIGKILL)
    _, said = visitor.communicate(timeout=LIMIT_S)
    assert visitor.returncode == 125
    assert said.decode() == f"lab '{name}': its guest has ended, and the command with it\n"
    until(lambda: not any(map(alive, below)), f"still there: {below}")
    with pytest.raises(MnmplsError):
        registry.ask(name, {"about": True})


def test_the_end_of_the_main_command_is_the_end_of_all() -> None:
    """The command that keeps the guest ends: so does the guest, and with it what visitors run there, who are told its
    last words."""
    name = new_name()
    holder = "echo mnmpls: ready; until test -e /tmp/enough; do sleep 0.1; done; echo all is lost >&2; exit 3"
    pid = int(start(name, "sh", "-c", holder).stdout)
    below = descendants(pid)
    visitor = visiting(name, "sh", "-c", "echo on; exec sleep 1000")
    assert visitor.stdout and visitor.stdout.readline() == b"on\n"
    assert visit(name, "touch", "/tmp/enough").returncode in (0, 125)  # the end may come before its answer
    _, said = visitor.communicate(timeout=LIMIT_S)
    why = "its guest has ended, and the command with it: what held it ended with status 3:\nall is lost\n"
    assert (visitor.returncode, said.decode()) == (125, f"lab '{name}': {why}")
    until(lambda: not any(map(alive, [pid, *below])), f"still there: {below}")
