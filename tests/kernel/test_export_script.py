"""A lab set up by typed commands alone is the lab: every namespace holds its records, and the same ones answer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mnmpls.checks.reach import probe
from mnmpls.export.ip_commands import ip_commands
from mnmpls.kernel import Namespace
from mnmpls.model import Lab
from mnmpls.plan import complete, l3vpn, records
from mnmpls.sources import load
from mnmpls.state import LabelRoute, Route, Sysctl
from tests.labs import dual_stack

pytestmark = pytest.mark.kernel

TOPOS = Path(__file__).resolve().parents[2] / "topos"


@contextmanager
def _typed(script: Path) -> Iterator[Path]:
    """Runs ``script`` with a /run of its own, so that no namespace of somebody else's is near; gives the folder of
    its namespaces, and takes them away as the script's last line tells. They end with the process in any case."""
    line = f'mount -t tmpfs tmpfs /run && bash "$0" && echo done && read; {TAKE_DOWN}; ls -A /run/netns; echo gone'
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", line, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout and shell.stdin
        said = shell.stdout.readline()
        assert said == "done\n", said
        yield Path(f"/proc/{shell.pid}/root/run/netns")
        shell.stdin.close()
        assert shell.stdout.read() == "gone\n"


TAKE_DOWN = """sed -n 's/^ip netns add /ip netns delete /p' "$0" | bash"""

LABS: dict[str, Callable[[], Lab]] = {
    "source": lambda: load(str(TOPOS / "l3vpn.yml")),
    "planned": lambda: l3vpn(customers=2, sites=2, hosts=0, core=2),
    "dual-stack": dual_stack,
    "lsps": lambda: load(str(TOPOS / "lsps.yml")),
    "unnumbered": lambda: load(str(TOPOS / "unnumbered.yml")),
}


@pytest.mark.parametrize("name", LABS)
def test_typed_commands_give_the_same_lab(tmp_path: Path, name: str) -> None:
    """After the script every namespace is observed as planned, record for record, and everybody answers or does not
    answer as intended; its last line takes everything away."""
    lab = complete(LABS[name]())
    planned = records(lab)
    script = tmp_path / "lab.sh"
    script.write_text(ip_commands(lab, planned), encoding="utf-8")
    assert TAKE_DOWN.split('"')[0] in script.read_text(encoding="utf-8").splitlines()[-1]
    with _typed(script) as folder, ExitStack() as stack:
        namespaces = {node.name: Namespace.open(str(folder / node.name)) for node in lab.nodes}
        for each in namespaces.values():
            stack.callback(each.close)
        for node, each in namespaces.items():
            assert each.observe([one.key for one in planned[node] if isinstance(one, Sysctl)]) == planned[node]
        results = probe(lab, namespaces)
        assert results and [one.why for one in results if not one.ok] == []


def test_thedual_stack_lab_has_what_is_hard_to_type() -> None:
    """Several ways and several labels of both IP versions, a swap among several."""
    found = [record for each in records(complete(dual_stack())).values() for record in each]

    def routes(version: str, several: bool, labels: int) -> list[Route]:
        every = (each for each in found if isinstance(each, Route) and (":" in each.dst) == (version == "6"))
        many = (each for each in every if (len(each.hops) > 1) == several)
        return [each for each in many if labels in [len(hop.labels) for hop in each.hops]]

    assert all(routes(version, True, 2) for version in "46") and routes("4", False, 3)
    assert any(isinstance(each, LabelRoute) and not each.hops[0].via for each in found)
    assert any(isinstance(each, Sysctl) and "up.1" in each.key for each in found)
