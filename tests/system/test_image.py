"""The image that `make image` makes of Debian's packages: the slim one, for real. All other tests have images of this
machine's own programs, which take seconds (tests/boxes.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests import absent
from tests.boxes import ROOT, daemon, docker, good, inspected
from tests.watching import until

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:distutils Version"),  # in Debian's docker SDK
]
LIMIT_S = 1200
MOST_BYTES = 120e6
LAB = """
name: slim
topology:
  defaults:
    {kind: linux, image: "mnmpls:slim", privileged: false, cap-add: [NET_ADMIN],
     binds: ["slim.clab.yml:/etc/mnmpls/lab.clab.yml:ro"]}
  groups: {ce: {sysctls: {net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1}}}
  nodes:
    h1: {group: host, config: {vars: {gateway: 192.168.1.254}}}
    r: {group: ce}
    h2: {group: host, config: {vars: {gateway: 192.168.2.254}}}
  links:
    - {endpoints: [h1:eth1, r:eth1], ipv4: [192.168.1.1/24, 192.168.1.254/24]}
    - {endpoints: [r:eth2, h2:eth1], ipv4: [192.168.2.254/24, 192.168.2.1/24]}
"""


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """Its name, in a docker daemon of the test's own."""
    with tempfile.TemporaryDirectory(prefix="mnmpls-docker-") as folder, daemon(Path(folder)):
        done = subprocess.run(
            [sys.executable, "-m", "mnmpls.containers.image", "slim"], capture_output=True, text=True, check=False,
            timeout=LIMIT_S, env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        )  # fmt: skip
        if done.returncode:
            absent.archive(done.stderr)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("mnmpls:slim: ")
        yield "mnmpls:slim"


def health(node: str) -> str:
    """What docker thinks."""
    return str(inspected(f"clab-slim-{node}")["State"]["Health"]["Status"])


def test_slim_image_is_a_node(image: str, tmp_path: Path) -> None:
    """It is small, says which version it is of, and how docker finds out whether a node is ready; nodes that are made
    of it become that, and reach each other. With words it is a command."""
    told, number = inspected(image), version("mnmpls")
    assert {*told["RepoTags"]} == {image, f"mnmpls:{number}-slim"} and told["Size"] < MOST_BYTES, told
    labels = {"org.opencontainers.image.title": "mnmpls", "org.opencontainers.image.version": number}
    assert told["Config"]["Labels"] == labels and told["Config"]["Entrypoint"] == ["mnmpls-node"]
    assert told["Config"]["Healthcheck"]["Test"] == ["CMD", "test", "-e", "/run/mnmpls.ready"]
    file = tmp_path / "slim.clab.yml"
    file.write_text(LAB, encoding="utf-8")
    good("up", file, "--runtime", "docker")
    try:
        until(lambda: {health(node) for node in ("h1", "r", "h2")} == {"healthy"})
        assert "9 of 9 findings as intended (drift 3 of 3, reach 6 of 6)" in good("check", "slim")
        words = ("docker", "run", "--rm", "--network=none", image, "mnmpls", "plan", "/usr/share/none.yml")
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stderr.startswith("mnmpls: ") and "none.yml" in done.stderr, done.stderr
    finally:
        good("down", "slim")
    assert docker("ps", "-aq") == ""
