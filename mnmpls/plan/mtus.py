"""MTUs that the user left open: a wire's with room for labels, and a tunnel's from what carries it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ..errors import LabError, Problem
from ..model import BY_EVPN, DEFAULT_MTU_BYTES, NO_LOOPBACK, STATIC, Lab, Link, Port
from .check_links import LEAST_MTU_BYTES, link_text
from .evpn import HEADERS_BYTES, LABEL_BYTES, beneath_bytes, carried, left_bytes
from .graph import CUSTOMERS, Edge, Network, interface, interfaces, joined_switches, network, search, switch_of
from .routes import destination
from .tunnels import fits_bytes, is_fatal


def sized(lab: Lab, widest_bytes: int) -> Lab:
    """``lab`` (its tunnels underlaid) with an MTU on every port. Wires that labels travel by have room for them, so
    that what a customer's own wire takes gets through; where the widest is too narrow for that, all others are less."""
    in_vxlan = bool(lab.evpns) or any(carried(lab, node) for node in lab.nodes)
    room = max(LABEL_BYTES * most_labels(lab), HEADERS_BYTES + beneath_bytes(lab) if in_vxlan else 0)
    core = _core_ports(lab, network(lab)) if room else frozenset()
    lans, usual = _lan_ports(lab), min(DEFAULT_MTU_BYTES, widest_bytes - room)

    def wire(port: Port) -> Port:
        if port.mtu_bytes is not None or (port.node, port.name) in lans:
            return port
        return replace(port, mtu_bytes=usual + (room if (port.node, port.name) in core else 0))

    links = tuple(k.between(wire(k.a), wire(k.b)) if k.is_wire else k for k in lab.links)
    if lab.evpns:
        lab = _with_sizes(lab, replace(lab, links=_with_tunnels(lab, links)))
        links = _with_lans(lab, links, lans, usual)
    return replace(lab, links=_with_tunnels(lab, links) if lab.has_tunnels else links)


def _with_tunnels(lab: Lab, links: tuple[Link, ...]) -> tuple[Link, ...]:
    """``links``, whose wires have MTUs, with those of the tunnels."""
    sizes = _Sizes(lab, network(replace(lab, links=links)))
    links = tuple(link if link.is_wire else sizes.of(link) for link in links)
    faults = {f"links[{i}]": text for i, link in enumerate(links) if (text := sizes.fault(link))}
    if faults:
        raise LabError(Problem(path, text, lab.place(path)) for path, text in faults.items())
    return links


def _with_sizes(lab: Lab, sized: Lab) -> Lab:
    """``lab`` with what the core leaves for each EVPN's packets."""
    left = left_bytes(lab, network(sized))
    evpns = (each if each.mtu_bytes is not None else replace(each, mtu_bytes=left) for each in lab.evpns)
    return replace(lab, evpns=tuple(evpns))


def _lan_ports(lab: Lab) -> Mapping[tuple[str, str], str]:
    """The ports of stretched LANs, and of the bridges there, each with its EVPN."""
    nodes = {node.name: node for node in lab.nodes}
    first = joined_switches(lab, nodes) if lab.evpns else {}
    evpn_of = {first[f"evpn {evpn.name}"]: evpn.name for evpn in lab.evpns if f"evpn {evpn.name}" in first}
    found: dict[tuple[str, str], str] = {}
    for link in lab.links if evpn_of else ():
        lan = next((first[name] for port in link.ports if (name := switch_of(nodes, port))), "")
        if lan in evpn_of:
            found |= {(port.node, port.name): evpn_of[lan] for port in link.ports}
    return found


def _with_lans(
    lab: Lab, links: tuple[Link, ...], lans: Mapping[tuple[str, str], str], usual: int
) -> tuple[Link, ...]:
    """A LAN's open ports are no larger than what gets through the core, of which nobody tells hosts on a LAN."""
    sizes = {evpn.name: min(evpn.mtu_bytes or usual, usual) for evpn in lab.evpns}

    def fitting(port: Port) -> Port:
        evpn = lans.get((port.node, port.name))
        return replace(port, mtu_bytes=sizes[evpn]) if evpn and port.mtu_bytes is None else port

    return tuple(link.between(fitting(link.a), fitting(link.b)) if link.is_wire else link for link in links)


def _core_ports(lab: Lab, net: Network) -> frozenset[tuple[str, str]]:
    """Where labels travel: routers' ports, and those of the bridges between them."""
    found = {(port.node, port.name) for ports in net.ports.values() for port in ports if net.is_core(port)}
    bridged = [link for link in lab.links if any(net.role(port.node) == "bridge" for port in link.ports)]
    while True:
        bridges = {node for node, _ in found if net.role(node) == "bridge"}
        more = {
            (port.node, port.name)
            for link in bridged
            if any((port.node, port.name) in found for port in link.ports) or bridges & {p.node for p in link.ports}
            for port in link.ports
            if net.role(port.node) == "bridge"
        }
        if more <= found:
            return frozenset(found)
        found |= more


def most_labels(lab: Lab) -> int:
    """The deepest stack that the lab may put on a packet: that of its VPNs (one label for the VRF, one for the way, or
    the only one of a path into a VRF), and what static routes push."""
    own = [len(route.labels) for node in lab.nodes for route in node.routes if route.label is None]
    grown = [len(route.labels) - 1 for node in lab.nodes for route in node.routes if route.label is not None]
    paths = 1 if lab.lsps or lab.labels.protocol != STATIC else 0
    return max([_vpn_labels(lab), paths, *own]) + max([0, *grown])


