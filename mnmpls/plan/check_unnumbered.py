"""What can be wrong with unnumbered links."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import NO_LOOPBACK, Lab, Link, Port
from .check_links import link_text
from .graph import ROUTERS, Network, is_router_port
from .spelling import cidr

Fault = tuple[str, str]

_OTHERWISE = "take unnumbered out, and its ends get addresses"


def unnumbered_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of every link that is to be unnumbered."""
    for i, link in enumerate(lab.links):
        if link.unnumbered and all(port.node in net.nodes for port in link.ports):
            for path, text in _of_link(lab, net, link, f"links[{i}]"):
                yield path, f"{link_text(link)}: {text}"


def _of_link(lab: Lab, net: Network, link: Link, where: str) -> Iterator[Fault]:
    strangers = [port for port in link.ports if not is_router_port(net.nodes, port)]
    if strangers:
        yield f"{where}.unnumbered", f"only links between p and pe, outside VRFs, can be, and {_why(net, strangers[0])}"
        return
    if link.versions:
        yield f"{where}.versions", "they are of addresses, and an unnumbered link has none: give one of the two"
    for side, port in zip("ab", link.ports, strict=True):
        if text := _given(net, port):
            yield f"{where}.{side}.ip", text
    spoken = [_versions(net, port) for port in link.ports]
    lacking = [port.node for port, versions in zip(link.ports, spoken, strict=True) if not versions]
    if lacking:
        text = f"no loopback at {' and '.join(lacking)}, whose address this link would borrow"
        yield f"{where}.unnumbered", f"{text}: leave loopback out to have one planned, or number the link"
    elif not set.intersection(*spoken):
        text = f"the loopbacks of {link.a.node} and {link.b.node} are of two IP versions"
        yield f"{where}.unnumbered", f"{text}: give one of them an address of the other's, too"
    if borrowed := {*link.over} & {address for port in link.ports for address in _loopbacks(net, port)}:
        text = f"this tunnel runs between what it would borrow ({' and '.join(sorted(borrowed))})"
        yield f"{where}.unnumbered", f"{text}, and so through itself: {_OTHERWISE}, or let it run over others"


def _why(net: Network, port: Port) -> str:
    role = net.role(port.node)
    if role in ROUTERS:
        return f"{port.node} has it in VRF {port.vrf}; {_OTHERWISE}"
    return f"{port.node} is a {role}; {_OTHERWISE}"


def _given(net: Network, port: Port) -> str:
    """What is wrong with the addresses of an end, if not they are what it borrows, as in a completed lab."""
    own = _loopbacks(net, port)
    found = [(text, cidr(text)) for text in port.addresses or ()]
    strange = [text for text, each in found if each and not each.is_link_local and str(each.ip) not in own]
    if strange or port.addresses == ():
        given = strange[0] if strange else NO_LOOPBACK
        return f"{port.node} is given {given} here, and an unnumbered link borrows its addresses: take ip or that out"
    return ""


def _loopbacks(net: Network, port: Port) -> list[str]:
    found = (cidr(text) for text in net.nodes[port.node].loopbacks if text != NO_LOOPBACK)
    return [str(address.ip) for address in found if address]


def _versions(net: Network, port: Port) -> set[int]:
    """Of IP that the router's loopbacks have, or will have."""
    given = net.nodes[port.node].loopbacks
    return {6 if ":" in address else 4 for address in _loopbacks(net, port)} if given else {4}
