"""Labs by ``mnmpls up``: found, used, changed and ended by other commands, on this machine's own kernel.

The lab needs neither MPLS nor VRFs, so that it runs on every kernel; what is special to a guest is in test_live_guest.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pexpect
import pytest

from mnmpls import load, registry, run
from mnmpls.errors import CheckFailed, MnmplsError
from mnmpls.kernel import Namespace
from mnmpls.processes import Processes
from tests.watching import busy, children, descendants, until, words

pytestmark = pytest.mark.system

PROJECT = Path(__file__).parents[2]
MNMPLS = (sys.executable, "-m", "mnmpls")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT), "MNMPLS_KERNEL": "host"}
LIMIT_S = 180

LAB = """
name: {name}
nodes: {{h1: host, h2: host, r: ce, h3: host, b: bridge}}
links:
  - [h1: 10.1.1.1/24, b]
  - [h2: 10.1.1.2/24, b]
  - [r: 10.1.1.254/24, b]
  - [r: 10.2.2.254/24, h3: 10.2.2.1/24]
"""


def mnmpls(*words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MNMPLS, *map(str, words)], input=stdin, env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)  # fmt: skip


def good(*words: str | Path, stdin: str = "") -> str:
    done = mnmpls(*words, stdin=stdin)
    assert done.returncode == 0, done
    return done.stdout


def on_terminal(*words: str) -> pexpect.spawn[str]:
    return pexpect.spawn(MNMPLS[0], [*MNMPLS[1:], *words], env=ENVIRONMENT, timeout=LIMIT_S, encoding="utf-8")


def running() -> dict[str, dict[str, object]]:
    """Labs that answer, by name."""
    return {each["name"]: each for each in json.loads(mnmpls("list", "--json").stdout)}


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """One that no other lab on the machine has."""
    return f"t{os.getpid()}-{abs(hash(request.node.name)) % 10_000}"


@pytest.fixture
def file(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "lab.yml"
    path.write_text(LAB.format(name=name))
    return path


@pytest.fixture
def lab(file: Path, name: str) -> Iterator[str]:
    """A lab that is up, by its name; down at the test's end."""
    good("up", file)
    yield name
    mnmpls("down", name)


def holder(name: str) -> int:
    return int(str(running()[name]["pid"]))


def leftovers(name: str) -> list[str]:
    """Processes that have the lab's name in their environment or command line, and its names under /run/netns."""
    found = [str(path) for path in Path("/run/netns").glob(f"{name}-*")] if Path("/run/netns").exists() else []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if name.encode() in text and int(folder.name) != os.getpid():
            found.append(str(folder))
    return found


def gone(name: str) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not leftovers(name) and name not in registry.names():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def inside(lab: str, script: str) -> Iterator[subprocess.Popen[str]]:
    """A shell script in node h1 that has printed its first line."""
    words = [*MNMPLS, "exec", lab, "h1", "--", "sh", "-c", script]
    with subprocess.Popen(words, env={**ENVIRONMENT, "COOKIE": lab}, stdout=subprocess.PIPE, text=True) as one:
        try:
            assert one.stdout and one.stdout.readline()
            yield one
        finally:
            one.kill()


def test_up_returns_when_the_lab_works(file: Path, name: str) -> None:
    """Then it is listed, its nodes can be used, and down takes it away, by its file's name too."""
    said = good("up", file)
    assert said.startswith(f"{name}: 5 nodes are up")
    assert running()[name]["nodes"] == 5 and running()[name]["file"] == str(file)
    assert "1 received" in good("exec", name, "h1", "--", "ping", "-c1", "10.2.2.1")
    assert "as intended" in good("check", file) and name in mnmpls("list").stdout  # others may just start
    good("down", file)
    assert gone(name)


def test_wires_have_no_more_queues_than_they_use(lab: str) -> None:
    """However many processors there are: the kernel would make as many, and wait for all of them."""
    (wire,) = json.loads(good("exec", lab, "h1", "--", "ip", "-d", "-j", "link", "show", "h1-eth"))
    assert (wire["num_rx_queues"], wire["num_tx_queues"]) == (1, 1)


