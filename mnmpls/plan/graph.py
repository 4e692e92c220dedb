"""The lab as a graph: who hears whom, the core that carries labels, the customers' sites. Pure look-up tables,
built once per plan, so that everything after them is linear in what it yields."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from ..model import DUMMY, LABELS_ONLY, Lab, Link, Node, Port, Vrf

_NONE = frozenset[int]()

ROUTERS = frozenset({"p", "pe"})
CUSTOMERS = frozenset({"ce", "host"})

_PLAIN = re.compile("[0-9.]+|[0-9A-Fa-f:]+")
_CIDR = re.compile(f"({_PLAIN.pattern})(?:/([0-9]{{1,3}}))?")

Interface = IPv4Interface | IPv6Interface
Edge = tuple[Port, Port]
"""A way to a neighbour: the port one leaves by, the neighbour's port."""
Edges = Mapping[str, tuple[Edge, ...]]
Links = Mapping[tuple[str, str], Link]
"""By the node and the name of each of their ports."""


@dataclass(frozen=True)
class Segment:
    """Ports that hear each other: the two ends of a wire, or a LAN (bridges are part of the wire)."""

    ports: tuple[Port, ...]


@dataclass(frozen=True)
class Site:
    """Customer nodes that reach each other without a provider router; ``exits`` are the providers' ports to it."""

    nodes: tuple[str, ...]
    segments: tuple[int, ...]
    exits: tuple[Port, ...]


@dataclass(frozen=True)
class Network:
    """Look-up tables of a lab whose ports all have names."""

    nodes: Mapping[str, Node]
    ports: Mapping[str, tuple[Port, ...]]
    segments: tuple[Segment, ...]
    segment_of: Mapping[tuple[str, str], int]
    core: Mapping[str, tuple[Edge, ...]]
    links: Links
    wired: Mapping[str, tuple[Edge, ...]]
    """The core without its tunnels: what carries those."""
    ends: frozenset[str]
    """Addresses between which tunnels run."""
    beneath: frozenset[int]
    """Segments that no labels take, because tunnels between the same nodes run through them."""

    @cached_property
    def vrfs(self) -> Mapping[str, Mapping[str, Vrf]]:
        """By node and name."""
        return {name: {vrf.name: vrf for vrf in node.vrfs} for name, node in self.nodes.items()}

    @cached_property
    def members(self) -> Mapping[tuple[str, str | None], Sequence[Port]]:
        """Ports by node and VRF, None for those of the main table; those in EVPNs are in none."""
        found: dict[tuple[str, str | None], list[Port]] = defaultdict(list)
        for ports in self.ports.values():
            for port in ports:
                if port.evpn is None:
                    found[port.node, port.vrf].append(port)
        return found

    @cached_property
    def stretched(self) -> Mapping[str, tuple[str, ...]]:
        """EVPN -> the nodes with ports in it."""
        found: dict[str, dict[str, None]] = {}
        for port in (port for ports in self.ports.values() for port in ports):
            if port.evpn:
                found.setdefault(port.evpn, {})[port.node] = None
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def among_customers(self) -> frozenset[int]:
        """Segments that are tunnels with customers' nodes at both ends."""
        every = enumerate(self.segments)
        tunnels = (i for i, segment in every if any(map(self.is_tunnel, segment.ports[:1])))
        return frozenset(i for i in tunnels if all(self.role(p.node) in CUSTOMERS for p in self.segments[i].ports))

    @cached_property
    def overlays(self) -> frozenset[int]:
        """Those of them whose ends are in VRFs already, each by a way of its own: a matter of customers, which does not
        change where the VPN finds their LANs."""
        apart = sites(self, self.among_customers) if self.among_customers else ()
        placed = {name for site in apart if any(port.vrf for port in site.exits) for name in site.nodes}
        return frozenset(i for i in self.among_customers if all(p.node in placed for p in self.segments[i].ports))

    def role(self, node: str) -> str:
        return self.nodes[node].role

    def is_tunnel(self, port: Port) -> bool:
        return not self.links[port.node, port.name].is_wire

    def takes_ip(self, port: Port) -> bool:
        """Whether packets without labels get through."""
        return self.links[port.node, port.name].type not in LABELS_ONLY

    def is_end(self, cidr: str) -> bool:
        """Whether tunnels run from and to this address."""
        return bool(self.ends) and str(interface(cidr).ip) in self.ends

    def is_core(self, port: Port) -> bool:
        """Whether labels travel here: a router's port outside VRFs that hears another such port."""
        if not is_router_port(self.nodes, port):  # which a bridge's is not, and so in no segment
            return False
        index = self.segment_of[port.node, port.name]
        others = (other for other in self.segments[index].ports if other.node != port.node)
        return index not in self.beneath and any(is_router_port(self.nodes, other) for other in others)


