"""Tables, route distinguishers and route targets of VRFs that the user left open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

from ..model import Lab, Node, Vrf
from . import alloc


def identified(lab: Lab) -> Lab:
    """``lab`` with table, RD and RTs on every VRF. VRFs of one name are one VPN and share what is planned. Targets
    are open only when neither imports nor exports are given: a VRF that only imports is a wish of its own. What RD and
    targets a node with its own configuration has, that says."""
    targets = _targets(lab)
    used = {vrf.rd for node in lab.nodes for vrf in node.vrfs if vrf.rd}
    used |= _all_targets(lab) | {rt for imports, exports in targets.values() for rt in (*imports, *exports)}
    numbers = _free_pairs(lab, used)
    return replace(lab, nodes=tuple(_completed(node, targets, numbers) for node in lab.nodes))


def _all_targets(lab: Lab) -> set[str]:
    return {rt for node in lab.nodes for has in node.tables for rt in has.imports + has.exports}


def _free_pairs(lab: Lab, used: set[str]) -> Iterator[str]:
    asn = lab.vpn.asn or alloc.ASN
    return (pair for pair in (f"{asn}:{number}" for number in count(1)) if pair not in used)


def _targets(lab: Lab) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """VRF name -> (imports, exports): those given to a VRF of that name first, else a target of its own."""
    vrfs = [vrf for node in lab.nodes if not node.routes_itself for vrf in node.vrfs]
    rds = {vrf.rd for vrf in vrfs if vrf.rd}
    found = {vrf.name: (vrf.imports, vrf.exports) for vrf in reversed(vrfs) if vrf.imports or vrf.exports}
    numbers = _free_pairs(lab, _all_targets(lab) | rds)
    for vrf in vrfs:
        if vrf.name not in found:
            planned = (next(numbers),)
            found[vrf.name] = planned, planned
    return found


def _completed(node: Node, targets: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]], rds: Iterator[str]) -> Node:
    if not node.vrfs:
        return node
    tables = alloc.free(alloc.TABLES, _taken(node))
    used = {vrf.rd for vrf in node.vrfs if vrf.rd}
    done: list[Vrf] = []
    for vrf in node.vrfs:
        table = vrf.table if vrf.table is not None else next(tables)
        if node.routes_itself:
            done.append(replace(vrf, table=table))
            continue
        imports, exports = (vrf.imports, vrf.exports) if vrf.imports or vrf.exports else targets[vrf.name]
        rd = vrf.rd or next((rt for rt in exports if rt not in used), "") or next(rds)
        used.add(rd)
        done.append(replace(vrf, table=table, rd=rd, imports=imports, exports=exports))
    return replace(node, vrfs=tuple(done))


def _taken(node: Node) -> set[int]:
    """Tables: given ones, those that rules lead to, the kernel's own."""
    rules = {rule.table for rule in node.rules}
    return {vrf.table for vrf in node.vrfs if vrf.table} | rules | alloc.RESERVED_TABLES


def vpn_of(lab: Lab) -> dict[str, str]:
    """Route target -> a name for its VPN: targets that any VRF or main table mentions together belong to one VPN,
    within which addresses are unique."""
    leader: dict[str, str] = {}

    def find(target: str) -> str:
        while leader.setdefault(target, target) != target:
            leader[target] = leader[leader[target]]
            target = leader[target]
        return target

    for node in lab.nodes:
        for has in node.tables:
            mentioned = has.imports + has.exports
            for target in mentioned:
                leader[find(target)] = find(mentioned[0])
    return {target: find(target) for target in list(leader)}
