"""What can be wrong with nodes and their VRFs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from ..errors import nearest
from ..model import NO_LOOPBACK, ROLES, Lab, Node, Vrf
from .alloc import RESERVED_TABLES
from .check_labels import range_fault
from .check_routes import has, may_reach, route_faults
from .check_rules import rule_faults
from .graph import Network
from .names import NAME_BYTES
from .spelling import HOSTNAME_BYTES, cidr, is_address, name_fault, pair_fault

Fault = tuple[str, str]


def node_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of every node by itself."""
    seen: set[str] = set()
    foreign = {each.node for each in lab.foreign}
    for node in lab.nodes:
        where = f"nodes.{node.name}"
        if node.name in seen:
            yield where, f"there are two nodes called {node.name}: rename one"
        seen.add(node.name)
        if fault := name_fault(node.name, "node", HOSTNAME_BYTES if node.name in foreign else NAME_BYTES):
            yield where, fault
        if node.role not in ROLES:
            yield f"{where}.role", f"there is no role {node.role!r}; {nearest(node.role, ROLES)}"
        yield from _loopback_faults(node, where)
        yield from _gateway_faults(net, node, where)
        yield from _vrf_faults(node, where)
        for key, _ in node.sysctls:
            if "/" in key:
                yield f"{where}.sysctls.{key}", f"write {key!r} with dots, such as net.ipv4.ip_forward"
            elif not key.startswith("net."):
                text = f"{key} is a setting of the whole machine; a node has its own only of those that begin with net."
                yield f"{where}.sysctls.{key}", text
        yield from route_faults(lab, net, node, where)
        yield from rule_faults(net, node, where)
        if node.label_range and (fault := range_fault(lab, node)):
            yield f"{where}.label_range", fault
        for i, line in enumerate(node.exec):
            if fault := _command_fault(line):
                yield f"{where}.exec[{i}]", fault


def _loopback_faults(node: Node, where: str) -> Iterator[Fault]:
    for loopback in node.loopbacks:
        if loopback == NO_LOOPBACK:
            continue
        if cidr(loopback) is None:
            text = f"{loopback!r} is not an address, such as 10.0.0.1/32"
            yield f"{where}.loopback", f"{text}; for no loopback write {NO_LOOPBACK}"
        elif fault := _subnet_fault(node, loopback):
            yield f"{where}.loopback", fault


def _subnet_fault(node: Node, loopback: str) -> str:
    """A configuration of the user's own may have what it likes there."""
    address = cidr(loopback)
    if address is None or address.network.prefixlen == address.max_prefixlen or node.routes_itself:
        return ""
    text = f"a loopback is a single address, and {loopback} is a subnet"
    return f"{text}: write {address.ip}/{address.max_prefixlen}"


def _gateway_faults(net: Network, node: Node, where: str) -> Iterator[Fault]:
    if node.gateway in ("", NO_LOOPBACK):
        return
    if node.role not in ("ce", "host"):
        text = f"only a ce or a host has a gateway, and {node.name} is a {node.role}"
        yield f"{where}.gateway", f"{text}: give a router routes, such as {{dst: default, via: ADDRESS}}"
    elif not is_address(node.gateway):
        yield f"{where}.gateway", f"{node.gateway!r} is not an address; for no default route write {NO_LOOPBACK}"
    elif not may_reach(net, node, node.gateway):
        yield f"{where}.gateway", f"the gateway {node.gateway} is in no subnet of {node.name}'s ports{has(net, node)}"


def _vrf_faults(node: Node, where: str) -> Iterator[Fault]:
    if node.vrfs and node.role != "pe":
        text = f"only a pe has VRFs, and {node.name} is a {node.role}: give it the role pe, or take its vrfs out"
        yield f"{where}.vrfs", text
    tables: dict[int, str] = {}
    names: set[str] = set()
    for vrf in node.vrfs:
        path = f"{where}.vrfs.{vrf.name}"
        if fault := name_fault(vrf.name, "VRF"):
            yield path, fault
        if vrf.name in names:
            yield path, f"{node.name} has two VRFs called {vrf.name}: rename one"
        names.add(vrf.name)
        if vrf.table is not None:
            yield from _table_faults(vrf.table, f"{path}.table", tables)
            tables.setdefault(vrf.table, vrf.name)
        if vrf.rd and (fault := pair_fault(vrf.rd, "route distinguisher")):
            yield f"{path}.rd", fault
        yield from _target_faults(vrf, path)
        for loopback in vrf.loopbacks:
            yield from ((f"{path}.loopback", fault) for fault in _vrf_loopback_faults(node, loopback))
    if (node.imports or node.exports) and node.role != "pe":
        text = f"only a pe has VRFs for its main table to exchange routes with, and {node.name} is a {node.role}"
        yield f"{where}.main", f"{text}: give it the role pe, or take its main out"
    yield from _target_faults(node, f"{where}.main")


def _vrf_loopback_faults(node: Node, loopback: str) -> Iterator[str]:
    address = cidr(loopback)
    if address is None:
        yield f"{loopback!r} is not an address, such as 10.0.0.1/32; for none leave loopback out"
    elif address.ip.is_loopback:
        text = f"{address.ip} is lo's, whose addresses the kernel looks for before it looks into any VRF"
        yield f"{text}: give the VRF another"
    elif fault := _subnet_fault(node, loopback):
        yield fault


def _table_faults(table: int, path: str, taken: dict[int, str]) -> Iterator[Fault]:
    if not 0 <= table < 2**32:
        yield path, f"{table} is not the number of a table: give 1 to {2**32 - 1}, or leave it out"
    elif table in RESERVED_TABLES:
        yield path, f"table {table} is the kernel's own: give another, such as 10, or leave it out"
    elif table in taken:
        yield path, f"table {table} is VRF {taken[table]}'s already: the two would share all routes; give another"


def _target_faults(has: Vrf | Node, path: str) -> Iterator[Fault]:
    for target in dict.fromkeys(has.imports + has.exports):
        if fault := pair_fault(target, "route target"):
            yield f"{path}.rt", fault


SHELL_WORDS = frozenset({"|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1", "&>"})


def _command_fault(line: str) -> str:
    """What is wrong with a command line that is split as a shell would, but seen by none."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        return f"{line!r} is no command line: {error.args[0][:1].lower()}{error.args[0][1:]}; close what it opens"
    if not words or not re.sub("[\n\t]", " ", line).isprintable():
        return f"{line!r} is no command line: give a program and its arguments, in printable characters"
    for word in words:
        if word in SHELL_WORDS:
            return f"no shell reads {line!r}, so that {word} would be an argument: write sh -c '...' if you want one"
    return ""
