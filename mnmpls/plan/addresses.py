"""Addresses that the user left open: loopbacks, core wires, access wires, LANs, and who is whose default gateway."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

from ..errors import LabError, Problem
from ..model import NO_LOOPBACK, Lab, Node, Port, Vrf
from . import alloc
from .check_links import link_text
from .graph import CUSTOMERS, ROUTERS, Network, Segment, Site, canonical, interface, interfaces, network, sites, via
from .spoken import speakers
from .unnumbered import with_borrowed
from .vrfs import vpn_of

Subnets = Mapping[int, IPv4Network]
Key = tuple[str, str]
"""A port: its node's name and its own."""


def addressed(lab: Lab) -> Lab:
    """``lab`` (ports named, VRFs identified) with addresses everywhere; raises LabError when a range is used up."""
    try:
        lab = with_borrowed(_with_loopbacks(lab))
        planned = _planned(lab)
    except alloc.PoolEmpty as empty:
        path = "nodes" if empty.pools == alloc.LOOPBACKS else "links"
        raise LabError([Problem(path, str(empty), lab.place(path))]) from empty
    links = (k.between(_filled(k.a, planned), _filled(k.b, planned)) for k in lab.links)
    return replace(lab, links=tuple(links))


def _planned(lab: Lab) -> dict[Key, tuple[str, ...]]:
    if all(port.addresses is not None for link in lab.links for port in link.ports):
        return {}
    net = network(lab)
    return _port_addresses(lab, net, _subnets(lab, net), _subnets6(lab, net))


def _filled(port: Port, planned: Mapping[Key, tuple[str, ...]]) -> Port:
    given = port.addresses
    addresses = tuple(map(canonical, given)) if given is not None else planned.get((port.node, port.name), ())
    return port if addresses == given else replace(port, addresses=addresses)


def _with_loopbacks(lab: Lab) -> Lab:
    given = _loopbacks(lab)
    nets = _v4(given) + _v4(_given(port for link in lab.links for port in link.ports))
    nets += _v4(cidr for node in lab.nodes for dummy in node.dummies for cidr in dummy.addresses)
    nets.append(IPv4Network((alloc.LOOPBACKS[0].network_address, 32)))
    wanting = [node.name for node in lab.nodes if node.role in ROUTERS and not node.loopbacks]
    planned = dict(zip(wanting, alloc.carve(alloc.LOOPBACKS, [32] * len(wanting), nets), strict=False))

    def with_loopbacks(node: Node) -> Node:
        found = (str(planned[node.name]),) if node.name in planned else _canonical(node.loopbacks)
        vrfs = tuple(map(_with_canonical_loopbacks, node.vrfs))
        dummies = tuple(replace(dummy, addresses=_canonical(dummy.addresses)) for dummy in node.dummies)
        if (found, vrfs, dummies) == (node.loopbacks, node.vrfs, node.dummies):
            return node
        return replace(node, loopbacks=found, vrfs=vrfs, dummies=dummies)

    return replace(lab, nodes=tuple(map(with_loopbacks, lab.nodes)))


def _with_canonical_loopbacks(vrf: Vrf) -> Vrf:
    return replace(vrf, loopbacks=_canonical(vrf.loopbacks)) if vrf.loopbacks else vrf


def _canonical(loopbacks: Iterable[str]) -> tuple[str, ...]:
    return tuple(cidr if cidr == NO_LOOPBACK else canonical(cidr) for cidr in loopbacks)


def _loopbacks(lab: Lab) -> list[str]:
    return [cidr for node in lab.nodes for cidr in node.loopbacks if cidr != NO_LOOPBACK]


def _given(ports: Iterable[Port]) -> list[str]:
    return [cidr for port in ports for cidr in port.addresses or ()]


def _v4(cidrs: Iterable[str]) -> list[IPv4Network]:
    return [net for cidr in cidrs if isinstance(net := interface(cidr).network, IPv4Network)]


def _subnets(lab: Lab, net: Network) -> Subnets:
    """Segment -> subnet, for the segments on which nothing is given and something is open."""
    loopbacks = _loopbacks(lab)
    everything = _v4(_given(port for segment in net.segments for port in segment.ports)) + _v4(loopbacks)
    open_ = [i for i, segment in enumerate(net.segments) if _is_open(segment) and 4 in _versions(net, segment)]
    by_pool: dict[str, list[int]] = defaultdict(list)
    for index in open_:
        by_pool[_kind(net, net.segments[index])].append(index)
    found: dict[int, IPv4Network] = {}
    for kind, pools in (("core", alloc.CORE), ("access", alloc.ACCESS)):
        lengths = [_length(net.segments[i], shortest=31) for i in by_pool[kind]]
        found.update(zip(by_pool[kind], alloc.carve(pools, lengths, everything), strict=False))
    found.update(_lans(lab, net, frozenset(by_pool["lan"]), loopbacks))
    return found


