"""What can be wrong with labs whose routes and labels are made by routing daemons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import nearest
from ..model import BY_EVPN, SEGMENTS, STATIC, Lab, Link, Node, Port
from .check_links import link_text
from .graph import ROUTERS, Network, interfaces
from .igp import outer_ports, takes_part
from .spelling import cidr
from .spoken import has_vpns

Fault = tuple[str, str]

KNOWN = {"igp": (STATIC, "ospf", "isis"), "labels": (STATIC, "ldp", SEGMENTS), "vpn": (STATIC, "bgp", BY_EVPN)}


def daemon_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of the keys ``igp``, ``labels`` and ``vpn``, and of what their daemons would need."""
    chosen = {"igp": lab.igp.protocol, "labels": lab.labels.protocol, "vpn": lab.vpn.protocol}
    wrong = list(_unknown(chosen))
    yield from wrong
    if wrong or set(chosen.values()) == {STATIC}:
        return
    yield from _together(lab)
    if lab.labels.protocol != STATIC:
        yield from _labels_by_hand(lab)
    yield from _router_faults(lab, net)


def _unknown(chosen: dict[str, str]) -> Iterator[Fault]:
    for key, value in chosen.items():
        if value not in KNOWN[key]:
            yield key, f"there is no {key}: {value}; {nearest(value, KNOWN[key])}"


def _together(lab: Lab) -> Iterator[Fault]:
    """What one protocol needs of another."""
    igp, labels, vpn = (made.protocol for made in (lab.igp, lab.labels, lab.vpn))
    if labels != STATIC and igp == STATIC:
        yield "labels", f"{labels} gives labels to what a routing protocol finds, and the lab has none: add igp: ospf"
    if vpn == "bgp" and labels == STATIC and (not lab.evpns or has_vpns(lab)):
        yield "vpn", f"{vpn} finds its labels' way by those of another protocol: add labels: ldp, and igp: ospf"
    if labels != STATIC and vpn == STATIC:
        for node in lab.nodes:
            if node.vrfs:
                text = "VRFs need labels of their own, and one who hands out labels by hand would meet the daemons'"
                yield f"nodes.{node.name}.vrfs", f"{text}: add vpn: bgp"


def _labels_by_hand(lab: Lab) -> Iterator[Fault]:
    """Two who give labels to one router would take the same one sooner or later."""
    remedy = "labels here are the daemons': take this out, or igp, labels and vpn"
    for i in range(len(lab.lsps)):
        yield f"lsps[{i}]", remedy
    for node in lab.nodes:
        for i, route in enumerate(node.routes):
            if route.label is not None or route.labels:
                yield f"nodes.{node.name}.routes[{i}]", remedy
        if node.label_range:
            yield f"nodes.{node.name}.label_range", remedy
        if (node.imports or node.exports) and lab.vpn.unicast:
            text = "route targets of the main table do not go with labelled unicast: take one of the two out"
            yield f"nodes.{node.name}.main", text


def _router_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    routers = [node for node in lab.nodes if node.role in ROUTERS and not node.routes_itself]
    dual = any(_speaks(node, 6) for node in routers)
    for node in routers:
        where = f"nodes.{node.name}.loopback"
        if node.loopbacks and not _speaks(node, 4):
            text = "routing daemons call a router by the IPv4 address of its loopback"
            yield where, f"{text}: leave it out to have one planned, or add one"
        elif dual and not _speaks(node, 6):
            text = f"{node.name} has no IPv6 loopback, and other routers have: IPv6 VPNs need one on each"
            yield where, f"{text}: give {node.name} one, such as [10.0.0.1/32, 'fd00::1/128'], or none to any"
        for vrf in node.vrfs:
            if not dual and _has(vrf.loopbacks, 6) and lab.vpn.protocol != BY_EVPN:
                yield f"nodes.{node.name}.vrfs.{vrf.name}.loopback", _needs_v6(node)
        for dummy in node.dummies:
            where = f"nodes.{node.name}.dummies.{dummy.name}"
            if text := _port_fault(lab, net, dummy.port(node.name), dual):
                yield f"{where}.ip", text
    for i, link in enumerate(lab.links):
        if all(port.node in net.nodes for port in link.ports) and (text := _tunnel_fault(net, link)):
            yield f"links[{i}].igp", f"{link_text(link)}: {text}"
        for side, port in zip("ab", link.ports, strict=True):
            if text := _port_fault(lab, net, port, dual):
                yield f"links[{i}].{side}.ip", f"{link_text(link)}: {text}"


def _tunnel_fault(net: Network, link: Link) -> str:
    """Why no routing protocol can run over a tunnel; empty if it is none, or one can."""
    if link.is_wire or not all(port.name and takes_part(net, port) for port in link.ports):
        return ""
    if not net.takes_ip(link.a):
        return f"{link.type} takes labels only, and no packet of a routing protocol: write igp: none"
    ends = [_owner(net, port.node, address) for port, address in zip(link.ports, link.over, strict=False)]
    inside = [address for port, address in zip(ends, link.over, strict=False) if not port or takes_part(net, port)]
    if not inside or _hear_each_other(net, ends):
        return ""
    text = f"everybody is told of {' and '.join(inside)}, by way of this tunnel too, which would lead through itself"
    return f"{text}: let it run between addresses of links with igp: none, or of one link that both have"


def _owner(net: Network, node: str, address: str) -> Port | None:
    """The port that has it; None for a loopback."""
    return next((port for port in net.ports[node] for each in interfaces(port) if str(each.ip) == address), None)


def _hear_each_other(net: Network, ends: Sequence[Port | None]) -> bool:
    segments = {net.segment_of[port.node, port.name] if port else None for port in ends}
    return len(segments) == 1 and None not in segments


def _port_fault(lab: Lab, net: Network, port: Port, dual: bool) -> str:
    node = net.nodes.get(port.node)
    if node is None or node.routes_itself or node.role not in ROUTERS or not port.name or port.addresses is None:
        return ""
    if not port.vrf and takes_part(net, port) and not net.links[port.node, port.name].unnumbered \
            and not _has(port.addresses, 4):
        return f"the routing protocol needs an IPv4 address of {port.node} here: leave ip out to have one planned"
    if port.vrf and lab.vpn.protocol == BY_EVPN:  # which has next hops of IPv4 for both
        return ""
    if not dual and _has(port.addresses, 6) and (port.vrf or port in outer_ports(net, node)):
        return _needs_v6(node)
    return ""


def _needs_v6(node: Node) -> str:
    # "IPv6 does not support RTA_VIA attribute" (net/ipv6/route.c, rtm_to_fib6_config), up to Linux 6.18 at least.
    reason = "since Linux takes no IPv6 route by way of an IPv4 address"
    return f"IPv6 of customers needs an IPv6 loopback on each p and pe, {reason}: give {node.name} and the others one"


def _speaks(node: Node, version: int) -> bool:
    return _has(node.loopbacks, version)


def _has(cidrs: tuple[str, ...], version: int) -> bool:
    return any((found := cidr(text)) is not None and found.version == version for text in cidrs)
