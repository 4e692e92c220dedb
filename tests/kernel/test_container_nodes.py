"""What runs in each container, in plain network namespaces: the runtime's part is played here, link by link."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from mnmpls.checks import reach
from mnmpls.export.containerlab import containerlab, planned
from mnmpls.kernel import wire
from mnmpls.model import Lab
from mnmpls.plan import records
from mnmpls.processes import Processes
from mnmpls.sources import from_data
from mnmpls.state import Sysctl
from tests.containing import FOLDER, Container, connect, containers

pytestmark = pytest.mark.kernel
LAB = {
    "name": "five",
    "nodes": {"p": "p", "c1": "ce", "c2": "ce", **{pe: {"role": "pe", "vrfs": ["red"]} for pe in ("pe1", "pe2")}},
    "links": [["pe1", "p"], ["p", "pe2"], ["c1", {"pe1": {"vrf": "red"}}], ["c2", {"pe2": {"vrf": "red"}}]],
}


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
