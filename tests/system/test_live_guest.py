"""Labs in guests through the command: what is special to them, beside what test_live holds for every lab.

The lab needs MPLS, so that it goes into a guest by itself where this machine's kernel has none; MNMPLS_KERNEL=uml makes
it so everywhere.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.system.test_live import MNMPLS, PROJECT, gone, running
from tests.watching import busy, until

pytestmark = pytest.mark.system

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT), "MNMPLS_KERNEL": "uml"}
L3VPN = PROJECT / "topos" / "l3vpn.yml"
NAME = f"t{os.getpid()}g"
LIMIT_S = 180


def mnmpls(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*MNMPLS, *map(str, words)], input=stdin, env=ENVIRONMENT, cwd=PROJECT, capture_output=True,
                          timeout=LIMIT_S, check=False)  # fmt: skip


def good(*words: str | Path, stdin: bytes = b"") -> str:
    done = mnmpls(*words, stdin=stdin)
    assert done.returncode == 0, done
    return done.stdout.decode()


def on_terminal(*words: str) -> pexpect.spawn[str]:
    return pexpect.spawn(MNMPLS[0], [*MNMPLS[1:], *words], env=ENVIRONMENT, cwd=str(PROJECT), timeout=LIMIT_S,
                         encoding="utf-8")  # fmt: skip


def started(file: str | Path, name: str, *words: str) -> subprocess.Popen[bytes]:
    """An ``up`` that has not ended."""
    return subprocess.Popen([*MNMPLS, "up", str(file), "--name", name, *words], env=ENVIRONMENT, cwd=PROJECT,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


@pytest.fixture(scope="module")
def said() -> Iterator[subprocess.CompletedProcess[bytes]]:
    """What ``up`` said of the lab that the tests of this file share."""
    yield mnmpls("up", L3VPN, "--name", NAME)
    mnmpls("down", NAME)


@pytest.fixture(scope="module")
def lab(said: subprocess.CompletedProcess[bytes]) -> str:
    assert said.returncode == 0, said
    return NAME


def test_words_of_a_lab_in_a_guest_are_completed(lab: str) -> None:
    """Nodes, VRFs and ports are asked for in there."""
    words = ("completion", "words", "--", "exec", lab)
    until(lambda: good(*words, "pe").split() == ["pe1", "pe2"])  # who asks waits for a second only
    until(lambda: good(*words, "pe1", "--vrf", "").split() == ["vrf-pe1-c1", "vrf-pe1-c2"])


def test_up_says_where_the_lab_is(said: subprocess.CompletedProcess[bytes]) -> None:
    """One line on stderr says why it is in a guest, one on stdout that it works; then up has ended."""
    assert said.returncode == 0
    why, up = said.stderr.decode().splitlines(), said.stdout.decode().splitlines()
    assert len(why) == 1 and "running in a UML guest, Linux " in why[0]
    assert len(up) == 1 and up[0].startswith(f"{NAME}: 19 nodes are up")


def test_list_shows_it(lab: str) -> None:
    """With its guest's kernel, its file and the process that ends it."""
    about = running()[lab]
    assert (about["runtime"], about["nodes"], about["file"]) == ("guest", 19, str(L3VPN))
    assert str(about["kernel"]).startswith("uml, Linux ")
    assert lab in good("list")


@pytest.mark.parametrize(("argv", "status"), [
    (("sh", "-c", "exit 7"), 7),
    (("sh", "-c", "kill -9 $$"), 137),
    (("no-such-command",), 127),
    (("/etc/passwd",), 126),
])
def test_exec_gives_the_status(lab: str, argv: tuple[str, ...], status: int) -> None:
    """As for a lab on this machine's kernel."""
    done = mnmpls("exec", lab, "pe1", "--", *argv)
    assert done.returncode == status and b"Traceback" not in done.stderr


def test_exec_passes_bytes(lab: str) -> None:
    """Standard input goes in, and output and errors come out apart, as they are."""
    data = os.urandom(300_000)
    done = mnmpls("exec", lab, "c1h1", "--", "sh", "-c", "cat; echo bad >&2", stdin=data)
    assert done.stdout == data and done.stderr.endswith(b"bad\n")


