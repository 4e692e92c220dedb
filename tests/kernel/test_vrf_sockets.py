"""Commands whose IP sockets are in a VRF: ``RunningNode.run(vrf=...)``, ``mnmpls exec --vrf``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pexpect
import pytest
import yaml

from mnmpls.errors import LabError
from mnmpls.netns import RunningLab
from mnmpls.node import RunningNode
from mnmpls.sources import from_data
from mnmpls.vrf import in_vrf
from tests.watching import until

pytestmark = pytest.mark.kernel

LAB = from_data(yaml.safe_load("""
name: vrf-sockets
nodes:
  pe: {role: pe, vrfs: [red, blue]}
  r: host
  b: host
links:
  - [pe: {port: pe-r, ip: [10.0.0.1/24, fd00::1/64], vrf: red}, r: [10.0.0.2/24, fd00::2/64]]
  - [pe: {port: pe-b, ip: [10.0.0.1/24, fd00::1/64], vrf: blue}, b: [10.0.0.2/24, fd00::2/64]]
"""))

SERVER = """
import socket, sys
name = sys.argv[1].encode()
for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        made = socket.socket(family, kind)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(("", 7))
        if __import__("os").fork() == 0:
            if kind == socket.SOCK_DGRAM:
                while True:
                    made.sendto(name, made.recvfrom(9)[1])
            made.listen()
            while True:
                made.accept()[0].sendall(name)
print("ready", flush=True)
__import__("signal").pause()
"""

CLIENT = """
import socket, sys, threading
def ask(address, kind, said):
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.settimeout(30)
    made.connect((address, 7))
    if kind == socket.SOCK_DGRAM:
        made.send(b"?")
    said.append(made.recv(9).decode())
said = []
for address in ("10.0.0.2", "fd00::2"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        threads = [threading.Thread(target=ask, args=(address, kind, said)) for _ in range(2)]
        [each.start() for each in threads]; [each.join() for each in threads]
print(*said)
"""

STATIC = """
#include <stdio.h>
#include <sys/socket.h>
int main(void) {
    char name[16] = "";
    socklen_t size = sizeof name;
    getsockopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), SOL_SOCKET, SO_BINDTODEVICE, name, &size);
    puts(name);
}
"""

DEVICE = "socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16"


@pytest.fixture(scope="module")
def pe() -> Iterator[RunningNode]:
    """A PE whose two customers have the same addresses, each with a server that says who it is."""
    with ExitStack() as servers, RunningLab(LAB) as lab:
        for name in ("r", "b"):
            words = [sys.executable, "-c", SERVER, name]
            server = servers.enter_context(lab[name].popen(words, stdout=subprocess.PIPE))
            assert server.stdout and server.stdout.readline() == b"ready\n"
        yield lab["pe"]


def python(pe: RunningNode, script: str, vrf: str = "red", **how: object) -> str:
    done = pe.run([sys.executable, "-c", "import socket, os\n" + script], vrf=vrf, timeout_s=180, **how)  # type: ignore[arg-type]
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.strip()


@pytest.mark.parametrize(("vrf", "name"), [("red", "r"), ("blue", "b")])
def test_tcp_and_udp_go_by_the_vrf(pe: RunningNode, vrf: str, name: str) -> None:
    """IPv4 and IPv6, from several threads: the same address is another host's in the other VRF."""
    assert python(pe, CLIENT, vrf).split() == [name] * 8


