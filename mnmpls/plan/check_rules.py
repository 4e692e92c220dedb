"""What can be wrong with a node's policy routing: its rules, and the tables that they lead to."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import nearest
from ..model import Node, PolicyRule
from .alloc import RESERVED_TABLES
from .graph import Network
from .spelling import cidr

Fault = tuple[str, str]

FIRST, LAST = 1001, 32765
"""Behind the VRFs' own rule, and before the main table's (net/core/fib_rules.c, drivers/net/vrf.c)."""


def rule_faults(net: Network, node: Node, where: str) -> Iterator[Fault]:
    """Every fault of every rule of ``node``, and routes in tables to which none leads."""
    seen = set[int]()
    routed = {route.table for route in node.routes if route.table is not None}
    for i, rule in enumerate(node.rules):
        path = f"{where}.rules[{i}]"
        if not FIRST <= rule.priority <= LAST:
            text = f"{rule.priority} is not between the VRFs' rule, 1000, and the main table's, 32766"
            yield f"{path}.priority", f"{text}: give {FIRST} to {LAST}"
        elif rule.priority in seen:
            yield f"{path}.priority", f"{node.name} has a rule of priority {rule.priority} already: give another"
        seen.add(rule.priority)
        if rule.table not in routed:
            text = f"{node.name} has no route in table {rule.table}"
            yield f"{path}.table", f"{text}: add {{dst: default, via: ADDRESS, table: {rule.table}}} to its routes"
        yield from _selector_faults(net, node, rule, path)
    taken = {vrf.table: vrf.name for vrf in node.vrfs if vrf.table is not None}
    for i, route in enumerate(node.routes):
        if route.table is not None:
            for fault in _table_faults(node, route.table, route.vrf, taken):
                yield f"{where}.routes[{i}].table", fault


def _selector_faults(net: Network, node: Node, rule: PolicyRule, path: str) -> Iterator[Fault]:
    if not rule.src and not rule.iif and rule.fwmark is None:
        yield path, "which packets does it mean? Give from (a prefix), iif (a port) or fwmark (a number)"
    subnet = cidr(rule.src) if rule.src else None
    if rule.src and subnet is None:
        yield f"{path}.from", f"{rule.src!r} is not a prefix, such as 10.1.0.0/16"
    elif subnet and (subnet.ip != subnet.network.network_address or subnet.network.prefixlen == 0):
        what = "is every source" if subnet.network.prefixlen == 0 else f"is an address inside {subnet.network}"
        yield f"{path}.from", f"{rule.src} {what}: write a prefix that some have and others have not"
    ports = [port.name for port in net.ports.get(node.name, ())]
    if rule.iif and rule.iif not in ports and all(ports):
        yield f"{path}.iif", f"{node.name} has no port {rule.iif!r}; {nearest(rule.iif, ports)}"
    if rule.fwmark is not None and not 0 <= rule.fwmark < 2**32:
        yield f"{path}.fwmark", f"{rule.fwmark} is no mark: give 0 to {2**32 - 1}"


def _table_faults(node: Node, table: int, vrf: str | None, taken: dict[int, str]) -> Iterator[str]:
    if vrf is not None:
        yield f"a route is in a VRF or in a table of its own: take vrf {vrf} or table {table} out"
    if not 0 < table < 2**32 or table in RESERVED_TABLES:
        yield f"table {table} cannot be had: give 1 to {2**32 - 1}, but not 253 to 255, which are the kernel's own"
    elif table in taken:
        yield f"table {table} is that of VRF {taken[table]}: write vrf: {taken[table]} instead"
    elif all(rule.table != table for rule in node.rules):
        yield f"nothing is ever looked up in table {table}: {node.name} has no rule that leads there"
