"""Run as root of a guest: hides one thing after the other that labs need, and tells what ``doctor`` and ``up`` say.
Names on the command line are of what is hidden already.

Prints one JSON object: what was hidden -> what was seen. The guest, and with it all damage, is gone afterwards.
"""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path

from mnmpls import cli
from mnmpls.errors import KernelRefused
from mnmpls.netns import RunningLab
from mnmpls.sources import load

LAB = """
name: hiding
nodes:
  p: p
  lan: bridge
  pe1: {role: pe, vrfs: {red: {rt: 65000:1}}}
  pe2: {role: pe, vrfs: {red: {rt: 65000:1}}}
  ce1: {role: ce, exec: tcpdump --version}
  ce2: ce
  h1: host
  h2: {role: host, dummies: {d0: 10.8.0.1/24}}
links:
  - [pe1, p]
  - [pe2, p]
  - [pe1: {vrf: red}, ce1]
  - [pe2: {vrf: red}, ce2]
  - {a: ce1, b: lan, delay: 1ms}
  - [h1: ["10.9.0.1/24", "fd09::1/64"], h2: ["10.9.0.2/24", "fd09::2/64"]]
  - {a: h1, b: h2, type: gre, over: [10.9.0.1, 10.9.0.2]}
  - {a: h1, b: h2, type: ip6gre, over: ["fd09::1", "fd09::2"], ipsec: transport}
  - {a: h1, b: h2, type: vxlan, vni: 7, over: [10.9.0.1, 10.9.0.2]}
"""
BY_HAND = """
from mnmpls.errors import KernelRefused
from mnmpls.kernel import Namespace
from mnmpls.state import LabelRoute, NextHop, Sysctl
space = Namespace.create()
for record in (LabelRoute(101, (NextHop("", "lo"),)), Sysctl("net.mpls.conf.foo4.input", "1")):
    try:
        space.write(record)
    except KernelRefused as error:
        print(error)
"""
"""What source 003 shows of a kernel without MPLS, in our words."""

GONE_S = 60
"""How long what was made may take to go."""

Hidden = AbstractContextManager[dict[str, str]]
"""Gives the environment in which the thing cannot be found."""


@contextmanager
def nothing() -> Iterator[dict[str, str]]:
    yield {}


@contextmanager
def module(*names: str) -> Iterator[dict[str, str]]:
    """Modules that are unloaded, the file of the last moved away."""
    path = Path(subprocess.check_output(["modinfo", "-n", names[-1]], text=True).strip())
    away = path.with_suffix(".away")
    until = time.monotonic() + 60
    while subprocess.run(["modprobe", "-r", *names], capture_output=True, check=False).returncode:
        assert time.monotonic() < until, f"{names} are still in use"
        time.sleep(0.1)  # a namespace that nobody holds any more is taken apart in its own time
    path.rename(away)
    try:
        yield {}
    finally:
        away.rename(path)
        subprocess.run(["modprobe", "-a", *names], check=True)


@contextmanager
def value(*settings: tuple[str, str]) -> Iterator[dict[str, str]]:
    paths = [Path("/proc/sys", *key.split(".")) for key, _ in settings]
    before = [path.read_text() for path in paths]
    for path, (_, text) in zip(paths, settings, strict=True):
        path.write_text(text)
    try:
        yield {}
    finally:
        for path, text in zip(paths, before, strict=True):
            path.write_text(text)


@contextmanager
def mounted(*argv: str) -> Iterator[dict[str, str]]:
    """Something mounted over a folder, which is the last word."""
    subprocess.run(["mount", *argv], check=True)
    try:
        yield {}
    finally:
        subprocess.run(["umount", argv[-1]], check=True)


@contextmanager
def read_only(folder: str) -> Iterator[dict[str, str]]:
    with mounted("--bind", folder, folder):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield {}


@contextmanager
def program(name: str) -> Iterator[dict[str, str]]:
    """A PATH with everything but this."""
    folder = Path("/run/all-but") / name
    folder.mkdir(parents=True)
    for source in ("/usr/sbin", "/usr/bin"):
        for each in os.listdir(source):
            if each != name and not (folder / each).is_symlink():
                (folder / each).symlink_to(f"{source}/{each}")
    yield {"PATH": str(folder)}


