"""Who receives a packet where daemons tell each other routes: followed from table to table, as these come to be by
route targets and by what PEs and CEs speak. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from ..model import Node, Port
from ..plan import records
from ..plan.graph import Network, interface, interfaces, network, prefix_of, via
from ..plan.routes import destination, version
from ..plan.spoken import Spoken, speakers
from ..plan.tables import Known, Table, tables
from ..state import MAIN_TABLE, Record, Route
from .vpn import Vpns

_LONGEST = 64
"""Nodes and tables on a packet's way; more are a loop."""


class Told:
    """The ways of packets in a completed lab whose VPN routes are BGP's."""

    def __init__(self, vpns: Vpns) -> None:
        self._vpns = vpns

    @cached_property
    def _net(self) -> Network:
        return network(self._vpns.lab)

    @cached_property
    def _tables(self) -> Mapping[Table, Mapping[str, Known]]:
        return tables(self._vpns.lab)

    @cached_property
    def _records(self) -> Mapping[str, frozenset[Record]]:
        return records(self._vpns.lab)

    @cached_property
    def _lengths(self) -> Mapping[Table, list[int]]:
        """The prefix lengths in each table, the longest first."""
        found = {key: {int(prefix.partition("/")[2]) for prefix in some} for key, some in self._tables.items()}
        return {key: sorted(some, reverse=True) for key, some in found.items()}

    @cached_property
    def _speakers(self) -> Mapping[str, list[Spoken]]:
        return speakers(self._net)

    def outcome(self, src: str, text: str) -> tuple[str | None, bool] | None:
        """The end point that receives what ``src`` sends to this address (None: nobody), and whether its answer finds
        back. None where that is not told, but a matter of the site's own or of plain routes."""
        there = None if self._owner(src, text) else self._follow(src, text)
        if there is None:
            return None
        taker, source = there
        back = self._follow(taker, source) if taker and source else None
        return taker, back is not None and back[0] == src

    def _follow(self, src: str, text: str) -> tuple[str | None, str] | None:
        """The end point, and the address that ``src`` calls it from."""
        place: Table | None = (src, "")
        source = ""
        for _ in range(_LONGEST):
            if place is None:
                break
            if self._vpns.is_customer(place[0]):
                if owner := self._owner(place[0], text):
                    return owner, source
                place, here = self._onward(self._net.nodes[place[0]], text)
                source = source or here
            elif place in self._tables:
                place = self._inside(place, text)
            else:
                return None
        return None, source

    def _owner(self, name: str, text: str) -> str | None:
        """Who has the address at the site of that node."""
        ends = self._vpns.end_points(self._vpns.site_of[name])
        return next((end for end in ends if text in self._vpns.addresses(end)), None)

    def _onward(self, node: Node, text: str) -> tuple[Table | None, str]:
        """Where a customer's node sends what is not for its site, and from which address."""
        if hop := _fitting(self._planned(node.name), text):
            return self._beside(self._net.ports[node.name], hop, text)
        known = self._best((node.name, ""), text)
        told = ((pair, (pair.near.node, pair.near.vrf)) for pair in self._speakers.get(node.name, ()))
        pairs = (pair for pair, source in told if known and known.source == source)
        found = ((known.source, via(pair.near, pair.far, version(text)) or "") for pair in pairs if known)
        return next(found, (None, ""))

    def _planned(self, name: str) -> Iterator[tuple[str, str]]:
        """A customer's node's routes, with their next hops."""
        routes = (one for one in self._records[name] if isinstance(one, Route) and one.table == MAIN_TABLE)
        return ((route.dst, hop.via) for route in routes for hop in route.hops[:1])

    def _inside(self, table: Table, text: str) -> Table | None:
        """What comes next after a table of a PE."""
        known = self._best(table, text)
        if known is None or known.source:
            return known.source if known else None
        node, vrf = self._net.nodes[table[0]], table[1] or None
        given = ((destination(route), route.via) for route in node.routes if route.dst and route.vrf == vrf)
        if hop := _fitting(given, text):
            return self._beside(self._net.members[node.name, vrf], hop, text)[0]
        here = (site for site in self._vpns.sites if any((pe, at.name) == table for pe, at in site.attached))
        owners = (self._owner(site.nodes[0], text) for site in here)
        return next(((owner, "") for owner in owners if owner), None)

    def _beside(self, ports: Iterable[Port], hop: str, text: str) -> tuple[Table | None, str]:
        """Whose the next hop is, beside one of the ports, and the address of that port."""
        wires = ((port, self._net.segment_of[port.node, port.name]) for port in ports)
        pairs = ((port, other) for port, index in wires for other in self._net.segments[index].ports)
        found = (
            ((other.node, other.vrf or ""), via(other, port, version(text)) or "")
            for port, other in pairs
            if other != port and any(str(cidr.ip) == hop for cidr in interfaces(other))
        )
        return next(found, (None, ""))

    def _best(self, table: Table, text: str) -> Known | None:
        """By the longest prefix."""
        found = self._tables.get(table, {})
        longest = 128 if ":" in text else 32
        prefixes = (prefix_of(f"{text}/{length}") for length in self._lengths.get(table, ()) if length <= longest)
        return next((found[prefix] for prefix in prefixes if prefix in found), None)


def _fitting(routes: Iterable[tuple[str, str]], text: str) -> str:
    """The next hop of the most exact route there."""
    address = interface(text).ip
    nets = ((interface(dst).network, hop) for dst, hop in routes if hop)
    return max(((net.prefixlen, hop) for net, hop in nets if address in net), default=(0, ""))[1]
