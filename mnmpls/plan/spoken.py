"""Where PEs and CEs speak a routing protocol, and with whom: at the PEs' ports in VRFs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from ..model import BY_EVPN, LABELLED, Lab, Node, Port, Routing
from . import alloc
from .graph import Network, network, sites


@dataclass(frozen=True, slots=True)
class Spoken:
    """Two who speak a protocol: ``near`` is a PE's port in a VRF, ``far`` a CE's, or another PE's in a VRF."""

    routing: Routing
    near: Port
    far: Port


def spoken(net: Network) -> tuple[Spoken, ...]:
    """All such pairs, node by node; two PEs make two."""
    return tuple(pair for name in net.nodes for pair in _of(net, net.ports[name]))


def _of(net: Network, ports: Sequence[Port]) -> Iterator[Spoken]:
    for port in ports:
        routing = net.links[port.node, port.name].routing
        if port.vrf and routing.is_spoken:
            for other in net.segments[net.segment_of[port.node, port.name]].ports:
                if other.node != port.node and (net.role(other.node) == "ce" or other.vrf):
                    yield Spoken(routing, port, other)


def speakers(net: Network) -> dict[str, list[Spoken]]:
    """CE -> whom it speaks with."""
    found: dict[str, list[Spoken]] = {}
    for pair in spoken(net):
        if net.role(pair.far.node) == "ce":
            found.setdefault(pair.far.node, []).append(pair)
    return found


def is_planned(net: Network, port: Port) -> bool:
    """Whether the routes to what is behind it are."""
    return net.links[port.node, port.name].routing == Routing()


def asns(lab: Lab) -> Mapping[str, int]:
    """Node -> the autonomous system that it is in; a CE without BGP counts as the provider's."""
    return {node.name: node.asn or lab.vpn.asn or alloc.ASN for node in lab.nodes}


def labelled(lab: Lab) -> tuple[Node, ...]:
    """The PEs that tell each other of customers outside of VRFs, with labels (RFC 8277)."""
    return tuple(node for node in lab.nodes if node.role == "pe") if lab.vpn.unicast == LABELLED else ()


def has_vpns(lab: Lab) -> bool:
    """Does BGP tell routes with labels, of VRFs or main tables?"""
    main = any(node.imports or node.exports for node in lab.nodes)
    return bool(lab.vpn.unicast) or main or (lab.vpn.protocol != BY_EVPN and any(node.vrfs for node in lab.nodes))


def numbered(lab: Lab) -> Lab:
    """``lab`` (named) with an AS number on each CE that speaks BGP: a site's own, from the private ones."""
    if not any(link.routing.protocol == "bgp" for link in lab.links):
        return lab
    net = network(lab)
    wanting = {name for name, pairs in speakers(net).items() if any(one.routing.protocol == "bgp" for one in pairs)}
    given = set(asns(lab).values())
    free = (number for number in count(alloc.ASN + 1) if number not in given)
    planned: dict[str, int] = {}
    for site in sites(net):
        here = [name for name in site.nodes if name in wanting]
        if here:
            known = next((asn for name in here if (asn := net.nodes[name].asn)), None) or next(free)
            planned |= dict.fromkeys(here, known)

    def with_asn(node: Node) -> Node:
        return replace(node, asn=planned[node.name]) if node.asn is None and node.name in planned else node

    return replace(lab, nodes=tuple(map(with_asn, lab.nodes)))
