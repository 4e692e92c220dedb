"""What the daemons of one router have to know, from the lab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface

from ..model import NO_LOOPBACK, Lab, Node, Port, Vrf
from ..plan.alloc import ASN
from ..plan.graph import ROUTERS, Network, network


@dataclass(frozen=True, slots=True)
class CorePort:
    """``direct``: there is one router at the other end, and no LAN between. ``neighbours`` are their nodes' names."""

    name: str
    direct: bool
    neighbours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Router:
    """A p or pe: its name, its loopbacks' addresses (``v6`` empty for none), its ports in the core, its VRFs, and the
    loopbacks of the other PEs."""

    name: str
    v4: str
    v6: str
    ports: tuple[CorePort, ...]
    vrfs: tuple[Vrf, ...]
    peers: tuple[str, ...]
    asn: int = ASN


def routers(lab: Lab) -> dict[str, Router]:
    """Those of a completed lab that has daemons; none of others."""
    if not lab.has_daemons:
        return {}
    net = network(lab)
    edges = {node.name: _address(node, 4) for node in lab.nodes if node.vrfs}
    found = (node for node in lab.nodes if node.role in ROUTERS)
    return {
        node.name: Router(
            node.name,
            _address(node, 4),
            _address(node, 6),
            tuple(_core_ports(net, node)),
            node.vrfs,
            tuple(v4 for name, v4 in edges.items() if name != node.name and node.vrfs),
        )
        for node in found
    }


def _core_ports(net: Network, node: Node) -> Iterator[CorePort]:
    for port in net.ports[node.name]:
        if net.is_core(port):
            others = _others(net, port)
            yield CorePort(port.name, len(others) == 1, tuple(dict.fromkeys(other.node for other in others)))


def _others(net: Network, port: Port) -> list[Port]:
    ports = net.segments[net.segment_of[port.node, port.name]].ports
    return [other for other in ports if other != port and net.role(other.node) in ROUTERS and not other.vrf]


def _address(node: Node, version: int) -> str:
    """The first of its loopbacks of that IP version."""
    found = (ip_interface(cidr).ip for cidr in node.loopbacks if cidr != NO_LOOPBACK)
    return next((str(address) for address in found if address.version == version), "")