@pytest.mark.parametrize("vrf", ["red", "blue"])
def test_raw_and_icmp_sockets_go_by_the_vrf(pe: RunningNode, vrf: str) -> None:
    """ping(8) with raw sockets, and an ordinary user's with ICMP sockets, as far as its group may have them."""
    for target in ("10.0.0.2", "fd00::2"):
        assert pe.run(["ping", "-c1", "-W10", target], vrf=vrf).returncode == 0
        assert pe.run(["ping", "-c1", "-W2", target]).returncode != 0
    pinging = "for proto, family in ((1, socket.AF_INET), (58, socket.AF_INET6)):\n" \
        f"    print(socket.socket(family, socket.SOCK_DGRAM, proto).getsockopt({DEVICE}))"
    with pe.namespace.entered():
        Path("/proc/sys/net/ipv4/ping_group_range").write_text("4242 4242")
    assert python(pe, f"os.setgroups([4242]); os.setresuid(99, 99, 99)\n{pinging}", vrf).count(vrf) == 2
    with pytest.raises(AssertionError, match="Permission denied"):
        python(pe, f"os.setgroups([1]); os.setresuid(99, 99, 99)\n{pinging}", vrf)


def test_no_right_is_given_away(pe: RunningNode) -> None:
    """Who may not have a raw socket does not get one from the supervisor, which is root's."""
    with pytest.raises(AssertionError, match="PermissionError"):
        python(pe, "os.setresuid(99, 99, 99); socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)")


def test_other_sockets_are_left_alone(pe: RunningNode) -> None:
    """AF_UNIX, netlink and packet sockets are bound to nothing, and so is what is made in another namespace."""
    script = f"print([socket.socket(*each).getsockopt({DEVICE}) for each in ((1, 1), (16, 3), (17, 3))])"
    assert python(pe, script) == "[b'', b'', b'']"
    words = ["unshare", "-n", sys.executable, "-c", f"import socket; print(socket.socket().getsockopt({DEVICE}))"]
    assert pe.run(words, vrf="red").stdout == "b''\n"


def test_flags_and_errors_are_the_kernels(pe: RunningNode) -> None:
    """Close-on-exec and non-blocking as asked for; an unknown protocol and too many open files as without a VRF."""
    script = (
        "import ctypes, fcntl, resource\n"
        "make = ctypes.CDLL(None, use_errno=True).socket\n"
        "for flags in (0, socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK):\n"
        "    fd = make(2, 1 | flags, 0)\n"
        "    print(fcntl.fcntl(fd, fcntl.F_GETFD), bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK), end=' ')\n"
        "print(make(2, 1, 77), ctypes.get_errno(), end=' ')\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "print(make(2, 1, 0), ctypes.get_errno())\n"
    )
    assert python(pe, script) == python(pe, script, vrf="") == "0 False 1 False 0 True -1 93 -1 24"


def test_static_programs_and_those_of_shells(pe: RunningNode, tmp_path: Path) -> None:
    """No library is needed in the program, and what it starts is in the VRF too, in the background as well."""
    (tmp_path / "one.c").write_text(STATIC)
    subprocess.run(["gcc", "-static", "-o", tmp_path / "one", tmp_path / "one.c"], check=True)
    assert pe.run([str(tmp_path / "one")], vrf="blue").stdout == "blue\n"
    done = pe.run(["sh", "-c", f"{tmp_path}/one & wait; ({tmp_path}/one)"], vrf="blue")
    assert done.stdout == "blue\nblue\n"


