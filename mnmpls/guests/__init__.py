"""The kernels a lab can run on, how one is chosen, and how a command runs in one.

``host`` is this machine's own; the others are guest kernels that see this machine's files through an overlay.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from mnmpls.errors import GuestFailed, MissingFeature
from mnmpls.guests import uml
from mnmpls.guests.machine import Backend
from mnmpls.guests.runner import Command
from mnmpls.guests.runner import run as run_in

GUESTS: dict[str, Backend] = {"uml": uml.BACKEND}

NOT_PASSED = ("TMPDIR", "LD_PRELOAD", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK")
"""Variables that name things of the host which the guest does not have."""

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def inside() -> bool:
    """Whether we run in a guest of ours."""
    return bool(os.environ.get("MNMPLS_GUEST"))


def guest_environment(name: str, env: Mapping[str, str]) -> dict[str, str]:
    """What a command sees: the caller's environment, without what means nothing there, as root and in a guest."""
    passed = {key: value for key, value in env.items() if key not in NOT_PASSED}
    path = [folder for folder in passed.get("PATH", "").split(":") if folder]
    passed["PATH"] = ":".join(dict.fromkeys([*path, *SYSTEM_PATH]))
    passed["SETUPTOOLS_USE_DISTUTILS"] = "stdlib"  # else `import mininet` costs 1.5 s more, for setuptools
    passed["MNMPLS_KERNEL"] = "host"
    passed["MNMPLS_GUEST"] = name
    return passed


def memory_mib(backend: Backend) -> int:
    given = os.environ.get("MNMPLS_MEMORY_MIB", "")
    if given and not given.isdigit():
        raise MissingFeature(f"MNMPLS_MEMORY_MIB={given}: a number of MiB is wanted")
    return int(given) if given else backend.memory_mib


def run(
    name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, writable: Sequence[str] | None = None,
    why: str = "",
) -> int:
    """Run a command in guest ``name``; gives its exit status. Standard streams and terminal are as on the host.
    ``writable`` are the folders it writes through, the current one unless given. ``why`` is told on stderr, with
    the kernel's release, once the guest is up. Raises GuestFailed when the guest cannot start or does not live."""
    backend = GUESTS[name]
    problem = backend.problem()
    if problem:
        raise GuestFailed(f"{backend.title} guest: {problem}")
    cwd = os.getcwd()
    folders = [cwd] if writable is None else list(writable)
    command = Command(
        tuple(argv), guest_environment(name, os.environ if env is None else env), cwd,
        tuple(dict.fromkeys(map(os.path.realpath, folders))),
    )

    def announce(release: str) -> None:
        if why:
            print(f"mnmpls: {why}; running in a {backend.title} guest, Linux {release}", file=sys.stderr, flush=True)

    return run_in(backend, command, memory_mib(backend), announce)
