"""The five gotchas of source 000: each is the product's business, and each handling is needed.

Every test takes the handling out of the plan and sees the source's symptom, then leaves it in and sees none.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mnmpls.apply import apply
from mnmpls.checks.reach import probe
from mnmpls.errors import KernelRefused
from mnmpls.kernel import Namespace, wire
from mnmpls.model import Lab
from mnmpls.plan import complete, records
from mnmpls.sources import load
from mnmpls.state import LabelRoute, Port, Record, Route, Sysctl, VrfDevice

pytestmark = pytest.mark.kernel

LAB = complete(load(str(Path(__file__).parents[2] / "topos/l3vpn.yml")))

Nodes = dict[str, Namespace]


def everything(_node: str, _record: Record) -> bool:
    return True


@contextmanager
def running(keep: Callable[[str, Record], bool] = everything, lab: Lab = LAB) -> Iterator[Nodes]:
    """The lab with only the records that ``keep`` says yes to."""
    with ExitStack() as stack:
        nodes: Nodes = {}
        for node in lab.nodes:
            nodes[node.name] = Namespace.create()
            stack.callback(nodes[node.name].close)
        for link in lab.links:
            wire(nodes[link.a.node], link.a.name, nodes[link.b.node], link.b.name)
        for name, wanted in records(lab).items():
            apply(frozenset(record for record in wanted if keep(name, record)), nodes[name], name)
        yield nodes


def wrong(nodes: Nodes) -> list[str]:
    return [each.why for each in probe(LAB, nodes, hosts_only=True) if not each.ok]


def ip(namespace: Namespace, *args: str) -> subprocess.CompletedProcess[str]:
    with namespace.entered():
        return subprocess.run(["ip", *args], capture_output=True, text=True, check=False)


def test_labels_live_in_the_main_table_only() -> None:
    """The kernel takes a label route in the main table alone; ours that pop into a VRF are there, and work."""
    with running() as nodes:
        by_hand = ip(nodes["p"], "-f", "mpls", "route", "add", "777", "dev", "lo", "table", "10")
        assert "Invalid argument" in by_hand.stderr or "main route table" in by_hand.stderr
        assert "dev vrf-pe2-c1" in ip(nodes["pe2"], "-f", "mpls", "route", "show").stdout
        assert wrong(nodes) == []


def test_without_platform_labels_the_error_names_the_sysctl() -> None:
    """A label table of size 0 refuses every label: the error says which record, where, and what to set."""

    def keep(_node: str, record: Record) -> bool:
        return not (isinstance(record, Sysctl) and record.key == "net.mpls.platform_labels")

    with pytest.raises(KernelRefused) as refusal, running(keep):
        pass
    assert "platform_labels" in str(refusal.value)
    assert refusal.value.node in ("p", "pe1", "pe2")
    assert isinstance(refusal.value.record, LabelRoute)


def test_vrf_devices_are_made_inside_their_namespace() -> None:
    """A VRF device cannot move to another namespace; ours were never anywhere else."""
    with running() as nodes:
        moved = ip(nodes["pe1"], "link", "set", "vrf-pe1-c1", "netns", "1")
        assert moved.returncode != 0
        vrfs = {each.name for each in nodes["pe1"].observe() if isinstance(each, VrfDevice)}
        assert vrfs == {"vrf-pe1-c1", "vrf-pe1-c2"}


@contextmanager
def inherited_rp_filter(value: str) -> Iterator[None]:
    """New namespaces take over what the machine has."""
    paths = [Path(f"/proc/sys/net/ipv4/conf/{scope}/rp_filter") for scope in ("all", "default")]
    before = [path.read_text() for path in paths]
    try:
        for path in paths:
            path.write_text(value)
        yield
    finally:
        for path, old in zip(paths, before, strict=True):
            path.write_text(old)


def without_way_back(node: str, record: Record) -> bool:
    """Take away PE1's route back to customer 1's site: its hosts' packets have a source without a route."""
    return not (node == "pe1" and isinstance(record, Route) and (record.table, record.dst) == (10, "88.1.1.0/24"))


def requests_that_arrive(keep: Callable[[str, Record], bool]) -> int:
    with running(keep) as nodes:
        results = probe(LAB, nodes, hosts_only=True)
    return sum(each.received == (each.dst,) for each in results if (each.src, each.dst) == ("c1h1", "c1h3"))


def test_source_check_does_not_drop_what_a_vrf_has_no_route_to() -> None:
    """With an inherited rp_filter of 1 the PE drops such a request as a martian, unless our setting is applied."""

    def unset(node: str, record: Record) -> bool:
        return without_way_back(node, record) and not (isinstance(record, Sysctl) and "rp_filter" in record.key)

    with inherited_rp_filter("1"):
        assert requests_that_arrive(unset) == 0
        assert requests_that_arrive(without_way_back) == 1


def test_a_miss_in_a_vrf_never_leaks_to_the_main_table() -> None:
    """Without the unreachable default a packet for an unknown address takes the main table's route."""
    target = "203.0.113.9"

    def lookup(keep: Callable[[str, Record], bool]) -> str:
        with running(keep) as nodes:
            ip(nodes["pe1"], "route", "add", f"{target}/32", "via", "2.1.1.2")
            found = ip(nodes["pe1"], "route", "get", target, "from", "88.1.1.1", "iif", "pe1-c1e1-eth")
            return found.stdout + found.stderr

    assert "via 2.1.1.2" in lookup(lambda _, record: not (isinstance(record, Route) and record.kind == "unreachable"))
    assert "No route to host" in lookup(everything)  # EHOSTUNREACH: the unreachable default


def test_own_address_answers_because_lo_is_up() -> None:
    """A new namespace's lo is down, and then a host does not answer itself."""

    def own(nodes: Nodes) -> int:
        with nodes["c1h1"].entered():
            return subprocess.run(["ping", "-c1", "-W5", "88.1.1.1"], capture_output=True, check=False).returncode

    with running(lambda _, record: not (isinstance(record, Port) and record.name == "lo")) as nodes:
        assert own(nodes) != 0
    with running() as nodes:
        assert own(nodes) == 0
