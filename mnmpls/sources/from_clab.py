"""A lab from a Containerlab topology (``LAB.clab.yml``, https://containerlab.dev/manual/topo-def-file/): its tree
becomes that of a lab file, so that one reader knows what a lab may say. Nothing in it is a key of ours, which
Containerlab would refuse: what a node is to be stands where its own users put such things::

topology:
  defaults: {config: {vars: {lab: {igp: ospf, labels: ldp, vpn: bgp}}}}   # the lab's own keys; links: tunnels
  groups:
    pe: {config: {vars: {sysctls: {net.ipv4.ip_forward: 1}}}}             # a group called like a role gives it
  nodes:
    pe1: {group: pe, config: {vars: {vrfs: {red: {interfaces: [eth2]}}}}} # a node's keys, or within ``mnmpls:``
  links:
    - {endpoints: [pe1:eth1, p:eth1], ipv4: [10.0.0.1/30, 10.0.0.2/30], vars: {delay: 10ms}}
    - {endpoints: [pe1:eth2, ce1:eth1], vars: {a: {vrf: red}}}            # a link's keys; ``a`` and ``b``: its ends'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import yaml

from ..errors import nearest
from ..model import ROLES, Lab
from . import from_tree
from .keys import DUMMY, LAB, LINK, NODE, PORT
from .reading import PLAIN, Notes, is_text, items, mapping, text

_BRIDGES = frozenset(("bridge", "ovs-bridge"))
"""Kinds that are bridges of the host."""
OUTSIDE = frozenset(("host", "mgmt-net", "macvlan", "vxlan", "vxlan-stitch"))
"""What stands for a node at a link's end, or as its type, and is none of the lab's."""
_MANAGEMENT = "eth0"
_TOP = ("name", "prefix", "mgmt", "settings", "debug", "topology")
_TOPOLOGY = ("defaults", "kinds", "groups", "nodes", "links")
_IMAGE = "mnmpls"
"""What an image of ours is called, whatever registry and tag it has."""
_OF_LAB = tuple(key for key in LAB if key not in ("name", "nodes"))
_OF_LINK = tuple(key for key in LINK if key not in ("a", "b"))

_Tree = dict[str, yaml.Node]
"""Entries of one mapping, or of several laid over each other."""


def is_clab(root: yaml.Node) -> bool:
    """Whether a document is a Containerlab topology, whatever its file is called."""
    return isinstance(root, yaml.MappingNode) and any(is_text(key, "topology") for key, _ in root.value)


def read(notes: Notes, root: yaml.Node) -> Lab:
    """The lab at ``root``, with its faults."""
    top = mapping(notes, "", root, _TOP)
    topology = mapping(notes, "topology", top["topology"], _TOPOLOGY) if "topology" in top else {}
    given = _nodes(notes, topology)
    nodes = {name: _node(notes, name, node, _Levels.of(notes, topology, name, node)) for name, node in given.items()}
    vrf_of = {name: _taken_from_vrfs(notes, name, node) for name, node in nodes.items()}
    links = list(_links(notes, topology, nodes, vrf_of))
    _unused(notes, vrf_of)
    # Those that lead out of the lab are none of its links, which are counted anew.
    notes.places = {path: place for path, place in notes.places.items() if not path.startswith("links[")}
    lab = _lab(notes, topology)
    tunnels = [entry for _, entry in items(notes, "links", lab.pop("links", None))]
    found: _Tree = {key: top[key] for key in ("name",) if key in top}
    found |= lab
    found["nodes"] = _map({name: _map(node, given[name]) for name, node in nodes.items()}, root)
    found["links"] = _list([*links, *tunnels], root)
    return from_tree.read(notes, _map(found, root))


class _Levels(NamedTuple):
    """What a node inherits from, weakest first: (where it stands, its entries)."""

    found: tuple[tuple[str, _Tree], ...]
    group: str
    kind: str

    @classmethod
    def of(cls, notes: Notes, topology: _Tree, name: str, node: yaml.Node) -> _Levels:
        defaults = _mapping(notes, "topology.defaults", topology.get("defaults"))
        own = _mapping(notes, f"nodes.{name}", node)
        group = text(notes, f"nodes.{name}.group", own.get("group") or defaults.get("group"))
        of_group = _level(notes, topology, "groups", group)
        kind_node = own.get("kind") or of_group.get("kind") or defaults.get("kind")
        kind = text(notes, f"nodes.{name}.kind", kind_node, "linux")
        found = (
            ("topology.defaults", defaults),
            (f"topology.kinds.{kind}", _level(notes, topology, "kinds", kind)),
            (f"topology.groups.{group}", of_group),
            (f"nodes.{name}", own),
        )
        return cls(found, group, kind)

    def merged(self, notes: Notes, key: str) -> _Tree:
        """Of a mapping that Containerlab merges over all levels."""
        found: _Tree = {}
        for where, entries in self.found:
            found |= _mapping(notes, f"{where}.{key}", entries.get(key))
        return found

    @property
    def is_foreign(self) -> bool:
        """Not of our image: it is run, and whoever wrote the topology sets it up."""
        image = next((said for _, entries in reversed(self.found) if (said := _said(entries, "image"))), _IMAGE)
        name = image.rpartition("/")[2].partition(":")[0]
        return self.kind not in ("", "linux", *_BRIDGES) or not name.startswith(_IMAGE)

    def variables(self, notes: Notes) -> _Tree:
        """Our words of ``config.vars``: those within ``mnmpls`` are all ours, others may be anybody's."""
        found: _Tree = {}
        for where, entries in self.found:
            told = _vars(notes, where, entries)
            found |= {key: value for key, value in told.items() if key in NODE}
            if "mnmpls" in told:
                found |= mapping(notes, f"{where}.config.vars.mnmpls", told["mnmpls"], tuple(NODE))
        return found


