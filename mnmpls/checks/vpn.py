"""Who shares a VPN with whom, read off a completed lab: sites, which of them reach each other, who has an address
there, and how one node calls another. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_interface

from ..errors import CheckFailed
from ..model import NO_IGP, NO_LOOPBACK, STATIC, Lab, Node, Port, Vrf
from ..plan.graph import overlay_ports

END_POINTS = ("ce", "host")
CUSTOMER = ("ce", "host", "bridge")

GLOBAL = Vrf("")
"""What stands for a main table without route targets: there routes decide on who reaches whom."""


@dataclass(frozen=True, slots=True)
class Site:
    """Customer nodes joined without crossing a provider's router, and the (PE, VRF) ports they hang on."""

    nodes: tuple[str, ...]
    attached: tuple[tuple[str, Vrf], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """How ``src`` calls another node: by ``address``, from its VRF device ``vrf`` with the address ``source`` (both
    empty: from its main table, with whatever address its kernel takes)."""

    src: str
    address: str
    vrf: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is: at a site, or in a VRF of its own (device ``vrf``, empty for the main table), with these
    addresses."""

    site: Site
    vrf: str
    addresses: tuple[str, ...]

    def reaches(self, other: Place) -> bool:
        """By VPN, or because both are outside of any."""
        return reach_each_other(self.site, other.site) or _both_outside(self, other)


def reach_each_other(a: Site, b: Site) -> bool:
    """By VPN: the same site; or on the same VRF of one PE; or each imports what the other exports (RFC 4364 4.3.1)."""
    return a == b or any(near == far or _exchange(near, far) for near in a.attached for far in b.attached)


def _exchange(near: tuple[str, Vrf], far: tuple[str, Vrf]) -> bool:
    return _takes(near[1], far[1]) and _takes(far[1], near[1])


def _takes(importer: Vrf, exporter: Vrf) -> bool:
    return not set(importer.imports).isdisjoint(exporter.exports)


def _takes_from(near: Site, far: Site) -> bool:
    return any(_takes(mine, theirs) for _, mine in near.attached for _, theirs in far.attached)


def _main_table(lab: Lab, node: Node) -> Vrf:
    """With its route targets, and with one more where a routing protocol tells main tables of each other."""
    shared = ("the core",) if lab.igp.protocol != STATIC and node.igp.protocol != NO_IGP else ()
    return Vrf("", None, None, node.imports + shared, node.exports + shared)


class Vpns:
    """A lab's sites and VPNs, looked up once for many questions."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.nodes: Mapping[str, Node] = {node.name: node for node in lab.nodes}
        self._links: dict[str, list[tuple[Port, Port]]] = defaultdict(list)
        self._on_lan: dict[str, list[str]] = defaultdict(list)  # by EVPN
        self._overlays = overlay_ports(lab)
        for link in lab.links:
            for near, far in (link.ports, link.ports[::-1]):
                self._links[near.node].append((near, far))
                if far.evpn:
                    self._on_lan[far.evpn].append(near.node)
        self._routed = {evpn.name: evpn.vrf for evpn in lab.evpns if evpn.vrf}
        self._vrfs = {(node.name, vrf.name): vrf for node in lab.nodes for vrf in node.vrfs}
        self._vrfs |= {(node.name, ""): _main_table(lab, node) for node in lab.nodes}
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._owned: dict[str, dict[str, str]] = {}  # by a site's first node
        self._heard: dict[str, dict[str, str]] = {}  # likewise

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """In the order of the lab's nodes."""
        found: list[Site] = []
        seen: set[str] = set()
        for name in self.nodes:
            if self.is_customer(name) and name not in seen:
                joined = self._joined(name)
                seen |= joined
                found.append(Site(tuple(n for n in self.nodes if n in joined), tuple(self._attachments(joined))))
        return tuple(found)

    @cached_property
    def site_of(self) -> dict[str, Site]:
        return {name: site for site in self.sites for name in site.nodes}

    def is_customer(self, name: str) -> bool:
        return self.nodes[name].role in CUSTOMER

    def end_points(self, site: Site) -> tuple[str, ...]:
        return tuple(name for name in site.nodes if self.nodes[name].role in END_POINTS)

    def _joined(self, start: str, stretched: bool = True) -> set[str]:
        """The nodes of its site; without ``stretched`` those of its part of it, before any EVPN."""
        seen, todo = {start}, [start]
        while todo:
            beside = [far for near, far in self._links[todo.pop()] if near not in self._overlays]
            across = (name for far in beside if far.evpn and stretched for name in self._on_lan[far.evpn])
            fresh = {far.node for far in beside if self.is_customer(far.node)}.union(across) - seen
            seen |= fresh
            todo.extend(fresh)
        return seen

    def parts(self, site: Site) -> Iterator[Site]:
        """The pieces that EVPNs join to this site; itself where none does."""
        seen: set[str] = set()
        for name in site.nodes:
            if name not in seen:
                joined = self._joined(name, stretched=False)
                seen |= joined
                yield Site(tuple(each for each in site.nodes if each in joined), site.attached)

    def _attachments(self, names: set[str]) -> Iterator[tuple[str, Vrf]]:
        for name in self.nodes:
            for _, far in self._links[name] if name in names else ():
                routed = self._routed.get(far.evpn or "")
                if routed:
                    yield far.node, self._vrfs.get((far.node, routed), GLOBAL)
                elif not (self.is_customer(far.node) or far.evpn):
                    yield far.node, self._vrf(far)

    def _vrf(self, port: Port) -> Vrf:
        return self._vrfs.get((port.node, port.vrf or ""), GLOBAL)

    def beside(self, site: Site) -> Iterator[Site]:
        """The other sites that it reaches."""
        return (far for far in self.sites if far != site and reach_each_other(site, far))

    def together(self, a: str, b: str) -> bool:
        """Are two end points in one VPN?"""
        return reach_each_other(self.site_of[a], self.site_of[b])

    def joined_by_targets(self, a: str, b: str) -> bool:
        """Whether no configuration of the user's own decides if two end points reach each other, but route targets."""
        near, far = self.site_of[a], self.site_of[b]
        if near == far:
            return not any(self.nodes[name].routes_itself for name in near.nodes)
        return not (self._is_open(near) or self._is_open(far))

    def _is_open(self, site: Site) -> bool:
        return any(self.nodes[pe].routes_itself and not vrf.imports + vrf.exports for pe, vrf in site.attached)

    def owner(self, src: str, text: str) -> str | None:
        """The end point that has this address for ``src``: itself, one of its site, or one of a site that it
        reaches."""
        if text in self.addresses(src):
            return src
        first = self.site_of[src].nodes[0]
        if first not in self._owned:
            self._owned[first] = self._owners(self.site_of[src])
        return self._owned[first].get(text)

    def _owners(self, site: Site) -> dict[str, str]:
        """Nearest first."""
        found: dict[str, str] = {}
        for one in (site, *self.beside(site)):
            for name in self.end_points(one):
                for address in self.addresses(name):
                    found.setdefault(address, name)
        return found

    def one_way(self, src: str, text: str) -> str | None:
        """The end point with this address whose site ``src`` has a route to and that has none to src."""
        site = self.site_of[src]
        if site.nodes[0] not in self._heard:
            far = (far for far in self.sites if _takes_from(site, far) and not reach_each_other(site, far))
            ends = (name for one in far for name in self.end_points(one))
            self._heard[site.nodes[0]] = {address: name for name in ends for address in self.addresses(name)}
        return self._heard[site.nodes[0]].get(text)

    @cached_property
    def between(self) -> frozenset[str]:
        """Hosts with several links: what is on one of them gets to another only by a node that forwards."""
        hosts = (name for name, node in self.nodes.items() if node.role == "host")
        return frozenset(name for name in hosts if len(self._links[name]) > 1)

    def addresses(self, name: str) -> tuple[str, ...]:
        """A node's addresses without prefix lengths; those of ports towards its own site come before a CE's link to
        its PE, since that is the address which its customer uses for it, and before tunnels, which its VPN does not
        know."""
        if name not in self._addresses:
            ports = sorted(self._links[name], key=lambda k: (k[0] in self._overlays, not self._is_own(k[1])))
            self._addresses[name] = _plain(self.nodes[name].loopbacks, [near for near, _ in ports])
        return self._addresses[name]

    def _is_own(self, far: Port) -> bool:
        return self.is_customer(far.node) or far.evpn is not None

    def address(self, name: str, version: int = 4) -> str | None:
        """The address by which checks call an end point, or None if it has none of this IP version."""
        return of_version(self.addresses(name), version)

    def call(self, src: str, dst: str, version: int | None = None, vrf: str | None = None) -> Call:
        """How ``src`` is to call ``dst``, a node's name or an address; from its VRF ``vrf`` if that is given. A
        provider's edge is in several places at once: it calls, and is called, outside all VRFs where both ends are
        there, else in the VRF to which the other end is attached or which reaches it. Raises CheckFailed for nodes
        without an address, ValueError for a dst that is neither."""
        if dst not in self.nodes:
            return Call(src, str(ip_address(dst)))
        versions = (4, 6) if version is None else (version,)
        for mine, theirs in self._meetings(src, dst) if src != dst else ():
            for one in versions if vrf in (None, mine.vrf) else ():
                source, target = of_version(mine.addresses, one), of_version(theirs.addresses, one)
                if source and target:
                    return Call(src, target, mine.vrf, source if mine.vrf else "")
        if found := next(filter(None, (self.address(dst, one) for one in versions)), None):
            return Call(src, found)
        which = f"IPv{version} address" if version else "address"
        raise CheckFailed(f"node {dst} has no {which}, so nothing can be sent to it")

    def _meetings(self, src: str, dst: str) -> list[tuple[Place, Place]]:
        """Places of both that reach each other; those attached to one and the same VRF first."""
        both = ((mine, theirs) for mine in self.places(src) for theirs in self.places(dst))
        met = [pair for pair in both if pair[0].reaches(pair[1])]
        return sorted(met, key=lambda pair: set(pair[0].site.attached).isdisjoint(pair[1].site.attached))

    def places(self, name: str) -> list[Place]:
        """Where a node is: outside all VRFs first."""
        if self.is_customer(name):
            return [Place(self.site_of[name], "", self.addresses(name))]
        found = []
        for vrf in (self._vrfs[name, ""], *self.nodes[name].vrfs):
            loopbacks = vrf.loopbacks if vrf.name else self.nodes[name].loopbacks
            ports = [near for near, _ in self._links[name] if self._vrf(near) == vrf]
            found.append(Place(Site((), ((name, vrf),)), vrf.name, _plain(loopbacks, ports)))
        return found


def _both_outside(a: Place, b: Place) -> bool:
    return all(any(not vrf.name for _, vrf in place.site.attached) for place in (a, b))


def _plain(loopbacks: tuple[str, ...], ports: list[Port]) -> tuple[str, ...]:
    cidrs = [cidr for cidr in loopbacks if cidr != NO_LOOPBACK]
    cidrs += [cidr for port in ports for cidr in port.addresses or ()]
    return tuple(str(address.ip) for address in map(ip_interface, cidrs) if not address.is_link_local)


def of_version(texts: tuple[str, ...], version: int) -> str | None:
    return next((text for text in texts if (":" in text) == (version == 6)), None)
