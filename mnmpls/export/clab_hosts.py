"""A lab over several hosts: a Containerlab topology for each, joined by VXLAN, and beside each the whole lab's file, by
which every container plans its share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from ..errors import LabError, Problem, nearest
from ..model import DEFAULT_MTU_BYTES, Lab, Link
from ..sources.to_yaml import to_yaml
from .containerlab import IMAGE, Tree, planned, spelled, topology
from .underlay import HEADERS_BYTES, require_fitting

HOST = "mnmpls.host"
"""Label of each container: whose share it is of."""
_WHOLE = "lab.yml"
_FIRST_VNI = 6000
_UDP_PORT = 14789
"""Not VXLAN's own, which other networks of the hosts may have in use."""


@dataclass(frozen=True)
class Host:
    """A machine that runs Containerlab, the address that the others reach it at, and its share of the nodes."""

    name: str
    address: str
    nodes: tuple[str, ...]


def clab_hosts(
    lab: Lab, hosts: Sequence[Host], image: str = IMAGE, underlay_bytes: int = DEFAULT_MTU_BYTES
) -> dict[str, str]:
    """Path -> text: a folder for each host, between which there are ``underlay_bytes``. All wires of the lab are as
    wide as one between two hosts, so that a LAN over several has one MTU. Raises LabError for nodes that are on none,
    or on two."""
    host_of = _placed(lab, hosts)
    widest = underlay_bytes - max(HEADERS_BYTES[ip_address(host.address).version] for host in hosts)
    require_fitting(lab, lambda link: widest if len({host_of[end.node] for end in link.ports}) > 1 else None)
    whole = planned(lab, widest)
    tree = topology(whole, image)
    return {
        path: text
        for host in hosts
        for path, text in (
            (f"{host.name}/{lab.name}.clab.yml", spelled(_share(tree, whole, host, host_of))),
            (f"{host.name}/{_WHOLE}", to_yaml(whole)),
        )
    }


def _placed(lab: Lab, hosts: Sequence[Host]) -> dict[str, Host]:
    """Node -> its host."""
    known = [node.name for node in lab.nodes]
    found: dict[str, Host] = {}
    problems = []
    for host in hosts:
        for name in host.nodes:
            if name not in known:
                problems.append(Problem(f"host {host.name}", f"there is no node {name!r}; {nearest(name, known)}"))
            elif name in found:
                text = f"{name} is on {found[name].name} already: a node is on one host"
                problems.append(Problem(f"host {host.name}", text))
            found[name] = host
    for name in known:
        if name not in found:
            problems.append(Problem(f"nodes.{name}", "on which host is it? Name it at one", lab.place(f"nodes.{name}")))
    if problems:
        raise LabError(problems)
    return found


def _share(tree: Tree, lab: Lab, host: Host, host_of: dict[str, Host]) -> Tree:
    of_lab = tree["topology"]
    nodes = {name: node for name, node in of_lab["nodes"].items() if host_of[name] == host}
    used = {node["group"] for node in nodes.values()}
    groups = {name: group for name, group in of_lab["groups"].items() if name in used}
    binds = [f"{_WHOLE}:/etc/mnmpls/{_WHOLE}:ro"]
    defaults = {**of_lab["defaults"], "binds": binds, "labels": {HOST: host.name}}
    defaults.pop("config", None)
    nodes = {name: {key: value for key, value in node.items() if key != "config"} for name, node in nodes.items()}
    wires = [link for link in lab.links if link.is_wire]
    links = [link for i, wire in enumerate(wires) for link in _links(i, wire, of_lab["links"][i], host, host_of)]
    found = {"defaults": defaults, "groups": groups, "nodes": nodes, "links": links}
    return {"name": tree["name"], "topology": {key: value for key, value in found.items() if value}}


def _links(i: int, wire: Link, brief: Tree, host: Host, host_of: dict[str, Host]) -> Iterator[Tree]:
    """The wire as ``host`` has it: whole, one end of it, or none."""
    for mine, theirs in (wire.ports, wire.ports[::-1]):
        if host_of[mine.node] != host:
            continue
        if host_of[theirs.node] == host:
            yield {key: brief[key] for key in ("endpoints", "mtu")}
            return
        yield {
            "type": "vxlan",
            "endpoint": {"node": mine.node, "interface": mine.name},
            "remote": host_of[theirs.node].address,
            "vni": _FIRST_VNI + i,
            "dst-port": _UDP_PORT,
            "mtu": mine.mtu_bytes,
        }