def test_a_lab_that_does_not_work_is_said_to(file: Path, name: str) -> None:
    """up waits as long as it is told, says who does not answer, ends with status 1 and leaves the lab there."""
    file.write_text(LAB.format(name=name).replace("h3: host", "h3: {role: host, gateway: 10.2.2.9}"))
    done = mnmpls("up", file, "--wait", "1")
    assert done.returncode == 1 and "is up, but not as intended after 1 s" in done.stderr
    assert name in running()
    good("down", name)


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_up_with_closed_streams(file: Path, name: str, closed: str) -> None:
    """As some daemons start programs: what the lab holds never gets the number of a standard stream."""
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *MNMPLS, "up", str(file)]
    assert subprocess.run(words, env=ENVIRONMENT, timeout=LIMIT_S, check=False).returncode == 0
    good("check", name)
    good("down", name)


def test_up_without_room_for_its_files(file: Path, name: str) -> None:
    """Wherever the holder runs into it, it is told, and no lab is left."""
    for most in range(12, 64):
        words = ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", *MNMPLS, "up", str(file)]
        done = subprocess.run(words, env=ENVIRONMENT, timeout=LIMIT_S, check=False, capture_output=True, text=True)
        if not done.returncode:
            break
        assert re.search(r"Too many open files|as many files open as it may", done.stderr), (most, done)
    good("down", name)
    assert gone(name)


def test_a_time_that_is_none(file: Path) -> None:
    """The answer says what can be given."""
    done = mnmpls("up", file, "--wait", "soon")
    assert done.returncode == 2 and "'soon' is no number of seconds from 0 to 1000000" in done.stderr


def test_a_name_is_given_once(lab: str, file: Path) -> None:
    """A second lab of the same name is refused with what to do; under another it runs beside the first."""
    done = mnmpls("up", file)
    assert done.returncode == 2 and f"a lab named {lab!r} runs already" in done.stderr and "--name" in done.stderr
    good("up", file, "--name", f"{lab}x")
    try:
        assert {lab, f"{lab}x"} <= set(running())
        assert "several names" in mnmpls("exec", file, "h1", "--", "true").stderr
        good("down", f"{lab}x")
    finally:
        assert "1 received" in good("exec", lab, "h1", "--", "ping", "-c1", "10.1.1.2")


@pytest.mark.parametrize(("argv", "status"), [
    (("sh", "-c", "exit 7"), 7),
    (("sh", "-c", "kill -9 $$"), 137),
    (("no-such-command",), 127),
    (("/etc/passwd",), 126),
])
def test_exec_gives_the_status(lab: str, argv: tuple[str, ...], status: int) -> None:
    """The command's own, 128 and the signal that ended it, or what a shell says of one that cannot be run."""
    done = mnmpls("exec", lab, "h1", "--", *argv)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_exec_passes_streams(lab: str) -> None:
    """Standard input goes in; output and errors come out apart."""
    done = mnmpls("exec", lab, "h1", "--", "sh", "-c", "cat; echo bad >&2", stdin="x\n" * 100_000)
    assert (done.stdout, done.stderr) == ("x\n" * 100_000, "bad\n")


def test_exec_on_a_terminal(lab: str) -> None:
    """A shell in a node has job control, Ctrl-C ends what runs in it and not the shell, and its status comes out."""
    shell = on_terminal("exec", lab, "h1", "--", "bash", "--norc")
    shell.expect(r"bash-.*[#$] ")
    shell.sendline("echo $((6*7)); ip -br a | grep -c 10.1.1.1/24")
    shell.expect("42\r\n1\r\n")
    busy(shell)
    shell.sendintr()
    shell.sendline("echo st=$?")
    shell.expect("st=130")
    shell.sendline("exit 3")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 3


def test_exec_gives_the_terminal_back(lab: str) -> None:
    """A shell that took it for itself has ended: the script that ran exec reads on."""
    exec_it = " ".join([*MNMPLS, "exec", lab, "h1", "--", "bash", "--norc"])
    script = pexpect.spawn("sh", ["-c", f"{exec_it}; read word; echo read=$word"], env=ENVIRONMENT, timeout=LIMIT_S)
    script.expect(r"bash-.*[#$] ")
    script.sendline("exit")
    script.sendline("on")
    script.expect_exact("read=on\r\n")
    script.close()