def _nodes(notes: Notes, topology: _Tree) -> _Tree:
    if "nodes" not in topology:
        return {}
    found = mapping(notes, "nodes", topology["nodes"])
    return {name: node for name, node in found.items() if name}


def _level(notes: Notes, topology: _Tree, kind: str, name: str) -> _Tree:
    """A group may be a mere word, without an entry."""
    every = _mapping(notes, f"topology.{kind}", topology.get(kind))
    return _mapping(notes, f"topology.{kind}.{name}", every.get(name))


def _vars(notes: Notes, where: str, level: _Tree) -> _Tree:
    config = _mapping(notes, f"{where}.config", level.get("config"))
    return _mapping(notes, f"{where}.config.vars", config.get("vars"))


def _lab(notes: Notes, topology: _Tree) -> _Tree:
    """The lab's own keys."""
    told = _vars(notes, "topology.defaults", _mapping(notes, "topology.defaults", topology.get("defaults")))
    return mapping(notes, "topology.defaults.config.vars.lab", told["lab"], _OF_LAB) if "lab" in told else {}


def _node(notes: Notes, name: str, node: yaml.Node, levels: _Levels) -> _Tree:
    found = levels.variables(notes)
    if "role" not in found:
        role = _role(notes, levels, found)
        if not role and levels.is_foreign:
            role = "host"
        if not role:
            remedy = f"call its group {', '.join(ROLES[:-1])} or {ROLES[-1]}, or label it mnmpls.role"
            notes.fault(f"nodes.{name}", node, f"{name} has no role: {remedy}")
        found["role"] = _text(role or "host", node)
    sysctls = {key: value for key, value in levels.merged(notes, "sysctls").items() if key.startswith("net.")}
    if sysctls:
        told = mapping(notes, f"nodes.{name}.sysctls", found["sysctls"]) if "sysctls" in found else {}
        found["sysctls"] = _map(sysctls | told, next(iter(sysctls.values())))
    if lines := [line for where, each in levels.found for line in _lines(notes, where, each)]:
        found["exec"] = _list(lines, lines[0])
    return found


