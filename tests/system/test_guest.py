"""A command in a guest kernel behaves as on the host, writes only where it may, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.watching import alive, busy, descendants, until

pytestmark = pytest.mark.system

PROJECT = Path(__file__).resolve().parents[2]
GUEST = (sys.executable, "-m", "mnmpls", "guest", "run", "--kernel", "uml", "--")
LIMIT_S = 180
COOKIE = "MNMPLS_TEST_COOKIE"
ORDINARY = 12345
"""A user id that this machine has not given to anybody."""

def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1", **more}


def run(*argv: str, cwd: Path, stdin: bytes = b"", env: dict[str, str] | None = None, user: int | None = None,
        ) -> subprocess.CompletedProcess[bytes]:
    groups: list[int] | None = None if user is None else []
    return subprocess.run([*GUEST, *argv], cwd=cwd, input=stdin, env=env or environment(), capture_output=True,
                          timeout=LIMIT_S, check=False, user=user, group=user, extra_groups=groups)


def start(
    *argv: str, cwd: Path, env: dict[str, str] | None = None, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """A command in a guest, running: its first line has arrived."""
    process = subprocess.Popen([*GUEST, "sh", "-c", f"echo up; {' '.join(argv)}"], cwd=cwd, env=env or environment(),
                               stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"up\n", process.communicate()
    return process


def on_terminal(*argv: str, cwd: Path, env: dict[str, str] | None = None) -> pexpect.spawn[str]:
    return pexpect.spawn(GUEST[0], [*GUEST[1:], *argv], cwd=str(cwd), env=env or environment(), timeout=LIMIT_S,
                         dimensions=(31, 97))


def processes_of(cookie: str) -> dict[int, str]:
    """Processes that were started, however deep, with this cookie in their environment, or by a cage whose command line
    has it; by their first word."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environ, command = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if cookie.encode() in environ + command:
            found[int(folder.name)] = command.split(b"\0")[0].decode()
    return found


SCRATCH = re.compile(r"mnmpls-\d+-[0-9a-f]+")
"""What a guest calls its folder, if it cannot have one that nobody else sees (cage.py)."""


def leftovers() -> dict[str, set[str]]:
    """What a guest could leave on this machine beside processes."""
    folders = ["/tmp", "/dev/shm", "/var/tmp", "/run", tempfile.gettempdir()]
    return {
        "files": {f"{folder}/{name}" for folder in folders for name in os.listdir(folder) if SCRATCH.fullmatch(name)},
        "mounts": {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " mnmpls " in line},
    }


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that anybody may write."""
    with tempfile.TemporaryDirectory(prefix="guest-test-") as path:
        os.chmod(path, 0o777)
        yield Path(path)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = leftovers()
    yield
    until(lambda: not any(found - before[kind] for kind, found in leftovers().items()), "something is left")


def test_streams_are_apart_and_byte_exact_and_the_status_is_the_commands(folder: Path) -> None:
    """stdin, stdout, stderr and the exit status pass as they are, every byte value included."""
    every = bytes(range(256)) * 64
    done = run("sh", "-c", "cat; printf 'e\\000\\377\\r\\n' >&2; exit 7", cwd=folder, stdin=every)
    assert (done.returncode, done.stdout, done.stderr) == (7, every, b"e\0\xff\r\n")


def test_bulk_data_passes_in_both_directions(folder: Path) -> None:
    """30 MB through stdin and back out of stdout arrive whole."""
    data = os.urandom(1 << 20) * 30
    done = run("cat", cwd=folder, stdin=data)
    assert done.returncode == 0
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize(("argv", "status", "said"), [
    (("no-such-program",), 127, b"no-such-program: No such file or directory"),
    (("/etc/passwd",), 126, b"/etc/passwd: Permission denied"),
    (("sh", "-c", "kill -TERM $$"), 128 + signal.SIGTERM, b""),
])
def test_status_as_a_shell_has_it(folder: Path, argv: tuple[str, ...], status: int, said: bytes) -> None:
    """A program that is missing, cannot be run or dies of a signal gives the status a shell would give."""
    done = run(*argv, cwd=folder)
    assert (done.returncode, said in done.stderr) == (status, True)


def test_children_of_a_command_are_not_waited_for(folder: Path) -> None:
    """The command's end is the end, although something it left running holds its output."""
    done = run("sh", "-c", "sleep 1000 & echo done", cwd=folder)
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_only_the_current_folder_is_written_through_and_the_rest_is_named(folder: Path) -> None:
    """Files in the current folder and in those given with -w reach the host; all else is lost and named."""
    (folder / "here").mkdir()
    (folder / "more").mkdir()
    script = "echo a >mine; echo b >../more/theirs; echo c >../lost; echo d >/etc/mnmpls-lost; rm /etc/hostname"
    hosts = Path("/etc/hostname").read_bytes()
    command = [*GUEST[:-1], "-w", str(folder / "more"), "--", "sh", "-c", script]
    done = subprocess.run(command, cwd=folder / "here", env=environment(), capture_output=True, timeout=LIMIT_S,
                          check=False)
    assert done.returncode == 0, done.stderr
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == ["here/mine", "more/theirs"]
    assert Path("/etc/hostname").read_bytes() == hosts
    assert not Path("/etc/mnmpls-lost").exists()
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("mnmpls: lost with the guest: ")
    assert all(name in last for name in ("/etc/mnmpls-lost", "/etc/hostname", f"{folder}/lost"))


