"""``mn --custom topos/l3vpn.py`` as a user types it on this machine, whatever kernel that has."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from mnmpls.guests import host
from tests.watching import until

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
MN = ["/usr/bin/mn", "--custom", "topos/l3vpn.py"]

# A lab that any kernel with namespaces can run: two routers without labels or VRFs.
PLAIN = """
from mnmpls.mn.custom import *
from mnmpls.mn.links import MPLSLink
from mnmpls.mn.nodes import CEHost
from mininet.topo import Topo

class Plain(Topo):
    def build(self):
        for name in ("a", "b"):
            self.addHost(name, cls=CEHost)
        self.addLink("a", "b", cls=MPLSLink, params1={"ip": "192.0.2.1/30"}, params2={"ip": "192.0.2.2/30"})

topos = {"minimal": Plain}
"""


def run(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    everything = {**os.environ, **(env or {})}
    return subprocess.run([MN[0], *args], cwd=ROOT, env=everything, capture_output=True, text=True, timeout=300)


def mn(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return run(*MN[1:], *args, env=env)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.py"
    path.write_text(PLAIN)
    return path


def state() -> set[str]:
    """What a lab could leave behind: processes' network namespaces, interfaces, mounts."""
    namespaces: set[str] = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            namespaces.add(os.readlink(link))
        except OSError:
            continue
    return namespaces.union(os.listdir("/sys/class/net"), Path("/proc/self/mounts").read_text().splitlines())


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """The test leaves nothing behind; the kernel may take a moment to undo a killed process's things."""
    before = state()
    yield
    until(lambda: not state() - before, "something is left")


def test_prove_prints_kernel_matrix_labels_and_times(nothing_left: None) -> None:
    """One command proves the lab; what it prints is what it saw."""
    done = mn("--test", "prove")
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    for text in ("Kernel     Linux", "push 101", "swap 101", "c2h4", "Time ", "Proven"):
        assert text in said
    if host.missing(frozenset({"vrf", "mpls", "mpls-encap", "bridge"})):
        assert "guest" in done.stderr


def test_prompt_as_on_the_host(nothing_left: None) -> None:
    """The prompt, a ping, Ctrl-C in a running ping, history keys, and Ctrl-D: as in any Mininet."""
    child = pexpect.spawn(MN[0], MN[1:], cwd=str(ROOT), encoding="utf-8", timeout=180, dimensions=(40, 100))
    child.expect("mininet> ")
    child.sendline("c1h1 ping -c1 c1h4")
    child.expect("1 received")
    child.expect("mininet> ")
    child.sendline("c1h1 ping c1h2")
    child.expect("icmp_seq=2")
    child.sendintr()
    child.expect("packets transmitted")
    child.expect("mininet> ")
    child.sendline("sh stty size")
    child.expect("40 100")
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_failed_test_ends_with_a_status(plain: Path, nothing_left: None) -> None:
    """Stock mn ends with 0 when everything was lost."""
    broken = plain.with_name("broken.py")
    broken.write_text(PLAIN + "\ntests = {**tests, 'broken': lambda net: (net['a'].cmd('ip link set a-eth0 down'), "
                      "tests['pingAll'](net))}\n")  # fmt: skip
    good = run("--custom", str(plain), "--test", "pingall")
    bad = run("--custom", str(broken), "--test", "broken")
    assert (good.returncode, bad.returncode) == (0, 1), bad.stdout + bad.stderr
    assert "are not as intended" in bad.stdout + bad.stderr


