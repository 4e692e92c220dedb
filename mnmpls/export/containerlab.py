"""A lab as a Containerlab topology that deploys itself with our image: https://containerlab.dev/manual/topo-def-file/.
sources/from_clab.py tells where what stands; whoever reads the text gets the lab back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from ..errors import LabError, Problem
from ..model import ROLES, Lab, Link, Node, Port
from ..plan import complete, records
from ..plan.check_links import MOST_MTU_BYTES
from ..sources.from_clab import OUTSIDE
from ..sources.to_data import data, link_data
from ..sources.to_yaml import WIDTH, flow, short
from ..state import Record, Sysctl

IMAGE = "mnmpls"
LAB_FILE = "/etc/mnmpls/lab.clab.yml"
READY_FILE = "/run/mnmpls.ready"
_MANAGEMENT = "eth0"
_HEALTH = {"test": ["CMD", "test", "-e", READY_FILE], "interval": 10, "timeout": 10, "retries": 12, "start-period": 5}
_LEVELS = {"host": "1", "ce": "2", "bridge": "2", "pe": "3", "p": "4"}
"""Where clab-io-draw and TopoViewer draw them."""
_BEFORE_LINKS = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding",
                 "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter")  # fmt: skip
"""Settings that every kernel has before there is a link. A container with one that its kernel lacks does not start, and
on a kernel without MPLS ours is to bring its own: no net.mpls."""


Tree = dict[str, Any]


def containerlab(lab: Lab, image: str = IMAGE) -> str:
    """The text of ``NAME.clab.yml``, all that was open planned. Raises LabError."""
    return spelled(topology(planned(lab), image))


def planned(lab: Lab, widest_bytes: int = MOST_MTU_BYTES) -> Lab:
    """``lab`` with everything filled in as Containerlab takes it: open ports of wires become eth1, eth2 and so on, as
    its users call them, and open MTUs no greater than ``widest_bytes``. Raises LabError, for IPsec too whose secret
    each container would draw by itself."""
    drawn = [f"links[{i}].ipsec" for i, link in enumerate(lab.links) if link.ipsec and not link.ipsec.secrets]
    if drawn:
        text = "each container would draw a secret of its own: give both ends one, as ipsec: {mode: ..., secret: ...}"
        raise LabError(Problem(path, text, lab.place(path)) for path in drawn)
    return complete(_with_port_names(lab), widest_bytes)


def topology(lab: Lab, image: str) -> Tree:
    """The tree of the file, of a lab that is planned."""
    told: Mapping[str, Any] = data(lab)
    each = records(lab)
    roles = [role for role in ROLES if any(node.role == role for node in lab.nodes)]
    groups = {role: _group(role, [each[node.name] for node in lab.nodes if node.role == role]) for role in roles}
    defaults = {
        "kind": "linux",
        "image": image,
        "image-pull-policy": "IfNotPresent",
        "binds": [f"{lab.name}.clab.yml:{LAB_FILE}:ro"],
        "healthcheck": _HEALTH,
        **_given(config=_given(vars=_given(lab=_of_lab(lab)))),
    }
    nodes = {node.name: _node(node, dict(told["nodes"][node.name]), groups[node.role]) for node in lab.nodes}
    links = [_link(link) for link in lab.links if link.is_wire]
    return {
        "name": lab.name,
        "topology": {"defaults": defaults, "groups": groups, "nodes": nodes, **_given(links=links)},
    }


def spelled(tree: Mapping[str, Any]) -> str:
    """As text, in the shortest form that is easily read."""
    return "".join(f"{line}\n" for line in _lines(tree, "", _OPEN)).replace("$", "$$")  # which is no variable's, then


_OPEN = 2
"""So many levels get a line for each entry, however short they are."""


def _lines(tree: Mapping[str, Any], indent: str, opened: int) -> Iterator[str]:
    for key, value in tree.items():
        line = f"{indent}{flow(key)}: {flow(value)}"
        if isinstance(value, dict) and value and (opened or len(line) > WIDTH):
            yield f"{indent}{flow(key)}:"
            yield from _lines(value, f"{indent}  ", max(opened - 1, 0))
        elif isinstance(value, list) and value and (opened or len(line) > WIDTH):
            yield f"{indent}{flow(key)}:"
            yield from (f"{indent}  - {flow(one)}" for one in value)
        else:
            yield line


def _with_port_names(lab: Lab) -> Lab:
    """Ports of wires that are open become eth1, eth2 and so on, as Containerlab's users call them; so does an eth0,
    which here is the management's, wherever its node names it."""
    for name in OUTSIDE & {node.name for node in lab.nodes}:
        path = f"nodes.{name}"
        text = f"{name} is Containerlab's word for what is outside: call the node otherwise"
        raise LabError([Problem(path, text, lab.place(path))])
    taken = {node.name: {vrf.name for vrf in node.vrfs} | {dummy.name for dummy in node.dummies} for node in lab.nodes}
    for link in lab.links:
        for port in link.ports:
            taken.setdefault(port.node, set()).add(port.name)
    numbers = {name: (f"eth{n}" for n in count(1)) for name in taken}
    renamed: dict[str, str] = {}

    def named(port: Port) -> Port:
        if port.name not in ("", _MANAGEMENT):
            return port
        name = next(name for name in numbers[port.node] if name not in taken[port.node])
        if port.name:
            renamed[port.node] = name
        return replace(port, name=name)

    links = tuple(link.between(named(link.a), named(link.b)) if link.is_wire else link for link in lab.links)
    nodes = tuple(_following(node, renamed[node.name]) if node.name in renamed else node for node in lab.nodes)
    return replace(lab, nodes=nodes, links=links)


