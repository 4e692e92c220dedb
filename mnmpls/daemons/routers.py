"""What the daemons of one router have to know, from the lab."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface

from ..model import NO_LOOPBACK, Lab, Node, Vrf
from ..plan.alloc import ASN
from ..plan.graph import ROUTERS, network, via
from ..plan.igp import IgpPort, area_of, igp_ports


@dataclass(frozen=True, slots=True)
class CorePort:
    """A port at which the core's routing protocol runs. ``direct``: there is one router at the other end, and no LAN
    between. ``neighbours`` are the others' nodes and, as far as known, their addresses here (IPv4)."""

    name: str
    direct: bool
    neighbours: tuple[tuple[str, str], ...]
    area: str
    metric: int
    hello_s: int
    dead_s: int
    bfd: bool

    @property
    def nodes(self) -> tuple[str, ...]:
        """Of its neighbours."""
        return tuple(dict.fromkeys(node for node, _ in self.neighbours))


@dataclass(frozen=True, slots=True)
class Router:
    """A p or pe: its name, its loopbacks' addresses (``v6`` empty for none) and the area of these, its ports in the
    core, its VRFs, and the loopbacks of the other PEs."""

    name: str
    v4: str
    v6: str
    area: str
    ports: tuple[CorePort, ...]
    vrfs: tuple[Vrf, ...]
    peers: tuple[str, ...]
    asn: int = ASN


def routers(lab: Lab) -> dict[str, Router]:
    """Those of a completed lab that has daemons; none of others."""
    if not lab.has_daemons:
        return {}
    net = network(lab)
    ports = igp_ports(lab, net)
    edges = {node.name: _address(node, 4) for node in lab.nodes if node.vrfs}
    found = (node for node in lab.nodes if node.role in ROUTERS)
    return {
        node.name: Router(
            node.name,
            _address(node, 4),
            _address(node, 6),
            area_of(lab, node),
            tuple(map(_core_port, ports[node.name])),
            node.vrfs,
            tuple(v4 for name, v4 in edges.items() if name != node.name and node.vrfs),
        )
        for node in found
    }


def _core_port(at: IgpPort) -> CorePort:
    neighbours = tuple((other.node, via(at.port, other, 4) or "") for other in at.others)
    return CorePort(
        at.port.name, len(neighbours) == 1, neighbours, at.area, at.metric, at.hello_s, at.dead_s, at.bfd
    )  # fmt: skip


def _address(node: Node, version: int) -> str:
    """The first of its loopbacks of that IP version."""
    found = (ip_interface(cidr).ip for cidr in node.loopbacks if cidr != NO_LOOPBACK)
    return next((str(address) for address in found if address.version == version), "")
