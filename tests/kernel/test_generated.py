"""FRR's own word on what we write for its daemons, for every lab that comes with the project."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mnmpls.asking import BIRD, answers, ask
from mnmpls.daemons import Service, services
from mnmpls.plan import complete
from mnmpls.processes import Folders
from mnmpls.programs import find
from mnmpls.sources import load
from tests.unit.test_daemons import TOPOS

pytestmark = pytest.mark.kernel

_NAMES = re.compile(r"(?<=^hostname ).*|(?<=^interface )\S+|(?<=vrf )\S+|[0-9a-f]*:[0-9a-f:.]+|\d+")
_START_S = 180


def lines(config: str) -> list[str]:
    """But those that name a VRF's interface: ospf6d has them once it is there (ospf6d/ospf6_top.c)."""
    found = [line.strip() for line in config.splitlines() if line.strip() and not line.startswith("!")]
    return [line for line in found if not re.fullmatch(r"interface \S+ area \S+", line)]


def generated() -> list[Service]:
    """FRR's of all labs' services that are made by us and say something that none before them says, numbers and names
    apart: what they say is all that any of them does."""
    labs = [lab for path in sorted(TOPOS.glob("*.yml")) if (lab := complete(load(str(path)))).has_daemons]
    assert len(labs) >= 10
    seen: set[tuple[str, str]] = set()
    found: list[Service] = []
    for one in (one for lab in labs for some in services(lab).values() for one in some if not one.where):
        said = {(one.name, _NAMES.sub("#", line)) for line in lines(one.config)}
        if one.argv[0] not in ("charon-systemd", BIRD) and not said <= seen:
            seen |= said
            found.append(one)
    return found


def said_by(argv: Sequence[str]) -> str:
    done = subprocess.run(list(argv), capture_output=True, text=True, timeout=_START_S)
    return done.stdout + done.stderr


def shown(home: Folders, daemon: str) -> str:
    """The configuration that it runs with; nothing while it does not answer."""
    return (ask(home, daemon, "show running-config") or "") if answers(home, daemon) else ""


def test_daemons_take_and_give_back_every_line(tmp_path: Path) -> None:
    """Each configuration passes its daemon's dry run and vtysh's check, and what the daemon runs with holds every line
    of it."""
    tmp_path.chmod(0o777)
    tmp_path.parent.chmod(0o755)
    tmp_path.parent.parent.chmod(0o755)
    lost: list[tuple[str, list[str]]] = []
    for number, one in enumerate(generated()):
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        file = folder / one.file_name
        file.write_text(one.config)
        argv = [find(one.name), "-f", str(file), "-i", f"{folder}/pid", "-z", f"{folder}/zserv", "--log", "stdout"]
        assert "on config line" not in said_by([*argv, "--dryrun"]), one.config
        assert said_by(["vtysh", "-C", "-f", str(file)]) == "", one.config
        with subprocess.Popen(
            [*argv, "--vty_socket", str(folder), "-P", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as daemon:
            until = time.monotonic() + _START_S
            while not (told := shown(Folders("", str(folder)), one.name)) and time.monotonic() < until:
                time.sleep(0.02)
            running = {line.strip() for line in told.splitlines()}
            daemon.kill()
        if missing := [line for line in lines(one.config) if line not in running]:
            lost.append((one.name, missing))
    assert lost == []
