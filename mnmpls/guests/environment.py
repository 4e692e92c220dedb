"""What a command in a guest has of its caller's environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

WHY = "MNMPLS_WHY"
"""Environment of a command in a guest: why it is there. Told on stderr when the guest is up."""

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
