"""Why a record is there, in a sentence for somebody who learns."""

from __future__ import annotations

from ..model import Node
from ..plan.graph import interface
from ..plan.routes import destination
from ..state import (
    UNREACHABLE_METRIC,
    Address,
    Bridge,
    Dummy,
    Guard,
    LabelRoute,
    Member,
    NextHop,
    Port,
    Qdisc,
    Record,
    Route,
    Rule,
    Sysctl,
    Tunnel,
    UdpPort,
    VrfDevice,
    sysctl_parts,
)
from ..wording import label_words
from .atlas import Atlas

ROLES = {
    "p": "core router: it sees labels, and nothing of the customers",
    "pe": "provider edge router: it keeps its customers apart in VRFs",
    "ce": "customer's edge router: it knows nothing of VPNs and labels",
    "host": "host",
    "bridge": "LAN",
}

_SETTINGS = {
    "net.ipv4.ip_forward": "whether it passes on what is not for itself (first: it sets other IPv4 settings back)",
    "net.ipv6.conf.all.forwarding": "a router for IPv6 as well",
    "net.mpls.ip_ttl_propagate": "whether labels go on with the packet's TTL (1), or hide the hops of the core (0)",
    "net.mpls.conf.lo.input": "what lies under a label that ends at lo is looked at as if it came in there",
    "net.mpls.default_ttl": "what labels begin with that do not go on with the packet's TTL",
    "net.mpls.platform_labels": "labels below this number may be used; a new namespace takes none at all",
}


_PIPE = ", with a TTL of its own that begins at {} (RFC 3443)"
_POPPED_TTL = {
    "": "",
    "pipe": "; the packet keeps its own TTL (RFC 3443)",
    "uniform": "; the packet goes on with the label's TTL (RFC 3443)",
}


def reason(atlas: Atlas, node: str, record: Record) -> str:
    """Why ``node`` has ``record``; one line."""
    match record:
        case VrfDevice(name, table):
            return _vrf(atlas, node, name, table)
        case Bridge(name) if any(each.name == name for each in atlas.lab.evpns):
            return f"the LAN {name} here: a bridge, whose ports are the customer's and VXLAN to the other PEs"
        case Bridge(name) if name != node:
            return "a VRF's way to other PEs: its MAC address is what they send to, in VXLAN (RFC 9136)"
        case Bridge():
            return "the LAN itself: a bridge, without spanning tree"
        case Tunnel(_, _, local, ""):
            return f"VXLAN from {local}: EVPN tells which MAC is behind which PE, nothing is learnt (RFC 8365)"
        case Dummy():
            return "an interface that leads nowhere, for addresses of the node's own"
        case Tunnel(_, _, local, remote):
            return f"a tunnel: what is sent by it goes to {remote} in packets from {local}"
        case UdpPort(port):
            return f"what arrives in UDP at port {port} is taken out of it (RFC 7510)"
        case Guard(direction):
            way = "leaves" if direction == "out" else "comes in"
            return f"what {way} by this tunnel without ESP is dropped, before IKE has agreed on keys too"
        case Member(_, _, False):
            return "who is behind other PEs, BGP tells; and what it knows of neighbours, it answers itself (bridge(8))"
        case Member(_, master):
            vrf = any(each.name == master for each in atlas.node(node).vrfs)
            return f"what comes in here is looked up in {master}'s table" if vrf else "the ports of the LAN"
        case Port("lo"):
            return "a new namespace's loopback is down, and then its own addresses do not answer"
        case Port(_, up):
            return "the wires' ends: " + ("up" if up else "down")
        case Qdisc():
            return "what this wire does to packets that are sent by it"
        case Sysctl():
            return _sysctl(atlas, node, record)
        case Address("lo"):
            return "the router's own address, whichever of its wires fails"
        case Address(port, cidr) if cidr.startswith("fe80:"):
            return "no subnet, but IPv6 needs a next hop of IPv6, under labels too (net/ipv6/route.c)"
        case Address(port) if any(each.name == port for each in atlas.lab.evpns):
            return "what the LAN's nodes send to, and by the bridge's MAC address the same at each PE (RFC 9135)"
        case Address(port):
            if any(each.name == port for each in atlas.node(node).vrfs):
                return "the VRF's own address, whichever of its ports fails"
            return "a link's address brings its subnet's route along" + _in_vrf(atlas, node, port)
        case Rule(_, _, table):
            return f"these packets are looked up in table {table}, before the main table"
        case Route():
            return _route(atlas, node, record)
        case LabelRoute(label, hops, ttl):
            ways = f"; {len(hops)} equal ways" if len(hops) > 1 else ""
            return _label(atlas, node, label, hops[0]) + _POPPED_TTL[ttl] + ways


