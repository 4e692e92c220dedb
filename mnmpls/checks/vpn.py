"""Who shares a VPN with whom, read off a completed lab: sites, and which of them reach each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

from ..errors import CheckFailed
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
    return _of_version(addresses(lab, node), version)


def owners(lab: Lab) -> dict[tuple[str, str], str]:
    """{(asking end point, address): the end point of its VPN that has the address}."""
    have = {name: addresses(lab, name) for name in vpns(lab)}
    found: dict[tuple[str, str], str] = {}
    for src, seen in vpns(lab).items():
        for name in seen:
            for text in have[name]:
                found.setdefault((src, text), name)
    return found


@dataclass(frozen=True, slots=True)
class Call:
    """How ``src`` calls another node: by ``address``, from its VRF device ``vrf`` with the address ``source`` (both
    empty: from its main table, with whatever address its kernel takes)."""

    src: str
    address: str
    vrf: str = ""
    source: str = ""


def call(lab: Lab, src: str, dst: str, version: int | None = None) -> Call:
    """How ``src`` is to call ``dst``, a node's name or an address. A provider's edge is in several places at once: it
    calls, and is called, outside all VRFs where both ends are there, else in the VRF to which the other end is
    attached or which reaches it. Raises CheckFailed for nodes without an address, ValueError for a dst that is
    neither."""
    if not any(node.name == dst for node in lab.nodes):
        return Call(src, str(ip_address(dst)))
    if src == dst:
        return Call(src, _any_address(lab, dst, version))
    met = [(mine, theirs) for mine in _places(lab, src) for theirs in _places(lab, dst) if mine.reaches(theirs)]
    for mine, theirs in sorted(met, key=lambda both: not set(both[0].site.attached) & set(both[1].site.attached)):
        for one in (4, 6) if version is None else (version,):
            source, target = (_of_version(place.addresses, one) for place in (mine, theirs))
            if source and target:
                return Call(src, target, mine.vrf, source if mine.vrf else "")
    return Call(src, _any_address(lab, dst, version))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node is: in these VRFs (device ``vrf`` of its own, if it is a PE), with these addresses."""

    site: Site
    vrf: str
    addresses: tuple[str, ...]

    def reaches(self, other: _Place) -> bool:
        return reach_each_other(self.site, other.site)


def _places(lab: Lab, name: str) -> Iterator[_Place]:
    """Outside all VRFs first."""
    node = lab.node(name)
    if node.role in CUSTOMER:
        site = next(site for site in sites(lab) if name in site.nodes)
        yield _Place(site, "", addresses(lab, name))
        return
    for vrf in (_GLOBAL, *node.vrfs):
        cidrs = [cidr for cidr in node.loopbacks if cidr != NO_LOOPBACK and vrf == _GLOBAL]
        cidrs += [cidr for port in lab.ports(name) if _vrf(lab, port) == vrf for cidr in port.addresses or ()]
        yield _Place(Site((), ((name, vrf),)), vrf.name, tuple(str(ip_interface(cidr).ip) for cidr in cidrs))


def _of_version(texts: tuple[str, ...], version: int) -> str | None:
    return next((text for text in texts if ip_address(text).version == version), None)


def _any_address(lab: Lab, name: str, version: int | None) -> str:
    for one in (4, 6) if version is None else (version,):
        if found := address(lab, name, one):
            return found
    which = f"IPv{version} address" if version else "address"
    raise CheckFailed(f"node {name} has no {which}, so nothing can be sent to it")
