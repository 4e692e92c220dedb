"""Records looked up as a kernel would: one node's, and a whole lab's with its wires. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network

from ..model import Lab
from ..plan import evpn
from ..state import (
    EXPLICIT_NULLS,
    IPV6_CONNECTED_METRIC,
    MAIN_TABLE,
    Address,
    Bridge,
    LabelRoute,
    Member,
    NextHop,
    Port,
    Record,
    Route,
    Rule,
    Sysctl,
    Tunnel,
    VrfDevice,
)
from .vpn import Call, Vpns

_BITS = {4: 32, 6: 128}
_CONNECTED_METRIC = {4: 0, 6: IPV6_CONNECTED_METRIC}


class View:
    """One node's records, looked up as a kernel would."""

    def __init__(self, name: str, records: frozenset[Record]) -> None:
        self.name, self._records = name, records

    @cached_property
    def sysctls(self) -> dict[str, str]:
        return {one.key: one.value for one in self._records if isinstance(one, Sysctl)}

    @cached_property
    def vrfs(self) -> dict[str, int]:
        return {one.name: one.table for one in self._records if isinstance(one, VrfDevice)}

    @cached_property
    def members(self) -> dict[str, str]:
        return {one.port: one.master for one in self._records if isinstance(one, Member)}

    @cached_property
    def bridges(self) -> set[str]:
        return {one.name for one in self._records if isinstance(one, Bridge)}

    @cached_property
    def tunnels(self) -> dict[str, str]:
        """And the address that each sends from."""
        return {one.name: one.local for one in self._records if isinstance(one, Tunnel)}

    @cached_property
    def point_to_point(self) -> set[str]:
        """Tunnels without Ethernet inside: what is sent by them arrives at the other end, whatever its next hop is."""
        ethernet = ("gretap", "ip6gretap", "vxlan")
        return {one.name for one in self._records if isinstance(one, Tunnel) and one.kind not in ethernet}

    @cached_property
    def down(self) -> set[str]:
        return {one.name for one in self._records if isinstance(one, Port | VrfDevice | Bridge) and not one.up}

    @cached_property
    def labels(self) -> dict[int, LabelRoute]:
        """With explicit null of IPv4 and IPv6 (0, 2), which end at ``lo`` wherever there is a table that reaches so far
        (net/mpls/af_mpls.c, resize_platform_label_table)."""
        size = int(self.sysctls.get("net.mpls.platform_labels", "0"))
        nulls = {label: LabelRoute(label, (NextHop("", "lo"),)) for label in EXPLICIT_NULLS if label < size}
        return nulls | {one.label: one for one in self._records if isinstance(one, LabelRoute)}

    @cached_property
    def addresses(self) -> set[tuple[str, str]]:
        """(address, port): two VRFs' ports may well have the same address."""
        return {(str(ip_interface(a.cidr).ip), a.port) for a in self._records if isinstance(a, Address)}

    def own(self, port: str, neighbour: IPv4Address | IPv6Address) -> str:
        """Its address in the neighbour's subnet at that port; empty for none."""
        there = (ip_interface(a.cidr) for a in self._records if isinstance(a, Address) and a.port == port)
        return next((str(one.ip) for one in sorted(there, key=str) if neighbour in one.network), "")

    def table_of(self, port: str) -> int:
        return self.vrfs.get(self.vrf_of(port) or port, MAIN_TABLE)

    def vrf_of(self, port: str) -> str:
        """The VRF device that it is a member of, by way of a bridge maybe; empty for none."""
        master = self.members.get(port, "")
        return master if master not in self.bridges else self.members.get(master, "")

    def inside(self, bridge: str) -> list[str]:
        """The ports of a bridge."""
        return [port for port, master in sorted(self.members.items()) if master == bridge]

    def takes(self, address: str, port: str) -> bool:
        """Is a packet for this next hop, which comes in at the port, for the node itself? Of a bridge's port the bridge
        may have the address; and what VXLAN brings to a VRF is sent to the address that its device has outside."""
        bridge = self.members.get(port, "")
        if (address, port) in self.addresses or (bridge in self.bridges and (address, bridge) in self.addresses):
            return True
        return bool(self.vrf_of(port)) and self.tunnels.get(port) == outside(address)

    @cached_property
    def mtus(self) -> dict[str, int]:
        return {one.name: one.mtu_bytes for one in self._records if isinstance(one, Port)}

    @cached_property
    def _tables(self) -> dict[tuple[int, int], dict[int, dict[int, Route]]]:
        """{(table, IP version): {prefix length: {first bits: route}}}: ours, and those that the kernel adds for each
        address's subnet (fib_frontend.c, fib_add_ifaddr). The lowest metric wins."""
        connected = [
            Route(self.table_of(a.port), str(net), (NextHop("", a.port),), metric=_CONNECTED_METRIC[net.version])
            for a in self._records
            if isinstance(a, Address) and (net := ip_interface(a.cidr).network)
        ]
        ours = [one for one in self._records if isinstance(one, Route)]
        found: dict[tuple[int, int], dict[int, dict[int, Route]]] = {}
        # One of ours took the place of a connected one of the same metric.
        for route in sorted(sorted(ours) + sorted(connected), key=lambda one: one.metric):
            dst = ip_network(route.dst)
            lengths = found.setdefault((route.table, dst.version), {})
            bits = int(dst.network_address) >> (_BITS[dst.version] - dst.prefixlen)
            lengths.setdefault(dst.prefixlen, {}).setdefault(bits, route)
        return found

    @cached_property
    def _rules(self) -> list[Rule]:
        return sorted(one for one in self._records if isinstance(one, Rule) and one.fwmark is None)

    def _ruled(self, version: int, src: str, in_port: str) -> Iterator[int]:
        """The tables that rules lead such a packet to; nothing in a lab marks any (where somebody does by hand, a trace
        says that it cannot know). ``src`` is empty for what is made
        here, whose source is chosen after its route."""
        for rule in self._rules:
            fits = not rule.src or (src and ip_address(src) in ip_network(rule.src))
            if rule.version == version and fits and rule.iif in ("", in_port):
                yield rule.table

    def route(self, table: int, dst: str, src: str = "", in_port: str = "") -> Route | None:
        """The longest match in a VRF's table or, when that has none, in those of the rules, and in main."""
        address = ip_address(dst)
        first = () if table == MAIN_TABLE else (table,)
        for one_table in dict.fromkeys((*first, *self._ruled(address.version, src, in_port), MAIN_TABLE)):
            lengths = self._tables.get((one_table, address.version), {})
            for length in sorted(lengths, reverse=True):
                if found := lengths[length].get(int(address) >> (_BITS[address.version] - length)):
                    return found
        return None

    def local(self, dst: str, table: int) -> bool:
        return any(here == dst and self.table_of(port) in (table, MAIN_TABLE) for here, port in self.addresses)