def _vrf(atlas: Atlas, node: str, name: str, table: int) -> str:
    found = atlas.vrfs.get((node, table))
    if found is None:
        return f"{name}: routes in a table of its own"
    takes, gives = " ".join(found.imports) or "nothing", " ".join(found.exports) or "nothing"
    if found.rd is None:
        return f"VRF {name}: its routes are in table {table}; RD and targets are its node's own configuration's"
    return f"VRF {name}: its routes are in table {table}; RD {found.rd}, imports {takes}, exports {gives} (RFC 4364 4)"


def _in_vrf(atlas: Atlas, node: str, port: str) -> str:
    vrf = next((each.vrf for each in atlas.net.ports[node] if each.name == port), None)
    return f" (in {vrf}'s table)" if vrf else ""


def _sysctl(atlas: Atlas, node: str, record: Sysctl) -> str:
    if (record.key, record.value) in atlas.node(node).sysctls:
        return "as the lab asks"
    if record.key in _SETTINGS:
        return _SETTINGS[record.key]
    parts = sysctl_parts(record.key)
    if parts[-1] == "rp_filter":
        return "no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF"
    if parts[-1] in ("forwarding", "disable_ipv6") and "conf" in parts:
        return "the PE hands on what is on that LAN, and takes part in nothing there"
    if parts[-1].endswith("_redirects"):
        return "packets stay on their planned way, though another router of the LAN is nearer"
    if parts[:3] == ("net", "mpls", "conf"):
        return "labels are taken from the core, never from a customer (RFC 4364 13.1)"
    return "needed for what follows"


def _route(atlas: Atlas, node: str, record: Route) -> str:
    vrf = atlas.vrfs.get((node, record.table))
    place = f"{vrf.name}: " if vrf else ""
    if record.kind == "unreachable" and record.metric == UNREACHABLE_METRIC:
        return f"{place}a miss ends here instead of in the main table (Documentation/networking/vrf.rst)"
    ways = f"; {len(record.hops)} equal ways" if len(record.hops) > 1 else ""
    asked = "as the lab asks, " if _is_asked_for(atlas.node(node), record, vrf.name if vrf else None) else ""
    if not record.hops:
        return f"{place}{asked}{record.kind}"
    hop = record.hops[0]
    return place + asked + _hop(atlas, node, record, hop) + (_PIPE.format(hop.ttl) if hop.ttl > 0 else "") + ways


def _is_asked_for(node: Node, record: Route, vrf: str | None) -> bool:
    given = (route for route in node.routes if route.dst and route.vrf == vrf)
    return record.dst in (str(interface(destination(route)).network) for route in given)


def _hop(atlas: Atlas, node: str, record: Route, hop: NextHop) -> str:
    path = atlas.label_path(node, hop)
    beyond = atlas.beyond(node, hop.port, hop.via)
    if path is not None:
        return f"{_pushed(hop.labels)} leads {path.text()} ({'RFC 4364 5' if path.vrf else 'RFC 3031 3.10'})"
    if hop.labels:
        return f"{_pushed(hop.labels)} towards {beyond or hop.port}"
    if record.dst in ("0.0.0.0/0", "::/0"):
        return f"everything else goes to {beyond or hop.port}"
    if not hop.via:
        here = hop.port in atlas.net.vrfs[node]
        return f"{hop.port}'s own address" if here else f"known at {hop.port}"
    return f"behind {beyond or hop.via}"


def _pushed(labels: tuple[int, ...]) -> str:
    """The innermost of several is the VPN's, those around it carry it through the core (RFC 4364 5)."""
    if len(labels) == 1:
        return f"label {label_words(labels)}"
    outer = label_words(labels[:-1])
    return f"label {labels[-1]}, carried by {outer} through the core,"


def _label(atlas: Atlas, node: str, label: int, hop: NextHop) -> str:
    if not hop.via:
        place = "the main table" if hop.port == "lo" else hop.port
        return f"label {label} ends here: popped, and looked up in {place} (RFC 4364 5)"
    beyond = atlas.beyond(node, hop.port, hop.via) or hop.via
    if not hop.labels:
        return f"label {label} is popped for {beyond}, the next router and its last (RFC 3031 3.16)"
    path = atlas.label_path(node, hop)
    onward = f"on {path.text()}" if path else f"on to {beyond}"
    return f"label {label} becomes {label_words(hop.labels)}, {onward} (RFC 3031 3.10)"