def overlay_ports(lab: Lab) -> frozenset[Port]:
    """The ends of customers' tunnels that join no sites: see Network.overlays."""
    if not lab.has_tunnels:
        return frozenset()
    net = network(lab)
    return frozenset(port for index in net.overlays for port in net.segments[index].ports)


def is_router_port(nodes: Mapping[str, Node], port: Port) -> bool:
    return port.vrf is None and port.evpn is None and nodes[port.node].role in ROUTERS


IRB = "irb"
"""The type of a "link" that is a PE's part of a stretched LAN, whose bridge has addresses in a VRF (RFC 9135)."""


def _irbs(lab: Lab) -> Iterator[Port]:
    """The ports by which PEs route for LANs; those of a wrong address check tells of."""
    for evpn in lab.evpns if any(evpn.gateway for evpn in lab.evpns) else ():
        if evpn.gateway and evpn.vrf and all(map(_is_sound, evpn.gateway)):
            here = dict.fromkeys(port.node for link in lab.links for port in link.ports if port.evpn == evpn.name)
            yield from (Port(node, evpn.name, evpn.gateway, evpn.vrf) for node in here)


def _is_sound(cidr: str) -> bool:
    try:
        return bool(interface(cidr))
    except ValueError:
        return False


def switch_of(nodes: Mapping[str, Node], port: Port) -> str:
    """What hands on whatever comes in at a port: the bridge that it is a port of, or its EVPN; empty for neither."""
    if port.evpn:
        return f"evpn {port.evpn}"  # no node has a space in its name
    return port.node if nodes[port.node].role == "bridge" else ""


def network(lab: Lab) -> Network:
    """The look-up tables of ``lab``."""
    nodes = {node.name: node for node in lab.nodes}
    ports: dict[str, list[Port]] = {name: [] for name in nodes}
    for link in lab.links:
        for port in link.ports:
            ports[port.node].append(port)
    dummies = [dummy.port(node.name) for node in lab.nodes for dummy in node.dummies]
    irbs = list(_irbs(lab))
    for port in (*dummies, *irbs):
        ports[port.node].append(port)
    segments = (*_segments(lab, nodes, irbs), *(Segment((port,)) for port in dummies))
    where = {(port.node, port.name): i for i, segment in enumerate(segments) for port in segment.ports}
    by_node = {name: tuple(found) for name, found in ports.items()}
    links = {(port.node, port.name): Link(port, port, DUMMY) for port in dummies}
    links |= {(port.node, port.name): Link(port, port, IRB) for port in irbs}
    links |= {(port.node, port.name): link for link in lab.links for port in link.ports}
    core = wired = _core(nodes, segments)
    tunnels = [link for link in lab.links if not link.is_wire]
    ends = frozenset(address for link in tunnels if len(link.over) == 2 for address in link.over)
    beneath = frozenset(_beneath(tunnels, segments))
    if tunnels:
        wires = [segment for segment in segments if _is_wire(segment, links)]
        core, wired = _core(nodes, [each for i, each in enumerate(segments) if i not in beneath]), _core(nodes, wires)
    return Network(nodes, by_node, segments, where, core, links, wired, ends, beneath)


def _is_wire(segment: Segment, links: Links) -> bool:
    return all(links[port.node, port.name].is_wire for port in segment.ports[:1])


def _beneath(tunnels: Sequence[Link], segments: Sequence[Segment]) -> Iterator[int]:
    """Segments, wires and tunnels, whose nodes are joined by tunnels through them: labels are to take those."""
    for i, segment in enumerate(segments if tunnels else ()):
        if len(segment.ports) > 1:
            addresses = {cidr.partition("/")[0] for port in segment.ports for cidr in port.addresses or ()}
            beside: dict[str, list[str]] = {port.node: [] for port in segment.ports}
            for link in tunnels:
                a, b = link.a.node, link.b.node
                if link.over and addresses.issuperset(link.over) and a in beside and b in beside:
                    beside[a].append(b)
                    beside[b].append(a)
            if len(spread([segment.ports[0].node], beside)) == len(beside) > 1:
                yield i


