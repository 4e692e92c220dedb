"""What can be wrong with a link's type, and with what a tunnel runs over."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from itertools import pairwise

from ..errors import nearest
from ..model import DUMMY, LINK_TYPES, NO_LOOPBACK, Lab, Link
from .check_links import link_text
from .graph import ROUTERS, Network, interface, spread
from .spelling import cidr, is_address
from .tunnels import KINDS, LEAST_MTU_BYTES, version_of

Fault = tuple[str, str]

_ONLY = {
    "key": (("gre", "ip6gre", "gretap"), 0, 2**32 - 1),
    "vni": (("vxlan",), 0, 2**24 - 1),
    "ttl": (tuple(KINDS), 1, 255),
    "encap_limit": (("ip6gre",), 0, 255),
}
"""Field -> the types that have it, and its range."""


def tunnel_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of links' types, and of what tunnels run over."""
    named = {link.name: link for link in lab.links if link.name}
    for i, link in enumerate(lab.links):
        for path, text in _of_link(net, link, named, f"links[{i}]"):
            yield path, f"{link_text(link)}: {text}"
    for path, link, text in (*_alike(lab), *_alone(lab, net)):
        yield path, f"{link_text(link)}: {text}"


def _alone(lab: Lab, net: Network) -> Iterator[tuple[str, Link, str]]:
    """Tunnels between nodes that no wires join: nothing but a tunnel could carry their packets, which no tunnel can
    that itself has nothing beneath."""
    tunnels = [(i, link) for i, link in enumerate(lab.links) if not link.is_wire and link.type in KINDS]
    ends = {id(port) for _, link in tunnels for port in link.ports}
    every, outside = (_joined(net, ends, inside) if tunnels else {} for inside in (True, False))
    for i, link in tunnels:
        a, b = link.a.node, link.b.node
        if a in net.nodes and b in net.nodes and "bridge" not in (net.role(a), net.role(b)):
            routers = bool({net.role(a), net.role(b)} & ROUTERS)
            first = outside if routers else every
            if first.get(a, a) != first.get(b, b):
                where = " outside VRFs" if routers else ""
                text = f"no wires lead from {a} to {b}{where}, so that only itself could carry this tunnel's packets"
                yield f"links[{i}]", link, f"{text}: join the two by a link, or by way of other nodes"


def _joined(net: Network, tunnels: Container[int], inside: bool) -> dict[str, str]:
    """For every node the first of those that wires join it to; wires in VRFs count only with ``inside``, or where the
    user's own routes may lead from the main table into a VRF. ``tunnels``: the ids of their ports, which may have no
    names yet."""
    leaks = {name for name, node in net.nodes.items() if inside or node.imports or node.routes or node.rules}
    beside: dict[str, list[str]] = {}
    for segment in net.segments:
        members = [each.node for each in segment.ports if each.vrf is None or each.node in leaks]
        if not any(id(port) in tunnels for port in segment.ports):
            for one, other in pairwise(members):
                beside.setdefault(one, []).append(other)
                beside.setdefault(other, []).append(one)
    first: dict[str, str] = {}
    for start in beside:
        if start not in first:
            first.update(dict.fromkeys(spread([start], beside), start))
    return first


def _of_link(net: Network, link: Link, named: Mapping[str, Link], where: str) -> Iterator[Fault]:
    if link.type == DUMMY:
        text = "a dummy has no other end, and is no link: write it at its node"
        yield f"{where}.type", f"{text}, as dummies: {{d0: 10.9.0.1/24}}"
    elif link.type not in LINK_TYPES:
        yield f"{where}.type", f"there is no link type {link.type!r}; {nearest(link.type, LINK_TYPES)}"
        return
    if link.name and named[link.name] is not link:
        yield f"{where}.name", f"there are two links called {link.name}: rename one"
    if not {*link.versions} <= {4, 6}:
        yield f"{where}.versions", "there are the IP versions 4 and 6: give one of them, or both"
    yield from _settings(link, where)
    if not link.is_wire and all(port.node in net.nodes for port in link.ports):
        yield from _ends(net, link, where)
        yield from _over(net, link, named, f"{where}.over")


def _alike(lab: Lab) -> Iterator[tuple[str, Link, str]]:
    """Tunnels whose packets a node could not tell apart: the kernel makes but the first."""
    first: dict[tuple[object, ...], str] = {}
    for i, link in enumerate(lab.links):
        known = len(link.over) == 2 and all(is_address(text) for text in link.over)
        kind = KINDS.get(link.type, {}).get(version_of(link)) if known else None
        for port, over in ((link.a, link.over), (link.b, link.over[::-1])) if kind else ():
            ends = tuple(str(interface(text).ip) for text in over)
            by = (version_of(link), link.vni) if link.type == "vxlan" else (ends, link.key)
            where = first.setdefault((port.node, kind, *by), f"links[{i}]")
            if where != f"links[{i}]":
                yield f"links[{i}]", link, f"{_alike_text(link, port.node)}, {lab.told(where)}: {_otherwise(link)}"
                break


def _alike_text(link: Link, node: str) -> str:
    if link.type == "vxlan":
        return f"{node} has a link of type vxlan with vni {link.vni} already"
    key = "" if link.key is None else f" with key {link.key}"
    return f"{node} has a link of type {link.type}{key} between these two addresses already"