def _following(node: Node, name: str) -> Node:
    """``node``, whose eth0 is called ``name`` now."""

    def new(port: str) -> str:
        return name if port == _MANAGEMENT else port

    return replace(
        node,
        routes=tuple(replace(route, port=new(route.port)) for route in node.routes),
        rules=tuple(replace(rule, iif=new(rule.iif)) for rule in node.rules),
        sysctls=tuple((key.replace(f".{_MANAGEMENT}.", f".{name}."), value) for key, value in node.sysctls),
    )


def _group(role: str, each: list[frozenset[Record]]) -> Tree:
    """What the nodes of a role have alike."""
    labels = {"mnmpls.role": role, "graph-level": _LEVELS[role], "graph-icon": _icon(role)}
    return {"labels": labels, **_given(sysctls=_shared(each))}


def _icon(role: str) -> str:
    return {"host": "host", "bridge": "switch"}.get(role, "router")


def _of_lab(lab: Lab) -> Tree:
    """All but nodes and wires: the keys of the lab itself, and its tunnels, which are none of Containerlab's links."""
    told = {key: value for key, value in data(lab).items() if key not in ("name", "nodes", "links")}
    tunnels = [link_data(link) for link in lab.links if not link.is_wire]
    return {**told, **_given(links=tunnels)}


def _shared(each: list[frozenset[Record]]) -> dict[str, str]:
    """Settings that all of them have alike, of those that can be made before any link is there."""
    alike = frozenset.intersection(*each)
    found = {record.key: record.value for record in alike if isinstance(record, Sysctl)}
    return {key: found[key] for key in _BEFORE_LINKS if key in found}


def _node(node: Node, told: Tree, group: Tree) -> Tree:
    shared = group.get("sysctls", {})
    sysctls = {key: value for key, value in told.pop("sysctls", {}).items() if shared.get(key) != value}
    # Once the node is set up: `exec:` would be run before the neighbours' links are there.
    lines = [{"command": line, "target": "container", "phase": "on-exit"} for line in told.pop("exec", [])]
    del told["role"]
    return {
        "group": node.role,
        **_given(config=_given(vars={**short(told), **_given(sysctls=sysctls)})),
        **_given(stages=_given(healthy=_given(exec=lines))),
    }


def _given(**entries: Any) -> Tree:
    """Those that say something."""
    return {key: value for key, value in entries.items() if value}


def _link(link: Link) -> Tree:
    """Brief, as its users write it; what the brief form has no word for stands in ``vars``."""
    told: dict[str, Any] = dict(link_data(link))
    ends = [dict(told.pop(side)) for side in "ab"]
    endpoints = [f"{end.pop('node')}:{end.pop('port')}" for end in ends]
    mtus = {end.pop("mtu", None) for end in ends}
    brief: dict[str, Any] = {"endpoints": endpoints, **_brief_addresses(ends)}
    if len(mtus) == 1:
        brief["mtu"] = mtus.pop()
    else:
        ends = [{**end, "mtu": port.mtu_bytes} for end, port in zip(ends, link.ports, strict=True)]
    variables = {**short(told), **{side: short(end) for side, end in zip("ab", ends, strict=True) if end}}
    return {**brief, **_given(vars=variables)}


def _brief_addresses(ends: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The addresses of ``ends`` by IP version, taken out of them where each has at most one of a version. An end that
    is to have none keeps its word for that: an empty text would leave it open."""
    found: dict[str, list[str]] = {"ipv4": ["", ""], "ipv6": ["", ""]}
    for i, end in enumerate(ends):
        given = end.get("ip")
        mine = {f"ipv{6 if ':' in one else 4}": one for one in given} if isinstance(given, list) else {}
        if given and len(mine) == len(given):
            del end["ip"]
            for key, one in mine.items():
                found[key][i] = one
    return {key: each for key, each in found.items() if any(each)}
