"""The core's routing protocol, port by port: what the lab says, and what holds where it says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Address

from ..model import NO_IGP, Igp, Lab, Link, Node, Port
from .graph import CUSTOMERS, Network

AREA, ISIS_AREA = "0.0.0.0", "49.0001"
"""OSPF's backbone (RFC 2328 3.1); an area address of those that anybody may use (ISO 10589 7.1.5)."""
LEVEL = "2"
"""Of all routers: isisd tells no level of what it knows of the other (isisd/isis_snmp.c, ISIS_SYS_L2TOL1LEAKING)."""
METRIC, HELLO_S = 10, 1
DEADS = 4
"""So many hellos of a neighbour may be lost (RFC 2328 C.3)."""


@dataclass(frozen=True, slots=True)
class IgpPort:
    """A port at which the core's routing protocol runs, with nothing left open. ``others`` are such ports that hear
    it."""

    port: Port
    others: tuple[Port, ...]
    area: str
    metric: int
    hello_s: int
    dead_s: int
    bfd: bool


def igp_ports(lab: Lab, net: Network) -> Mapping[str, tuple[IgpPort, ...]]:
    """Router -> those of its ports in the core at which the lab's routing protocol runs."""
    return {name: tuple(_resolved(lab, net, ports)) for name, ports in net.ports.items()}


def takes_part(net: Network, port: Port) -> bool:
    """Whether the routing protocol of a lab that has one is to run there: it needs another that hears it."""
    return bool(_others(net, port))


def beside(net: Network) -> Mapping[str, list[str]]:
    """Router -> those that it has as neighbours."""
    return {name: [other.node for port in ports for other in _others(net, port)] for name, ports in net.ports.items()}


def _others(net: Network, port: Port) -> tuple[Port, ...]:
    if not _is_willing(net, port):
        return ()
    segment = net.segments[net.segment_of[port.node, port.name]]
    return tuple(each for each in segment.ports if each.node != port.node and _is_willing(net, each))


def _is_willing(net: Network, port: Port) -> bool:
    node, link = net.nodes[port.node], net.links[port.node, port.name]
    return net.is_core(port) and NO_IGP not in (node.igp.protocol, link.igp.protocol)


def _resolved(lab: Lab, net: Network, ports: tuple[Port, ...]) -> Iterator[IgpPort]:
    for port in ports:
        if others := _others(net, port):
            wanted = wanted_at(lab, net.nodes[port.node], net.links[port.node, port.name])
            hello_s = wanted.hello_s or HELLO_S
            yield IgpPort(
                port, others, area(lab.igp.protocol, wanted.area), wanted.metric or METRIC, hello_s,
                wanted.dead_s or DEADS * hello_s, wanted.bfd is not False,
            )  # fmt: skip


def wanted_at(lab: Lab, node: Node, link: Link | None = None) -> Igp:
    """What the link, else the node, else the lab says."""
    found = lab.igp
    for nearer in (node.igp, link.igp if link else Igp()):
        given = {each.name: value for each in fields(nearer) if (value := getattr(nearer, each.name)) not in ("", None)}
        found = replace(found, **given)
    return found


def outer_ports(net: Network, node: Node) -> tuple[Port, ...]:
    """Ports and dummies outside VRFs by which customers are at ``node``: their subnets are announced, and nobody is
    listened to."""
    if node.igp.protocol == NO_IGP:
        return ()
    outside = (port for port in net.ports[node.name] if not (port.vrf or port.evpn or takes_part(net, port)))
    return tuple(port for port in outside if _is_outer(net, port))


def _is_outer(net: Network, port: Port) -> bool:
    segment = net.segments[net.segment_of[port.node, port.name]]
    return len(segment.ports) == 1 or any(net.role(each.node) in CUSTOMERS for each in segment.ports)


def area_of(lab: Lab, node: Node) -> str:
    """The area that its loopback is in."""
    return area(lab.igp.protocol, wanted_at(lab, node).area)


def areas_of(lab: Lab, net: Network, node: Node) -> set[str]:
    """Those that its ports are in, as far as they are any."""
    here = (port for port in net.ports[node.name] if takes_part(net, port))
    texts = (wanted_at(lab, node, net.links[port.node, port.name]).area for port in here)
    found = set[str]()
    for text in texts:
        with suppress(ValueError):
            found.add(area(lab.igp.protocol, text))
    return found


def area(protocol: str, text: str) -> str:
    """An area as FRR spells it; the one that is taken for none. Raises ValueError."""
    if protocol == "isis":
        if text and not re.fullmatch(r"[0-9a-fA-F]{2}(\.[0-9a-fA-F]{4}){0,6}", text):
            raise ValueError(text)
        return text.lower() or ISIS_AREA
    text = text or AREA
    return str(IPv4Address(int(text) if text.isascii() and text.isdigit() else text))
