"""The same lab in every runtime: ``python3 -m tests.differential [LAB...]``, all of topos/ unless some are named. What
each node's kernel holds, who reaches whom and the labels on the wires have to be the same. Takes minutes a lab."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mininet.log import setLogLevel

from mnmpls import load
from mnmpls.checks import reach
from mnmpls.checks.intent import Intent
from mnmpls.checks.ready import await_reach
from mnmpls.checks.trace import trace
from mnmpls.checks.whole import site_pairs
from mnmpls.containers import labs
from mnmpls.errors import LabError
from mnmpls.export.containerlab import planned, spelled, topology
from mnmpls.mn.graph import Planned, plan_around
from mnmpls.mn.net import Mininet
from mnmpls.mn.topo import LabTopo
from mnmpls.model import Lab
from mnmpls.netns import LabNodes, RunningLab
from mnmpls.state import Sysctl
from tests.boxes import daemon, daemon_in_memory, good, make_image

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 300.0
_PAIRS = 6
_SETTINGS = "settings"

Seen = dict[str, dict[str, Any]]
"""Kind -> subject -> what was seen of it."""


def seen(part: LabNodes | Planned) -> Seen:
    """Of a running lab. Labels that daemons made are told by their number only."""
    lab, spaces = part.lab, part.namespaces
    if problem := await_reach(lab, spaces, part.folders, LIMIT_S):
        raise SystemExit(f"{lab.name}: {problem}")
    found: Seen = {"kernel": {}, _SETTINGS: {}, "reach": {}, "labels": {}}
    for node, wanted in part.records.items():
        records = spaces[node].observe([one.key for one in wanted if isinstance(one, Sysctl)])
        found["kernel"][node] = sorted(str(one) for one in records if not isinstance(one, Sysctl))
        found[_SETTINGS][node] = sorted(str(one) for one in records if isinstance(one, Sysctl))
    for one in reach.probe(lab, spaces):
        found["reach"][f"{one.src} -> {one.expected.address}"] = [one.who, *one.received]
    for src, dst, version, _ in list(site_pairs(Intent(lab)))[:_PAIRS]:
        found["labels"][f"{src} -> {dst} IPv{version}"] = _labels(part, src, dst, version)
    return found


def _labels(part: LabNodes | Planned, src: str, dst: str, version: int) -> list[Any]:
    address = Intent(part.lab).vpns.address(dst, version) or dst
    way = trace(part.lab, part.records, part.namespaces, src, address)
    assert way.ok, way.text()
    counts = part.lab.has_daemons
    return [[hop.node, len(hop.labels_out) if counts else list(hop.labels_out)] for hop in (*way.request, *way.reply)]


def in_namespaces(lab: Lab) -> Seen:
    with RunningLab(lab) as running:
        return seen(running)


def in_mininet(lab: Lab) -> Seen:
    setLogLevel("warning")
    net = Mininet(topo=LabTopo(lab))
    try:
        return seen(plan_around(net[lab.nodes[0].name]))
    finally:
        net.stop()


def in_docker(lab: Lab, **defaults: Any) -> Seen:
    """With the daemon that DOCKER_HOST names."""
    tree = topology(lab, "mnmpls")
    tree["topology"]["defaults"] |= defaults
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{lab.name}.clab.yml")
        file.write_text(spelled(tree), encoding="utf-8")
        good("up", file, "--runtime", "docker", "--wait", "0")
        try:
            with labs.join(lab.name) as joined:
                part = joined.parts[0]
                assert isinstance(part, LabNodes)
                return seen(part)
        finally:
            good("down", lab.name)


def differences(all_seen: Mapping[str, Seen]) -> Iterator[str]:
    """Each thing of which a runtime has something else than the first one."""
    (first, known), *others = all_seen.items()
    for name, found in others:
        for kind, subjects in known.items():
            for subject in {**subjects, **found[kind]}:
                a, b = subjects.get(subject) or [], found[kind].get(subject) or []
                if a != b:
                    mine, its = ([one for one in here if one not in there] for here, there in ((a, b), (b, a)))
                    yield f"{kind} of {subject}: only with {first}: {mine}, only with {name}: {its}"


def inside(file: str) -> int:
    """In a guest that has MPLS: three runtimes, as JSON."""
    lab = planned(load(file))
    with daemon_in_memory():
        make_image(frr=True)
        found = {"namespaces": in_namespaces(lab), "mininet": in_mininet(lab), "docker": in_docker(lab)}
    print(json.dumps(found))
    return 0


def everywhere(file: str) -> dict[str, Seen]:
    """That, and containers of own kernels on this machine, without privileges: settings that these leave alone are not
    compared."""
    guest, this = ("-m", "mnmpls", "guest", "run", "--"), ("-m", "tests.differential", "--inside", file)
    words = [sys.executable, *guest, sys.executable, *this]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    found: dict[str, Seen] = json.loads(done.stdout.splitlines()[-1])
    own = in_docker(planned(load(file)), privileged=False, **{"cap-add": ["NET_ADMIN"]})
    return {**found, "own kernels": {**own, _SETTINGS: found["docker"][_SETTINGS]}}


@contextmanager
def _dockerd() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="mnmpls-docker-") as folder, daemon(Path(folder)):
        make_image(frr=True, uml=True)
        yield


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["--inside"]:
        return inside(argv[1])
    wrong = 0
    with _dockerd():
        for file in argv or sorted(map(str, ROOT.glob("topos/*.yml"))):
            start = time.monotonic()
            try:
                told = list(differences(everywhere(file)))
            except (LabError, AssertionError, subprocess.CalledProcessError) as error:
                told = [f"cannot be compared: {error}"]
            wrong += bool(told)
            print(f"{Path(file).stem}: {'; '.join(told) or 'the same'} ({time.monotonic() - start:.0f} s)", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
