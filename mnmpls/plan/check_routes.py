"""What can be wrong with the routes that a node is given, those of labels among them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton

from ..errors import nearest
from ..model import Lab, Node, Port, StaticRoute
from . import ttl
from .check_labels import incoming_fault, leaving_faults
from .check_links import vrf_fault
from .graph import ROUTERS, Network, interface
from .routes import destination, version
from .spelling import cidr, is_address

Fault = tuple[str, str]
_At = tuple[str | None, bytes]
"""A VRF, and an address there."""


def route_faults(lab: Lab, net: Network, node: Node, where: str) -> Iterator[Fault]:
    """Every fault of every route of ``node``."""
    modes: dict[int, str] = {}
    ports = [port.name for port in net.ports.get(node.name, ())]
    known = {*ports, *(vrf.name for vrf in node.vrfs), "lo"}
    own = _own_addresses(net, node) if node.routes else frozenset()
    for i, route in enumerate(node.routes):
        path = f"{where}.routes[{i}]"
        if route.label is None:
            yield from _destination_faults(route, path)
        else:
            yield from _label_faults(lab, node, route, path)
            if modes.setdefault(route.label, route.ttl) != route.ttl:
                text = f"the ways of label {route.label} have one ttl together, and another of them has"
                yield f"{path}.ttl", f"{text} {modes[route.label]!r}: give both the same"
        yield from _hop_faults(net, node, route, own, path)
        if route.port and route.port not in known and all(ports):
            yield f"{path}.port", f"{node.name} has no port {route.port!r}; {nearest(route.port, set(ports))}"
        yield from leaving_faults(route.labels, f"{path}.labels")
        if route.labels and (fault := _no_labels_there(net, node, route)):
            yield f"{path}.labels", fault


def _destination_faults(route: StaticRoute, path: str) -> Iterator[Fault]:
    subnet = cidr(destination(route))
    if subnet is None:
        yield f"{path}.dst", f"{route.dst!r} is not a prefix, such as 10.1.0.0/16, nor the word default"
    elif not _begins(destination(route)):
        yield f"{path}.dst", f"{route.dst} is an address inside the prefix {subnet.network}: write that"
    if not route.via and not route.port:
        yield path, f"where does {route.dst or 'this route'} lead? Give via (an address), port (a port's name), or both"
    if subnet is not None and subnet.version == 6 and is_address(route.via) and version(route.via) == 4:
        yield f"{path}.via", f"a route to {route.dst} needs a next hop of IPv6, and {route.via} is not one"
    if fault := ttl.fault(route.ttl, numbers=True):
        yield f"{path}.ttl", fault
    elif route.ttl and not route.labels:
        yield f"{path}.ttl", "it is about pushed labels, and this route pushes none: give it labels, or take ttl out"


def _label_faults(lab: Lab, node: Node, route: StaticRoute, path: str) -> Iterator[Fault]:
    label = route.label or 0
    if node.role not in ROUTERS:
        yield f"{path}.label", f"{node.name} is a {node.role}: only p and pe have a label table"
    if fault := incoming_fault(lab, label):
        yield f"{path}.label", fault
    if route.dst:
        yield f"{path}.dst", f"a route is either for a prefix or for a label: make two of {route.dst} and label {label}"
    if route.vrf is not None and (route.via or route.port or route.labels):
        yield f"{path}.vrf", f"label {label} is popped into {route.vrf}, whose routes say what is next: give vrf alone"
    elif route.vrf is None and not route.via and route.port != "lo":
        way = "via (the next router's address), port: lo (it ends here), or vrf (it ends in a VRF)"
        yield path, f"where does label {label} lead? Give {way}"
    elif not route.via and route.labels:
        yield f"{path}.labels", f"label {label} ends here, so that no labels can leave: give via, or no labels"
    if fault := ttl.fault(route.ttl, numbers=False):
        yield f"{path}.ttl", fault


def _hop_faults(
    net: Network, node: Node, route: StaticRoute, own: frozenset[_At], path: str
) -> Iterator[Fault]:
    if route.via and not is_address(route.via):
        yield f"{path}.via", f"{route.via!r} is not an address"
    elif route.via and not route.port and not may_reach(net, node, route.via):
        text = f"the next hop {route.via} is in no subnet of {node.name}'s ports{has(net, node)}"
        yield f"{path}.via", f"{text}: give one that is, or name the port too"
    elif route.via and (route.vrf, _packed(route.via)) in own:  # the kernel takes it, and nothing gets anywhere
        yield f"{path}.via", f"the next hop {route.via} is {node.name}'s own address: give its neighbour's"
    if route.vrf is not None and (fault := vrf_fault(net, node, route.vrf)):
        yield f"{path}.vrf", fault


def _own_addresses(net: Network, node: Node) -> frozenset[_At]:
    return frozenset(
        (port.vrf, packed) for port in net.ports.get(node.name, ())
        for text in port.addresses or () if (packed := _packed(text))
    )


@lru_cache(maxsize=65536)
def _begins(subnet: str) -> bool:
    """Whether its address is its first."""
    prefix = interface(subnet)
    return prefix.ip == prefix.network.network_address


@lru_cache(maxsize=65536)
def _packed(text: str) -> bytes:
    """An address as the kernel has it, to be compared for every route with every address; empty for what is none."""
    address = text.partition("/")[0].partition("%")[0]
    try:
        return inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        return b""


def _no_labels_there(net: Network, node: Node, route: StaticRoute) -> str:
    """Why the router behind this route's port would drop labels; empty where it takes them, and where the way is not
    known yet."""
    port = _port_of(net, node, route)
    if port is None or net.is_core(port):
        return ""
    if port.vrf is not None:
        return f"labels do not travel in a VRF, and {port.name} is in {port.vrf}: only between p and pe outside of VRFs"
    index = net.segment_of.get((port.node, port.name))  # a bridge's port is in none
    others = net.segments[index].ports if index is not None else ()
    beyond = [f"{each.node} is a {net.role(each.node)}" for each in others if each.node not in (node.name, "")]
    there = [f"{node.name} is a {node.role}"] if node.role not in ROUTERS else beyond[:3] or ["nobody is there"]
    return f"labels do not travel over {port.name}, because {', '.join(there)}: only p and pe take them"


def _port_of(net: Network, node: Node, route: StaticRoute) -> Port | None:
    ports = net.ports.get(node.name, ())
    if not all(port.name for port in ports):
        return None
    if route.port:
        return next((port for port in ports if port.name == route.port), None)
    return next((port for port in ports if is_address(route.via) and _near(port, route.via)), None)


def _near(port: Port, address: str) -> bool:
    found = (cidr(text) for text in port.addresses or ())
    return any(each and interface(address).ip in each.network for each in found)


def may_reach(net: Network, node: Node, address: str) -> bool:
    """Whether a port's subnet has ``address``, or may come to have it."""
    ports = net.ports.get(node.name, ())
    return any(port.addresses is None or _near(port, address) for port in ports)


def has(net: Network, node: Node) -> str:
    """What addresses a node's ports have, to be said after what they lack."""
    given = [text for port in net.ports.get(node.name, ()) for text in port.addresses or ()]
    return f", which have {', '.join(given[:6])}" + (" ..." if len(given) > 6 else "") if given else ""
