"""What can be wrong with the addresses of several ports together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..model import Lab, Link, Port
from .check_links import link_text
from .graph import Interface, Network
from .spelling import cidr

Fault = tuple[str, str]
Subnet = tuple[int, int]


@dataclass(frozen=True)
class _Given:
    """An address as somebody gave it to a port."""

    where: str
    link: Link
    port: Port
    address: Interface


def address_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Addresses given twice, and neighbours that share no subnet. Link-local ones are each link's own business."""
    given = [each for each in _given(lab, net) if not each.address.is_link_local]
    yield from _twice_in_a_vrf(lab, given)
    segment_at = {id(port): i for i, segment in enumerate(net.segments) for port in segment.ports}
    members: dict[int, list[_Given]] = defaultdict(list)
    for each in given:
        if id(each.port) in segment_at:
            members[segment_at[id(each.port)]].append(each)
    for entries in members.values():
        yield from _twice_on_a_wire(lab, entries)
        for version in (4, 6):
            yield from _strangers([entry for entry in entries if entry.address.version == version])


def _given(lab: Lab, net: Network) -> Iterator[_Given]:
    for i, link in enumerate(lab.links):
        for port, side in ((link.a, "a"), (link.b, "b")):
            if port.node in net.nodes:
                found = (cidr(text) for text in port.addresses or () if "/" in text)
                yield from (_Given(f"links[{i}].{side}", link, port, address) for address in found if address)


def _twice_in_a_vrf(lab: Lab, given: Sequence[_Given]) -> Iterator[Fault]:
    """The kernel would answer at either port."""
    seen: dict[tuple[str, str | None, int, int], str] = {}
    for each in given:
        port, address = each.port, each.address
        first = seen.setdefault((port.node, port.vrf, address.version, int(address)), each.where)
        if first != each.where:
            scope = f" in VRF {port.vrf}" if port.vrf else ""
            text = f"{port.node} has {address.ip}{scope} already, {lab.told(first)}: one port only can have an address"
            yield f"{each.where}.ip", f"{link_text(each.link)}: {text}"


def _twice_on_a_wire(lab: Lab, entries: Sequence[_Given]) -> Iterator[Fault]:
    seen: dict[tuple[int, int], _Given] = {}
    for each in entries:
        first = seen.setdefault((each.address.version, int(each.address)), each)
        if first.port.node != each.port.node:
            owner = f"{first.port.node}'s already, {lab.told(first.where)}"
            text = f"{each.address.ip} is {owner}, and both hear each other: give {each.port.node} another"
            yield f"{each.where}.ip", f"{link_text(each.link)}: {text}"


def _strangers(entries: Sequence[_Given]) -> Iterator[Fault]:
    """Ports of one wire or LAN and one IP version that share no subnet with any other. Of two such, one is told."""
    users: Mapping[Subnet, set[str]] = defaultdict(set)
    subnets_of: dict[str, list[_Given]] = defaultdict(list)
    for each in entries:
        users[_subnet(each)].add(each.where)
        subnets_of[each.where].append(each)
    if len(subnets_of) < 2:
        return
    lonely = [where for where, mine in subnets_of.items() if all(len(users[_subnet(each)]) == 1 for each in mine)]
    for where in lonely[1:] if len(lonely) == len(subnets_of) else lonely:
        yield f"{where}.ip", _stranger_text(where, subnets_of)


def _subnet(given: _Given) -> Subnet:
    """Of one IP version; as numbers, because writing an address out takes its time."""
    network = given.address.network
    return int(network.network_address), network.prefixlen


def _stranger_text(where: str, subnets_of: Mapping[str, Sequence[_Given]]) -> str:
    mine = subnets_of[where][0]
    others = [f"{theirs[0].port.node} {_listed(theirs)}" for other, theirs in subnets_of.items() if other != where]
    there = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
    text = f"{mine.port.node} has {_listed(subnets_of[where])}, which shares no subnet with {there}"
    return f"{link_text(mine.link)}: {text}: put them into one"


def _listed(given: Sequence[_Given]) -> str:
    return " and ".join(str(each.address) for each in given)
