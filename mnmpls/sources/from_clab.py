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

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import NamedTuple

import yaml

from ..errors import nearest
from ..foreign import Foreign
from ..model import ROLES, Lab
from . import from_tree
from .clab_habits import again, bound_configs, is_near, is_single, linux_name, magic, told_addresses, told_gateways
from .clab_levels import (
    BRIDGES,
    Levels,
    Tree,
    listing,
    mapping_of,
    plain,
    said,
    spelled,
    tree_of,
    unmerged,
    variables_of,
)
from .from_tree import NO_ADDRESS
from .keys import DUMMY, LAB, LINK, PORT
from .own_configs import KEYS
from .reading import Notes, is_text, items, mapping, text

OUTSIDE = frozenset(("host", "mgmt-net", "macvlan", "vxlan", "vxlan-stitch"))
"""What stands for a node at a link's end, or as its type, and is none of the lab's."""
_MANAGEMENT = "eth0"
_TOP = ("name", "prefix", "mgmt", "settings", "debug", "topology")
_TOPOLOGY = ("defaults", "kinds", "groups", "nodes", "links")
_OF_LAB = tuple(key for key in LAB if key not in ("name", "nodes"))
_OF_LINK = tuple(key for key in LINK if key not in ("a", "b"))


def is_clab(root: yaml.Node) -> bool:
    """Whether a document is a Containerlab topology, whatever its file is called."""
    return isinstance(root, yaml.MappingNode) and any(is_text(key, "topology") for key, _ in root.value)


def read(notes: Notes, root: yaml.Node) -> Lab:
    """The lab at ``root``, with its faults."""
    root = unmerged(root)
    top = mapping(notes, "", root, _TOP)
    topology = mapping(notes, "topology", top["topology"], _TOPOLOGY) if "topology" in top else {}
    given = _nodes(notes, topology)
    levels = {name: Levels.of(notes, topology, name, node) for name, node in given.items()}
    nodes = {name: _node(notes, name, given[name], each, said(top, "name")) for name, each in levels.items()}
    vrf_of = {name: _taken_from_vrfs(notes, name, node) for name, node in nodes.items()}
    wires = list(_wires(notes, topology, nodes, levels))
    ends = [(said(end, "node"), said(end, "port")) for wire in wires for end in wire.ends]
    told = {name: _told_addresses(node, {port for at, port in ends if at == name}) for name, node in nodes.items()}
    foreign = tuple(_foreign(levels, nodes, Counter(at for at, _ in ends)))
    known = _Known(vrf_of, told, {each.node for each in foreign if not each.is_host})
    links = [_link(notes, wire, known) for wire in wires]
    for each in foreign:
        nodes[each.node].setdefault("role", plain("host", given[each.node]))
    _unused(notes, vrf_of)
    # Those that lead out of the lab are none of its links, which are counted anew.
    notes.places = {path: place for path, place in notes.places.items() if not path.startswith("links[")}
    lab = _lab(notes, topology)
    tunnels = [entry for _, entry in items(notes, "links", lab.pop("links", None))]
    found: Tree = {key: top[key] for key in ("name",) if key in top}
    found |= lab
    found["nodes"] = tree_of({name: tree_of(node, given[name]) for name, node in nodes.items()}, root)
    found["links"] = listing([*links, *tunnels], root)
    return replace(from_tree.read(notes, tree_of(found, root)), foreign=foreign)


def _nodes(notes: Notes, topology: Tree) -> Tree:
    if "nodes" not in topology:
        return {}
    found = mapping(notes, "nodes", topology["nodes"])
    return {name: node for name, node in found.items() if name}


def _lab(notes: Notes, topology: Tree) -> Tree:
    """The lab's own keys."""
    told = variables_of(notes, "topology.defaults", mapping_of(notes, "topology.defaults", topology.get("defaults")))
    return mapping(notes, "topology.defaults.config.vars.lab", told["lab"], _OF_LAB) if "lab" in told else {}


def _node(notes: Notes, name: str, node: yaml.Node, levels: Levels, lab: str) -> Tree:
    """Without a role, if it is of another image, and nobody has said one."""
    found = levels.variables(notes)
    if "role" not in found and (role := _role(notes, levels, found)):
        found["role"] = plain(role, node)
    elif "role" not in found and not levels.is_foreign:
        remedy = f"call its group {', '.join(ROLES[:-1])} or {ROLES[-1]}, or label it mnmpls.role"
        notes.fault(f"nodes.{name}", node, f"{name} has no role: {remedy}")
        found["role"] = plain("host", node)
    if not levels.is_foreign and found.keys().isdisjoint(KEYS):
        found |= _bound_configs(notes, name, levels, lab)
    sysctls = {key: value for key, value in levels.merged(notes, "sysctls").items() if key.startswith("net.")}
    if sysctls:
        told = mapping(notes, f"nodes.{name}.sysctls", found["sysctls"]) if "sysctls" in found else {}
        found["sysctls"] = tree_of(sysctls | told, next(iter(sysctls.values())))
    if lines := [line for where, each in levels.found for line in _lines(notes, where, each)]:
        folder = os.path.dirname(os.path.realpath(notes.path))
        found["exec"] = listing([_line(each, name, lab, folder) for each in lines], lines[0])
    return found