def test_a_clean_command_says_nothing(folder: Path) -> None:
    """Starting Python and Mininet's parts in the guest loses nothing worth a word."""
    done = run("/usr/bin/python3", "-c", "import mininet.node, json; print('ok')", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ok\n", b"")


def test_what_the_guest_has(folder: Path) -> None:
    """Root, MPLS and VRFs, lo up, the caller's environment without the host's own folders, and word of the guest."""
    script = (
        'test $(id -u) = 0 && ip link add v type vrf table 10 && sysctl -qw net.mpls.platform_labels=1000 && '
        'ip -f mpls route add 100 dev lo && ping -qc1 127.0.0.1 >/dev/null && mnexec -n true && '
        'echo "$COLOUR $MNMPLS_GUEST $MNMPLS_KERNEL $SETUPTOOLS_USE_DISTUTILS" && '
        'cat /proc/sys/net/core/fb_tunnels_only_for_init_net && env && pwd'
    )
    done = run("sh", "-c", script, cwd=folder, env=environment(COLOUR="blue", TMPDIR=str(folder)))
    first, tunnels, *rest = done.stdout.decode().splitlines()
    assert (first, tunnels) == ("blue uml host stdlib", "2"), done.stderr
    assert not [line for line in rest if line.startswith(("TMPDIR=", "LD_PRELOAD="))]
    assert rest[-1] == str(folder)


def test_a_guest_has_room_for_the_neighbours_of_a_large_lab(folder: Path) -> None:
    """All namespaces share one table of each IP version; the kernel's usual 1024 entries are too few."""
    files = [f"/proc/sys/net/{ip}/neigh/default/gc_thresh{number}" for ip in ("ipv4", "ipv6") for number in (1, 2, 3)]
    assert run("cat", *files, cwd=folder).stdout.split() == [b"65536"] * 6


def test_an_ordinary_user_is_root_inside_with_his_own_rights_outside(folder: Path) -> None:
    """Without sudo: VRFs can be made, files in the current folder are the user's own, the host's permissions hold."""
    script = "id -u; ip link add v type vrf table 10 && echo made >file; cat /etc/shadow"
    done = run("sh", "-c", script, cwd=folder, user=ORDINARY, env=environment(HOME=str(folder)))
    assert done.stdout == b"0\n", done.stderr
    assert b"/etc/shadow: Permission denied" in done.stderr
    assert (folder / "file").stat().st_uid == ORDINARY


def test_a_terminal_is_a_terminal(folder: Path) -> None:
    """Prompt, window size and its change, colours, Ctrl-C, line editing, Ctrl-D and the status, as on the host."""
    child = on_terminal("bash", "--norc", cwd=folder, env=environment(PS1="guest> ", TERM="xterm-256color"))
    child.expect_exact("guest> ")
    child.sendline("stty size; tput colors")
    child.expect_exact("31 97\r\n256\r\n")
    child.setwinsize(40, 120)
    child.expect_exact("guest> ")
    child.sendline("until stty size | grep '^40 120$'; do sleep 0.1; done")
    child.expect_exact("40 120\r\n")
    child.expect_exact("guest> ")
    busy(child)
    child.sendintr()
    child.expect_exact("guest> ")
    child.sendline("echo status $?")
    child.expect_exact("status 130\r\n")
    child.send("echo wrong\x15echo 'ri\tght'\x7f\x7f\x7f\x7fght'\r")
    child.expect_exact("right\r\n")
    child.sendline("(exit 9)")
    child.expect_exact("(exit 9)\r\n")  # else the prompt before it would do, and the end come before it has run
    child.expect_exact("guest> ")
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 9


def test_the_terminal_is_given_back(folder: Path) -> None:
    """After a command, and after a guest that panicked, the host's shell finds its terminal as it was."""
    shell = pexpect.spawn("/bin/bash", ["--norc"], cwd=str(folder), env=environment(PS1="host> "), timeout=LIMIT_S)
    shell.expect_exact("host> ")
    shell.sendline("stty -g >before; " + " ".join(GUEST) + " tty; stty -g >after")
    shell.expect_exact("/dev/pts/0\r\n")
    shell.expect_exact("host> ")
    shell.sendline(" ".join(GUEST) + " sh -c 'echo c >/proc/sysrq-trigger'; echo status=$?; stty -g >panicked")
    shell.expect("Kernel panic - not syncing: sysrq triggered crash")
    shell.expect("status=125")
    shell.expect_exact("host> ")
    shell.sendeof()
    shell.expect(pexpect.EOF)
    before = (folder / "before").read_text()
    assert before == (folder / "after").read_text() == (folder / "panicked").read_text()


def test_a_panic_is_named(folder: Path) -> None:
    """125 and the kernel's own words, though the output was no terminal; and all that was written before, even if
    nobody had time to read it."""
    script = "until test -e go; do sleep 0.1; done; head -c 72000 /dev/zero; sleep 3; echo c >/proc/sysrq-trigger"
    process = start(script, cwd=folder)
    below = descendants(process.pid)
    process.send_signal(signal.SIGSTOP)
    (folder / "go").touch()
    until(lambda: not any(map(alive, below)), "it does not panic")
    process.send_signal(signal.SIGCONT)
    written, said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, len(written)) == (125, 72_000)
    assert b"the guest kernel panicked (Kernel panic - not syncing: sysrq triggered crash)" in said
    assert b"Traceback" not in said