def _vpn_labels(lab: Lab) -> int:
    if lab.vpn.protocol == BY_EVPN:
        return 0
    pinned = {(*lsp.ends, lsp.vrf) for lsp in lab.lsps if lsp.vrf}
    importers: dict[str, set[str]] = {}
    for node in lab.nodes:
        for target in {target for vrf in node.vrfs for target in vrf.imports}:
            importers.setdefault(target, set()).add(node.name)
    deepest = 0
    for node in lab.nodes:
        for vrf in node.vrfs:
            others = {name for target in vrf.exports for name in importers.get(target, ())} - {node.name}
            if any((name, node.name, vrf.name) not in pinned for name in others):
                return 2
            deepest = max(deepest, bool(others))
    return deepest


def _fatal(link: Link, fits: int) -> str:
    text = "Linux 6.1 ends in a panic over a packet of VXLAN over IPv6 that ESP in tunnel mode makes too large"
    return f"{link_text(link)}: {text}: leave mtu out, or give {fits} at most"


class _Sizes:
    """Tunnels' MTUs, those beneath first."""

    def __init__(self, lab: Lab, net: Network) -> None:
        self._lab, self._net = lab, net
        self._known: dict[Link, Link] = {}
        self._beside = _wired(net)

    def of(self, link: Link) -> Link:
        if link.is_wire:
            return link
        if link not in self._known:
            self._known[link] = link  # one that runs through itself ends here; checking has told
            fits = fits_bytes(link, self._carried(link))
            a, b = (port if port.mtu_bytes is not None else replace(port, mtu_bytes=fits) for port in link.ports)
            self._known[link] = link.between(a, b)
        return self._known[link]

    def fault(self, link: Link) -> str:
        """What is wrong with a tunnel that has too little left, or too much for its kernel; empty for nothing."""
        mtus = [port.mtu_bytes or 0 for port in link.ports]
        if link.is_wire or (min(mtus) >= LEAST_MTU_BYTES and not is_fatal(link)):
            return ""
        carried = self._carried(link)
        fits = fits_bytes(link, carried)
        if min(mtus) >= LEAST_MTU_BYTES:
            return _fatal(link, fits) if max(mtus) > fits else ""
        headers, left = carried - fits, f"leave {fits}" if fits > 0 else "leave nothing"
        text = f"what it runs over carries IP packets of {carried} bytes, and this tunnel's headers of {headers} {left}"
        return f"{link_text(link)}: {text}: give what it runs over a greater MTU"

    def _carried(self, link: Link) -> int:
        """The largest IP packet between the two addresses."""
        both = [self._owners(address) for address in link.over]
        ports = {(port.node, port.name): port for owners in both for port in owners}
        near = next((p for p in both[0] if any(self._together(p, q) for q in both[1])), None)
        if near is not None:
            whole = self.of(self._net.links[near.node, near.name])
            ends = [port for port in whole.ports if (port.node, port.name) in ports] or list(whole.ports)
            return min(port.mtu_bytes or DEFAULT_MTU_BYTES for port in ends)
        room = LABEL_BYTES * self._labels(link)
        return min(self._on_the_way(link.a.node, link.b.node, room), default=DEFAULT_MTU_BYTES)

    def _labels(self, link: Link) -> int:
        """The most that a core puts before a tunnel's own packets: those of the VPN that carries it, or of what leads
        to its addresses."""
        roles = {self._net.role(port.node) for port in link.ports}
        return max(_vpn_labels(self._lab) if roles <= CUSTOMERS else 0, *map(self._pushed, link.over))

    def _pushed(self, address: str) -> int:
        def leads(prefixes: Iterable[str]) -> bool:
            return any(interface(address).ip in interface(prefix).network for prefix in prefixes)

        given = (route for node in self._lab.nodes for route in node.routes if route.labels and route.dst)
        by_routes = (len(route.labels) for route in given if leads([destination(route)]))
        fecs = (lsp.fec or self._net.nodes[lsp.ends[1]].loopbacks for lsp in self._lab.lsps if not lsp.vrf)
        by_daemons = self._lab.labels.protocol != STATIC
        return max(by_daemons, *by_routes, any(leads(p for p in fec if p != NO_LOOPBACK) for fec in fecs))

    def _owners(self, address: str) -> list[Port]:
        found = (port for ports in self._net.ports.values() for port in ports)
        return [port for port in found if any(str(each.ip) == address for each in interfaces(port))]

    def _together(self, one: Port, other: Port) -> bool:
        where = self._net.segment_of
        return where[one.node, one.name] == where[other.node, other.name]

    def _on_the_way(self, start: str, end: str, room: int) -> Iterator[int]:
        """What every port on a shortest way over wires takes, with ``room`` for labels in the core."""
        edges, todo, seen = search(self._beside, [end]), [start], {start}
        for node in todo:
            for mine, theirs in edges.get(node, ()):
                whole = min(port.mtu_bytes or DEFAULT_MTU_BYTES for port in (mine, theirs))
                yield whole - (room if self._net.is_core(mine) else 0)
                if theirs.node not in seen:
                    seen.add(theirs.node)
                    todo.append(theirs.node)


def _wired(net: Network) -> Mapping[str, tuple[Edge, ...]]:
    """Every neighbour by wire, of whatever role."""
    found: dict[str, list[Edge]] = {}
    for segment in net.segments:
        for mine in segment.ports:
            if net.links[mine.node, mine.name].is_wire:
                others = [other for other in segment.ports if other.node != mine.node]
                found.setdefault(mine.node, []).extend((mine, other) for other in others)
    return {name: tuple(edges) for name, edges in found.items()}
