"""Containers without a container runtime: the runtime's part is played here, link by link."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mnmpls.kernel import Namespace, wire
from mnmpls.model import Lab, Link
from mnmpls.processes import Processes, mount_memory, unshare_mounts

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("/etc/mnmpls")


@dataclass
class Container:
    """As a runtime leaves it: a network namespace, the entrypoint running, no link yet."""

    namespace: Namespace
    process: subprocess.Popen[bytes]
    unread: str = ""

    def read_until(self, wanted: str, limit_s: float = 180.0) -> str:
        """Its log up to the first line with ``wanted``."""
        assert self.process.stdout
        until = time.monotonic() + limit_s
        while wanted not in self.unread:
            left = until - time.monotonic()
            told = f"no {wanted!r} in: {self.unread}"
            assert left > 0 and select.select([self.process.stdout], [], [], left)[0], told
            data = os.read(self.process.stdout.fileno(), 4096)
            assert data, f"it ended, and {told}"
            self.unread += data.decode()
        said, self.unread = self.unread.split(wanted, 1)
        return said + wanted

    def is_ready(self) -> bool:
        return os.path.exists(f"/proc/{self.process.pid}/root/run/mnmpls.ready")


def _own_run() -> None:
    unshare_mounts()
    mount_memory("/run")


@contextmanager
def containers(lab: Lab, processes: Processes, text: str) -> Iterator[dict[str, Container]]:
    """All of a lab's nodes."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "lab.clab.yml").write_text(text, encoding="utf-8")
    made: dict[str, Container] = {}
    with ExitStack() as stack:
        stack.callback((FOLDER / "lab.clab.yml").unlink)
        for node in lab.nodes:
            namespace = Namespace.create()
            stack.callback(namespace.close)
            env = {**os.environ, "CLAB_LABEL_CLAB_NODE_NAME": node.name, "PYTHONPATH": str(ROOT)}
            process = processes.spawn(
                [sys.executable, "-m", "mnmpls.containers.entry"], namespace.fd, preexec_fn=_own_run, env=env,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            made[node.name] = Container(namespace, process)
        yield made


def connect(made: dict[str, Container], link: Link) -> None:
    ends = [(made[port.node].namespace, port.name) for port in link.ports]
    wire(*ends[0], *ends[1], mtu_bytes=9500)
    for namespace, name in ends:
        namespace.set_up(name, True)
