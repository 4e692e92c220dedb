"""Scenes for the tests of the kernel's side, and a docker daemon."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mnmpls.kernel import Namespace, wire
from tests.boxes import daemon, make_image
from tests.kernel.scene import Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Two namespaces with two wires between them; nothing is set yet."""
    with closing(Namespace.create()) as here, closing(Namespace.create()) as far:
        wire(here, "left.1", far, "right")
        wire(here, "spare", far, "spare")
        for port in ("right", "spare"):
            far.set_up(port, True)
        yield Scene(here, far)


@pytest.fixture(scope="module")
def dockerd() -> Iterator[str]:
    """In memory: the guest's own root is an overlay, upon which docker cannot lay its own."""
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
                make_image(frr=True)
                yield address
        finally:
            subprocess.run(["umount", "-R", "/sys/fs/cgroup", folder], check=True)