@pytest.mark.parametrize(
    ("script", "status"), [("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM), ("kill -KILL $$", -signal.SIGKILL)]
)
def test_the_end_is_the_commands(pe: RunningNode, script: str, status: int) -> None:
    """Its status, or the signal that ended it."""
    assert pe.run(["sh", "-c", script], vrf="red").returncode == status


def test_what_cannot_be_run(pe: RunningNode) -> None:
    """Shell's statuses for programs; an unknown VRF with the known ones; no VRF within a VRF."""
    missing, text = pe.run(["no-such-command"], vrf="red"), pe.run(["/etc/passwd"], vrf="red")
    assert (missing.returncode, text.returncode) == (127, 126)
    assert missing.stderr == "mnmpls: no-such-command: No such file or directory\n"
    with pytest.raises(LabError, match="pe has no VRF 'rde'; did you mean 'red'"):
        pe.run(["true"], vrf="rde")
    twice = pe.run(in_vrf("pe", pe.namespace, "blue", ["true"]), vrf="red")
    assert (twice.returncode, "runs in a VRF already" in twice.stderr) == (126, True)


def _supervisors() -> set[int]:
    """All processes with the name of the file that supervisors and starting commands run."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"mnmpls/vrf_sockets.py" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def _awaited(number: int) -> set[int]:
    until(lambda: len(_supervisors()) == number, f"not {number} of them")
    return _supervisors()


def test_the_supervisor_goes_with_the_last_process_and_the_command_with_it(pe: RunningNode, tmp_path: Path) -> None:
    """None is left after a command; one stays for what goes on in the background; a killed one takes the command
    along, and what is left of it gets no socket any more."""
    assert _awaited(0) == set()
    go = tmp_path / "go"
    wait = f"import os, time, socket\nwhile not os.path.exists('{go}'): time.sleep(0.05)\n"
    made = f"{wait}socket.socket(); print('made')"
    with pe.popen(["sh", "-c", f'{sys.executable} -c "{made}" &'], vrf="red", stdout=subprocess.PIPE) as first:
        assert first.wait() == 0 and len(_awaited(1)) == 1
        go.touch()
        assert first.stdout and first.stdout.read() == b"made\n"
    assert _awaited(0) == set()
    go.unlink()
    script = f'echo up; {sys.executable} -c "{made}" & exec sleep 1000'
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with pe.popen(["sh", "-c", script], vrf="red", text=True, **pipes) as second:
        assert second.stdout and second.stdout.readline() == "up\n"
        (supervisor,) = _awaited(1)
        os.kill(supervisor, signal.SIGKILL)
        assert second.wait() == -signal.SIGKILL
        go.touch()
        assert second.stderr and "Function not implemented" in second.stderr.read()


def test_exec_on_a_terminal(tmp_path: Path) -> None:
    """mnmpls exec --vrf: its streams and terminal are the command's, Ctrl-C ends what runs in the shell, the status
    comes out; an unknown VRF is named with the known ones, and so is a node without any; one without an address is
    told as what it is."""
    file, name = tmp_path / "lab.yml", f"vrf-exec-{os.getpid()}"
    file.write_text(f"name: {name}\nnodes: {{pe: {{role: pe, vrfs: [red, bare]}}, h: host}}\n"
                    "links: [[pe: {ip: 10.0.0.1/24, vrf: red}, h: 10.0.0.2/24]]\n")  # fmt: skip
    mnmpls = [sys.executable, "-m", "mnmpls"]
    subprocess.run([*mnmpls, "up", file], check=True)
    try:
        words = [*mnmpls[1:], "exec", name, "pe", "--vrf", "red", "--", "bash", "--norc"]
        shell = pexpect.spawn(mnmpls[0], words, timeout=120, encoding="utf-8")
        shell.expect(r"bash-.*[#$] ")
        shell.sendline("ping -qc1 10.0.0.2 | grep -c '1 received'")
        shell.expect("\r1\r\n")
        shell.sendline("ping 10.0.0.2")
        shell.expect("icmp_seq=2")
        shell.sendintr()
        shell.sendline("echo st=$?; exit 3")
        shell.expect("st=0")
        shell.expect(pexpect.EOF)
        shell.close()
        assert shell.exitstatus == 3
        unknown = {"pe": "pe has no VRF 'blue'; there are bare, red", "h": "h has no VRF 'blue'; it has none"}
        for node, said in unknown.items():
            words = [*mnmpls, "exec", name, node, "--vrf", "blue", "--", "true"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert (done.returncode, said in done.stderr) == (2, True), done
        for vrf, bare in (("red", False), ("bare", True)):
            words = [*mnmpls, "exec", name, "pe", "--vrf", vrf, "--", "true"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert (done.returncode, "VRF bare at pe has no address" in done.stderr) == (0, bare), done
    finally:
        subprocess.run([*mnmpls, "down", name], check=True)