def test_a_hang_is_named(folder: Path) -> None:
    """A guest kernel that no longer answers is ended after the limit, with 125, and nothing of it stays."""
    process = start("sleep 1000", cwd=folder, env=environment(MNMPLS_HANG_S="6"))
    below = descendants(process.pid)
    for pid, name in below.items():
        if name == "linux.uml":
            os.kill(pid, signal.SIGSTOP)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 125
    assert b"has not answered for 6 s and was ended" in said
    until(lambda: not any(map(alive, below)), f"still there: {below}")


@pytest.mark.parametrize("victim", ["runner", "unshare", "sh", "linux.uml", "cat"])
def test_kill_9_leaves_nothing(folder: Path, victim: str) -> None:
    """Whichever of our processes is killed, all others are gone at once, and who is left says why."""
    cookie = uuid.uuid4().hex
    process = start("sleep 1000", cwd=folder, env=environment(**{COOKIE: cookie}))
    below = descendants(process.pid)
    by_name = {"runner": process.pid, **{name: pid for pid, name in reversed(below.items())}}
    assert victim in by_name, by_name
    os.kill(by_name[victim], signal.SIGKILL)
    _, said = process.communicate(timeout=LIMIT_S)
    if victim != "runner":
        assert (process.returncode, b"the guest kernel ended unexpectedly" in said) == (125, True), said
    until(lambda: not any(map(alive, below)), f"still there: {below}")
    until(lambda: not processes_of(cookie), "something else is still there")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_the_commands(folder: Path, number: signal.Signals) -> None:
    """A signal to us reaches the command in the guest, which may tidy up and choose its status."""
    trap = f"trap 'echo tidy; exit 5' {number.name[3:]}; echo set; while :; do sleep 0.1; done"
    process = start(trap, cwd=folder)
    assert process.stdout and process.stdout.readline() == b"set\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (5, b"tidy\n")


def test_a_command_that_ignores_sigterm_ends_all_the_same(folder: Path) -> None:
    """SIGTERM twice: the guest goes, with the status a shell would give."""
    process = start("trap '' TERM; echo set; while :; do sleep 0.1; done", cwd=folder)
    assert process.stdout and process.stdout.readline() == b"set\n"
    below = descendants(process.pid)
    process.terminate()
    time.sleep(0.2)
    process.terminate()
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + signal.SIGTERM
    until(lambda: not any(map(alive, below)), f"still there: {below}")


