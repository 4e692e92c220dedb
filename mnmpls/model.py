"""The lab: what the user wants, as frozen values. No I/O.

A lab as read may leave things open (``None`` or empty); ``mnmpls.plan.complete`` fills them in and returns a lab
in which nothing is open. Sources (YAML, a Mininet node graph) make a Lab; everything else reads one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .errors import Problem
from .foreign import Foreign

ROLES = ("p", "pe", "ce", "host", "bridge")
"""LSR without customers, provider edge, customer edge, end host, LAN bridge."""

POPS = ("egress", "php", "explicit-null")
"""An LSP's last label is the egress's own, or taken off by the router before it (penultimate hop popping, as implicit
null asks for), or replaced there by explicit null."""

NO_LOOPBACK = "none"
"""A loopback that is not wanted; an empty ``loopbacks`` leaves it to the planner (p and pe get one)."""

DEFAULT_MTU_BYTES = 1500

LINK_TYPES = {
    "veth": "eth",
    "gre": "gre",
    "ip6gre": "gre",
    "gretap": "tap",
    "vxlan": "vx",
    "mpls-ip": "mip",
    "mpls-udp": "mudp",
}
"""Link types, and how the name of a port of each ends: wires; GRE over IPv4 and over IPv6 (RFC 2784), GRE with
Ethernet inside, VXLAN (RFC 7348) MPLS directly in IP (RFC 4023) and MPLS in UDP (RFC
7510), each of these over either IP version."""

LABELS_ONLY = frozenset({"mpls-udp"})
"""Link types that take packets with labels and no others."""

IPSEC_MODES = ("transport", "tunnel", "udp", "udp-tunnel")
"""How ESP is put around a tunnel's packets (RFC 4303): behind their IP header, with them whole inside a second one, and
each of these in UDP (RFC 3948)."""

CIPHERS = ("chacha20poly1305", "aes-gcm")
"""RFC 7634 and RFC 4106, with 256 bits; the overhead of both is the same."""

STATIC = "static"
"""Routes and labels are planned; no daemon runs."""

NO_IGP = "none"
"""At a node or a link: no routing protocol of the core runs there."""


@dataclass(frozen=True, slots=True)
class Igp:
    """Who makes the core's routes. At the lab ``protocol`` is STATIC or a routing protocol's name; at a node or a link
    it is NO_IGP or empty, and the rest is what differs there. Left open (empty, None): as at the link, the node and the
    lab around it, and in the end as plan/igp.py says. ``metric`` is a link's cost, ``hello_s`` and ``dead_s`` are
    timers, and ``bfd`` has BFD (RFC 5880) watch each neighbour. ``level``, one of LEVELS, is IS-IS's and the lab's."""

    protocol: str = ""
    area: str = ""
    metric: int | None = None
    hello_s: int | None = None
    dead_s: int | None = None
    bfd: bool | None = None
    level: str = ""


LEVELS = ("1", "2", "1-2")
"""Of IS-IS (ISO 10589)."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Who makes the core's labels. For SEGMENTS, ``srgb`` (``16000-23999``; left open, that) is the block of labels of
    its routers' SIDs, and ``pop``, one of POPS (left open: php), says who takes such a label off."""

    protocol: str = STATIC
    srgb: str = ""
    pop: str = ""


SEGMENTS = "sr"
"""Segment routing: the routing protocol tells of labels, too (RFC 8660)."""


@dataclass(frozen=True, slots=True)
class Vpn:
    """Who makes the routes between VRFs: STATIC, ``bgp``, which gives packets labels, or BY_EVPN, where BGP has VXLAN
    carry them (RFC 9136). ``asn`` is the provider's autonomous system (None: plan/alloc.py's), ``reflectors`` the
    routers that tell each PE what the others tell them (RFC 4456); without any, all PEs tell each other. With
    ``unicast`` LABELLED they tell what is at their main tables (RFC 8277), too, and the core knows nothing of it."""

    protocol: str = STATIC
    asn: int | None = None
    reflectors: tuple[str, ...] = ()
    unicast: str = ""

    @property
    def is_told(self) -> bool:
        """Does BGP tell them?"""
        return self.protocol in ("bgp", BY_EVPN)


