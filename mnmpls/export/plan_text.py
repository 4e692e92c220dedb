"""A plan for a person who wants to know what a lab comes to: what was allocated, and each node's state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..asking import CHARON
from ..commands import stack
from ..daemons import services
from ..errors import counted
from ..model import NO_LOOPBACK, SEGMENTS, Lab
from ..plan.graph import network
from ..plan.segments import label, segmented, speaks_ipv6
from ..plan.spoken import asns, spoken
from ..state import (
    EXPLICIT_NULLS,
    MAIN_TABLE,
    TTL_AS_SET,
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
    VrfDevice,
)
from .atlas import Atlas, atlas
from .reasons import ROLES
from .table import table

UNNUMBERED_COSTS = """They have their routers' loopback addresses: traceroute and ICMP errors do not tell them apart,
  and static routes over them have to name the port. With FRR's ldpd, when one such link fails, the address that it
  shared is withdrawn and labelled IPv4 stays lost: number links (/31) that LDP is to use."""

Row = tuple[str, ...]
Rows = Sequence[Row]


def plan_text(lab: Lab, records: Mapping[str, frozenset[Record]], nodes: Iterable[str] = ()) -> str:
    """Tables of a completed ``lab`` with its ``records``: of the whole lab and each node, or of ``nodes`` only."""
    known = atlas(lab, records)
    chosen = list(nodes)
    parts = [] if chosen else list(_whole(known))
    for name in chosen or [node.name for node in lab.nodes]:
        parts.append("\n".join([f"{name}: {ROLES[known.node(name).role]}", *_node(known, name)]))
    return "\n\n".join(parts) + "\n"


def _section(title: str, head: Row, rows: Rows, indent: str = "  ") -> Iterator[str]:
    """Nothing at all without rows; a column without entries is left out."""
    if rows:
        kept = [number for number in range(len(head)) if any(row[number] for row in rows)]
        text = table([head[number] for number in kept], [[row[number] or "-" for number in kept] for row in rows])
        yield "\n".join([title, *(indent + line for line in text.splitlines())])


# The whole lab.


def _whole(known: Atlas) -> Iterator[str]:
    lab = known.lab
    yield f"{lab.name}: {counted(len(lab.nodes), 'node')}, {counted(len(lab.links), 'link')}"
    loopbacks = [(node.name, cidr) for node in lab.nodes for cidr in node.loopbacks if cidr != NO_LOOPBACK]
    yield from _section("loopbacks", ("node", "address"), loopbacks)
    yield from _section("links", ("node", "port", "address", "node", "port", "address", "MTU", "IPsec"), _links(lab))
    yield from unnumbered(lab)
    yield from _between(lab)
    yield from _section("VRFs", ("PE", "VRF", "table", "RD", "import", "export", "VNI", "ports"), _vrfs(known))
    yield from _section("EVPNs", ("EVPN", "VNI", "import", "export", "MTU", "VRF", "gateway", "ports"), _evpns(known))
    yield from _section("routes and labels", ("what", "made by", "daemons on"), _makers(lab))
    yield from _section("between PE and CE", ("PE", "VRF", "speaks", "with", "of AS", "and"), _spoken(lab))
    yield from _section("segment routing", ("router", "SID", "label", "for IPv6"), _sids(lab))
    yield from _section("label switched paths", ("from", "VRF", "labels", "to"), _paths(known))
    yield from _section("labels", ("where they arrive", "lowest", "highest", "number"), _label_ranges(known))


def unnumbered(lab: Lab) -> Iterator[str]:
    """What they cost is nothing that one sees before it is needed."""
    names = [f"{link.a.node} - {link.b.node}" for link in lab.links if link.unnumbered]
    if names:
        yield f"unnumbered links: {', '.join(names)}\n  {UNNUMBERED_COSTS}"


def _between(lab: Lab) -> Iterator[str]:
    """Hosts do not forward, and who draws one between two others may have meant it to."""
    strange = {each.node for each in lab.foreign if not each.is_host}
    for node in lab.nodes:
        is_host = node.role == "host" and node.name not in strange
        ends = [lab.peer(port).node for port in lab.ports(node.name)] if is_host else []
        if len(ends) > 1:
            yield f"{node.name} is a host between {', '.join(ends)}: it forwards nothing; a ce would"


def _makers(lab: Lab) -> Rows:
    """Who makes what in a lab with routing daemons; such a plan has no paths and no labels."""
    running = {node: [one.name for one in some] for node, some in services(lab).items()}
    router = {"ospf": "ospfd", "isis": "isisd"}.get(lab.igp.protocol, "")
    made = (
        ("the core's routes", lab.igp.protocol, router),
        ("labels", lab.labels.protocol, router if lab.labels.protocol == SEGMENTS else "ldpd"),
        ("VPN routes", lab.vpn.protocol, "bgpd"),
        ("IPsec's keys", "IKEv2" if any(link.ipsec for link in lab.links) else "", CHARON),
    )
    on = {daemon: " ".join(node for node, some in running.items() if daemon in some) for _, _, daemon in made}
    own = [(f"all of {node.name}", "own configuration") for node in lab.nodes if node.routes_itself]
    found = [(what, maker, on[daemon]) for what, maker, daemon in made if maker] if len(running) > len(own) else []
    return found + [(what, maker, " ".join(running[what.removeprefix("all of ")])) for what, maker in own]


def _spoken(lab: Lab) -> Rows:
    """Who learns routes from whom at the edge, and how."""
    within = asns(lab)
    found = []
    for pair in spoken(network(lab)):
        given, far = pair.routing, pair.far.node
        by_bgp = given.protocol == "bgp"
        origin = f"site of origin {given.site_of_origin}" if given.site_of_origin else ""
        own = "AS override" if given.as_override else "", "takes its own AS" if given.allow_own_as else ""
        settings = ", ".join(filter(None, (*own, origin, given.area and f"area {given.area}")))
        asn = str(within[far]) if by_bgp else ""
        found.append((pair.near.node, pair.near.vrf or "", given.protocol, far, asn, settings))
    return found


def _sids(lab: Lab) -> Rows:
    versions = (4, 6) if speaks_ipv6(lab) else (4,)
    labels = {node.name: [str(label(lab, node, version)) for version in versions] for node in segmented(lab)}
    return [(node.name, str(node.sid), *(*labels[node.name], "")[:2]) for node in segmented(lab)]


def _links(lab: Lab) -> Rows:
    ends = ([(port.node, port.name, " ".join(port.addresses or ())) for port in link.ports] for link in lab.links)
    mtus = (" ".join(dict.fromkeys(str(port.mtu_bytes) for port in link.ports)) for link in lab.links)
    esp = (f"{link.ipsec.mode} {link.ipsec.cipher}" if link.ipsec else "" for link in lab.links)
    return [(*a, *b, mtu, crypt) for (a, b), mtu, crypt in zip(ends, mtus, esp, strict=True)]


def _vrfs(known: Atlas) -> Rows:
    return [
        (
            *(node.name, vrf.name, str(vrf.table), vrf.rd or "", " ".join(vrf.imports), " ".join(vrf.exports)),
            str(vrf.vni or ""),
            " ".join(port.name for port in known.net.ports[node.name] if port.vrf == vrf.name),
        )
        for node in known.lab.nodes
        for vrf in node.vrfs
    ]


def _evpns(known: Atlas) -> Rows:
    ports = [port for link in known.lab.links for port in link.ports]
    return [
        (
            *(evpn.name, str(evpn.vni), " ".join(evpn.imports), " ".join(evpn.exports), str(evpn.mtu_bytes)),
            *(evpn.vrf or "", " ".join(evpn.gateway)),
            " ".join(f"{port.node}:{port.name}" for port in ports if port.evpn == evpn.name),
        )
        for evpn in known.lab.evpns
    ]


def _paths(known: Atlas) -> Rows:
    """One row for what one router pushes to one end, whatever number of prefixes takes it."""
    found: dict[Row, None] = {}
    for node, records in known.records.items():
        for record in sorted(each for each in records if isinstance(each, Route)):
            vrf = known.vrfs.get((node, record.table))
            for hop in record.hops:
                path = known.label_path(node, hop)
                if path:
                    found[node, vrf.name if vrf else "", stack(hop.labels), path.text().removeprefix("to ")] = None
    return list(found)


def _label_ranges(known: Atlas) -> Rows:
    """By what becomes of them where they arrive."""
    onward, ending, here = "passed on", "looked up in a VRF", "looked up in the main table"
    used: dict[str, set[int]] = {onward: set(), ending: set(), here: set()}
    for own in known.labels.values():
        for number, each in own.items():
            used[onward if each.hops[0].via else here if each.hops[0].port == "lo" else ending].add(number)
    rows = [(use, str(min(some)), str(max(some)), str(len(some))) for use, some in used.items() if some]
    key = "net.mpls.platform_labels"
    settings = (each for own in known.records.values() for each in own if isinstance(each, Sysctl))
    sizes = [int(each.value) for each in settings if each.key == key]
    return [*rows, ("allowed", "16", str(min(sizes) - 1), "")] if rows and sizes else rows


# One node.


def _node(known: Atlas, node: str) -> Iterator[str]:
    records = sorted(known.records[node], key=lambda each: (type(each).__name__, each))
    head: Row = ("port", "state", "MTU", "in", "addresses", "towards")
    yield from _section("  interfaces", head, list(_ports(known, node, records)), "    ")
    tables = {each.table: f"{each.name} (table {each.table})" for each in records if isinstance(each, VrfDevice)}
    head = ("destination", "pushes", "next hop", "port", "leads to")
    numbers = {each.table for each in records if isinstance(each, Route)}
    for number in sorted(numbers, key=lambda at: (at == MAIN_TABLE, at)):
        other = "  routes" if number == MAIN_TABLE else f"  routes of table {number}"
        title = f"  routes of {tables[number]}" if number in tables else other
        yield from _section(title, head, list(_routes(known, node, records, number)), "    ")
    rules = [(str(each.priority), _selected(each), str(each.table)) for each in records if isinstance(each, Rule)]
    yield from _section("  rules", ("priority", "packets", "table"), rules, "    ")
    head = ("label", "becomes", *head[2:])
    yield from _section("  labels", head, list(_labels(known, node, records)), "    ")
    settings = [(each.key, each.value) for each in records if isinstance(each, Sysctl)]
    yield from _section("  settings", ("sysctl", "value"), settings, "    ")


def _selected(rule: Rule) -> str:
    found = (("from", rule.src), ("in by", rule.iif), ("marked", "" if rule.fwmark is None else str(rule.fwmark)))
    return f"IPv{rule.version} " + " ".join(f"{word} {value}" for word, value in found if value)


def _ports(known: Atlas, node: str, records: Sequence[Record]) -> Iterator[Row]:
    masters = {each.port: each.master for each in records if isinstance(each, Member)}
    addresses: dict[str, list[str]] = {}
    for each in records:
        if isinstance(each, Address):
            addresses.setdefault(each.port, []).append(each.cidr)
    for each in records:
        match each:
            case Port(name, up, mtu_bytes):
                state, more, mtu = "up" if up else "down", masters.get(name, ""), str(mtu_bytes)
            case Bridge(name, up):
                state, more, mtu = "up" if up else "down", "a bridge", ""
            case VrfDevice(name, number, up):
                state, more, mtu = "up" if up else "down", f"table {number}", ""
            case _:
                continue
        yield name, state, mtu, more, " ".join(addresses.get(name, ())), known.beyond(node, name)


def _routes(known: Atlas, node: str, records: Sequence[Record], table: int) -> Iterator[Row]:
    for record in records:
        if isinstance(record, Route) and record.table == table:
            if not record.hops:
                yield record.dst, "", record.kind, "", ""
            yield from _ways(known, node, record.dst, record.hops, "")


def _labels(known: Atlas, node: str, records: Sequence[Record]) -> Iterator[Row]:
    for record in records:
        if isinstance(record, LabelRoute):
            bare = f"popped ({record.ttl})" if record.ttl else "popped"
            yield from _ways(known, node, str(record.label), record.hops, bare)


def _ways(known: Atlas, node: str, what: str, hops: tuple[NextHop, ...], bare: str) -> Iterator[Row]:
    """A row per hop; the first says of what. ``bare`` stands for no labels."""
    for number, hop in enumerate(hops):
        path = known.label_path(node, hop)
        end = path.text().removeprefix("to ") if path else known.beyond(node, hop.port, hop.via)
        ttl = f" ttl {hop.ttl or 'of the packet'}" if hop.ttl != TTL_AS_SET else ""
        null = " (explicit null)" if hop.labels[:1] and hop.labels[0] in EXPLICIT_NULLS else ""
        yield ("" if number else what), (stack(hop.labels) or bare) + null + ttl, hop.via, hop.port, end