def outside(address: str) -> str:
    """FRR writes a next hop of IPv6 by VXLAN as ::ffff:192.0.2.1 (bgpd/bgp_evpn.c, evpn_ipv4_mapped)."""
    found = ip_address(address)
    return str(getattr(found, "ipv4_mapped", None) or found)


class World:
    """A lab's nodes and the wires between them."""

    def __init__(self, lab: Lab, records: Mapping[str, frozenset[Record]]) -> None:
        self.lab, self.records, self.vpns = lab, records, Vpns(lab)
        self.views = {name: View(name, found) for name, found in records.items()}
        self.peers = {(near.node, near.name): far for link in lab.links for near, far in (link.ports, link.ports[::-1])}
        self.ends = evpn.ends(lab)

    def source(self, of: Call) -> str:
        """The address that a call comes from, empty if there is none. IPv4 takes that of the port which the packet
        leaves by, in the gateway's subnet (net/ipv4/fib_semantics.c, fib_info_update_nhc_saddr)."""
        version = 6 if ":" in of.address else 4
        route = self.views[of.src].route(MAIN_TABLE, of.address) if version == 4 and not of.source else None
        for hop in route.hops[:1] if route else ():
            gateway = ip_address(hop.via or of.address)
            if gateway.version == 4 and (found := self.views[of.src].own(hop.port, gateway)):
                return found
        return of.source or self.vpns.address(of.src, version) or ""

    def but(self, node: str, records: frozenset[Record]) -> World:
        """The same with other records at one node."""
        return World(self.lab, {**self.records, node: records})

    def towards(self, node: str, port: str, owner: str) -> tuple[str, str] | None:
        """Is the address ``owner`` on the LAN behind this port? Then the node and the port that have it. Of a tunnel
        without Ethernet it is the other end."""
        if port in self.views[node].point_to_point:
            return self.peers[node, port].node, self.peers[node, port].name
        view = self.views[node]
        todo = [(node, each) for each in (view.inside(port) if port in view.bridges else (port,))]
        seen = {*todo}
        while todo:
            for far in self.fars(*todo.pop(0)):
                view = self.views[far[0]]
                if view.takes(owner, far[1]):
                    return far
                fresh = [other for other in self.beyond(view, far[1]) if other not in seen]
                seen.update(fresh)
                todo.extend(fresh)
        return None

    def leaving(self, node: str, port: str, owner: str) -> str:
        """The port by which a packet for this next hop leaves: of a bridge the one that leads there."""
        view = self.views[node]
        inside = view.inside(port) if port in view.bridges else ()
        return next((each for each in inside if self.towards(node, each, owner)), port)

    def fars(self, node: str, port: str) -> tuple[tuple[str, str], ...]:
        """The other end of a port's link; of VXLAN's device the devices of all PEs of the EVPN."""
        far = self.peers.get((node, port))
        return ((far.node, far.name),) if far else self.ends.get((node, port), ())

    def far(self, node: str, port: str, peer: str) -> tuple[str, str]:
        """The one of these that is ``peer``'s."""
        return next(each for each in self.fars(node, port) if each[0] == peer)

    def leads(self, end: tuple[str, str], owner: str) -> bool:
        """Is the address at the port ``end``, or on the LAN that what comes in there is handed on to?"""
        view = self.views[end[0]]
        return view.takes(owner, end[1]) or any(self.towards(*on, owner) for on in self.beyond(view, end[1]))

    def beyond(self, view: View, in_port: str) -> list[tuple[str, str]]:
        master = view.members.get(in_port)
        same = [port for port, other in sorted(view.members.items()) if other == master and port != in_port]
        return [(view.name, port) for port in same] if master in view.bridges else []
