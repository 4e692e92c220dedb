"""A lab as a Containerlab topology that deploys itself with our image: https://containerlab.dev/manual/topo-def-file/.
sources/from_clab.py tells where what stands; whoever reads the text gets the lab back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, count
from typing import Any

from ..errors import LabError, Problem
from ..model import ROLES, Lab, Link, Node, Port
from ..plan import complete, records
from ..sources.to_data import data, link_data
from ..sources.to_yaml import WIDTH, entry, flow, short
from ..state import Record, Sysctl

IMAGE = "mnmpls"
LAB_FILE = "/etc/mnmpls/lab.clab.yml"
READY_FILE = "/run/mnmpls.ready"
_MANAGEMENT = "eth0"
_HEALTH = {"test": ["CMD", "test", "-e", READY_FILE], "interval": 2, "timeout": 5, "retries": 60, "start-period": 5}
_LEVELS = {"host": "1", "ce": "2", "bridge": "2", "pe": "3", "p": "4"}
"""Where clab-io-draw and TopoViewer draw them."""
_BEFORE_LINKS = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding",
                 "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter")  # fmt: skip
"""Settings that every kernel has before there is a link. A container with one that its kernel lacks does not start, and
on a kernel without MPLS ours is to bring its own: no net.mpls."""


def containerlab(lab: Lab, image: str = IMAGE) -> str:
    """The text of ``NAME.clab.yml``, all that was open planned. Raises LabError."""
    whole = complete(_with_port_names(lab))
    planned = records(whole)
    return "".join(f"{line}\n" for line in _lines(whole, planned, image))


def _with_port_names(lab: Lab) -> Lab:
    """Ports of wires that are open become eth1, eth2 and so on, as Containerlab's users call them."""
    taken = {node.name: {vrf.name for vrf in node.vrfs} | {dummy.name for dummy in node.dummies} for node in lab.nodes}
    for i, link in enumerate(lab.links):
        for side, port in zip("ab", link.ports, strict=True):
            taken.setdefault(port.node, set()).add(port.name)
            if port.name == _MANAGEMENT and link.is_wire:
                path = f"links[{i}].{side}.port"
                text = f"{_MANAGEMENT} is Containerlab's own, for management: call {port.node}'s port otherwise"
                raise LabError([Problem(path, text, lab.place(path))])
    numbers = {name: (f"eth{n}" for n in count(1)) for name in taken}

    def named(port: Port) -> Port:
        free = (name for name in numbers[port.node] if name not in taken[port.node])
        return port if port.name else replace(port, name=next(free))

    links = (link.between(named(link.a), named(link.b)) if link.is_wire else link for link in lab.links)
    return replace(lab, links=tuple(links))


def _lines(lab: Lab, planned: Mapping[str, frozenset[Record]], image: str) -> Iterator[str]:
    yield f"name: {flow(lab.name)}"
    yield "topology:"
    yield "  defaults:"
    binds = [f"{lab.name}.clab.yml:{LAB_FILE}:ro"]
    defaults: dict[str, Any] = {"kind": "linux", "image": image, "image-pull-policy": "IfNotPresent", "binds": binds,
                                "healthcheck": _HEALTH}  # fmt: skip
    yield from (f"    {key}: {flow(value)}" for key, value in defaults.items())
    if of_lab := _of_lab(lab):
        yield "    config:"
        yield "      vars:"
        yield "        lab:"
        yield from chain.from_iterable(entry(f"          {key}:", value) for key, value in of_lab.items())
    roles = [role for role in ROLES if any(node.role == role for node in lab.nodes)]
    shared = {role: _shared([planned[node.name] for node in lab.nodes if node.role == role]) for role in roles}
    yield "  groups:"
    for role in roles:
        labels = {"mnmpls.role": role, "graph-level": _LEVELS[role], "graph-icon": _icon(role)}
        yield f"    {role}:"
        yield f"      labels: {flow(labels)}"
        if shared[role]:
            yield f"      sysctls: {flow(shared[role])}"
    yield "  nodes:"
    told: Mapping[str, Any] = data(lab)
    for node in lab.nodes:
        yield from _node(node, dict(told["nodes"][node.name]), shared[node.role])
    yield "  links:"
    yield from (f"    - {_link(link)}" for link in lab.links if link.is_wire)


def _icon(role: str) -> str:
    return {"host": "host", "bridge": "switch"}.get(role, "router")


def _of_lab(lab: Lab) -> dict[str, Any]:
    """All but nodes and wires: the keys of the lab itself, and its tunnels, which are none of Containerlab's links."""
    told = {key: value for key, value in data(lab).items() if key not in ("name", "nodes", "links")}
    tunnels = [link_data(link) for link in lab.links if not link.is_wire]
    return {**told, **({"links": tunnels} if tunnels else {})}


def _shared(each: list[frozenset[Record]]) -> dict[str, str]:
    """Settings that all of them have alike, of those that can be made before any link is there."""
    alike = frozenset.intersection(*each)
    found = {record.key: record.value for record in alike if isinstance(record, Sysctl)}
    return {key: found[key] for key in _BEFORE_LINKS if key in found}


def _node(node: Node, told: dict[str, Any], shared: Mapping[str, str]) -> Iterator[str]:
    lines = told.pop("exec", [])
    sysctls = {key: value for key, value in told.pop("sysctls", {}).items() if shared.get(key) != value}
    told.pop("role")
    variables = {**short(told), **({"sysctls": sysctls} if sysctls else {})}
    whole: dict[str, Any] = {"group": node.role}
    if variables:
        whole["config"] = {"vars": variables}
    if lines:  # Once it is set up; `exec:` would be run before the neighbours' links are there.
        commands = [{"command": line, "target": "container", "phase": "on-exit"} for line in lines]
        whole["stages"] = {"healthy": {"exec": commands}}
    line = f"    {flow(node.name)}: {flow(whole)}"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"    {flow(node.name)}:"
    yield f"      group: {node.role}"
    if variables:
        yield "      config:"
        yield "        vars:"
        yield from chain.from_iterable(entry(f"          {key}:", value) for key, value in variables.items())
    if lines:
        yield f"      stages: {flow(whole['stages'])}"


def _link(link: Link) -> str:
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
    return flow({**brief, **({"vars": variables} if variables else {})})


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