def _lines(notes: Notes, where: str, level: _Tree) -> Iterator[yaml.Node]:
    """Command lines that Containerlab runs in the node, at any stage."""
    yield from (line for _, line in items(notes, f"{where}.exec", level.get("exec")))
    for stage, told in _mapping(notes, f"{where}.stages", level.get("stages")).items():
        path = f"{where}.stages.{stage}.exec"
        given = _mapping(notes, f"{where}.stages.{stage}", told).get("exec")
        if isinstance(given, yaml.MappingNode):
            for phase, some in mapping(notes, path, given).items():
                yield from (line for _, line in items(notes, f"{path}.{phase}", some))
        else:
            each = [mapping(notes, at, command) for at, command in items(notes, path, given)]
            yield from (one["command"] for one in each if "command" in one and not is_text(one.get("target"), "host"))


def _role(notes: Notes, levels: _Levels, found: _Tree) -> str:
    """By label, by group, by kind, or by having VRFs."""
    labels = levels.merged(notes, "labels")
    if "mnmpls.role" in labels:
        return text(notes, "labels", labels["mnmpls.role"])
    if levels.group in ROLES:
        return levels.group
    if levels.kind in _BRIDGES:
        return "bridge"
    return "pe" if "vrfs" in found else ""


class _VrfOf(NamedTuple):
    """The VRF of an interface, and where that is said; ``used`` is empty as long as no link ends there."""

    vrf: str
    said: yaml.Node
    where: str
    used: list[bool]


_VrfsOf = Mapping[str, Mapping[str, _VrfOf]]
"""Node -> interface."""


def _taken_from_vrfs(notes: Notes, name: str, node: _Tree) -> Mapping[str, _VrfOf]:
    """Interface -> its VRF, as ``vrfs: {red: {interfaces: [eth2]}}`` says; the key is taken out of ``node``."""
    found: dict[str, _VrfOf] = {}
    given = node.get("vrfs")
    if not isinstance(given, yaml.MappingNode):
        return found
    vrfs: _Tree = {}
    for vrf, details in mapping(notes, f"nodes.{name}.vrfs", given).items():
        vrfs[vrf] = details
        if not isinstance(details, yaml.MappingNode):
            continue
        where = f"nodes.{name}.vrfs.{vrf}"
        inner = mapping(notes, where, details)
        for path, port in items(notes, f"{where}.interfaces", inner.pop("interfaces", None)):
            if (interface := text(notes, path, port)) in found:
                told = f"{name}'s {interface} is in VRF {found[interface].vrf} already: a port is in one at most"
                notes.fault(path, port, told)
            else:
                found[interface] = _VrfOf(vrf, port, path, [])
        vrfs[vrf] = _map(inner, details)
    node["vrfs"] = _map(vrfs, given)
    return found


def _unused(notes: Notes, vrf_of: _VrfsOf) -> None:
    for name, ports in vrf_of.items():
        for interface, each in ports.items():
            if not each.used:
                text_ = f"{name} has no interface {interface!r} to put into VRF {each.vrf}: no link ends there"
                notes.fault(each.where, each.said, text_)


def _links(notes: Notes, topology: _Tree, nodes: Mapping[str, _Tree], vrf_of: _VrfsOf) -> Iterator[yaml.Node]:
    """Of dummies, which are no links of ours, it puts an interface into ``nodes``."""
    for where, node in items(notes, "links", topology.get("links")):
        notes.at(f"topology.{where}", node)
        has = mapping(notes, where, node)
        kind = text(notes, f"{where}.type", has.get("type"), "veth")
        if kind == "dummy":
            _dummy(notes, where, has, nodes)
        elif kind not in OUTSIDE:
            ends = [_end(notes, path, end) for path, end in items(notes, f"{where}.endpoints", has.get("endpoints"))]
            if len(ends) != 2:
                notes.fault(where, node, "a link has two endpoints: write endpoints: [NODE:INTERFACE, NODE:INTERFACE]")
            elif not any(is_text(end.get("node"), outside) for end in ends for outside in OUTSIDE):
                yield _link(notes, where, node, has, ends, vrf_of)