HIDES: dict[str, Callable[[], Hidden]] = {
    "nothing": nothing,
    "netns": lambda: value(("user.max_net_namespaces", "0")),
    "pidns": lambda: value(("user.max_pid_namespaces", "0")),
    "settings": lambda: read_only("/proc/sys"),
    "settings, all of them": lambda: mounted("-t", "tmpfs", "none", "/proc/sys/net"),
    "veth": lambda: module("veth"),
    "bridge": lambda: module("bridge"),
    "dummy": lambda: module("dummy"),
    "mpls": lambda: module("mpls_gso", "mpls_iptunnel", "mpls_router"),
    "mpls-encap": lambda: module("mpls_iptunnel"),
    "gre": lambda: module("ip_gre"),
    "ip6gre": lambda: module("ip6_gre"),
    "vxlan": lambda: module("vxlan"),
    "netem": lambda: module("sch_netem"),
    "esp6": lambda: module("esp6"),
    "chacha20poly1305": lambda: module("chacha20poly1305"),
    "xfrm": lambda: module("xfrm_user"),
    "charon-systemd": lambda: program("charon-systemd"),
    "setpriv": lambda: program("setpriv"),
    "unshare": lambda: program("unshare"),
    "tcpdump": lambda: program("tcpdump"),
}
"""By the key that the doctor has for it, up to a comma."""

REFUSED = ("bridge", "vrf", "mpls", "mpls-encap", "veth", "gre", "vxlan", "netem", "settings", "netns", "xfrm")
"""Of these the kernel's own refusal is looked at, too."""


def load_modules() -> None:
    """Those that commands load when they need them: most of what a command costs an emulated kernel."""
    for room in ("checks", "cli", "daemons", "doctor", "live"):
        for found in pkgutil.iter_modules(import_module(f"mnmpls.{room}").__path__, f"mnmpls.{room}."):
            import_module(found.name)


def command(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """``python3 -m mnmpls`` in a copy of this process, which has the modules already."""
    sys.stdout.flush()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            for own, number in ((out, 1), (err, 2)):
                os.dup2(own.fileno(), number)
            os.environ.update(env)
            os._exit(cli.main(words))
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(status), *(
            file.read().decode() for file in (out, err)
        ))  # fmt: skip


def there() -> list[str]:
    """What a lab could have made or left: interfaces, names, mounts, and programs that run."""
    programs = [f"process {each}" for each in os.listdir("/proc") if os.path.exists(f"/proc/{each}/exe")]
    sockets = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if "@mnmpls" in line]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return [*sorted(os.listdir("/sys/class/net")), *sockets, *mounts, *programs]


def applied(file: str) -> str:
    """What is said where nobody looks at the kernel before."""
    try:
        RunningLab(load(file)).close()
    except KernelRefused as error:
        return str(error)
    return ""


def seen(file: str, env: dict[str, str], with_apply: bool) -> dict[str, object]:
    before = there()
    told = command(env, "doctor", file, "--json")
    up = command(env, "up", file, "--kernel", "host", "--allow-exec", "--wait", "0")
    until = time.monotonic() + GONE_S  # what ends takes its own time
    while (left := [each for each in there() if each not in before]) and up.returncode and time.monotonic() < until:
        time.sleep(0.1)
    if up.returncode == 0:
        command(env, "down", "hiding")
    doctor = json.loads(told.stdout) if told.stdout else {"error": told.stderr}
    return {"doctor": doctor, "status": told.returncode, "up": up.returncode, "said": up.stderr, "left": left,
            "applied": applied(file) if with_apply else ""}  # fmt: skip


def main() -> None:
    load_modules()
    file = Path("/run/hiding.yml")
    file.write_text(LAB)
    found = {}
    for name in sys.argv[1:] or HIDES:
        with HIDES.get(name, nothing)() as env:
            found[name] = seen(str(file), env, name in REFUSED)
            if name == "mpls":
                argv = [sys.executable, "-c", BY_HAND]
                found[name]["by hand"] = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    print(json.dumps(found))


if __name__ == "__main__":
    main()