def _bound_configs(notes: Notes, name: str, levels: Levels, lab: str) -> Tree:
    """Configurations of its own, bound where their daemons look for them."""
    binds = {magic(spelled(each), name, lab, ""): each for each in levels.listed(notes, "binds")}

    def file(path: str) -> yaml.Node:
        return plain(path, next(node for bind, node in binds.items() if path.startswith(bind.partition(":")[0])))

    found = {}
    for key, given in bound_configs(binds, os.path.dirname(notes.path)).items():
        each = {key: given} if isinstance(given, str) else given
        files = {daemon: file(path) for daemon, path in each.items()}
        found[key] = files[key] if isinstance(given, str) else tree_of(files, next(iter(files.values())))
    return found


def _line(given: yaml.Node, node: str, lab: str, folder: str) -> yaml.Node:
    text_ = again(magic(spelled(given), node, lab, folder)).strip()
    return plain(text_, given) if isinstance(given, yaml.ScalarNode) else given


_Told = Mapping[str, list[yaml.Node]]
"""Interface -> addresses."""


def _told_addresses(node: Tree, ports: Set[str]) -> _Told:
    """Those that the command lines of ``node`` put. Its loopback's are put into it, and its default gateway, if it is
    beyond one of ``ports``."""
    found: dict[str, list[yaml.Node]] = defaultdict(list)
    lines = node["exec"].value if "exec" in node else ()
    for line in lines:
        for device, address in told_addresses(spelled(line)):
            found[device].append(plain(address, line))
    if routes_itself := not node.keys().isdisjoint(KEYS):
        loopbacks = found["lo"]
    else:
        loopbacks = [each for each in found["lo"] if is_single(each.value)]
    if loopbacks:
        node.setdefault("loopback", listing(loopbacks, loopbacks[0]))
    if spelled(node.get("role")) in ("host", "ce", "") and not routes_itself:
        near = [address.value for port in ports for address in found.get(port, ())]
        for line in lines:
            for gateway in filter(lambda each: is_near(each, near), told_gateways(spelled(line))):
                node.setdefault("gateway", plain(gateway, line))
    return found


def _foreign(levels: Mapping[str, Levels], nodes: Mapping[str, Tree], wires: Mapping[str, int]) -> Iterator[Foreign]:
    """Those of other images and kinds. A linux that has one link at most is a host; what has more, and is not said to
    be anything, has a mind of its own."""
    for name, each in levels.items():
        if each.is_foreign:
            what = f"kind {each.kind}" if each.is_vendors else f"image {each.text('image')}"
            yield Foreign(name, what, "role" in nodes[name] or not (each.is_vendors or wires[name] > 1))


def _lines(notes: Notes, where: str, level: Tree) -> Iterator[yaml.Node]:
    """Command lines that Containerlab runs in the node, at any stage."""
    yield from (line for _, line in items(notes, f"{where}.exec", level.get("exec")))
    for stage, told in mapping_of(notes, f"{where}.stages", level.get("stages")).items():
        path = f"{where}.stages.{stage}.exec"
        given = mapping_of(notes, f"{where}.stages.{stage}", told).get("exec")
        if isinstance(given, yaml.MappingNode):
            for phase, some in mapping(notes, path, given).items():
                yield from (line for _, line in items(notes, f"{path}.{phase}", some))
        else:
            each = [mapping(notes, at, command) for at, command in items(notes, path, given)]
            yield from (one["command"] for one in each if "command" in one and not is_text(one.get("target"), "host"))


def _role(notes: Notes, levels: Levels, found: Tree) -> str:
    """By label, by group, by kind, or by having VRFs."""
    labels = levels.merged(notes, "labels")
    if "mnmpls.role" in labels:
        return text(notes, "labels", labels["mnmpls.role"])
    if levels.group in ROLES:
        return levels.group
    if levels.kind in BRIDGES:
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


def _taken_from_vrfs(notes: Notes, name: str, node: Tree) -> Mapping[str, _VrfOf]:
    """Interface -> its VRF, as ``vrfs: {red: {interfaces: [eth2]}}`` says; the key is taken out of ``node``."""
    found: dict[str, _VrfOf] = {}
    given = node.get("vrfs")
    if not isinstance(given, yaml.MappingNode):
        return found
    vrfs: Tree = {}
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
        vrfs[vrf] = tree_of(inner, details)
    node["vrfs"] = tree_of(vrfs, given)
    return found


def _unused(notes: Notes, vrf_of: _VrfsOf) -> None:
    for name, ports in vrf_of.items():
        for interface, each in ports.items():
            if not each.used:
                text_ = f"{name} has no interface {interface!r} to put into VRF {each.vrf}: no link ends there"
                notes.fault(each.where, each.said, text_)


class _Wire(NamedTuple):
    """A link between two nodes: where it stands, its entries, and its ends as they are in a lab file."""

    where: str
    node: yaml.Node
    has: Tree
    ends: list[Tree]