def _link(
    notes: Notes, where: str, node: yaml.Node, has: _Tree, ends: list[_Tree], vrf_of: _VrfsOf
) -> yaml.Node:  # fmt: skip
    told = _mapping(notes, f"{where}.vars", has.get("vars"))
    for i, (side, end) in enumerate(zip("ab", ends, strict=True)):
        if "ip" not in end and (addresses := list(_addresses(notes, where, has, i))):
            end["ip"] = _list(addresses, addresses[0])
        end |= mapping(notes, f"{where}.vars.{side}", told[side], tuple(PORT)) if side in told else {}
        known = vrf_of.get(_said(end, "node"), {}).get(_said(end, "port"))
        if known:
            known.used.append(True)
            end.setdefault("vrf", _text(known.vrf, known.said))
    link: _Tree = {side: _map(end, node) for side, end in zip("ab", ends, strict=True)}
    link |= {key: value for key, value in told.items() if key in _OF_LINK}
    return _map(link | {key: has[key] for key in ("mtu",) if key in has}, node)


def _addresses(notes: Notes, where: str, has: _Tree, i: int) -> Iterator[yaml.Node]:
    """Of a link's i-th end; an empty text leaves it open."""
    for key in ("ipv4", "ipv6"):
        for at, (path, address) in enumerate(items(notes, f"{where}.{key}", has.get(key))):
            if at == i and text(notes, path, address):
                yield address


def _end(notes: Notes, where: str, node: yaml.Node) -> _Tree:
    """``NODE:INTERFACE``, or ``{node:, interface:, mac:, ipv4:, ipv6:, vars:}``."""
    if isinstance(node, yaml.MappingNode):
        has = mapping(notes, where, node)
        end = {ours: has[key] for key, ours in (("node", "node"), ("interface", "port"), ("mac", "mac")) if key in has}
        addresses = [has[key] for key in ("ipv4", "ipv6") if text(notes, f"{where}.{key}", has.get(key))]
        end |= {"ip": _list(addresses, node)} if addresses else {}
        end |= {key: value for key, value in _mapping(notes, f"{where}.vars", has.get("vars")).items() if key in PORT}
    else:
        name, _, interface = text(notes, where, node).partition(":")
        end = {"node": _text(name, node), "port": _text(interface, node)}
        if not interface and name not in OUTSIDE:
            notes.fault(where, node, f"{name!r} names no interface: write NODE:INTERFACE, such as {name or 'pe1'}:eth1")
    if _said(end, "port") == _MANAGEMENT and _said(end, "node") not in OUTSIDE:
        notes.fault(where, node, f"{_MANAGEMENT} is Containerlab's own, for management: begin with eth1")
    return end


def _dummy(notes: Notes, where: str, has: _Tree, nodes: Mapping[str, _Tree]) -> None:
    """A dummy "link" is an interface of its one node."""
    if "endpoint" not in has:
        return
    end = _end(notes, f"{where}.endpoint", has["endpoint"])
    name, port = _said(end, "node"), _said(end, "port")
    if name not in nodes:
        notes.fault(where, has["endpoint"], f"there is no node {name!r}; {nearest(name, nodes)}")
        return
    given = mapping(notes, f"nodes.{name}.dummies", nodes[name]["dummies"]) if "dummies" in nodes[name] else {}
    settings = {key: value for key, value in (has | end).items() if key in DUMMY}
    nodes[name]["dummies"] = _map(given | {port: _map(settings, has["endpoint"])}, has["endpoint"])


def _mapping(notes: Notes, where: str, node: yaml.Node | None) -> _Tree:
    return {} if node is None else mapping(notes, where, node)


def _said(entries: _Tree, key: str) -> str:
    node = entries.get(key)
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


# The tree of the lab file, each entry of it where Containerlab's has what it says.


def _text(text_: str, like: yaml.Node | None) -> yaml.Node:
    return yaml.ScalarNode(f"{PLAIN}str", text_, *((like.start_mark, like.end_mark) if like else ()))


def _list(entries: list[yaml.Node], like: yaml.Node) -> yaml.Node:
    return yaml.SequenceNode(f"{PLAIN}seq", entries, like.start_mark, like.end_mark)


def _map(entries: Mapping[str, yaml.Node], like: yaml.Node) -> yaml.Node:
    pairs = [(_text(key, value), value) for key, value in entries.items()]
    return yaml.MappingNode(f"{PLAIN}map", pairs, like.start_mark, like.end_mark)
