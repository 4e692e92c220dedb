"""What can be wrong with the addresses of several ports together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ..model import NO_LOOPBACK, Lab
from .check_links import link_text
from .graph import ROUTERS, Interface, Network
from .spelling import cidr

Fault = tuple[str, str]
Subnet = tuple[int, int]
"""Of one IP version; as numbers, because writing an address out takes its time."""


class _Given(NamedTuple):
    """An address as somebody gave it: where, what the text about it begins with, and to whom."""

    where: str
    said: str
    node: str
    vrf: str | None
    segment: int | None
    address: Interface
    subnet: Subnet
    key: str = ".ip"

    def fault(self, text: str) -> Fault:
        return self.where if self.segment is None else f"{self.where}{self.key}", self.said + text


def address_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Addresses and subnets given twice, and neighbours that share no subnet. Link-local ones are each link's own, and
    what a node with its own configuration has (an anycast address, say) is that one's affair."""
    own = {node.name for node in lab.nodes if node.routes_itself}
    every = (*_at_loopbacks(lab), *_at_gateways(lab, net), *_at_ports(lab, net))
    given = [each for each in every if each.node not in own]
    yield from _twice_in_a_table(lab, net, given)
    yield from _subnet_twice(lab, given)
    members: dict[int, list[_Given]] = defaultdict(list)
    for each in given:
        if each.segment is not None:
            members[each.segment].append(each)
    for entries in members.values():
        yield from _twice_on_a_wire(lab, net, entries)
        for version in (4, 6):
            yield from _strangers([entry for entry in entries if entry.address.version == version])


def _at_loopbacks(lab: Lab) -> Iterator[_Given]:
    for node in lab.nodes:
        for text in node.loopbacks:
            if text != NO_LOOPBACK and (read := _read(text)):
                yield _Given(f"nodes.{node.name}.loopback", "", node.name, None, None, *read)
        for vrf in node.vrfs:
            for text in vrf.loopbacks:
                if read := _read(text):
                    yield _Given(f"nodes.{node.name}.vrfs.{vrf.name}.loopback", "", node.name, vrf.name, None, *read)


def _at_ports(lab: Lab, net: Network) -> Iterator[_Given]:
    segment_at = {id(port): i for i, segment in enumerate(net.segments) for port in segment.ports}
    for node in lab.nodes:
        for dummy in node.dummies:
            segment = net.segment_of[node.name, dummy.name]
            for text in dummy.addresses:
                if "/" in text and (read := _read(text)):
                    yield _Given(f"nodes.{node.name}.dummies.{dummy.name}", "", node.name, dummy.vrf, segment, *read)
    for i, link in enumerate(lab.links):
        for port, side in ((link.a, "a"), (link.b, "b")):
            if port.addresses and id(port) in segment_at and not link.unnumbered:
                said, segment = f"{link_text(link)}: ", segment_at[id(port)]
                for text in port.addresses:
                    if "/" in text and (read := _read(text)):
                        yield _Given(f"links[{i}].{side}", said, port.node, port.vrf, segment, *read)


def _at_gateways(lab: Lab, net: Network) -> Iterator[_Given]:
    """Each of them is all PEs'; no such port is there where something else is wrong with a LAN."""
    for evpn in (evpn for evpn in lab.evpns if evpn.gateway):
        for node in net.stretched.get(evpn.name, ()):
            segment = net.segment_of.get((node, evpn.name))
            for text in evpn.gateway if segment is not None else ():
                if read := _read(text):
                    yield _Given(f"evpns.{evpn.name}", "", node, evpn.vrf, segment, *read, ".gateway")


@lru_cache(maxsize=65536)
def _read(text: str) -> tuple[Interface, Subnet] | None:
    """An address and its subnet; None for what is none, and for link-local ones."""
    address = cidr(text)
    if address is None or address.is_link_local:
        return None
    return address, (int(address.network.network_address), address.network.prefixlen)


def _is_core(net: Network, given: _Given) -> bool:
    """Whether the address belongs to the one table that all routers share."""
    return given.vrf is None and net.role(given.node) in ROUTERS


def _twice_in_a_table(lab: Lab, net: Network, given: Sequence[_Given]) -> Iterator[Fault]:
    """In a VRF of one node, in a customer's node, or in the core: nobody could tell which of the two is meant."""
    seen: dict[tuple[str, str | None, int, int], _Given] = {}
    for each in given:
        node = "" if _is_core(net, each) else each.node
        first = seen.setdefault((node, each.vrf, each.address.version, int(each.address)), each)
        if first is each:
            continue
        scope = f" in VRF {each.vrf}" if each.vrf else ""
        if first.node == each.node:
            text = f"{each.node} has {each.address.ip}{scope} already, {lab.told(first.where)}"
            yield each.fault(f"{text}: only one port can have an address")
        else:
            yield each.fault(_taken(lab, each, first, "both are in the core"))


def _taken(lab: Lab, given: _Given, first: _Given, why: str) -> str:
    owner = f"{first.node}'s already, {lab.told(first.where)}"
    return f"{given.address.ip} is {owner}, and {why}: give {given.node} another"


def _subnet_twice(lab: Lab, given: Sequence[_Given]) -> Iterator[Fault]:
    """Two wires of one node in one subnet: it would look for all neighbours of both on one of them."""
    seen: dict[tuple[str, str | None, int, Subnet], _Given] = {}
    for each in given:
        if each.segment is not None and each.subnet[1] < each.address.max_prefixlen:
            first = seen.setdefault((each.node, each.vrf, each.address.version, each.subnet), each)
            if first.segment != each.segment and first.address.ip != each.address.ip:
                text = f"{each.node} is in {each.address.network} by another wire already, {lab.told(first.where)}"
                yield each.fault(f"{text}: give each wire a subnet of its own")


def _twice_on_a_wire(lab: Lab, net: Network, entries: Sequence[_Given]) -> Iterator[Fault]:
    seen: dict[tuple[int, int], _Given] = {}
    for each in entries:
        first = seen.setdefault((each.address.version, int(each.address)), each)
        if first.node != each.node and first.where != each.where and not (_is_core(net, first) and _is_core(net, each)):
            yield each.fault(_taken(lab, each, first, "both hear each other"))


def _strangers(entries: Sequence[_Given]) -> Iterator[Fault]:
    """Ports of one wire or LAN and one IP version that share no subnet with any other. Of two such, one is told."""
    if len({each.subnet for each in entries}) < 2:
        return
    users: Mapping[Subnet, set[str]] = defaultdict(set)
    subnets_of: dict[str, list[_Given]] = defaultdict(list)
    for each in entries:
        users[each.subnet].add(each.where)
        subnets_of[each.where].append(each)
    if len(subnets_of) < 2:
        return
    lonely = [where for where, mine in subnets_of.items() if all(len(users[each.subnet]) == 1 for each in mine)]
    for where in lonely[1:] if len(lonely) == len(subnets_of) else lonely:
        yield subnets_of[where][0].fault(_stranger_text(where, subnets_of))


def _stranger_text(where: str, subnets_of: Mapping[str, Sequence[_Given]]) -> str:
    mine = subnets_of[where][0]
    others = [f"{theirs[0].node} {_listed(theirs)}" for other, theirs in subnets_of.items() if other != where]
    there = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
    return f"{mine.node} has {_listed(subnets_of[where])}, which shares no subnet with {there}: put them into one"


def _listed(given: Sequence[_Given]) -> str:
    return " and ".join(dict.fromkeys(str(each.address) for each in given))