def test_stock_topology_with_our_nodes(plain: Path, nothing_left: None) -> None:
    """``--host lab --switch lan`` makes any of mn's own topologies of our nodes."""
    done = run("--custom", str(plain), "--topo", "tree,2", "--host", "lab", "--switch", "lan", "--test", "pingall")
    assert (done.returncode, "(12/12 as intended)" in done.stdout + done.stderr) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "status"),
    [("raise RuntimeError('mine')", 1), ("from mnmpls.errors import LabError; raise LabError([])", 2)],
)
def test_exception_in_user_code(plain: Path, nothing_left: None, line: str, status: int) -> None:
    """An exception in a Topo ends with its status, and mn's clean-up by name does not run."""
    plain.write_text(PLAIN.replace("    def build(self):\n", f"    def build(self):\n        {line}\n"))
    done = run("--custom", str(plain))
    assert done.returncode == status
    assert "Removing excess" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_lines_in_a_pipe_are_commands(plain: Path) -> None:
    """A program that drives mn by a pipe may write while a node's command runs: stock Mininet hands that to the
    node's shell."""
    argv = [MN[0], "--custom", str(plain)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        assert child.stdin and child.stdout
        child.stdin.write(b"a echo started; sleep 1\n")
        child.stdin.flush()
        while b"started" not in child.stdout.readline():
            assert child.poll() is None
        said = child.communicate(b"nodes\nb hostname\nexit\n", timeout=180)[0]
    assert (child.returncode, b"available nodes are: \na b\n" in said) == (0, True), said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_killed_lab_leaves_nothing(plain: Path, nothing_left: None, number: signal.Signals) -> None:
    """A lab on this machine's own kernel, its shells and background jobs, go with a killed mn."""
    child = _plain_prompt(plain)
    child.sendline("a sleep 1000 &")
    child.expect("mininet> ")
    child.kill(number)
    child.expect(pexpect.EOF)
    child.close()
    assert number in (child.signalstatus, (child.exitstatus or 0) - 128)


def test_neighbour_is_undisturbed(plain: Path, nothing_left: None) -> None:
    """A second lab beside one that is killed goes on."""
    first, second = _plain_prompt(plain), _plain_prompt(plain)
    first.kill(signal.SIGKILL)
    first.expect(pexpect.EOF)
    first.close()
    second.sendline("a ping -c1 b")
    second.expect("1 received")
    second.expect("mininet> ")
    second.sendline("exit")
    second.expect(pexpect.EOF)
    second.close()
    assert second.exitstatus == 0


def _plain_prompt(plain: Path) -> pexpect.spawn[str]:
    child = pexpect.spawn("/usr/bin/mn", ["--custom", str(plain)], encoding="utf-8", timeout=180)
    child.expect("mininet> ")
    return child


def test_killed_guest_lab_leaves_nothing(nothing_left: None) -> None:
    """The same for the lab that needs MPLS, wherever it runs."""
    child = pexpect.spawn(MN[0], MN[1:], cwd=str(ROOT), encoding="utf-8", timeout=180)
    child.expect("mininet> ")
    child.kill(signal.SIGKILL)
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus == signal.SIGKILL


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--topo", "l3vpn,3,sites=x"], "l3vpn.sites: 'x' is not a whole number"),
        (["--topo", "l3vpn,2,customers=3"], "l3vpn.customers: given twice"),
        (["--topo", "l3vpn,1,2,3,4,5"], "5 sizes are too many"),
        (["--topo", "l3vp"], "--topo: there is no 'l3vp': did you mean 'l3vpn'?"),
        (["--link", "tc,bw=10,use_tbf=1"], "--link: links of a lab have no use_tbf: there are bw, delay, jitter, loss"),
        (["--test", "check+pingal"], "--test: there is no 'pingal': did you mean 'pingall'?"),
    ],
)
def test_wrong_options_are_named_before_anything_is_made(options: list[str], text: str, nothing_left: None) -> None:
    """Status 2, what is wrong and what is near; no kernel is chosen and no node made."""
    done = mn(*options)
    said = done.stdout + done.stderr
    assert (done.returncode, text in said, "Creating network" in said) == (2, True, False), said
    assert "Traceback" not in said


def test_iperfudp_from_the_command_line(nothing_left: None) -> None:
    """``--test iperfudp`` measures in a fresh lab, where nothing is known of any path's MTU yet."""
    done = mn("--test", "iperfudp", "-v", "output")
    said = done.stdout + done.stderr
    assert (done.returncode, said.count("Mbits/sec")) == (0, 2), said


def test_sizes_by_their_place(nothing_left: None) -> None:
    """``--topo l3vpn,1,hosts=1`` has one customer at two sites with a host at each; no word about switches."""
    done = mn("--topo", "l3vpn,1,hosts=1", "--test", "check")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "p pe1 pe2 c1e1 b1s1 c1h1 c1e2 b1s2 c1h2" in said
    assert "switches" not in said


def test_host_kernel_without_the_features_is_named(nothing_left: None) -> None:
    """MNMPLS_KERNEL=host where something is missing: status 3, what is missing, nothing made."""
    missing = host.missing(frozenset({"vrf", "mpls", "mpls-encap", "bridge"}))
    done = mn("--test", "prove", env={"MNMPLS_KERNEL": "host"})
    assert done.returncode == (3 if missing else 0)
    for spoken in (host.FEATURES[feature].spoken for feature in missing):
        assert spoken in done.stdout + done.stderr
