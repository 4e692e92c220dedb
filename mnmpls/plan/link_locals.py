"""IPv6 over links that have none: Linux takes no IPv4 next hop for an IPv6 route (net/ipv6/route.c), labels or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..model import Lab, Port
from .graph import Network, Segment, interface, interfaces, network
from .unnumbered import lent

Key = tuple[str, str]


def with_link_locals(lab: Lab) -> Lab:
    """``lab`` (addressed) with a link-local address at each end of the core's links that lack IPv6, where labels are to
    carry IPv6 over them (RFC 4659's service over an IPv4 core): the routers find each other, and no subnet is added.
    At unnumbered links IPv6 loopbacks are reason enough: neighbour discovery, unlike ARP, answers for no address of
    another port (net/ipv6/ndisc.c, ndisc_recv_ns). Not where daemons run: to LDP a next hop is an address that one
    neighbour has and no other (RFC 7552 7), so that each has to have the kernel's own."""
    if lab.has_daemons:
        return lab
    everywhere = _carries_ipv6(lab)
    if not everywhere and not any(link.unnumbered for link in lab.links):
        return lab
    net = network(lab)
    found = dict(pair for each in net.segments if everywhere or _lends_ipv6(net, each) for pair in _of(net, each))

    def done(port: Port) -> Port:
        more = found.get((port.node, port.name))
        return replace(port, addresses=(*(port.addresses or ()), more)) if more else port

    return replace(lab, links=tuple(link.between(done(link.a), done(link.b)) for link in lab.links))


def _carries_ipv6(lab: Lab) -> bool:
    fecs = (interface(prefix) for lsp in lab.lsps for prefix in lsp.fec)
    inside = (address for link in lab.links for port in link.ports if port.vrf for address in interfaces(port))
    return any(address.version == 6 and not address.is_link_local for address in (*fecs, *inside))


def _lends_ipv6(net: Network, segment: Segment) -> bool:
    return all(
        net.links[port.node, port.name].unnumbered and lent(net.nodes[port.node], 6) for port in segment.ports
    )


def _of(net: Network, segment: Segment) -> Iterator[tuple[Key, str]]:
    """Numbered in the order of the link's or LAN's ports. A port without any address was wished so."""
    ports = [port for port in segment.ports if net.is_core(port)]
    if all(any(address.version == 6 for address in interfaces(port)) for port in ports):
        return
    for number, port in enumerate(ports, 1):
        wanted = port.addresses or net.links[port.node, port.name].unnumbered
        if wanted and not any(address.is_link_local for address in interfaces(port)):
            yield (port.node, port.name), f"fe80::{number:x}/64"
