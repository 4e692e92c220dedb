"""The folders of a container's daemons, where a user has bound files of their own."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

MOUNTS = """
if [ "$3" = memory ]; then mount -t tmpfs tmpfs "$1"; fi && mkdir -p "$1/theirs" "$1/image" || exit 9
printf theirs >"$1/theirs/frr.conf" && printf theirs >"$1/image/frr.conf" || exit 9
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && mount --bind "$1/image" /etc/frr || exit 9
if [ "$2" = file ]; then mount --bind "$1/theirs/frr.conf" /etc/frr/frr.conf; mount -o remount,bind,ro /etc/frr/frr.conf
else mount --bind "$1/theirs" /etc/frr; fi || exit 9
theirs=$1/theirs
shift 3
"$@" && ls "$theirs" && cat "$theirs/frr.conf"
"""
BEGUN_TWICE = """
import os
from mnmpls.homes import ETC, Home
from mnmpls.processes import Processes

for _ in range(2):
    home = Home(Processes(), -1, private=False)
    print(*sorted(os.listdir(ETC)))
    home.write("frr.conf", "ours")
    home.write("vtysh.conf", "ours")
    print(open(f"{ETC}/frr.conf").read())
    home.close()
"""


def test_what_a_user_has_bound_is_left_alone(tmp_path: Path) -> None:
    """Daemons of a container whose /etc/frr, or a file in it, is bound have another there, however often they are
    started: nothing is written to the user's, which may be read-only, and nothing taken away."""
    for what, where in product(("folder", "file"), ("disk", "memory")):
        command = [sys.executable, "-c", BEGUN_TWICE]
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", MOUNTS, "sh", str(tmp_path), what, where, *command],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), (what, where, done)
        lines = ["", "ours", "vtysh.conf", "ours", "frr.conf", "theirs"]
        assert done.stdout.splitlines() == lines, (what, where)
