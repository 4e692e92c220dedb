"""Who shares a VPN with whom, read off a completed lab: sites, and which of them reach each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

from ..model import NO_LOOPBACK, Lab, Port, Vrf

END_POINTS = ("ce", "host")
CUSTOMER = ("ce", "host", "bridge")

_GLOBAL = Vrf("", imports=("global",), exports=("global",))
"""What stands for the main table: a site on a port without a VRF reaches all such sites."""


@dataclass(frozen=True, slots=True)
class Site:
    """Customer nodes joined without crossing a provider's router, and the (PE, VRF) ports they hang on."""

    nodes: tuple[str, ...]
    attached: tuple[tuple[str, Vrf], ...]


def sites(lab: Lab) -> tuple[Site, ...]:
    """The lab's sites in the order of its nodes."""
    customer = {node.name for node in lab.nodes if node.role in CUSTOMER}
    found: list[Site] = []
    for node in lab.nodes:
        if node.name in customer and not any(node.name in site.nodes for site in found):
            nodes = _joined(lab, node.name, customer)
            found.append(Site(tuple(n.name for n in lab.nodes if n.name in nodes), tuple(_attachments(lab, nodes))))
    return tuple(found)


def _joined(lab: Lab, start: str, customer: set[str]) -> set[str]:
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for link in lab.links:
            ends = {link.a.node, link.b.node}
            fresh = (ends & customer) - seen if here in ends else set()
            seen |= fresh
            todo.extend(fresh)
    return seen


def _attachments(lab: Lab, nodes: set[str]) -> Iterator[tuple[str, Vrf]]:
    for link in lab.links:
        for near, far in (link.ports, link.ports[::-1]):
            if near.node in nodes and lab.node(far.node).role not in CUSTOMER:
                yield far.node, _vrf(lab, far)


def _vrf(lab: Lab, port: Port) -> Vrf:
    return next((vrf for vrf in lab.node(port.node).vrfs if vrf.name == port.vrf), _GLOBAL)


def reach_each_other(a: Site, b: Site) -> bool:
    """Same site; or on the same VRF of one PE; or each imports what the other exports (RFC 4364 4.3.1)."""
    pairs = [(near, far) for near in a.attached for far in b.attached]
    return a == b or any(near == far or (_takes(near[1], far[1]) and _takes(far[1], near[1])) for near, far in pairs)


def _takes(importer: Vrf, exporter: Vrf) -> bool:
    return bool(set(importer.imports) & set(exporter.exports))


def vpns(lab: Lab) -> dict[str, tuple[str, ...]]:
    """For each end point the end points of its own VPN, nearest first: itself, its site, then the other sites."""
    all_sites = sites(lab)
    ends = {node.name for node in lab.nodes if node.role in END_POINTS}
    found = {}
    for site in all_sites:
        others = [n for far in all_sites if far != site and reach_each_other(site, far) for n in far.nodes]
        for name in site.nodes:
            near = [name, *(n for n in site.nodes if n != name), *others]
            found[name] = tuple(n for n in near if n in ends)
    return {name: found[name] for name in found if name in ends}


def addresses(lab: Lab, node: str) -> tuple[str, ...]:
    """A node's addresses without prefix lengths; those of ports towards its own site come before a CE's link to
    its PE, since that is the address which its customer uses for it."""
    ports = sorted(lab.ports(node), key=lambda port: lab.node(lab.peer(port).node).role not in CUSTOMER)
    cidrs = [cidr for cidr in lab.node(node).loopbacks if cidr != NO_LOOPBACK]
    cidrs += [cidr for port in ports for cidr in port.addresses or ()]
    return tuple(str(ip_interface(cidr).ip) for cidr in cidrs)


def address(lab: Lab, node: str, version: int = 4) -> str | None:
    """The address by which checks call a node, or None if it has none of this IP version."""
    return next((text for text in addresses(lab, node) if ip_address(text).version == version), None)


def owners(lab: Lab) -> dict[tuple[str, str], str]:
    """{(asking end point, address): the end point of its VPN that has the address}."""
    have = {name: addresses(lab, name) for name in vpns(lab)}
    found: dict[tuple[str, str], str] = {}
    for src, seen in vpns(lab).items():
        for name in seen:
            for text in have[name]:
                found.setdefault((src, text), name)
    return found
