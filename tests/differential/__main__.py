"""The same lab in every runtime: ``python3 -m tests.differential [LAB...]``, all of topos/ unless some are named. What
each node's kernel holds, who reaches whom and the labels on the wires have to be the same. Takes minutes a lab.

Namespaces, Mininet and docker have one guest together; containers that bring their own kernels run on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mininet.log import setLogLevel

from mnmpls import load
from mnmpls.checks import reach
from mnmpls.checks.intent import Intent
from mnmpls.checks.learned import with_learned
from mnmpls.checks.predict import ways
from mnmpls.checks.ready import await_reach
from mnmpls.checks.trace import trace
from mnmpls.checks.views import World
from mnmpls.checks.whole import site_pairs
from mnmpls.containers import labs
from mnmpls.errors import CheckFailed, MnmplsError
from mnmpls.export.containerlab import planned, spelled, topology
from mnmpls.mn.net import Mininet
from mnmpls.mn.nodes import PROCESSES
from mnmpls.mn.topo import LabTopo
from mnmpls.model import Lab
from mnmpls.netns import LabNodes, RunningLab
from mnmpls.state import Sysctl
from tests.boxes import daemon, daemon_in_memory, good, make_image, mnmpls

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 300.0
_PAIRS = 6
_MEMORY_MIB = "3072"
"""Of the guest: a container's keeper and its shim take 40 MiB, and labs have up to twenty nodes."""
_SETTINGS, _ERROR = "settings", "error"
_LINE = "found: "

Seen = dict[str, dict[str, Any]]
"""Kind -> subject -> what was seen of it."""


def seen(part: LabNodes) -> Seen:
    """Of a running lab. Labels that daemons made are told by their number only."""
    lab, spaces = part.lab, part.namespaces
    if problem := await_reach(lab, spaces, part.folders, LIMIT_S):
        raise CheckFailed(problem)
    found: Seen = {"kernel": {}, _SETTINGS: {}, "reach": {}, "labels": {}}
    for node, wanted in part.records.items():
        records = spaces[node].observe([one.key for one in wanted if isinstance(one, Sysctl)])
        found["kernel"][node] = sorted(str(one) for one in records if not isinstance(one, Sysctl))
        found[_SETTINGS][node] = sorted(str(one) for one in records if isinstance(one, Sysctl))
    for one in reach.probe(lab, spaces):
        found["reach"][f"{one.src} -> {one.expected.address}"] = [one.who, *one.received]
    for src, dst, version, answers in list(site_pairs(Intent(lab)))[:_PAIRS]:
        found["labels"][f"{src} -> {dst} IPv{version}"] = _labels(part, src, dst, version, answers)
    return found


def _labels(part: LabNodes, src: str, dst: str, version: int, answers: bool) -> list[Any]:
    """Of every way there and back that the kernels' tables allow; the packet that was followed took one of them."""
    vpns = Intent(part.lab).vpns
    there, back = vpns.address(dst, version) or dst, vpns.address(src, version) or src
    until = time.monotonic() + LIMIT_S
    while not ((way := trace(part.lab, part.records, part.namespaces, src, there)).ok and way.answered == answers):
        if time.monotonic() > until:  # sessions end where a machine stands still for a time, and come back
            raise CheckFailed(way.text())
    world = World(part.lab, with_learned(part.lab, part.records, part.namespaces))
    calls = [vpns.call(src, there), *([vpns.call(dst, back)] if way.reply else [])]
    counts = part.lab.has_daemons
    return sorted(
        [[hop.node, len(hop.labels_out) if counts else list(hop.labels_out)] for hop in one]
        for call in calls for one in ways(world, call)
    )  # fmt: skip


def in_namespaces(lab: Lab) -> Seen:
    with RunningLab(lab) as running:
        return seen(running)


def in_mininet(lab: Lab) -> Seen:
    setLogLevel("warning")
    net = Mininet(topo=LabTopo(lab))
    try:
        parts = net.planned()  # nodes that are not connected are planned apart
        spaces = {name: space for part in parts for name, space in part.namespaces.items()}
        folders = {name: folder for part in parts for name, folder in part.folders.items()}
        return seen(LabNodes(lab, PROCESSES, spaces, folders))
    finally:
        net.stop()


def in_docker(lab: Lab, **defaults: Any) -> Seen:
    """With the daemon that DOCKER_HOST names."""
    tree = topology(lab, "mnmpls")
    tree["topology"]["defaults"] |= defaults
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{lab.name}.clab.yml")
        file.write_text(spelled(tree), encoding="utf-8")
        try:
            good("up", file, "--runtime", "docker", "--wait", "0")
            with labs.join(lab.name) as joined:
                part = joined.parts[0]
                assert isinstance(part, LabNodes)
                return seen(part)
        finally:
            mnmpls("down", lab.name)


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


def inside(files: Sequence[str]) -> int:
    """In a guest that has MPLS: of each lab a line of JSON, with three runtimes or an error."""
    with daemon_in_memory():
        make_image(frr=True)
        for file in files:
            found: Mapping[str, Any]
            try:
                lab = planned(load(file))
                found = {"namespaces": in_namespaces(lab), "mininet": in_mininet(lab), "docker": in_docker(lab)}
            except (MnmplsError, AssertionError) as error:
                found = {_ERROR: str(error)}
            print(_LINE + json.dumps(found), flush=True)
    return 0


def compared(file: str, found: Mapping[str, Any]) -> list[str]:
    """What differs, as sentences."""
    if _ERROR in found:
        return [f"cannot be compared: {found[_ERROR]}"]
    try:
        own = in_docker(planned(load(file)), privileged=False)  # for lack of rights, every node has its own
    except (MnmplsError, AssertionError) as error:
        return [f"cannot be compared: own kernels: {error}"]
    return list(differences({**found, "own kernels": own}))


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["--inside"]:
        return inside(argv[1:])
    files = [*argv] or sorted(map(str, ROOT.glob("topos/*.yml")))
    python = (sys.executable, "-m")
    words = [*python, "mnmpls", "guest", "run", "--", *python, "tests.differential", "--inside", *files]
    guests = {"MNMPLS_MEMORY_MIB": _MEMORY_MIB, **os.environ}
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="mnmpls-docker-") as folder, daemon(Path(folder)):
        make_image(frr=True, uml=True)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=guests) as guest:
            assert guest.stdout
            told = (line.removeprefix(_LINE) for line in guest.stdout if line.startswith(_LINE))
            try:
                for file, line in zip(files, told, strict=True):
                    differing = compared(file, json.loads(line))
                    wrong += bool(differing)
                    print(f"{Path(file).stem}: {'; '.join(differing) or 'the same'}", flush=True)
            finally:
                guest.terminate()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