def _subnets6(lab: Lab, net: Network) -> dict[int, IPv6Network]:
    """The same for those that want IPv6."""
    open_ = [i for i, segment in enumerate(net.segments) if _is_open(segment) and 6 in _versions(net, segment)]
    if not open_:
        return {}
    given = [*_given(port for segment in net.segments for port in segment.ports), *_loopbacks(lab)]
    taken = [subnet for cidr in given if isinstance(subnet := interface(cidr).network, IPv6Network)]
    pools = {"core": alloc.CORE6, "access": alloc.ACCESS6, "lan": alloc.LANS6}
    found: dict[int, IPv6Network] = {}
    for kind, pool in pools.items():
        mine = [i for i in open_ if _kind(net, net.segments[i]) == kind]
        narrow = [i for i in mine if kind != "lan" and len(net.segments[i].ports) == 2]
        subnets = alloc.carve6(pool, taken)
        for i in mine:
            subnet = next(subnets)
            found[i] = next(subnet.subnets(new_prefix=127)) if i in narrow else subnet
    return found


def _versions(net: Network, segment: Segment) -> set[int]:
    """Of IP, that a segment's links ask for."""
    return {version for port in segment.ports for version in net.links[port.node, port.name].versions} or {4}


def _is_open(segment: Segment) -> bool:
    return any(port.addresses is None for port in segment.ports) and not any(port.addresses for port in segment.ports)


def _kind(net: Network, segment: Segment) -> str:
    routers = sum(net.role(port.node) in ROUTERS for port in segment.ports)
    if not routers:
        return "lan"
    return "core" if routers == len(segment.ports) and not any(port.vrf for port in segment.ports) else "access"


def _length(segment: Segment, shortest: int) -> int:
    """The longest prefix, at most ``shortest``, that has an address for every port (RFC 3021: both of a /31)."""
    if len(segment.ports) <= 2:
        return shortest
    return min(shortest, 32 - (len(segment.ports) + 1).bit_length())


def _lans(lab: Lab, net: Network, wanted: frozenset[int], loopbacks: Sequence[str]) -> dict[int, IPv4Network]:
    """Every VPN numbers its LANs for itself; those with a site in common, whose nodes call both, do so together."""
    vpn = vpn_of(lab)
    behind = _vpns_of_sites(lab, net, vpn)
    first = _joined(behind.values())
    groups: dict[object, list[Site]] = defaultdict(list)
    inside: dict[object, list[str]] = defaultdict(list)  # addresses of the VPN's own VRF devices
    for vrf in (vrf for node in lab.nodes for vrf in node.vrfs if vrf.loopbacks):
        for key in {*(first.get(vpn[rt]) for rt in (vrf.imports + vrf.exports)[:1]), first.get("")}:
            inside[key] += vrf.loopbacks
    for number, site in enumerate(sites(net)):
        groups[first[min(behind[number])] if behind[number] else number].append(site)
    outside = groups[first.get("")]
    everywhere = _v4(cidr for site in outside for cidr in _given(_ports(net, site))) + _v4(loopbacks)
    everywhere = [each for each in everywhere if any(each.overlaps(pool) for pool in alloc.LANS)]
    found: dict[int, IPv4Network] = {}
    for name, members in groups.items():
        lans = [index for site in members for index in site.segments if index in wanted]
        if not lans:
            continue
        taken = _v4(cidr for site in members for cidr in _given(_ports(net, site))) + everywhere + _v4(inside[name])
        taken.append(IPv4Network((alloc.LANS[0].network_address, 24)))
        lengths = [_length(net.segments[index], shortest=24) for index in lans]
        found.update(zip(lans, alloc.carve(alloc.LANS, lengths, taken), strict=False))
    return found


def _vpns_of_sites(lab: Lab, net: Network, vpn: Mapping[str, str]) -> dict[int, set[str]]:
    """For each site, by its number, the names of its VPNs; empty for a main table without route targets."""
    targets = {(node.name, vrf.name): vrf.imports + vrf.exports for node in lab.nodes for vrf in node.vrfs}
    targets |= {(node.name, ""): node.imports + node.exports for node in lab.nodes}
    exits = ([targets.get((port.node, port.vrf or ""), ()) for port in site.exits] for site in sites(net))
    return {i: {vpn[its[0]] if its else "" for its in found} for i, found in enumerate(exits)}


