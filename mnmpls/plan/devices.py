"""What a node needs before its first route: devices, addresses, sysctls."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import DUMMY, NO_LOOPBACK, SEGMENTS, Impairment, Lab, Lsp, Node, StaticRoute
from ..model import Port as LabPort
from ..state import (
    QUEUE_PACKETS,
    UNREACHABLE_METRIC,
    Address,
    Bridge,
    Dummy,
    Member,
    Port,
    Qdisc,
    Record,
    Route,
    Rule,
    Sysctl,
    VrfDevice,
)
from . import evpn
from .alloc import LOOPBACK_MTU_BYTES, MTU_BYTES
from .graph import IRB, ROUTERS, Network, interface
from .ttl import LARGEST, PIPE
from .tunnels import guards, receiver, tunnel
from .unnumbered import on_link_routes


def devices(net: Network, node: Node, lab: Lab) -> Iterator[Record]:
    """Everything but routes of one node."""
    yield Port("lo", True, LOOPBACK_MTU_BYTES)
    for loopback in node.loopbacks:
        if loopback != NO_LOOPBACK:
            yield Address("lo", loopback)
    if node.role == "bridge":
        yield Bridge(node.name)
    for vrf in node.vrfs:
        yield from _vrf(vrf.name, vrf.table or 0)
        yield from (Address(vrf.name, cidr) for cidr in vrf.loopbacks)
    for port in net.ports[node.name]:
        link = net.links[node.name, port.name]
        if link.type == IRB:  # a bridge, which is as large as its ports let it be
            yield Member(port.name, port.vrf or "")
            yield from (Address(port.name, cidr) for cidr in port.addresses or ())
            continue
        if link.type == DUMMY:
            yield Dummy(port.name)
        elif not link.is_wire:
            yield tunnel(link, port)
            yield from guards(link, port)
            if udp := receiver(link):
                yield udp
        yield Port(port.name, True, port.mtu_bytes or MTU_BYTES)
        if port.impairment != Impairment():
            yield _qdisc(port.name, port.impairment)
        master = node.name if node.role == "bridge" else port.evpn or port.vrf
        if master:
            yield Member(port.name, master)
        yield from (Address(port.name, cidr) for cidr in port.addresses or ())
    yield from evpn.devices(lab, net, node)
    yield from on_link_routes(lab, net, node)
    for rule in node.rules:
        for version in (4, 6):
            if not rule.src or version == interface(rule.src).version:
                src = str(interface(rule.src)) if rule.src else ""
                yield Rule(rule.priority, version, rule.table, src, rule.iif, rule.fwmark)
    settings = dict(_sysctls(net, node, lab)) | dict(node.sysctls)
    yield from (Sysctl(key, value) for key, value in settings.items())


def _qdisc(port: str, given: Impairment) -> Qdisc:
    return Qdisc(
        port,
        given.rate_kbit or 0,
        given.delay_us or 0,
        given.jitter_us or 0,
        given.loss_ppm or 0,
        given.queue_packets or QUEUE_PACKETS,
    )


def _vrf(name: str, table: int) -> Iterator[Record]:
    """A miss in a VRF must not fall through to the next rule, which looks up the main table
    (Documentation/networking/vrf.rst): hence a route for everything that nothing else wants."""
    yield VrfDevice(name, table)
    for everything in ("0.0.0.0/0", "::/0"):
        yield Route(table, everything, kind="unreachable", metric=UNREACHABLE_METRIC)


def _sysctls(net: Network, node: Node, lab: Lab) -> Iterator[tuple[str, str]]:
    ports = net.ports[node.name]
    if node.role in ROUTERS or node.role == "ce":
        yield "net.ipv4.ip_forward", "1"
        yield "net.ipv6.conf.all.forwarding", "1"
    if node.role == "host" and len(ports) > 1:
        # A new namespace inherits the machine's value, which docker sets; IPv6 begins anew (net/ipv4/devinet.c,
        # devinet_init_net).
        yield "net.ipv4.ip_forward", "0"
    if node.role in ROUTERS:
        yield "net.mpls.platform_labels", str(lab.platform_labels)
        # The kernel's own, too, where the lab says nothing: what was changed by hand is known as that.
        yield "net.mpls.ip_ttl_propagate", "0" if lab.ttl == PIPE else "1"
        yield "net.mpls.default_ttl", str(LARGEST)
        for port in ports:
            if net.is_core(port):
                # Labels are taken from the core only, never from a customer (RFC 4364 13.1).
                yield f"net.mpls.conf.{port.name}.input", "1"
        sids = lab.labels.protocol == SEGMENTS and lab.labels.pop not in ("", "php")
        if sids or any(_ends_at_lo(lsp, node) for lsp in lab.lsps) or any(_ends_here(route) for route in node.routes):
            yield "net.mpls.conf.lo.input", "1"  # labels below one that ends at lo come in there
    if node.role in ROUTERS or node.role == "ce" or (node.role == "host" and len(ports) > 1):
        # A new namespace inherits the host's value, the greater of "all" and the port's own counts, and a packet
        # from a VRF's port is checked as the VRF device's (net/ipv4/fib_frontend.c, drivers/net/vrf.c).
        popped = ("lo",) if node.exports else ()  # where packets come in whose label led to the main table
        names = (*popped, *(port.name for port in ports), *(vrf.name for vrf in node.vrfs))
        for name in ("all", "default", *names):
            yield f"net.ipv4.conf.{name}.rp_filter", "0"
    yield from _redirects(net, node)


def _redirects(net: Network, node: Node) -> Iterator[tuple[str, str]]:
    """Nobody tells anybody on a LAN of a nearer router there: packets go as planned. Of "all" and the port's own the
    greater counts (net/ipv4/route.c, ip_rt_send_redirect). IPv6 tells only of link-local next hops, which are never
    planned (net/ipv6/ndisc.c, ndisc_send_redirect)."""
    ports = [port.name for port in net.ports[node.name] if _has_routers(net, port)]
    for name in ("all", *ports) if ports and node.role != "host" else ():
        yield f"net.ipv4.conf.{name}.send_redirects", "0"


def _has_routers(net: Network, port: LabPort) -> bool:
    """Whether it is on a LAN with two of them, so that one can tell of the other."""
    index = net.segment_of.get((port.node, port.name))
    others = net.segments[index].ports if index is not None else ()
    return len(others) > 2 and len({other.node for other in others if net.role(other.node) != "host"}) > 1


def _ends_at_lo(lsp: Lsp, node: Node) -> bool:
    return lsp.ends[1] == node.name and not lsp.vrf and lsp.pop != "php"


def _ends_here(route: StaticRoute) -> bool:
    return route.label is not None and route.port == "lo"