def test_two_guests_side_by_side(folder: Path) -> None:
    """They share the current folder and nothing else; the end of one is nothing to the other."""
    script = "ip link add v type vrf table 10 && while read REPLY; do echo $REPLY; done"
    one, two = (start(script, cwd=folder, stdin=subprocess.PIPE) for _ in range(2))
    assert two.stdin and two.stdout
    one.kill()
    one.communicate()
    for line in (b"still\n", b"there\n"):
        two.stdin.write(line)
        two.stdin.flush()
        assert two.stdout.readline() == line
    two.terminate()
    assert two.wait(LIMIT_S) == 128 + signal.SIGTERM
    two.communicate()


def test_too_little_memory_is_named(folder: Path) -> None:
    """Before anything is started, with the numbers and what to do."""
    done = run("true", cwd=folder, env=environment(MNMPLS_MEMORY_MIB="99000000"))
    assert done.returncode == 125
    assert b"too little memory for a guest kernel: it gets 99000000 MiB" in done.stderr
    assert b"MNMPLS_MEMORY_MIB" in done.stderr


NO_NAMESPACES = "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set -all --inh-caps -all -- "
"""For a shell in a user namespace of its own: what it runs can make no namespaces, as in many a container."""


def without_namespaces(script: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *GUEST]
    return subprocess.run([*command, "sh", "-c", "echo $$; exit 4"], cwd=folder, env=environment(), capture_output=True,
                          timeout=LIMIT_S, check=False)


def test_it_runs_where_no_namespaces_can_be_made(folder: Path) -> None:
    """The guest's memory then lies in a folder of the host's, which goes with the guest."""
    done = without_namespaces(NO_NAMESPACES + '"$@"', folder)
    assert (done.returncode, done.stderr) == (4, b"")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_where_no_namespaces_can_be_made(folder: Path, number: signal.Signals) -> None:
    """There, too: the runner's end is everything's end."""
    script = NO_NAMESPACES + '"$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *GUEST]
    command += ["sh", "-c", "echo up; sleep 1000"]
    process = subprocess.Popen(command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"up\n"
    below = descendants(process.pid)
    assert "linux.uml" in below.values()
    process.send_signal(number)
    process.communicate()
    until(lambda: not any(map(alive, below)), f"still there: {below}")
    ours = f"mnmpls-{process.pid}-"
    until(lambda: not [name for name in os.listdir("/dev/shm") if name.startswith(ours)], "its folder is still there")


def test_too_little_space_is_named(folder: Path) -> None:
    """There, with no folder that has room for the guest's memory: named before the start, with the numbers."""
    small = f"mount --bind {PROJECT} /mnt; export PYTHONPATH=/mnt; "  # it may lie in what is covered next
    small += "".join(f"mount -t tmpfs -o size=8m small {path}; " for path in ("/dev/shm", "/var/tmp"))
    small += f"mount -t tmpfs -o size=8m small {folder}; export TMPDIR={folder}; MNMPLS_MEMORY_MIB=1024; "
    small += "mount --bind /var/tmp /tmp; cd /; export MNMPLS_MEMORY_MIB; "
    done = without_namespaces(small + NO_NAMESPACES + '"$@"', folder)
    assert done.returncode == 125, done.stderr
    assert b"too little space for the guest's memory of 1024 MiB" in done.stderr
    assert b"/dev/shm has 8 MiB" in done.stderr


@pytest.mark.parametrize(("key", "status"), [("\x03", 130), ("\x1c", 131)])
def test_ctrl_c_ends_a_boot(folder: Path, key: str, status: int) -> None:
    """A key pressed while the guest boots ends everything, as it ends a command; the terminal is as before."""
    cookie = uuid.uuid4().hex
    shell = pexpect.spawn("/bin/bash", ["--norc"], cwd=str(folder), timeout=LIMIT_S,
                          env=environment(PS1="host> ", **{COOKIE: cookie}))
    shell.expect_exact("host> ")
    shell.sendline("stty -g >before; " + " ".join(GUEST) + " touch ran; echo status=$?; stty -g >after")
    pid = int(shell.pid or 0)
    until(lambda: "linux.uml" in descendants(pid).values(), "the guest does not start")
    kernel = next(process for process, program in descendants(pid).items() if program == "linux.uml")
    os.kill(kernel, signal.SIGSTOP)  # it shall not have come up before the key is there
    shell.send(key)
    shell.expect_exact(f"status={status}")
    assert "linux.uml" not in descendants(pid).values()
    shell.expect_exact("host> ")
    shell.sendeof()
    shell.expect(pexpect.EOF)
    assert (folder / "before").read_text() == (folder / "after").read_text()
    assert not (folder / "ran").exists()
    until(lambda: not processes_of(cookie), "something is still there")