def test_what_exec_started_ends_with_exec_and_with_the_lab(lab: str) -> None:
    """A killed exec takes its command along; a lab that ends takes all commands in it along."""
    for end in ("exec", "lab"):
        with inside(lab, "echo up; exec sleep 1000") as one:
            one.kill() if end == "exec" else good("down", lab)
            assert one.wait(LIMIT_S) in (-9, 137)
            assert one.stdout and one.stdout.read() == ""  # closed: nobody has it any more


def test_a_lab_may_end_while_it_is_entered() -> None:
    """Whoever has joined it and wants to start something in it is told so; also a lab that had only just begun ends."""
    for _ in range(40):
        owner = Processes()
        joined = Processes.joined(owner.path())
        owner.end()
        with closing(Namespace.create()) as node:
            until(partial(is_ended, joined, node))
        joined.end()


def test_a_lab_outlives_the_thread_that_made_it() -> None:
    """The end of its owner is the process's end."""
    owner = Processes()
    with closing(Namespace.create()) as node:
        with ThreadPoolExecutor(1) as pool:
            sleeper = pool.submit(owner.spawn, ["sleep", "1000"], node.fd).result()
        with pytest.raises(subprocess.TimeoutExpired):
            sleeper.wait(1)
        owner.end()
        assert sleeper.wait(LIMIT_S) == -signal.SIGKILL


def test_who_asks_while_a_lab_ends_wakes_nothing(file: Path, name: str) -> None:
    """It is answered before that or not at all: nothing of the lab is started any more."""
    def ask_late(caller: socket.socket) -> None:
        time.sleep(0.3)  # the end has begun
        with suppress(OSError):
            caller.sendall(b'{"lab": true}\n')
            registry.read_line(caller)

    before = set(descendants(os.getpid()))
    running = run(load(file))
    with closing(registry.connect(name)) as caller, ThreadPoolExecutor(1) as pool:
        late = pool.submit(ask_late, caller)
        running.close()
        late.result()
    assert "cat" not in {word for pid, word in descendants(os.getpid()).items() if pid not in before}


def is_ended(joined: Processes, node: Namespace) -> bool:
    try:
        late = joined.spawn(["sleep", "1000"], node.fd)  # as long as its init is not quite dead
    except CheckFailed as error:
        return "the lab has ended meanwhile" in str(error)
    try:
        assert late.wait(LIMIT_S) == -signal.SIGKILL
    finally:
        late.kill()
        late.wait()
    return False


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_holders_end_is_the_labs(lab: str, end: signal.Signals) -> None:
    """However the holder ends: the name is free, no process of the lab lives, and no namespace."""
    with inside(lab, "echo up; exec sleep 1000") as one:
        os.kill(holder(lab), end)
        assert one.wait(LIMIT_S) == 137
    assert gone(lab)


def test_a_killed_up_leaves_nothing(file: Path, name: str) -> None:
    """SIGKILL while it still waits for reachability: the lab goes too."""
    file.write_text(LAB.format(name=name).replace("h3: host", "h3: {role: host, gateway: 10.2.2.9}"))
    with subprocess.Popen([*MNMPLS, "up", str(file)], env=ENVIRONMENT) as up:
        until(lambda: name in registry.names())
        time.sleep(0.3)
        up.kill()
    assert up.returncode == -9 and gone(name)


def test_ip_netns_shows_nodes_on_request(file: Path, name: str) -> None:
    """--netns: ip(8) can use the nodes; their names are gone after down, and after the holder or the process that
    clears up after it was killed."""
    for number, ends in enumerate((["down"], ["holder"], ["cleaner", "down"])):
        good("up", file, "--netns")
        names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        assert all(f"{name}-{node}" in names for node in ("h1", "h2", "h3", "r", "b")), number
        words = ["ip", "netns", "exec", f"{name}-h1", "ping", "-c1", "10.2.2.1"]
        assert subprocess.run(words, capture_output=True, check=False).returncode == 0
        for end in ends:
            pid = holder(name)
            if end == "down":
                good("down", name)
            elif end == "holder":
                os.kill(pid, signal.SIGKILL)
            else:
                former = python_children(pid)
                assert len(former) == 1
                os.kill(former.pop(), signal.SIGKILL)
                good("exec", name, "h1", "--", "true")
                until(lambda now=pid, no=former: python_children(now) - no, "nobody clears up")  # type: ignore[misc]
                os.kill(pid, signal.SIGKILL)
                break
        assert gone(name), leftovers(name)