def test_exec_on_a_terminal(lab: str) -> None:
    """A shell in a node of the guest: the window's size, Ctrl-C for what runs in it and not for it, its status."""
    shell = on_terminal("exec", lab, "pe1", "--", "bash", "--norc")
    shell.setwinsize(33, 99)
    shell.expect(r"bash-.*[#$] ")
    shell.sendline("echo size=$(stty size); ip -br link | grep -c vrf-pe1")
    shell.expect("size=33 99\r\n2\r\n")
    busy(shell)
    shell.sendintr()
    shell.sendline("echo st=$?")
    shell.expect("st=130")
    shell.sendline("exit 3")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 3


def test_a_killed_exec_takes_its_command_along(lab: str) -> None:
    """Nothing of it is left in the node."""
    words = [*MNMPLS, "exec", lab, "c1h2", "--", "sh", "-c", "echo on; exec sleep 4711"]
    with subprocess.Popen(words, env=ENVIRONMENT, cwd=PROJECT, stdout=subprocess.PIPE) as one:
        assert one.stdout and one.stdout.readline() == b"on\n"
        one.kill()
    until(lambda: "4711" not in good("exec", lab, "c1h2", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))


def test_the_lab_is_proven_from_outside(lab: str) -> None:
    """check, trace and drift run where the lab is and answer here, for persons and programs."""
    assert "132 of 132 as intended" in good("check", lab)
    assert json.loads(good("check", lab, "--json"))["ok"] is True
    assert good("check", lab, "--junit").startswith("<?xml")
    way = good("trace", lab, "c1h1", "c1h3")
    assert "push 101" in way and "c1h3 answers" in way
    assert json.loads(good("trace", lab, "c1h1", "c1h3", "--json"))["ok"] is True
    done = mnmpls("trace", lab, "c1h1", "c1h33")
    assert done.returncode == 2 and b"no node 'c1h33'" in done.stderr and b"c1h3" in done.stderr


def test_the_lab_is_shown_as_it_runs(lab: str) -> None:
    """plan and graph take a name as well as a file, and show what runs there."""
    assert good("plan", lab, "pe1") == good("plan", L3VPN, "pe1")
    assert json.loads(good("plan", lab, "--json"))["lab"]["name"] == lab
    assert '"pe1"' in good("graph", lab) and good("graph", lab, "--format", "svg").startswith("<svg")


def test_drift_is_told_and_apply_repairs_it(lab: str) -> None:
    """What was taken away by hand in the guest is named here, status 1; apply puts it back."""
    good("exec", lab, "p", "--", "ip", "-f", "mpls", "route", "del", "101")
    done = mnmpls("drift", lab)
    assert done.returncode == 1 and b"101" in done.stdout
    assert set(json.loads(good("apply", lab, "--json"))) == {"p"}
    good("drift", lab)
    assert "nothing to do" in good("apply", lab)


def test_apply_takes_the_file_as_it_is_here(lab: str, tmp_path: Path) -> None:
    """An edited file of this machine, in a folder that the guest does not share, makes only the difference."""
    file = tmp_path / "edited.yml"
    text = L3VPN.read_text()
    file.write_text(text.replace("c1h2: ", "c1h9: ").replace("c1h2,", "c1h9,").replace("c1h2]", "c1h9]"))
    assert "c1h9" in file.read_text() and file.read_text() != text
    try:
        assert "c1h9" in good("apply", lab, file)
        assert "1 received" in good("exec", lab, "c1h9", "--", "ping", "-c1", "88.2.1.3")
        assert b"no node 'c1h2'" in mnmpls("exec", lab, "c1h2", "--", "true").stderr
    finally:
        good("apply", lab, L3VPN)
    file.write_text(text.replace("101", "x101"))
    done = mnmpls("apply", lab, file)
    assert done.returncode == 2 and b"x101" in done.stderr and b"edited.yml:" in done.stderr
    assert "nothing to do" in good("apply", lab)


