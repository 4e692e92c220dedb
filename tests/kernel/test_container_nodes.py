"""What runs in each container, in plain network namespaces: the runtime's part is played here, link by link."""

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

import pytest

from mnmpls.checks import reach
from mnmpls.export.containerlab import containerlab, planned
from mnmpls.kernel import Namespace, wire
from mnmpls.model import Lab, Link
from mnmpls.plan import records
from mnmpls.processes import Processes, mount_memory, unshare_mounts
from mnmpls.sources import from_data
from mnmpls.state import Sysctl

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("/etc/mnmpls")
LAB = {
    "name": "five",
    "nodes": {"p": "p", "c1": "ce", "c2": "ce", **{pe: {"role": "pe", "vrfs": ["red"]} for pe in ("pe1", "pe2")}},
    "links": [["pe1", "p"], ["p", "pe2"], ["c1", {"pe1": {"vrf": "red"}}], ["c2", {"pe2": {"vrf": "red"}}]],
}


@dataclass
class Container:
    """As a runtime leaves it: a network namespace, the entrypoint running, no link yet."""

    namespace: Namespace
    process: subprocess.Popen[bytes]
    unread: str = ""

    def read_until(self, wanted: str, limit_s: float = 60.0) -> str:
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


def observed(lab: Lab, made: dict[str, Container]) -> None:
    """Each node's kernel holds its records."""
    for name, wanted in records(lab).items():
        keys = [record.key for record in wanted if isinstance(record, Sysctl)]
        assert wanted <= made[name].namespace.observe(keys), name


@pytest.fixture
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    found.end()


def test_nodes_wait_for_their_links_and_set_up_what_comes_back(processes: Processes) -> None:
    """Not before the last of its ports is there is a node ready, and then all reach whom they should. A link that is
    lost makes both its ends unready, and made anew, with MTU and addresses of somebody else's, it is set up again. What
    the runtime has beside, such as eth0 with its address, stays."""
    lab = planned(from_data(LAB))
    with containers(lab, processes, containerlab(lab)) as made:
        pe1 = made["pe1"]
        wire(pe1.namespace, "eth0", made["pe2"].namespace, "eth0")
        with pe1.namespace.entered():
            subprocess.run(["ip", "address", "add", "172.20.20.5/24", "dev", "eth0"], check=True)
        *before, last = [link for link in lab.links if "pe1" in {port.node for port in link.ports}]
        for link in lab.links:
            if link is not last:
                connect(made, link)
        port = next(port.name for port in last.ports if port.node == "pe1")
        assert before
        pe1.read_until(f"waiting for {port}\n")
        assert not pe1.is_ready()
        connect(made, last)
        for each in made.values():
            each.read_until("ready: ")
        assert all(each.is_ready() for each in made.values())
        observed(lab, made)
        namespaces = {name: each.namespace for name, each in made.items()}
        assert [each.why for each in reach.probe(lab, namespaces) if not each.ok] == []
        with pe1.namespace.entered():
            told = subprocess.run(["ip", "-4", "address", "show", "eth0"], check=True, capture_output=True, text=True)
        assert "172.20.20.5/24" in told.stdout
        pe1.namespace.delete_port(port)
        other = made[next(port.node for port in last.ports if port.node != "pe1")]
        for each in (pe1, other):
            each.read_until("waiting for ")
            assert not each.is_ready()
        connect(made, last)
        for each in (pe1, other):
            each.read_until("ready, again")
        observed(lab, made)
        assert [each.why for each in reach.probe(lab, namespaces) if not each.ok] == []


def test_wrong_lab_is_the_last_line_and_the_container_stays(processes: Processes) -> None:
    """Every problem with its line, then what to do; the process lives on, and the node is never ready."""
    lab = planned(from_data(LAB))
    text = containerlab(lab).replace("eth1", "eth0", 1)
    with containers(lab, processes, text) as made:
        one = next(iter(made.values()))
        said = one.read_until("restart this container\n")
        assert f"{FOLDER}/lab.clab.yml:" in said and "eth0 is Containerlab's own" in said
        assert one.process.poll() is None and not one.is_ready()