def _otherwise(link: Link) -> str:
    if link.type == "vxlan":
        return "give this one a vni of its own"
    return "give this one a key of its own" if link.type in _ONLY["key"][0] else "let this one run over other addresses"


def _settings(link: Link, where: str) -> Iterator[Fault]:
    for field, (types, least, most) in _ONLY.items():
        value, key = getattr(link, field), field.replace("_", "")
        if value is None:
            continue
        if link.type not in types:
            yield f"{where}.{key}", f"a link of type {link.type} has no {key}, only {', '.join(types)}: take it out"
        elif not least <= value <= most:
            yield f"{where}.{key}", f"a {key} of {value} is not possible: give {least} to {most}"
    if link.type == "vxlan" and link.vni is None:
        yield f"{where}.vni", "a vxlan link needs a vni, the number of its network: give 0 to 16777215"
    if link.is_wire and link.over:
        yield f"{where}.over", f"a veth link is a wire and runs over nothing: give it a type, one of {', '.join(KINDS)}"


def _ends(net: Network, link: Link, where: str) -> Iterator[Fault]:
    for port, side in ((link.a, "a"), (link.b, "b")):
        if net.role(port.node) == "bridge":
            text = f"{port.node} is a bridge, which has no address that a tunnel could begin at"
            yield f"{where}.{side}", f"{text}: end the tunnel at a node beside it"
        if port.mac:
            yield f"{where}.{side}.mac", "only a wire's end can have a MAC address of its own, and this is a tunnel's"
        kind = KINDS[link.type].get(version_of(link), "") if len(link.over) == 2 else ""
        least = LEAST_MTU_BYTES.get(kind, 0)
        if port.mtu_bytes is not None and port.mtu_bytes < least:
            text = f"{link.type} over IPv4 takes no MTU below {least}, and {port.mtu_bytes} is left for this one"
            yield f"{where}.{side}.mtu", f"{text}: give what it runs over a greater MTU"


def _over(net: Network, link: Link, named: Mapping[str, Link], where: str) -> Iterator[Fault]:
    if len(link.over) > 2:
        yield where, "a tunnel runs over one link, by its name, or between two addresses, a's first"
    elif len(link.over) == 2:
        yield from _between(net, link, where)
    elif link.over:
        yield from _over_link(link, named, where)


def _over_link(link: Link, named: Mapping[str, Link], where: str) -> Iterator[Fault]:
    below = named.get(link.over[0])
    if below is None:
        hint = nearest(link.over[0], named) if named else "no link has a name"
        yield where, f"there is no link called {link.over[0]!r}; {hint}"
        return
    nodes = {port.node for port in link.ports}
    if {port.node for port in below.ports} != nodes:
        text = f"link {below.name} joins {below.a.node} and {below.b.node}, not {link.a.node} and {link.b.node}"
        yield where, f"{text}: give the two addresses that this tunnel runs between"
    elif any(port.vrf for port in below.ports):
        text = f"link {below.name} ends in a VRF, and a tunnel's own packets are routed in the main table"
        yield where, f"{text}: choose another"
    seen = [link]
    while below is not None and below not in seen:
        seen.append(below)
        below = named.get(below.over[0]) if len(below.over) == 1 else None
    if below is link:
        yield where, "this tunnel runs through itself: " + " over ".join(each.name or "it" for each in (*seen, link))


def _between(net: Network, link: Link, where: str) -> Iterator[Fault]:
    bad = [text for text in link.over if not is_address(text)]
    if bad:
        yield where, f"{bad[0]!r} is not an address; write over: [ADDRESS OF {link.a.node}, ADDRESS OF {link.b.node}]"
        return
    versions = {interface(text).version for text in link.over}
    if len(versions) > 1:
        yield where, f"{' and '.join(link.over)} are of two IP versions: a tunnel runs over one"
    elif not versions <= KINDS[link.type].keys():
        other = {"gre": "type ip6gre", "ip6gre": "type gre"}[link.type]
        yield where, f"{link.type} does not run over IPv{versions.pop()}: that would be {other}"
    for port, address in zip(link.ports, link.over, strict=True):
        if fault := _not_at(net, port.node, address):
            yield where, fault


def _not_at(net: Network, node: str, address: str) -> str:
    """Why a tunnel cannot begin at this address there; empty if it can, or may once everything is planned."""
    wanted = interface(address).ip
    ports = net.ports[node]
    has = [(each, port.vrf) for port in ports for text in port.addresses or () if (each := cidr(text))]
    loopbacks = [cidr(text) for text in net.nodes[node].loopbacks if text != NO_LOOPBACK]
    open_ = any(port.addresses is None for port in ports) or (not loopbacks and not net.nodes[node].loopbacks)
    found = [vrf for each, vrf in has if each.ip == wanted]
    if found and all(found):
        return f"{address} is in VRF {found[0]} of {node}, and a tunnel's own packets are routed in the main table"
    if found or open_ or any(each and each.ip == wanted for each in loopbacks):
        return ""
    return f"{node} does not have the address {address}: write over: [ADDRESS OF A, ADDRESS OF B], in that order"