BY_EVPN = "evpn"
LABELLED = "labelled"
SPOKEN = ("ospf", "bgp")
ROUTINGS = (STATIC, "connected", *SPOKEN)
"""How a PE learns what is behind a port in a VRF: planned; not at all, but for the port's own subnets; or by a protocol
that it speaks with the CEs there, which then learn the VRF's routes in return."""


@dataclass(frozen=True, slots=True)
class Vrf:
    """A VRF of one PE. Open: ``table``, ``rd``, ``imports``/``exports`` (route targets), and BY_EVPN ``vni``, by which
    VXLAN's packets are for it. ``loopbacks`` are addresses on the VRF device itself, which in the VRF are what those of
    ``lo`` are in the main table."""

    name: str
    table: int | None = None
    rd: str | None = None
    imports: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    loopbacks: tuple[str, ...] = ()
    vni: int | None = None


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A route as the user gives it: for the prefix ``dst`` or, with ``dst`` empty, for packets that arrive with
    ``label``. ``via`` an address or empty, ``port`` an interface name or empty (found from ``via``), ``labels`` those
    that the packet leaves with instead, outermost first. ``vrf`` is where ``dst`` is looked up (None: the main table),
    or where a packet goes without ``label``; ``table`` is in its place for a table that rules lead to. ``ttl`` as in
    Lsp, or the TTL that pushed labels begin with."""

    dst: str = ""
    via: str = ""
    port: str = ""
    labels: tuple[int, ...] = ()
    vrf: str | None = None
    label: int | None = None
    ttl: str = ""
    table: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """Which packets outside all VRFs are looked up in ``table`` before the main table: those from the prefix ``src``,
    in by the port ``iif``, marked ``fwmark``, as far as these are given. Low ``priority`` comes first."""

    table: int
    priority: int
    src: str = ""
    iif: str = ""
    fwmark: int | None = None


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a port does to the packets that it sends; None: nothing, and as for the queue 1000 packets."""

    rate_kbit: int | None = None
    delay_us: int | None = None
    jitter_us: int | None = None
    loss_ppm: int | None = None
    queue_packets: int | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a link. Open: ``name``, ``addresses`` (``None``: plan them; ``()``: none wanted), ``mtu_bytes``.
    ``evpn`` names the Evpn that a PE's port is in."""

    node: str
    name: str = ""
    addresses: tuple[str, ...] | None = None
    vrf: str | None = None
    mtu_bytes: int | None = None
    mac: str | None = None
    impairment: Impairment = Impairment()
    evpn: str | None = None


@dataclass(frozen=True, slots=True)
class Dummy:
    """An interface that leads nowhere: its subnets are at the node as a port's are."""

    name: str
    addresses: tuple[str, ...] = ()
    vrf: str | None = None
    mtu_bytes: int | None = None

    def port(self, node: str) -> Port:
        """The same as a port of ``node``."""
        return Port(node, self.name, self.addresses, self.vrf, self.mtu_bytes)


DUMMY = "dummy"
"""The type of a "link" with a Dummy at its one end; no lab has it among its links."""


@dataclass(frozen=True, slots=True)
class Routing:
    """What a PE speaks with the CEs at a port in a VRF. ``protocol`` is one of ROUTINGS, ``area`` OSPF's. The rest is
    BGP's: the PE writes its own AS number over the CE's in paths towards it (``as_override``), marks what it hears with
    ``site_of_origin`` and tells nothing back that is so marked (RFC 4364 7), and takes paths with its own AS number in
    them (``allow_own_as``)."""

    protocol: str = STATIC
    area: str = ""
    as_override: bool = False
    site_of_origin: str = ""
    allow_own_as: bool = False

    @property
    def is_spoken(self) -> bool:
        return self.protocol in SPOKEN