def _segments(lab: Lab, nodes: Mapping[str, Node], irbs: Iterable[Port]) -> Iterable[Segment]:
    wire_of = joined_switches(lab, nodes)
    members: dict[object, list[Port]] = {}
    for i, link in enumerate(lab.links):
        switches = [found for port in link.ports if (found := switch_of(nodes, port))]
        wire: object = wire_of[switches[0]] if switches else i
        members.setdefault(wire, []).extend(port for port in link.ports if not switch_of(nodes, port))
    for port in irbs:
        members.setdefault(wire_of[f"evpn {port.name}"], []).append(port)
    return (Segment(tuple(ports)) for ports in members.values())


def joined_switches(lab: Lab, nodes: Mapping[str, Node]) -> dict[str, str]:
    """For every bridge and EVPN the first of its LAN."""
    beside: dict[str, list[str]] = {node.name: [] for node in lab.nodes if node.role == "bridge"}
    for link in lab.links:
        a, b = (switch_of(nodes, port) for port in link.ports)
        for one, other in ((a, b), (b, a)):
            if one:
                beside.setdefault(one, []).extend([other] if other else [])
    first: dict[str, str] = {}
    for start in beside:
        for bridge in spread([start], beside):
            first.setdefault(bridge, start)
    return first


def spread(starts: Iterable[str], beside: Mapping[str, Sequence[str]], known: Iterable[str] = ()) -> list[str]:
    """Everything that can be reached from ``starts``, nearest first, without what is ``known`` already."""
    seen = dict.fromkeys(starts)
    barred = frozenset(known)
    queue = deque(seen)
    while queue:
        for other in beside.get(queue.popleft(), ()):
            if other not in seen and other not in barred:
                seen[other] = None
                queue.append(other)
    return list(seen)


def _core(nodes: Mapping[str, Node], segments: Iterable[Segment]) -> dict[str, tuple[Edge, ...]]:
    edges: dict[str, list[Edge]] = defaultdict(list)
    for segment in segments:
        routers = [port for port in segment.ports if is_router_port(nodes, port)]
        for mine in routers:
            edges[mine.node] += [(mine, other) for other in routers if other.node != mine.node]
    return {name: tuple(found) for name, found in edges.items()}


def search(core: Mapping[str, tuple[Edge, ...]], roots: Iterable[str]) -> dict[str, tuple[Edge, ...]]:
    """For every router but the roots: all edges that begin a shortest path (fewest links) to the nearest root."""
    distance = dict.fromkeys(roots, 0)
    edges: dict[str, list[Edge]] = {}
    queue = deque(distance)
    while queue:
        here = queue.popleft()
        for mine, theirs in core.get(here, ()):
            if theirs.node not in distance:
                distance[theirs.node] = distance[here] + 1
                queue.append(theirs.node)
            if distance[theirs.node] == distance[here] + 1:
                edges.setdefault(theirs.node, []).append((theirs, mine))
    return {name: tuple(found) for name, found in edges.items()}


def sites(net: Network, barred: frozenset[int] = _NONE) -> tuple[Site, ...]:
    """Every site of the lab, in the order of its first node; each customer node is in exactly one. ``barred`` segments
    join none."""
    found: list[Site] = []
    seen: set[str] = set()
    for name, node in net.nodes.items():
        if node.role in CUSTOMERS and name not in seen:
            found.append(_site(net, name, barred))
            seen.update(found[-1].nodes)
    return tuple(found)


def _site(net: Network, start: str, barred: frozenset[int]) -> Site:
    nodes, segments, exits = {start: None}, dict[int, None](), list[Port]()
    queue = deque([start])
    while queue:
        for port in net.ports[queue.popleft()]:
            index = net.segment_of[port.node, port.name]
            if index in segments or index in barred:
                continue
            segments[index] = None
            for other in net.segments[index].ports:
                if net.role(other.node) in ROUTERS:
                    exits.append(other)
                elif other.node not in nodes:
                    nodes[other.node] = None
                    queue.append(other.node)
    return Site(tuple(nodes), tuple(segments), tuple(exits))