def python_children(pid: int) -> set[int]:
    """Of a holder those that are Python processes as it is itself; a holder is one of its ``up``."""
    return {child for child in children(pid) if "mnmpls" in words(child)}


def test_apply_makes_only_the_difference(lab: str, file: Path) -> None:
    """After the file was edited: a new node is wired and reaches, what is gone from the file is gone, nothing else is
    touched, and a second apply does nothing."""
    before = good("exec", lab, "r", "--", "readlink", "/proc/self/ns/net")
    assert "nothing to do" in good("apply", lab)
    text = LAB.format(name=lab).replace("h2: host", "h4: host").replace("h2: 10.1.1.2/24", "h4: 10.1.1.4/24")
    file.write_text(text)
    done = json.loads(good("apply", lab, "--json"))
    assert set(done) == {"h4", "b"}
    assert "1 received" in good("exec", lab, "h4", "--", "ping", "-c1", "10.2.2.1")
    assert good("exec", lab, "r", "--", "readlink", "/proc/self/ns/net") == before
    assert "no node 'h2'" in mnmpls("exec", lab, "h2", "--", "true").stderr
    assert "h2" not in good("exec", lab, "b", "--", "ip", "-br", "link")
    assert "nothing to do" in good("apply", lab)


def test_apply_of_a_wrong_file_changes_nothing(lab: str, file: Path) -> None:
    """All its problems are told, status 2, and the lab is as before."""
    file.write_text(LAB.format(name=lab).replace("h2: 10.1.1.2/24", "h2: 10.1.1.1/24").replace("h3: host", "h3: hots"))
    done = mnmpls("apply", lab)
    assert done.returncode == 2 and "hots" in done.stderr and "10.1.1.1" in done.stderr
    assert "1 received" in good("exec", lab, "h1", "--", "ping", "-c1", "10.1.1.2")