@dataclass(frozen=True, slots=True)
class Ipsec:
    """ESP for a tunnel's packets, by IKEv2. ``secrets`` are the keys by which the two ends know each other: one of
    both, or a's and b's own; empty: one drawn when the lab starts. ``rekey_s`` is how long keys of ESP last, None for
    an hour."""

    mode: str
    cipher: str = CIPHERS[0]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    rekey_s: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Two ports and what is between them: a wire, or a tunnel through other links. ``over`` is what a tunnel runs
    through: the name of a link that joins the same nodes, or the two addresses, a's first; open when empty. ``key`` is
    GRE's, ``vni`` VXLAN's, ``ttl`` (None: the kernel's choice) and ``encap_limit`` (None: no such header, RFC 2473
    4.1.1) are the outer header's. ``versions`` are those of IP that open ends get an address of; empty: 4. The ends of
    an ``unnumbered`` link of routers borrow their loopbacks' addresses. ``routing`` is for one with an end in a VRF."""

    a: Port
    b: Port
    type: str = "veth"
    name: str = ""
    over: tuple[str, ...] = ()
    key: int | None = None
    vni: int | None = None
    ttl: int | None = None
    encap_limit: int | None = None
    versions: tuple[int, ...] = ()
    unnumbered: bool = False
    igp: Igp = Igp()
    routing: Routing = Routing()
    ipsec: Ipsec | None = None

    @property
    def is_wire(self) -> bool:
        """Whether the runtime makes it; a tunnel's ends are made by their nodes."""
        return self.type == "veth"

    @property
    def ports(self) -> tuple[Port, Port]:
        return self.a, self.b

    def between(self, a: Port, b: Port) -> Link:
        """The same link with these ends; itself where they are its own."""
        return self if a is self.a and b is self.b else replace(self, a=a, b=b)


FRR_DAEMONS = (
    *("zebra", "staticd", "ospfd", "ospf6d", "isisd", "ldpd", "bgpd", "bfdd", "ripd", "ripngd", "eigrpd", "babeld"),
    *("pimd", "pim6d", "vrrpd", "pbrd", "pathd", "nhrpd", "fabricd", "sharpd"),
)
"""Those of FRR that take a configuration, in the order of their start."""
FRR = "frr"
"""In the place of a daemon's name: one file for all of them (integrated, as vtysh writes it)."""

SWANCTL = "swanctl"
"""In the place of charon's: its file is swanctl(8)'s, and says nothing of routes."""

NODE_DAEMONS = (FRR, *FRR_DAEMONS, "bird", SWANCTL)
"""Whose configurations a node may give."""


