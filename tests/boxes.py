"""A docker daemon of the tests' own, and an image of this machine's own programs: no registry, no packages to fetch."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mnmpls.containers.image import changes

BOXED = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore:distutils Version"),  # in Debian's docker SDK
]
"""What tests of labs in containers are marked with, where the kernel has MPLS and VRFs."""
FIVE = """
name: five
nodes: {p: p, c1: ce, c2: ce, pe1: {role: pe, vrfs: [red]}, pe2: {role: pe, vrfs: [red]}}
links: [[pe1, p], [p, pe2], [c1, {pe1: {vrf: red}}], [c2, {pe2: {vrf: red}}]]
"""

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = Path("/usr/lib/python3/dist-packages")
_PROGRAMS = ("python3.11", "ip", "ping", "sh", "test", "cat", "sleep", "true", "tcpdump", "setpriv",
             "unshare", "env", "mount")
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_GUEST = ("linux.uml", "modprobe", "mkdir", "rm")
_FRR = ("zebra", "mgmtd", "staticd", "ospfd", "ospf6d", "ldpd", "bgpd", "bfdd", "isisd")
_OTHER_DAEMONS = ("bird", "birdc", "charon-systemd", "swanctl")
_MODULES = ("yaml", "_yaml", "jinja2", "markupsafe", "lark")
_FOLDERS = ("run", "tmp", "mnt", "var/tmp", "proc", "sys", "dev", "etc/mnmpls", "root", "usr/lib64")
_START_S, _SAID_S = 180.0, 300.0


@contextmanager
def daemon(folder: Path, under: Sequence[str] = ()) -> Iterator[str]:
    """A dockerd of the test's own in ``folder``, run by the command ``under``; gives its address, which is DOCKER_HOST
    meanwhile. Nothing of it is left."""
    address = f"unix://{folder}/socket"
    options = {"data-root": folder / "data", "exec-root": folder / "exec", "pidfile": folder / "pid"}
    words = [*under, "dockerd", "-H", address, *(f"--{option}={value}" for option, value in options.items())]
    words += ["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=overlay2"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + _START_S
        while not (folder / "socket").exists() or "API listen on" not in (folder / "log").read_text():
            assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()[-2000:]
            time.sleep(0.05)
        with patch.dict(os.environ, {"DOCKER_HOST": address}):
            yield address
    finally:
        process.terminate()
        process.wait(120)
        for line in Path("/proc/mounts").read_text().splitlines():
            if (where := line.split()[1]).startswith(f"{folder}/"):
                subprocess.run(["umount", "-l", where], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def daemon_in_memory() -> Iterator[str]:
    """The same in a guest: its own root is an overlay, upon which docker cannot lay its own."""
    with tempfile.TemporaryDirectory(prefix="mnmpls-docker-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup"], check=True)
        for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
            name, *_, enabled = line.split()
            if enabled == "1":
                place = Path("/sys/fs/cgroup", name)
                place.mkdir()
                subprocess.run(["mount", "-t", "cgroup", "-o", name, "cgroup", str(place)], check=True)
        try:
            with daemon(Path(folder)) as address:
                yield address
        finally:
            subprocess.run(["umount", "-l", "-R", "/sys/fs/cgroup", folder], check=True)


def make_image(name: str = "mnmpls", frr: bool = False, uml: bool = False) -> None:
    """Of what a node needs at least, with this source tree; with ``frr``, BIRD and strongSwan, too;
    with ``uml``, one that brings its own kernel, too."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for link in ("bin", "sbin", "lib", "lib64"):
            _symlink(tar, link, f"usr/{link}")
        _symlink(tar, "var/run", "/run")
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for file in ("/etc/passwd", "/etc/group"):
            tar.add(file)
        tar.add("/usr/lib/python3.11", filter=_wanted)
        for module in _MODULES:
            tar.add(PACKAGES / module, filter=_wanted)
        tar.add(ROOT / "mnmpls", f"{PACKAGES}/mnmpls"[1:], filter=_wanted)
        tar.add(ROOT / "docker/bin", "usr/bin")
        tar.add(ROOT / "docker/inside", "usr/lib/mnmpls/inside")
        _symlink(tar, "usr/bin/python3", "python3.11")
        programs = [str(shutil.which(each, path=_PATH)) for each in _PROGRAMS]
        programs += [f"/usr/lib/frr/{each}" for each in _FRR if frr and os.path.exists(f"/usr/lib/frr/{each}")]
        if frr:
            tar.add("/usr/share/yang")
            tar.add("/etc/pam.d/frr")  # which vtysh asks
            programs += ["/usr/bin/vtysh", *map(str, Path("/usr/lib").glob("*-linux-gnu/security/pam_permit.so"))]
            programs += [str(shutil.which(each, path=_PATH)) for each in _OTHER_DAEMONS]
            programs += map(str, Path("/usr/lib/ipsec/plugins").glob("*.so"))
            programs += map(str, Path("/usr/lib").glob("*-linux-gnu/libgcc_s.so.1"))  # charon's threads end by it
        if uml:
            programs += [str(shutil.which(each, path=_PATH)) for each in _GUEST]
            tar.add("/usr/lib/uml/modules", filter=_of_networks)
        for path in _with_libraries(programs):
            tar.add(os.path.realpath(path), _merged(path))
    words = [word for line in changes("0") for word in ("-c", line)]
    subprocess.run(["docker", "import", *words, "-", name], input=packed.getvalue(), check=True, capture_output=True)


def _symlink(tar: tarfile.TarFile, name: str, to: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, to
    tar.addfile(entry)


def _merged(path: str) -> str:
    """Where ``path`` is in an image whose /bin and /lib are links."""
    return path[1:] if path.startswith("/usr/") else f"usr{path}"


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    unwanted = re.search(r"__pycache__|/(test|idlelib|lib2to3|pydoc_data|config-3[^/]*|ensurepip)(/|$)", entry.name)
    return None if unwanted else entry


def _of_networks(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Of the guest kernel's modules."""
    other = re.search(r"/kernel/(?!net\b|drivers$|drivers/net\b|lib\b|crypto\b|fs$|fs/overlayfs\b)", entry.name)
    return None if other else entry


def _with_libraries(programs: Sequence[str]) -> list[str]:
    folders = (PACKAGES / "yaml", Path("/usr/lib/python3.11/lib-dynload"))
    extensions = [str(path) for folder in folders for path in folder.glob("*.so")]
    told = subprocess.run(["ldd", *programs, *extensions], capture_output=True, text=True, check=False).stdout
    return sorted({*programs, *re.findall(r"(/\S+\.so\S*) \(", told)})


def mnmpls(*words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mnmpls", *map(str, words)], capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )  # fmt: skip


def good(*words: str | Path) -> str:
    done = mnmpls(*words)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def said(box: str, words: str) -> str:
    """What a container has said, once that is in it."""
    until = time.monotonic() + _SAID_S
    while words not in (told := docker("logs", box)):
        assert time.monotonic() < until, told
        time.sleep(0.1)
    return told


def inspected(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(docker("inspect", name))[0]
    return told