def ways(net: Network, starts: Sequence[Port], barred: frozenset[int] = _NONE) -> dict[int, Edge]:
    """For every segment that is not at ``starts`` and can be reached through CEs, and not through ``barred`` segments:
    the first edge of a shortest way there. Providers' routers and hosts do not forward for a site."""
    here = {net.segment_of[port.node, port.name]: port for port in reversed(starts)}
    here = {index: port for index, port in here.items() if index not in barred}
    found: dict[int, Edge | None] = dict.fromkeys(sorted(here))
    passed = {port.node for port in starts}
    queue = deque(found)
    while queue:
        index = queue.popleft()
        for gateway in net.segments[index].ports:
            if net.role(gateway.node) != "ce" or gateway.node in passed:
                continue
            passed.add(gateway.node)
            edge = found[index] or (here[index], gateway)
            for port in net.ports[gateway.node]:
                beyond = net.segment_of[port.node, port.name]
                if beyond not in found and beyond not in barred:
                    found[beyond] = edge
                    queue.append(beyond)
    return {index: edge for index, edge in found.items() if edge is not None}


@lru_cache(maxsize=65536)
def interface(cidr: str) -> Interface:
    """``cidr`` as an address with its prefix length; raises ValueError. Made of numbers: from its text ipaddress would
    read it twice, once for the network."""
    parts = _CIDR.fullmatch(cidr)
    if not parts:
        return ip_interface(cidr)
    make, bits = (IPv6Interface, 128) if ":" in parts[1] else (IPv4Interface, 32)
    return make((_number(parts[1]), int(parts[2] or bits)))


def check_address(text: str) -> None:
    """Raises ValueError for what is not an address, or has a prefix length."""
    if _PLAIN.fullmatch(text):
        _number(text)
    else:
        ip_address(text)


def _number(address: str) -> int:
    try:
        return int.from_bytes(inet_pton(AF_INET6 if ":" in address else AF_INET, address), "big")
    except OSError as error:
        raise ValueError(f"{address!r} is no address") from error


@lru_cache(maxsize=65536)
def canonical(cidr: str) -> str:
    """``cidr`` as the kernel spells it."""
    address = interface(cidr)
    return _spelled(address.packed, address.network.prefixlen) or str(address) if "%" not in cidr else str(address)


def _spelled(packed: bytes, length: int) -> str:
    """An address and its prefix length; empty for IPv4 in IPv6, where ipaddress, which takes its time, has the last
    word."""
    text = inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)
    return f"{text}/{length}" if len(packed) == 4 or "." not in text else ""


@lru_cache(maxsize=65536)
def prefix_of(cidr: str) -> str:
    """The subnet that ``cidr`` is in."""
    network = interface(cidr).network
    return _spelled(network.network_address.packed, network.prefixlen) or str(network)


@lru_cache(maxsize=65536)
def subnet_of(cidr: str) -> str:
    """The same, empty for a link-local one."""
    return "" if interface(cidr).network.is_link_local else prefix_of(cidr)


def interfaces(port: Port) -> list[Interface]:
    return [interface(cidr) for cidr in port.addresses or ()]


def via(mine: Port, theirs: Port, version: int) -> str | None:
    """The neighbour's address of that IP version in a subnet that both ports have, or the one that it borrows at an
    unnumbered link, or None."""
    return _shared(mine.addresses or (), theirs.addresses or (), version)


@lru_cache(maxsize=65536)
def _shared(mine: tuple[str, ...], theirs: tuple[str, ...], version: int) -> str | None:
    """Asked for every prefix that a wire carries: the answer is kept, because ipaddress takes its time."""
    nets = {address.network for address in map(interface, mine) if address.version == version}
    there = [address for address in map(interface, theirs) if address.version == version]
    near = [address for address in there if address.network in nets]
    if not near and any(net.num_addresses == 1 for net in nets):
        near = [address for address in there if address.network.num_addresses == 1]
    return str(near[0].ip) if near else None


def subnets(segment: Segment) -> list[str]:
    """The subnets of a segment, in the order of its ports; link-local ones are nobody else's business."""
    found = (subnet_of(cidr) for port in segment.ports for cidr in port.addresses or ())
    return list(dict.fromkeys(subnet for subnet in found if subnet))
