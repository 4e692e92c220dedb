"""A lab for Kubernetes: a Topology of clabernetes (https://containerlab.dev/manual/clabernetes/) and the ConfigMap with
the lab's file, by which every pod plans its share.

Its parser is an older one than Containerlab's, and drops without a word what it does not know: groups, stages, ports'
addresses and MTUs, all but the two texts of a link. Here nothing of that kind is left: groups are written out at their
nodes, and the rest stands in the file."""

from __future__ import annotations

import re
from typing import Any

import yaml

from ..errors import LabError, Problem
from ..model import Lab
from .containerlab import IMAGE, Tree, planned, spelled, topology
from .underlay import HEADERS_BYTES, require_fitting

_KEPT = ("kind", "image", "binds", "labels", "sysctls", "healthcheck")
"""Keys of a node that clabernetes knows, and that ours have."""
UNDERLAY_BYTES = 1450
"""Between pods, where their own network uses VXLAN, as many do."""


def clabernetes(lab: Lab, image: str = IMAGE, underlay_bytes: int = UNDERLAY_BYTES) -> str:
    """Two documents of YAML, for ``kubectl apply -f``. Every node has a pod of its own, and every wire is VXLAN over
    the pods' network (IPv4), which takes ``underlay_bytes``. Raises LabError."""
    widest = underlay_bytes - HEADERS_BYTES[4]
    require_fitting(lab, lambda link: widest)
    whole = planned(lab, widest)
    tree = topology(whole, image)
    _refuse_names(whole)
    file, name = f"{lab.name}.clab.yml", re.sub("[^a-z0-9]+", "-", lab.name.lower()).strip("-") or "lab"
    bound = [{"filePath": file, "configMapName": f"{name}-files", "configMapPath": file, "mode": "read"}]
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-files"},
        "data": {file: _Block(spelled(tree))},
    }
    custom = {
        "apiVersion": "clabernetes.containerlab.dev/v1alpha1",
        "kind": "Topology",
        "metadata": {"name": name},
        "spec": {
            "definition": {"containerlab": _Block(spelled(_flat(tree)))},
            "deployment": {"filesFromConfigMap": {node.name: bound for node in whole.nodes}},
            "naming": "prefixed",
        },
    }
    return yaml.dump_all([config_map, custom], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)


def _flat(tree: Tree) -> Tree:
    of_lab = tree["topology"]
    nodes = {name: _node(of_lab, node) for name, node in of_lab["nodes"].items()}
    links = [{"endpoints": link["endpoints"]} for link in of_lab.get("links", ())]
    return {"name": tree["name"], "topology": {"nodes": nodes, **({"links": links} if links else {})}}


def _node(of_lab: Tree, node: Tree) -> Tree:
    whole = {**of_lab["defaults"], **of_lab["groups"][node["group"]]}
    lines = [each["command"] for each in node.get("stages", {}).get("healthy", {}).get("exec", ())]
    return {**{key: whole[key] for key in _KEPT if key in whole}, **({"exec": lines} if lines else {})}


def _refuse_names(lab: Lab) -> None:
    """A node's is part of its pod's, and that a DNS label (RFC 1123)."""
    rule = "a name in Kubernetes is of lower-case letters, digits and '-'"
    problems = [
        Problem(f"nodes.{name}", f"{rule}, unlike {name!r}", lab.place(f"nodes.{name}"))
        for name in (node.name for node in lab.nodes)
        if not re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    ]
    if problems:
        raise LabError(problems)


class _Block(str):
    """A text that stands as a block of lines."""


class _Dumper(yaml.SafeDumper):
    """Without aliases: a reader should find each thing in its place."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(_Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))
