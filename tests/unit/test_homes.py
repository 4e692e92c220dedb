"""The folders of a container's daemons, where a user has bound files of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MOUNTS = """
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && mount --bind "$1/image" /etc/frr || exit 9
if [ "$2" = file ]; then mount --bind "$1/theirs/frr.conf" /etc/frr/frr.conf; mount -o remount,bind,ro /etc/frr/frr.conf
else mount --bind "$1/theirs" /etc/frr; fi || exit 9
shift 2
exec "$@"
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
    theirs = tmp_path / "theirs"
    for folder in (theirs, tmp_path / "image"):
        folder.mkdir()
        (folder / "frr.conf").write_text("theirs")
    for what in ("folder", "file"):
        command = [sys.executable, "-c", BEGUN_TWICE]
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", MOUNTS, "sh", str(tmp_path), what, *command],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done
        assert done.stdout.splitlines() == ["", "ours", "vtysh.conf", "ours"]
        assert [path.name for path in theirs.iterdir()] == ["frr.conf"]
        assert (theirs / "frr.conf").read_text() == "theirs"
