"""What the verbs do with labs whose nodes are containers."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from .. import registry
from ..containers import deploy, labs, topology
from ..containers.daemon import connected
from ..errors import UsageError
from ..export import containerlab
from ..live import holder
from ..model import Lab
from ..plan import complete
from ..processes import Folders, run_lines, shown
from ..sources import from_clab, load
from ..sources.from_yaml import composed, text_of
from ..sources.variables import expanded

_READY_S = 300.0
"""So long the containers may take until each has set itself up, on a kernel of its own perhaps, whatever --wait says of
the lab."""


def lab_of(options: Namespace) -> Lab:
    """Completed, with the ports' names as containers have them. Raises LabError, UsageError."""
    for option in ("foreground", "netns", "kernel"):
        if getattr(options, option):
            raise UsageError(f"up: --{option} is not for --runtime docker: docker holds the lab's nodes")
    return _planned(options.file, options.name)


def _planned(file: str, name: str) -> Lab:
    lab = load(file)
    lab = replace(lab, name=name or lab.name)
    return complete(lab) if _is_topology(file) else containerlab.planned(lab)


def up(lab: Lab, options: Namespace, exec_lines: bool) -> str:
    """Start it; gives what does not work, or nothing. Raises MnmplsError; nothing is left then."""
    file = os.path.realpath(options.file)
    with registry.claim(lab.name), connected() as client:
        boxes, files = _wanted(lab, file)
        deploy.deploy(client, lab, boxes, files, max(options.wait, _READY_S), _say)
        try:
            return _proven(lab, options, exec_lines)
        except BaseException:
            deploy.remove(client, lab.name)
            raise


def _say(text: str) -> None:
    print(f"mnmpls: {text}", file=sys.stderr, flush=True)


def _proven(lab: Lab, options: Namespace, exec_lines: bool) -> str:
    with labs.join(lab.name) as joined:
        part = joined.parts[0]
        for node in part.lab.nodes if exec_lines else ():
            run_lines(node.name, node.exec, part[node.name].popen)
        return part.await_reach(options.wait)


def _wanted(lab: Lab, file: str) -> tuple[Sequence[topology.Box], Mapping[str, str]]:
    """The containers, and what they are to be given as files: a lab file of ours as the topology that it is
    exported as."""
    if _is_topology(file):
        text = text_of(file)
        boxes = topology.read(text, lab, file)
        for problem in topology.unmet(text, lab, file):
            _say(str(problem))
        return boxes, {}
    tree = containerlab.topology(lab, containerlab.IMAGE)
    del tree["topology"]["defaults"]["binds"]
    text = containerlab.spelled(tree)
    return topology.read(text, lab, file), {containerlab.LAB_FILE: text}


def apply(name: str, file: str) -> Mapping[str, Mapping[str, list[str]]]:
    """What was changed at each node, so that the running lab is what ``file`` says. Raises MnmplsError."""
    file = os.path.realpath(file)
    lab = _planned(file, name)
    boxes, files = _wanted(lab, file)
    with registry.claim(name), connected() as client:
        if not files:
            _require_bound(labs.boxes_of(client, name), file)
        return deploy.change(client, lab, boxes, files)


def _require_bound(found: Mapping[str, labs.Found], file: str) -> None:
    """The nodes read the topology at their next start, and others read it there, too."""
    for one in found.values():
        if one.pid and one.is_ours and text_of(labs.file_inside(one)) != text_of(file):
            raise UsageError(
                f"{one.node} has a former or another file than {file}: an editor that makes a new file takes the old "
                "one from nobody who has it bound; bind its folder, or write it in place (cat NEW > FILE)"
            )


def _is_topology(file: str) -> bool:
    if not file.endswith((".yml", ".yaml")):
        return False
    return from_clab.is_clab(composed(file, expanded(file, text_of(file), os.environ)))


def said(name: str, node: str) -> str:
    """What a node's container has said."""
    with connected() as client:
        return deploy.said(client, labs.box(name, labs.boxes_of(client, name), node))


def down(name: str) -> None:
    with connected() as client:
        if stays := deploy.destroy(client, name):
            _say(stays)


def power(name: str, part: labs.ContainerNodes) -> Callable[[str, bool], Folders | None]:
    """For a drill: turns nodes of the joined lab off and on."""

    def turn(node: str, on: bool) -> Folders | None:
        (start if on else stop)(name, node)
        with connected() as client:
            return part.renew(node, labs.boxes_of(client, name))

    return turn


def stop(name: str, node: str) -> None:
    with connected() as client:
        deploy.stop(client, name, node)


def start(name: str, node: str) -> None:
    with connected() as client:
        lab = labs.lab_of(labs.boxes_of(client, name))
        deploy.start(client, lab, node, max(holder.usual_wait_s(lab), _READY_S), _say)
    if lines := next(each.exec for each in lab.nodes if each.name == node):
        _say(f"{node}'s exec: lines were not run again; `mnmpls exec {name} {node} -- ...` runs what is needed:")
        for line in lines:
            print(shown(node, line), file=sys.stderr, flush=True)
