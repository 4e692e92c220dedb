"""Labs of other sizes: nodes and wires only, all numbers planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import LabError, Problem, nearest
from ..model import Lab, Link, Node, Port, Vrf

SIZES = {"customers": 2, "sites": 2, "hosts": 2, "core": 1}
LARGEST = {"customers": 4000, "sites": 1000, "hosts": 200, "core": 1000}
"""More would leave the planner's address ranges or 15-byte names."""


def l3vpn(*in_order: object, **named: object) -> Lab:
    """An L3VPN with every name planned. Sizes, by name or in this order: ``customers`` (2), ``sites`` (2), ``hosts``
    (2), ``core`` (1). ``core`` P routers are in a chain, one PE per site on them in turn, at each PE a CE of every
    customer, behind each CE a bridge with ``hosts`` hosts. Raises LabError for impossible sizes."""
    given = dict(zip(SIZES, in_order, strict=False))
    found = [*_surplus(in_order, named), *_unknown(named)]
    found += [p for name, size in {**given, **named}.items() if name in SIZES for p in _size_problems(name, size)]
    if found:
        raise LabError(found)
    sizes: dict[str, Any] = {**SIZES, **given, **named}
    return _lab(**sizes)


def _lab(customers: int, sites: int, hosts: int, core: int) -> Lab:
    cores = ["p"] if core == 1 else [f"p{i}" for i in range(1, core + 1)]
    nodes = [Node(name, "p") for name in cores]
    links = [Link(Port(a), Port(b)) for a, b in zip(cores, cores[1:], strict=False)]
    for site in range(1, sites + 1):
        pe = f"pe{site}"
        # Sites are spread over the whole chain, so that every P router carries something.
        at = cores[(site - 1) * (core - 1) // (sites - 1)] if sites > 1 else cores[0]
        nodes.append(Node(pe, "pe", vrfs=tuple(Vrf(f"vrf-c{c}") for c in range(1, customers + 1))))
        links.append(Link(Port(pe), Port(at)))
    for customer in range(1, customers + 1):
        for site in range(1, sites + 1):
            links.append(Link(Port(f"c{customer}e{site}"), Port(f"pe{site}", vrf=f"vrf-c{customer}")))
            _add_site(nodes, links, customer, site, hosts)
    return Lab("l3vpn", tuple(nodes), tuple(links))


def _add_site(nodes: list[Node], links: list[Link], customer: int, site: int, hosts: int) -> None:
    ce, bridge = f"c{customer}e{site}", f"b{customer}s{site}"
    nodes += [Node(ce, "ce"), Node(bridge, "bridge")]
    links.append(Link(Port(ce), Port(bridge, addresses=())))
    for number in range((site - 1) * hosts + 1, site * hosts + 1):
        nodes.append(Node(f"c{customer}h{number}", "host"))
        links.append(Link(Port(f"c{customer}h{number}"), Port(bridge, addresses=())))


def _size_problems(name: str, size: object) -> Iterator[Problem]:
    least = 0 if name == "hosts" else 1
    if isinstance(size, bool) or not isinstance(size, int):
        yield Problem(f"l3vpn.{name}", f"{size!r} is not a whole number")
    elif not least <= size <= LARGEST[name]:
        yield Problem(f"l3vpn.{name}", f"{size} is not possible: give {least} to {LARGEST[name]}")


def _surplus(in_order: tuple[object, ...], named: dict[str, object]) -> Iterator[Problem]:
    for name in [name for name in list(SIZES)[: len(in_order)] if name in named]:
        yield Problem(f"l3vpn.{name}", f"given twice: as {named[name]!r} and by its place in {', '.join(SIZES)}")
    if len(in_order) > len(SIZES):
        yield Problem("l3vpn", f"{len(in_order)} sizes are too many: there are {', '.join(SIZES)}")


def _unknown(named: dict[str, object]) -> Iterator[Problem]:
    for name in [name for name in named if name not in SIZES]:
        yield Problem(f"l3vpn.{name}", f"there is no size of this name; {nearest(name, LARGEST)}")
