"""What can be wrong with a routing protocol's settings, at the lab, a node and a link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..model import LEVELS, NO_IGP, STATIC, Igp, Lab, Port
from .check_links import link_text
from .graph import ROUTERS, Network
from .igp import AREA, DEADS, HELLO_S, IgpPort, area, igp_ports, takes_part

Fault = tuple[str, str]

LARGEST = 65535
"""OSPF's cost and timers have 16 bits (RFC 2328 A.3, A.4)."""
NO_ETHERNET = ("gre", "ip6gre", "mpls-ip")
"""What isisd sends by them, its filter for what comes in does not let through (isisd/isis_pfpacket.c)."""
_SLOWEST, _DEADS = 600, range(2, 101)
"""isisd's hello interval, and how many hellos may be lost (isisd/isis_cli.c)."""


def igp_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of every key ``igp`` but its protocol."""
    given = [("igp", lab.igp), *((f"nodes.{node.name}.igp", node.igp) for node in lab.nodes)]
    given += [(f"links[{i}].igp", link.igp) for i, link in enumerate(lab.links)]
    if lab.igp.protocol == STATIC:
        for where, igp in given:
            if igp not in (Igp(), Igp(STATIC)):
                yield where, "this is for a routing protocol, and the lab has none: add igp: ospf, or take this out"
        return
    protocol = lab.igp.protocol
    wrong = [fault for where, igp in given for fault in _values(where, protocol, igp)]
    wrong += [*_levels(lab), *_nodes(lab), *_links(lab, net)]
    yield from wrong
    if not wrong and all(port.name for link in lab.links for port in link.ports):  # which the planner sees to
        ports = igp_ports(lab, net)
        yield from _ends(lab, ports)
        if protocol == "ospf":
            yield from _areas(ports)


def _values(where: str, protocol: str, igp: Igp) -> Iterator[Fault]:
    try:
        area(protocol, igp.area)
    except ValueError:
        isis, ospf = "IS-IS area: write it as 49.0001", "OSPF area: write it as 0.0.0.1, or as a number"
        yield f"{where}.area", f"{igp.area!r} is no {isis if protocol == 'isis' else ospf}"
    for key, value in (("metric", igp.metric), ("hello", igp.hello_s), ("dead", igp.dead_s)):
        if value is not None and not 1 <= value <= LARGEST:
            yield f"{where}.{key}", f"{value} is not possible: give 1 to {LARGEST}"
    hello_s = igp.hello_s or HELLO_S
    if igp.dead_s and igp.dead_s <= hello_s:
        text = f"a neighbour is heard every {hello_s} s, and would be lost after {igp.dead_s} s"
        yield f"{where}.dead", f"{text}: give more than hello, such as {DEADS * hello_s}"
    elif protocol == "isis" and igp.dead_s and (igp.dead_s % hello_s or igp.dead_s // hello_s not in _DEADS):
        text = f"IS-IS counts lost hellos, and one comes every {hello_s} s"
        yield f"{where}.dead", f"{text}: give {_DEADS[0]} to {_DEADS[-1]} times that, such as {DEADS * hello_s}"
    if protocol == "isis" and hello_s > _SLOWEST:
        yield f"{where}.hello", f"{hello_s} is not possible: IS-IS takes up to {_SLOWEST} s"


def _levels(lab: Lab) -> Iterator[Fault]:
    if lab.igp.level and lab.igp.protocol != "isis":
        yield "igp.level", "levels are IS-IS's: take this out, or write protocol: isis"
    elif lab.igp.level and lab.igp.level not in LEVELS:
        yield "igp.level", f"there is no level {lab.igp.level!r}; there are {', '.join(LEVELS)}"
    inner = [(f"nodes.{node.name}.igp", node.igp) for node in lab.nodes]
    for where, igp in (*inner, *((f"links[{i}].igp", link.igp) for i, link in enumerate(lab.links))):
        if igp.level:
            text = "FRR's isisd tells neither level what it learns on the other, so that all routers are of the lab's"
            yield where, f"{text}: give the lab igp: {{protocol: isis, level: {igp.level}}}"


def _nodes(lab: Lab) -> Iterator[Fault]:
    for node in lab.nodes:
        if node.igp != Igp() and node.role not in ROUTERS:
            yield f"nodes.{node.name}.igp", f"{node.name} is a {node.role}: the core's routing protocol is for p and pe"
        if node.igp.protocol not in ("", NO_IGP):
            yield f"nodes.{node.name}.igp", f"a protocol is the whole lab's: here only {NO_IGP} or settings can stand"
        if (node.igp.hello_s, node.igp.dead_s, node.igp.bfd) != (None, None, None):
            yield f"nodes.{node.name}.igp", "hello, dead and bfd are a link's, since both of its ends have to agree"


def _links(lab: Lab, net: Network) -> Iterator[Fault]:
    for i, link in enumerate(lab.links):
        where = f"links[{i}].igp"
        if link.igp.protocol not in ("", NO_IGP):
            yield where, f"a protocol is the whole lab's: here only {NO_IGP} or settings can stand"
        if link.igp.area and lab.igp.protocol == "isis":
            yield where, f"{link_text(link)}: an area of IS-IS is a router's: give it to the node, or the lab"
        heard = link.type in NO_ETHERNET and all(
            port.name and _is_routers(net, port) and takes_part(net, port) for port in link.ports
        )
        if lab.igp.protocol == "isis" and heard:
            text = f"IS-IS has no IP around it, and FRR's isisd is not heard through a {link.type} tunnel"
            yield f"links[{i}].type", f"{link_text(link)}: {text}: make it gretap or vxlan, or write igp: none"
        if link.igp != Igp() and not any(_is_routers(net, port) for port in link.ports):
            yield where, f"{link_text(link)}: the core's routing protocol does not run at links of customers anyway"


def _is_routers(net: Network, port: Port) -> bool:
    return port.node in net.nodes and net.role(port.node) in ROUTERS and not port.vrf


def _ends(lab: Lab, ports: Mapping[str, tuple[IgpPort, ...]]) -> Iterator[Fault]:
    """What both ends have to agree on (RFC 2328 10.5)."""
    known = {(each.port.node, each.port.name): each for some in ports.values() for each in some}
    for i, link in enumerate(lab.links):
        for port in link.ports:
            mine = known.get((port.node, port.name))
            for other in mine.others if mine else ():
                theirs = known[other.node, other.name]
                for key, one, two in _agreed(lab.igp, mine, theirs):
                    if one != two and (port.node, port.name) < (other.node, other.name):
                        text = f"{port.node} and {other.node} are neighbours, with {key} {one} and {key} {two}"
                        alone = lab.igp.protocol == "isis" and key == "area"
                        remedy = "give both nodes one, or take level 1 out" if alone else "give the link one"
                        yield f"links[{i}].igp", f"{link_text(link)}: {text}: {remedy}, igp: {{{key}: {two}}}"


def _agreed(igp: Igp, mine: IgpPort | None, theirs: IgpPort) -> Iterator[tuple[str, object, object]]:
    """IS-IS says its timers in each hello, and on level 2 areas do not matter (ISO 10589 8.2.4)."""
    if mine:
        if igp.protocol == "ospf" or igp.level == "1":
            yield "area", mine.area, theirs.area
        if igp.protocol == "ospf":
            yield "hello", mine.hello_s, theirs.hello_s
            yield "dead", mine.dead_s, theirs.dead_s
        yield "bfd", mine.bfd, theirs.bfd


def _areas(ports: Mapping[str, tuple[IgpPort, ...]]) -> Iterator[Fault]:
    """Between areas OSPF goes through the backbone only (RFC 2328 3.1)."""
    by_node = {name: {each.area for each in some} for name, some in ports.items()}
    every = {area for areas in by_node.values() for area in areas}
    joined = {area for areas in by_node.values() if AREA in areas for area in areas}
    for lone in sorted(every - joined) if len(every) > 1 else ():
        text = f"area {lone} has no router that is in area {AREA} too"
        yield "igp", f"{text}, by which OSPF goes from area to area: put a link of such a router into {AREA}"