def _joined(together: Iterable[Collection[str]]) -> dict[str, str]:
    """For each name the first of all those that it is together with somewhere, directly or by way of others."""
    first: dict[str, str] = {}
    for names in together:
        known = {first.get(name, name) for name in names}
        for name in (*names, *(each for each, its in first.items() if its in known)):
            first[name] = min(known)
    return first


def _ports(net: Network, site: Site) -> Iterator[Port]:
    return (port for index in site.segments for port in net.segments[index].ports)


def _port_addresses(
    lab: Lab, net: Network, planned: Subnets, planned6: Mapping[int, IPv6Network]
) -> dict[Key, tuple[str, ...]]:
    found: dict[Key, list[str]] = defaultdict(list)
    lacking: dict[Key, str] = {}
    for index, segment in enumerate(net.segments):
        wanting = [port for port in segment.ports if port.addresses is None]
        if not wanting:
            continue
        given = [address for port in segment.ports for address in interfaces(port)]
        own = (subnets[index] for subnets in (planned, planned6) if index in subnets)
        nets = dict.fromkeys(address.network for address in given) or dict.fromkeys(own)
        for subnet in nets:
            used = {int(address.ip) for address in given}
            for port, cidr in _spread_over(net, wanting, str(subnet), used):
                if cidr is None:
                    lacking[port.node, port.name] = str(subnet)
                else:
                    found[port.node, port.name].append(cidr)
    if lacking:
        raise LabError(_without_room(lab, lacking))
    return {key: tuple(cidrs) for key, cidrs in found.items()}


def _without_room(lab: Lab, lacking: Mapping[Key, str]) -> Iterator[Problem]:
    for i, link in enumerate(lab.links):
        for side, port in (("a", link.a), ("b", link.b)):
            if subnet := lacking.get((port.node, port.name)):
                path = f"links[{i}].{side}"
                text = f"{link_text(link)}: {subnet} has no address left for {port.node}"
                yield Problem(path, f"{text}: give its neighbours a shorter prefix length", lab.place(path))


def _spread_over(net: Network, ports: Sequence[Port], subnet: str, used: set[int]) -> Iterator[tuple[Port, str | None]]:
    """Hosts from the bottom; on a LAN the routers from the top, as people do it. None where no address is left."""
    whole = interface(subnet).network
    first, last = int(whole.network_address), int(whole.broadcast_address)
    if whole.num_addresses > 2:
        first, last = first + 1, last - 1
    lan = whole.num_addresses > 4
    up = (number for number in range(first, last + 1) if number not in used)
    down = (number for number in range(last, first - 1, -1) if number not in used)
    for port in ports:
        number = next(down if lan and net.role(port.node) != "host" else up, None)
        if number is None or number in used:
            yield port, None
            continue
        used.add(number)
        yield port, f"{whole.network_address + (number - int(whole.network_address))}/{whole.prefixlen}"


def with_gateways(lab: Lab) -> Lab:
    """``lab`` (addressed) with the default gateway of each CE and host that has somewhere to go."""
    net = network(lab)
    speaking = speakers(net)
    found: dict[str, str] = {}
    for site in sites(net, net.overlays):
        found.update(_gateways(net, site, speaking))

    def with_gateway(node: Node) -> Node:
        kept = node.gateway or node.routes_itself or node.name not in found
        return node if kept else replace(node, gateway=found[node.name])

    return replace(lab, nodes=tuple(map(with_gateway, lab.nodes)))


def _gateways(net: Network, site: Site, speaking: Container[str]) -> dict[str, str]:
    """Nearest exit first, one into a VRF before one beside it, and by tunnels of the site's own only where no wire
    leads; in a site without exits the hosts at least find their CE. A CE that speaks with a PE is told its routes."""
    told = (name for name in site.nodes if name in speaking)
    heads = [*site.exits, *(port for name in told for port in net.ports[name])]
    heads = heads or [p for name in site.nodes if net.role(name) == "ce" for p in net.ports[name]]
    passed = {port.node for port in heads}
    queue = deque((net.segment_of[port.node, port.name], port) for port in sorted(heads, key=lambda each: not each.vrf))
    tunnels = deque[tuple[int, Port]]()
    found: dict[str, str] = {}
    while queue or tunnels:
        index, head = queue.popleft() if queue else tunnels.popleft()
        for port in net.segments[index].ports:
            address = via(port, head, 4) or via(port, head, 6)
            if port.node in passed or net.role(port.node) not in CUSTOMERS or address is None:
                continue
            passed.add(port.node)
            found[port.node] = address
            if net.role(port.node) == "ce":
                for mine in net.ports[port.node]:
                    beyond = net.segment_of[mine.node, mine.name]
                    if mine != port and beyond not in net.overlays:
                        (tunnels if beyond in net.among_customers else queue).append((beyond, mine))
    return found