def test_two_labs_in_two_guests(lab: str) -> None:
    """Side by side, each with nodes, processes and kernel of its own; --json and --netns as on this machine's kernel;
    a name that is taken is refused before a guest is started."""
    done = mnmpls("up", L3VPN, "--name", lab)
    assert done.returncode == 2 and b"runs already" in done.stderr
    second = f"{lab}2"
    up = json.loads(good("up", L3VPN, "--name", second, "--json", "--netns"))
    try:
        assert (up["name"], up["nodes"], up["works"]) == (second, 19, True)
        assert running()[lab]["pid"] != running()[second]["pid"]
        assert f"{second}-c1h1" in good("exec", second, "c1h3", "--", "ip", "netns", "list")
        assert good("exec", lab, "c1h3", "--", "ip", "netns", "list") == ""
        assert "1 received" in good("exec", second, "c1h3", "--", "ping", "-c1", "88.1.1.1")
    finally:
        good("down", second)
    assert gone(second) and "1 received" in good("exec", lab, "c1h1", "--", "ping", "-c1", "88.2.1.3")


def test_a_lab_outlives_the_time_limit_of_its_start(lab: str) -> None:
    """Its clock is off when the lab is up: the signal by which it would ring ends nothing."""
    kill = "for p in /proc/[0-9]*; do grep -q '[-]-foreground' $p/cmdline && kill -ALRM ${p#/proc/}; done; sleep 0.5"
    visit = f"from mnmpls import guests; guests.run_in_lab({lab!r}, ['bash', '-c', {kill!r}])"
    done = subprocess.run([sys.executable, "-c", visit], env=ENVIRONMENT, capture_output=True, timeout=LIMIT_S,
                          check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b""), done
    assert "1 received" in good("exec", lab, "c1h1", "--", "ping", "-c1", "88.2.1.3")


def test_foreground_ends_with_ctrl_c() -> None:
    """--foreground stays and is listed, and says what unnumbered links cost; Ctrl-C ends it with status 130, and the
    guest with it."""
    up = on_terminal("up", "--foreground", str(PROJECT / "topos/unnumbered.yml"), "--name", f"{NAME}f")
    up.expect("5 nodes are up")
    up.expect("unnumbered links: pe1 - p, pe1 - p, p - pe2\r\n.*labelled IPv4 stays lost")
    assert up.pid
    os.kill(up.pid, signal.SIGALRM)  # by which the time limit of its start would come
    assert f"{NAME}f" in running()
    up.sendintr()
    up.expect(pexpect.EOF)
    up.close()
    assert up.exitstatus == 130 and gone(f"{NAME}f")


@pytest.mark.parametrize(("old", "new", "words", "status", "says", "stays"), [
    ("role: pe", "role: pee", (), 2, "broken.yml:", False),
    ("c1h1: host", "c1h1: {role: host, exec: [false]}", ("--allow-exec",), 1, "c1h1: exec: false: ended with", False),
    ("c1h1: host", "c1h1: {role: host, sysctls: {net.no.such: 1}}", (), 1, "net.no.such", False),
    ("c1h1: host", "c1h1: {role: host, gateway: 88.1.1.99}", ("--wait", "1"), 1, "is up, but not as intended", True),
])
def test_what_goes_wrong_is_told(
    old: str, new: str, words: tuple[str, ...], status: int, says: str, stays: bool, tmp_path: Path
) -> None:
    """With its status, from the guest too; a lab that did not come up leaves nothing, one that does not work stays."""
    name = f"{NAME}b"
    file = tmp_path / "broken.yml"
    file.write_text(L3VPN.read_text().replace(old, new))
    assert new in file.read_text()
    done = mnmpls("up", file, "--name", name, *words)
    assert done.returncode == status and says in done.stderr.decode(), done
    assert b"Traceback" not in done.stderr
    assert (name in running()) is stays
    if stays:
        good("down", name)
    assert gone(name)


@pytest.mark.parametrize("booted", [False, True])
def test_a_killed_up_leaves_nothing(booted: bool) -> None:
    """SIGKILL before it has said that the lab is up, be the guest still booting or not: the guest ends too."""
    name = f"{NAME}k"
    up = started(L3VPN, name, "--wait", "30")
    if booted:
        assert up.stderr and b"running in" in up.stderr.readline()
    else:
        until(lambda: name in running())
    up.kill()
    up.communicate()
    assert gone(name)