class _Known(NamedTuple):
    """What is said of ports elsewhere: ``strange`` are the nodes of which nobody knows what addresses they have."""

    vrf_of: _VrfsOf
    told: Mapping[str, _Told]
    strange: Set[str]


def _wires(
    notes: Notes, topology: Tree, nodes: Mapping[str, Tree], levels: Mapping[str, Levels]
) -> Iterator[_Wire]:  # fmt: skip
    """Of dummies, which are no links of ours, it puts an interface into ``nodes``."""
    for where, node in items(notes, "links", topology.get("links")):
        notes.at(f"topology.{where}", node)
        has = mapping(notes, where, node)
        kind = text(notes, f"{where}.type", has.get("type"), "veth")
        if kind == "dummy":
            _dummy(notes, where, has, nodes, levels)
        elif kind not in OUTSIDE:
            given = items(notes, f"{where}.endpoints", has.get("endpoints"))
            ends = [_end(notes, path, end, levels) for path, end in given]
            if len(ends) != 2:
                notes.fault(where, node, "a link has two endpoints: write endpoints: [NODE:INTERFACE, NODE:INTERFACE]")
            elif not any(is_text(end.get("node"), outside) for end in ends for outside in OUTSIDE):
                yield _Wire(where, node, has, ends)


def _link(notes: Notes, wire: _Wire, known: _Known) -> yaml.Node:
    where, node, has, ends = wire
    told = mapping_of(notes, f"{where}.vars", has.get("vars"))
    for i, (side, end) in enumerate(zip("ab", ends, strict=True)):
        name, port = said(end, "node"), said(end, "port")
        addresses = [*_addresses(notes, where, has, i)] or known.told.get(name, {}).get(port)
        if "ip" not in end and addresses:
            end["ip"] = listing(addresses, addresses[0])
        end |= mapping(notes, f"{where}.vars.{side}", told[side], tuple(PORT)) if side in told else {}
        if name in known.strange:
            end.setdefault("ip", plain(NO_ADDRESS, node))
        if in_vrf := known.vrf_of.get(name, {}).get(port):
            in_vrf.used.append(True)
            end.setdefault("vrf", plain(in_vrf.vrf, in_vrf.said))
    link: Tree = {side: tree_of(end, node) for side, end in zip("ab", ends, strict=True)}
    link |= {key: value for key, value in told.items() if key in _OF_LINK}
    return tree_of(link | {key: has[key] for key in ("mtu",) if key in has}, node)


def _addresses(notes: Notes, where: str, has: Tree, i: int) -> Iterator[yaml.Node]:
    """Of a link's i-th end; an empty text leaves it open."""
    for key in ("ipv4", "ipv6"):
        for at, (path, address) in enumerate(items(notes, f"{where}.{key}", has.get(key))):
            if at == i and text(notes, path, address):
                yield address


def _end(notes: Notes, where: str, node: yaml.Node, levels: Mapping[str, Levels]) -> Tree:
    """``NODE:INTERFACE``, or ``{node:, interface:, mac:, ipv4:, ipv6:, vars:}``."""
    if isinstance(node, yaml.MappingNode):
        has = mapping(notes, where, node)
        end = {ours: has[key] for key, ours in (("node", "node"), ("interface", "port"), ("mac", "mac")) if key in has}
        addresses = [has[key] for key in ("ipv4", "ipv6") if text(notes, f"{where}.{key}", has.get(key))]
        end |= {"ip": listing(addresses, node)} if addresses else {}
        end |= {key: value for key, value in mapping_of(notes, f"{where}.vars", has.get("vars")).items() if key in PORT}
    else:
        name, _, interface = text(notes, where, node).partition(":")
        end = {"node": plain(name, node), "port": plain(interface, node)}
        if not interface and name not in OUTSIDE:
            notes.fault(where, node, f"{name!r} names no interface: write NODE:INTERFACE, such as {name or 'pe1'}:eth1")
    of = levels.get(said(end, "node"))
    if of and said(end, "port") == _MANAGEMENT and of.text("network-mode") != "none":
        notes.fault(where, node, f"{_MANAGEMENT} is Containerlab's own, for management: begin with eth1")
    if of and of.is_vendors and "port" in end:
        end["port"] = plain(linux_name(said(end, "port")), end["port"])
    return end


def _dummy(
    notes: Notes, where: str, has: Tree, nodes: Mapping[str, Tree], levels: Mapping[str, Levels]
) -> None:  # fmt: skip
    """A dummy "link" is an interface of its one node."""
    if "endpoint" not in has:
        return
    end = _end(notes, f"{where}.endpoint", has["endpoint"], levels)
    name, port = said(end, "node"), said(end, "port")
    if name not in nodes:
        notes.fault(where, has["endpoint"], f"there is no node {name!r}; {nearest(name, nodes)}")
        return
    given = mapping(notes, f"nodes.{name}.dummies", nodes[name]["dummies"]) if "dummies" in nodes[name] else {}
    settings = {key: value for key, value in (has | end).items() if key in DUMMY}
    nodes[name]["dummies"] = tree_of(given | {port: tree_of(settings, has["endpoint"])}, has["endpoint"])
