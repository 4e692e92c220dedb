"""Which part of a lab a record comes from: for errors, so that they have a line of the lab's text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

from ..errors import KernelRefused, Problem
from ..model import Lab, Lsp
from ..state import (
    Address,
    Bridge,
    Dummy,
    Guard,
    LabelRoute,
    Member,
    NextHop,
    Port,
    Qdisc,
    Route,
    Rule,
    Sysctl,
    Tunnel,
    UdpPort,
    VrfDevice,
    sysctl_parts,
)
from .evpn import carrier, device
from .graph import Network, network
from .lsps import receivers, steps
from .routes import destination


@contextmanager
def located(lab: Lab) -> Iterator[None]:
    """What the kernel refuses inside gets its place in the completed ``lab``."""
    try:
        yield
    except KernelRefused as error:
        path = origin(lab, error.node, error.record)
        raise error.at(error.node, str(Problem(path, "", lab.place(path)))) from error


def origin(lab: Lab, node: str, record: object) -> str:
    """The path of what ``record`` of ``node`` was planned for, such as ``links[2].a.ip``; empty for what has none."""
    if not any(each.name == node for each in lab.nodes):
        wires = (f"wire {link.a.name} - {link.b.name}" for link in lab.links)
        return next((f"links[{number}]" for number, wire in enumerate(wires) if wire == str(record)), "")
    match record:
        case VrfDevice(name):
            return f"nodes.{node}.vrfs.{name}"
        case UdpPort():
            return next((f"links[{i}]" for i, each in enumerate(lab.links) if each.type == "mpls-udp"), f"nodes.{node}")
        case Guard(_, src, dst):
            return next((f"links[{i}].ipsec" for i, each in enumerate(lab.links) if {src, dst} == {*each.over}), "")
        case Bridge(name):
            return f"evpns.{name}" if any(evpn.name == name for evpn in lab.evpns) else _of_vni(lab, node, name)
        case Member(name, _) | Address(name) if any(evpn.name == name for evpn in lab.evpns):
            return f"evpns.{name}.{'vrf' if isinstance(record, Member) else 'gateway'}"
        case Tunnel(port, _, _, "") | Member(port, _, False):
            return next((f"evpns.{evpn.name}" for evpn in lab.evpns if device(evpn) == port), _of_vni(lab, node, port))
        case Tunnel(port) | Dummy(port) | Qdisc(port):
            return _end(lab, node, port)
        case Member(port, master):
            key = ".evpn" if any(evpn.name == master for evpn in lab.evpns) else ".vrf"
            return _end(lab, node, port, key)
        case Port(port):
            return _end(lab, node, port, ".mtu")
        case Address("lo"):
            return f"nodes.{node}.loopback"
        case Address(port) if any(vrf.name == port for vrf in lab.node(node).vrfs):
            return f"nodes.{node}.vrfs.{port}.loopback"
        case Address(port):
            return _end(lab, node, port, ".ip")
        case Sysctl(key):
            return _setting(lab, node, key)
        case Rule(priority):
            rules = enumerate(lab.node(node).rules)
            return next((f"nodes.{node}.rules[{i}]" for i, one in rules if one.priority == priority), f"nodes.{node}")
        case Route(table, dst, hops):
            return _route(lab, node, table, dst, hops)
        case LabelRoute(label, hops):
            return _label(lab, node, label, hops)
    return f"nodes.{node}"


def _end(lab: Lab, node: str, name: str, key: str = "") -> str:
    """That of the port, or the node for one that no link has."""
    for number, link in enumerate(lab.links):
        for side, port in zip("ab", link.ports, strict=True):
            if (port.node, port.name) == (node, name):
                return f"links[{number}].{side}{key}"
    if any(dummy.name == name for each in lab.nodes if each.name == node for dummy in each.dummies):
        return f"nodes.{node}.dummies.{name}{key}"
    return f"nodes.{node}"


def _of_vni(lab: Lab, node: str, name: str) -> str:
    """That of the VRF whose devices are for VXLAN, or the node."""
    vrfs = (vrf.name for vrf in lab.node(node).vrfs if name in (carrier(vrf), device(vrf)))
    return next((f"nodes.{node}.vrfs.{vrf}" for vrf in vrfs), f"nodes.{node}")


def _setting(lab: Lab, node: str, key: str) -> str:
    if any(key == given for given, _ in lab.node(node).sysctls):
        return f"nodes.{node}.sysctls.{key}"
    parts = sysctl_parts(key)
    return _end(lab, node, parts[-2]) if "conf" in parts else f"nodes.{node}"


def _route(lab: Lab, node: str, table: int, dst: str, hops: tuple[NextHop, ...]) -> str:
    has = lab.node(node)
    for number, given in enumerate(has.routes):
        if given.dst and dst == str(ip_network(destination(given), strict=False)):
            return f"nodes.{node}.routes[{number}]"
    pushed = {hop.labels[0] for hop in hops if hop.labels}
    for number, lsp in enumerate(lab.lsps):
        if lsp.ends[0] == node and (dst in lsp.fec or pushed.intersection(lsp.labels[:1])):
            return f"lsps[{number}]"
    if not any(hop.labels for hop in hops):
        for vrf in has.vrfs:
            if vrf.table == table:
                return f"nodes.{node}.vrfs.{vrf.name}"
    return _way(lab, node, hops)


def _label(lab: Lab, node: str, label: int, hops: tuple[NextHop, ...]) -> str:
    for number, given in enumerate(lab.node(node).routes):
        if given.label == label:
            return f"nodes.{node}.routes[{number}]"
    net = network(lab)
    for number, lsp in enumerate(lab.lsps):
        if any(at == label and node in routers for routers, at in _passes(net, lsp)):
            return f"lsps[{number}]"
    return _way(lab, node, hops)


def _passes(net: Network, lsp: Lsp) -> Iterator[tuple[tuple[str, ...], int]]:
    """The routers that each label comes in at."""
    return zip(receivers(lsp, steps(net, lsp)), lsp.labels, strict=False)


def _way(lab: Lab, node: str, hops: tuple[NextHop, ...]) -> str:
    """The port or VRF that it leads to."""
    vrfs = {vrf.name for vrf in lab.node(node).vrfs}
    port = next((hop.port for hop in hops if hop.port), "")
    return f"nodes.{node}.vrfs.{port}" if port in vrfs else _end(lab, node, port)