@dataclass(frozen=True, slots=True)
class OwnConfig:
    """A daemon's configuration as the user wrote it: ``daemon`` is one of NODE_DAEMONS. ``path`` is where it was
    read, empty for text that stands in the lab itself."""

    daemon: str
    text: str = field(repr=False)
    path: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Node:
    """``loopbacks``: CIDRs, empty to have one planned (p and pe only), ``("none",)`` for none. ``gateway`` is a
    host's or CE's default gateway address, open when empty. ``exec`` are command lines for after set-up: shlex makes
    an argument list of each, and no shell sees them. ``label_range`` (``100-199``) is where planned labels that come in
    at this router are from; without one they have one number on all routers. ``imports`` and ``exports`` are the route
    targets of the main table, by which a PE's VRFs and it have routes of each other. ``asn`` is its autonomous system
    (None: the provider's; open at a CE that speaks BGP). ``sid`` is a router's
    number in segment routing's block of labels (RFC 8402's prefix SID, of its loopbacks). ``own`` are configurations
    that take the place of all that would be made for its routing daemons, and of its planned routes; SWANCTL's of what
    would be made for its charon. ``daemon`` is ``frr`` (as when empty) or ``bird``."""

    name: str
    role: str
    loopbacks: tuple[str, ...] = ()
    vrfs: tuple[Vrf, ...] = ()
    routes: tuple[StaticRoute, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    gateway: str = ""
    exec: tuple[str, ...] = ()
    label_range: str = ""
    imports: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    dummies: tuple[Dummy, ...] = ()
    igp: Igp = Igp()
    asn: int | None = None
    sid: int | None = None
    own: tuple[OwnConfig, ...] = ()
    daemon: str = ""

    @property
    def routes_itself(self) -> bool:
        """Are its routes left to daemons with configurations of the user's own?"""
        return any(each.daemon != SWANCTL for each in self.own)

    @property
    def has_own_keys(self) -> bool:
        """Is it left to a configuration of the user's own with whom it agrees on keys, and how?"""
        return any(each.daemon == SWANCTL for each in self.own)

    @property
    def tables(self) -> tuple[Node | Vrf, ...]:
        """Whatever has loopbacks and route targets: the node's main table, its VRFs."""
        return self, *self.vrfs


@dataclass(frozen=True, slots=True)
class Lsp:
    """A label switched path over the routers ``path`` or, where that is empty, over all shortest ways from ``ingress``
    to ``egress``. ``labels[i]`` is on its i-th wire; open: empty.

    With a ``vrf`` of the last router its FEC is every prefix that this exports, pushed by the first router's VRFs that
    import from it. Without, the FEC is ``fec``, or when that is empty the last router's loopbacks, by which VPNs of
    the two go as well. ``pop``, one of POPS, says who takes the last label off. ``ttl`` is ``uniform``, ``pipe``, the
    TTL that labels begin with, or empty for the lab's (RFC 3443)."""

    path: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    vrf: str = ""
    ingress: str = ""
    egress: str = ""
    fec: tuple[str, ...] = ()
    pop: str = "egress"
    ttl: str = ""

    @property
    def ends(self) -> tuple[str, str]:
        """Its first and its last router."""
        return (self.path[0], self.path[-1]) if self.path else (self.ingress, self.egress)


@dataclass(frozen=True, slots=True)
class Evpn:
    """A LAN that PEs stretch over the core in VXLAN, and of which BGP tells (EVPN, RFC 7432 and 8365): the ports with
    its name are in it. Open: ``vni``, the route targets, and ``mtu_bytes``, the largest IP packet that it takes. With a
    ``vrf`` PEs route for it there, each by the addresses ``gateway`` (RFC 9135)."""

    name: str
    vni: int | None = None
    imports: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    mtu_bytes: int | None = None
    vrf: str | None = None
    gateway: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lab:
    """A whole lab. ``igp``, ``labels`` and ``vpn`` say who makes the core's routes, its labels and the routes between
    VRFs: the planner (STATIC), or the daemons of ospf, ldp and bgp. ``ttl`` is ``uniform`` or ``pipe`` for all labels
    (RFC 3443), or empty for the kernel's own way, which is uniform. ``places`` maps a path (``links[2].a``) to a place
    in its text (``topos/l3vpn.yml:14``), for errors, and ``faults`` is what its reader could not make sense of, which
    completing the lab reports. Neither plays a part in equality, nor does ``foreign``."""

    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    lsps: tuple[Lsp, ...] = ()
    platform_labels: int | None = None
    ttl: str = ""
    igp: Igp = Igp(STATIC)
    labels: Labels = Labels()
    vpn: Vpn = Vpn()
    evpns: tuple[Evpn, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    faults: tuple[Problem, ...] = field(default=(), compare=False, repr=False)
    foreign: tuple[Foreign, ...] = field(default=(), compare=False, repr=False)

    @property
    def has_own(self) -> bool:
        """Do any of its nodes route by configurations of the user's own?"""
        return any(node.routes_itself for node in self.nodes)

    @property
    def has_own_routers(self) -> bool:
        """Does any p or pe?"""
        return any(node.routes_itself for node in self.nodes if node.role in ("p", "pe"))

    @property
    def has_daemons(self) -> bool:
        """Is anything of the core left to routing daemons?"""
        return {self.igp.protocol, self.labels.protocol, self.vpn.protocol} != {STATIC}

    def place(self, path: str) -> str:
        """Where ``path``, or the nearest thing around it, stands in the lab's text; empty where there is none."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places.get(path, "")

    def told(self, path: str) -> str:
        """``path`` for a sentence, with its line where the lab's text has one: ``at links[2].a (line 14)``."""
        line = self.place(path).rpartition(":")[2]
        return f"at {path} (line {line})" if line.isdigit() else f"at {path}"

    @property
    def has_tunnels(self) -> bool:
        return not all(link.is_wire for link in self.links)

    def node(self, name: str) -> Node:
        """Raises KeyError for a name that is not in the lab."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def ports(self, node: str) -> tuple[Port, ...]:
        return tuple(port for link in self.links for port in link.ports if port.node == node)

    def peer(self, port: Port) -> Port:
        for link in self.links:
            if port in link.ports:
                return link.b if port == link.a else link.a
        raise KeyError(port)