def test_a_holder_that_was_killed_is_told_as_that(file: Path, name: str) -> None:
    """As the kernel does when memory runs out: the error says so and what to do, and nothing of the lab is left."""
    file.write_text(LAB.format(name=name).replace("h1: host", "h1: {role: host, exec: [sleep 60]}"))
    up = subprocess.Popen([*MNMPLS, "up", str(file), "--allow-exec"], env=ENVIRONMENT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    until(lambda: python_children(up.pid) and name in registry.names())
    os.kill(python_children(up.pid).pop(), signal.SIGKILL)
    _, said = up.communicate(timeout=LIMIT_S)
    assert up.returncode == 1
    remedy = "(too little memory? MNMPLS_MEMORY_MIB gives a guest more)"
    assert said.splitlines()[-1] == f"mnmpls: the lab's holder was killed {remedy}"
    assert gone(name)


def test_drift_is_told_and_apply_repairs_it(lab: str) -> None:
    """What somebody took away or changed by hand is named; apply puts it back."""
    good("exec", lab, "h1", "--", "ip", "route", "del", "default")
    done = mnmpls("drift", lab)
    assert (done.returncode == 1 and "h1" in done.stdout and "default" in done.stdout) or "0.0.0.0/0" in done.stdout
    assert mnmpls("check", lab).returncode == 1
    good("apply", lab)
    good("drift", lab)


def test_check_and_drift_for_programs(lab: str) -> None:
    """JSON and JUnit say the same as the text: what was expected, what was seen, and whether all is well."""
    assert json.loads(good("check", lab, "--json"))["ok"] is True
    good("exec", lab, "h1", "--", "ip", "route", "del", "default")
    report = json.loads(mnmpls("check", lab, "--json").stdout)
    assert report["ok"] is False
    bad = [finding for finding in report["findings"] if not finding["ok"]]
    assert {"drift", "reach"} <= {finding["kind"] for finding in bad} and all(finding["expected"] for finding in bad)
    suite = ElementTree.fromstring(mnmpls("check", lab, "--junit").stdout)
    assert int(suite.attrib["failures"]) == len(bad) == len(suite.findall("testcase/failure"))
    assert json.loads(mnmpls("drift", lab, "--json").stdout)["ok"] is False


def test_trace_to_an_address(lab: str) -> None:
    """A node's name and its address lead the same way."""
    ways = [good("trace", lab, "h1", where).splitlines()[1:] for where in ("h3", "10.2.2.1")]
    assert ways[0] == ways[1] and any("h3" in line and "deliver" in line for line in ways[0])


def test_capture_is_for_wireshark(lab: str, tmp_path: Path) -> None:
    """A file or a pipe with one port's packets, which tcpdump reads; an unknown port is an error that names it."""
    words = [*MNMPLS, "capture", lab, "r", "r-h3-eth", "-c", "8"]
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as capture:
        assert capture.stdout and capture.stdout.read(4)  # the head of the file: it listens
        good("exec", lab, "h1", "--", "ping", "-c6", "-i0.1", "10.2.2.1")
        rest, said = capture.communicate(timeout=LIMIT_S)
    assert b"8 packets" in said and b"\x0a\x01\x01\x01\x0a\x02\x02\x01" in rest  # 10.1.1.1 to 10.2.2.1
    file = tmp_path / "r.pcap"
    good("capture", lab, "h1", "h1-eth", "-w", file, "--timeout", "1")
    assert subprocess.run(["tcpdump", "-nr", file], capture_output=True, check=False).returncode == 0
    done = mnmpls("capture", lab, "r", "zzz", "-w", file)
    assert done.returncode == 1 and "zzz" in done.stderr


def test_plan_of_what_runs(lab: str, file: Path) -> None:
    """By its name a running lab's plan is told, the same as its file's."""
    assert good("plan", lab, "--json") == good("plan", file, "--json")


def test_exec_lines_run_only_when_allowed(file: Path, name: str, tmp_path: Path) -> None:
    """They are shown; without --allow-exec nothing is started; with it they run in their node, without a shell."""
    mark = tmp_path / "mark"
    line = f"touch {mark} '{mark}$(id)'"
    lines = f'exec: ["{line}", "ip addr show h1-eth"]'
    file.write_text(LAB.format(name=name).replace("h1: host", f"h1: {{role: host, {lines}}}"))
    done = mnmpls("up", file)
    assert done.returncode == 1 and line in done.stderr and "--allow-exec" in done.stderr
    assert not mark.exists() and name not in running()
    done = mnmpls("up", file, "--allow-exec")
    assert done.returncode == 0 and "10.1.1.1/24" in done.stdout
    assert mark.exists() and (tmp_path / "mark$(id)").exists()
    good("down", name)


def test_a_failing_exec_line_undoes_the_lab(file: Path, name: str) -> None:
    """It is named with its node and status, and nothing is left."""
    file.write_text(LAB.format(name=name).replace("h1: host", "h1: {role: host, exec: [false]}"))
    done = mnmpls("up", file, "--allow-exec")
    assert done.returncode == 1 and "h1: exec: false: ended with status 1" in done.stderr
    assert gone(name)


def test_mininet_asks_for_the_same_permission(file: Path, name: str, tmp_path: Path) -> None:
    """A lab file under mn: its lines run only with MNMPLS_ALLOW_EXEC=1, and in their node."""
    file.write_text(LAB.format(name=name).replace("h1: host", 'h1: {role: host, exec: ["ip addr show h1-eth"]}'))
    custom = tmp_path / "custom.py"
    custom.write_text(
        "from mnmpls.mn.custom import *\nfrom mnmpls.mn.topo import LabTopo\n"
        f"topos = {{'minimal': lambda: LabTopo({str(file)!r})}}\n"
    )
    words = ["/usr/bin/mn", "--custom", str(custom), "--test", "build"]
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 1 and "h1: ip addr show" in done.stderr + done.stdout and "10.1.1.1/24" not in done.stdout
    allowed = {**ENVIRONMENT, "MNMPLS_ALLOW_EXEC": "1"}
    done = subprocess.run(words, env=allowed, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0 and "10.1.1.1/24" in done.stdout, done


def test_a_terminal_is_asked_once(file: Path, name: str) -> None:
    """Anything but yes is no."""
    file.write_text(LAB.format(name=name).replace("h1: host", "h1: {role: host, exec: [true]}"))
    for answer, status in (("n", 1), ("y", 0)):
        up = on_terminal("up", str(file))
        up.expect(r"run them\? \[y/N\] ")
        up.sendline(answer)
        up.expect(pexpect.EOF)
        up.close()
        assert up.exitstatus == status, up.before
    good("down", name)


def test_foreground_ends_with_ctrl_c(file: Path, name: str) -> None:
    """--foreground stays; Ctrl-C ends it with status 130, and the lab with it."""
    up = on_terminal("up", "--foreground", str(file))
    up.expect("5 nodes are up")
    assert up.pid
    os.kill(up.pid, signal.SIGALRM)  # by which the time limit of its start would come
    assert name in running() and "1 received" in good("exec", name, "h1", "--", "ping", "-c1", "127.0.0.1")
    up.sendintr()
    up.expect(pexpect.EOF)
    up.close()
    assert up.exitstatus == 130 and gone(name)


def test_a_silent_holder_hangs_nobody(lab: str) -> None:
    """A holder that does not answer is named by list, and down ends it all the same; exec waits for one that is only
    busy."""
    pid = holder(lab)
    os.kill(pid, signal.SIGSTOP)
    with subprocess.Popen([*MNMPLS, "exec", lab, "h1", "--", "echo", "on"], env=ENVIRONMENT,
                          stdout=subprocess.PIPE, text=True) as waiting:  # fmt: skip
        done = mnmpls("list")
        os.kill(pid, signal.SIGCONT)
        assert waiting.communicate(timeout=LIMIT_S)[0] == "on\n"
    os.kill(pid, signal.SIGSTOP)
    assert done.returncode == 1 and lab in done.stderr
    pidfd = os.pidfd_open(pid)
    done = mnmpls("down", lab, "--timeout", "20")
    if done.returncode:
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
    os.close(pidfd)
    assert done.returncode == 0, done
    assert gone(lab)


def test_a_name_that_comes_free_meanwhile(name: str) -> None:
    """Who wants it, or the next free one, has one of them; nobody is told that it is taken."""
    over = threading.Event()

    def have_it_now_and_then() -> None:
        while not over.is_set():
            with suppress(registry.Taken):
                registry.claim(name).close()

    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(have_it_now_and_then) for _ in range(2)]
        try:
            for _ in range(10_000):
                got, claimed = registry.claim_free(name)
                claimed.close()
                assert got.startswith(name)
        finally:
            over.set()
    for other in others:
        other.result()


def test_a_holder_that_can_open_no_more_files(lab: str) -> None:
    """Who asks gets no answer, the lab goes on, and answers again when it can."""
    pid = holder(lab)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, before[1]))
    with pytest.raises(MnmplsError, match="gave no answer"):
        registry.ask(lab, {"about": True}, 1)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    good("check", lab)
    assert holder(lab) == pid