def test_a_killed_guest_leaves_nothing() -> None:
    """SIGKILL for the process that has the lab: its name, its processes and the commands in it are gone."""
    name = f"{NAME}r"
    good("up", L3VPN, "--name", name)
    words = [*MNMPLS, "exec", name, "c1h2", "--", "sh", "-c", "echo on; exec sleep 1000"]
    with subprocess.Popen(words, env=ENVIRONMENT, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as one:
        assert one.stdout and one.stdout.readline() == b"on\n"
        os.kill(int(str(running()[name]["pid"])), signal.SIGKILL)
        _, errors = one.communicate(timeout=LIMIT_S)
    assert one.returncode == 125 and f"lab '{name}': its guest has ended" in errors.decode()
    assert gone(name)


def used_from_outside(name: str) -> None:
    """A lab that mn or a script has in a guest, by the command on this machine."""
    assert running()[name]["runtime"] == "guest"
    assert "1 received" in good("exec", name, "c1h1", "--", "ping", "-c1", "88.2.1.3")
    assert "push 101" in good("trace", name, "c1h1", "c1h3")
    assert "132 of 132 as intended" in good("check", name)


def of(pid: int) -> list[str]:
    return [name for name, about in running().items() if about["pid"] == pid]


def test_mn_in_a_guest_is_a_lab_here() -> None:
    """`mn --custom` that went into a guest is listed, used and proven from another shell; only its prompt ends it."""
    mn = pexpect.spawn("/usr/bin/mn", ["--custom", "topos/l3vpn.py"], env=ENVIRONMENT, cwd=str(PROJECT),
                       timeout=LIMIT_S, encoding="utf-8")  # fmt: skip
    try:
        mn.expect("mininet> ")
        (name,) = of(mn.pid or 0)
        assert name.startswith("l3vpn") and running()[name]["nodes"] == 19
        used_from_outside(name)
        mn.sendline("exit")
        mn.expect(pexpect.EOF)
    finally:
        mn.close(force=True)
    assert mn.exitstatus == 0 and name not in running()


def test_a_script_in_a_guest_is_a_lab_here(tmp_path: Path) -> None:
    """So is a Python script's; it ends with the script."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom mnmpls import load, run\n"
        f"with run(load({str(L3VPN)!r})) as lab:\n    print(len(lab), flush=True)\n    sys.stdin.readline()\n"
    )
    with subprocess.Popen([sys.executable, script], env=ENVIRONMENT, cwd=PROJECT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as one:  # fmt: skip
        assert one.stdout and one.stdout.readline() == "19\n"
        (name,) = of(one.pid)
        used_from_outside(name)
        one.communicate("go on\n", timeout=LIMIT_S)
    assert one.returncode == 0 and name not in running()


def test_a_guest_without_room_for_the_lab_is_told(tmp_path: Path) -> None:
    """Where the guest's kernel kills the holder, as it does for lack of memory: that is said, and nothing stays."""
    file = tmp_path / "lab.yml"
    name = f"t{os.getpid()}-room"
    file.write_text(L3VPN.read_text().replace("c1h1: host", "c1h1: {role: host, exec: [sleep 60]}"))
    words = [*MNMPLS, "up", str(file), "--name", name, "--allow-exec"]
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stderr
        while "c1h1: sleep 60" not in (line := up.stderr.readline()) or line.startswith(" "):
            assert up.poll() is None
        kill = "for p in /proc/[0-9]*; do grep -q foreground $p/cmdline && kill -9 ${p#/proc/}; done"
        visit = f"from mnmpls import guests; guests.run_in_lab({name!r}, ['bash', '-c', {kill!r}])"
        visitor = [sys.executable, "-c", visit]
        subprocess.run(visitor, env=ENVIRONMENT, capture_output=True, timeout=LIMIT_S, check=False)
        _, said = up.communicate(timeout=LIMIT_S)
    assert up.returncode == 1 and "MNMPLS_MEMORY_MIB gives a guest more" in said, said
    assert gone(name)