def test_nonsense_ends_no_lab(lab: str) -> None:
    """Who asks for nothing that there is gets an answer, and so does the next."""
    for said in (b"[]\n", b"5\n", b"\xff\n", b"{\n", b'{"apply": 5}\n', b'{"apply": {"nodes": 5}}\n'):
        with closing(registry.connect(lab)) as caller:
            caller.sendall(said)
            assert "error" in json.loads(registry.read_line(caller)), said
    good("check", lab)


def test_python_has_the_same(file: Path, name: str, tmp_path: Path) -> None:
    """load and run: nodes by name, their output, the lab in `mnmpls list` meanwhile and gone afterwards."""
    script = tmp_path / "script.py"
    script.write_text(
        "import subprocess, sys\n"
        "from mnmpls import load, run\n"
        "with run(load(sys.argv[1])) as lab:\n"
        "    print(lab['h1'].run(['ping', '-c1', '10.2.2.1']).returncode, lab.check().ok)\n"
        f"    print(subprocess.run([*{MNMPLS!r}, 'list'], capture_output=True, text=True).stdout)\n"
        "    lab['h1'].popen(['sleep', '1000'])\n"
        "print(len(lab))\n"
    )
    done = subprocess.run([sys.executable, script, file], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("0 True\n") and name in done.stdout and done.stdout.endswith("0\n"), done
    assert gone(name)
