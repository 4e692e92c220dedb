"""The keys of a lab file and what stands at each. The reader knows no others, and the schema for editors is made of
these tables, so that neither can tell what the other does not."""

from __future__ import annotations

from collections.abc import Mapping

from ..model import (
    BY_EVPN,
    CIPHERS,
    FRR_DAEMONS,
    IPSEC_MODES,
    LABELLED,
    LEVELS,
    LINK_TYPES,
    NO_IGP,
    POPS,
    ROLES,
    ROUTINGS,
    SEGMENTS,
    STATIC,
)

Shape = Mapping[str, object]
"""A piece of JSON schema (draft 2020-12)."""
Keys = Mapping[str, Shape]

ANY_NAME: Shape = {"type": "string", "pattern": "^[A-Za-z0-9_.-]+$", "minLength": 1, "maxLength": 15}
TEXT: Shape = {"type": ["string", "number"]}
TEXTS: Shape = {"type": ["string", "number", "array"], "items": TEXT}
LABEL: Shape = {"type": "integer", "minimum": 16, "maximum": 1048575}
LABELS: Shape = {"type": ["integer", "array"], "items": LABEL, "minimum": 16, "maximum": 1048575}
LEAVING: Shape = {"type": "integer", "minimum": 0, "maximum": 1048575, "not": {"const": 3}}
STACK: Shape = {"type": ["integer", "array"], "items": LEAVING, "maxItems": 30, "minimum": 0, "maximum": 1048575}
TABLE: Shape = {"type": "integer", "minimum": 1, "maximum": 2**32 - 1, "not": {"enum": [253, 254, 255]}}
NODES: Shape = {"type": "object", "propertyNames": ANY_NAME, "additionalProperties": {"$ref": "#/$defs/node"}}
VRFS: Shape = {
    "anyOf": [
        TEXTS,
        {"type": "object", "propertyNames": ANY_NAME, "additionalProperties": {"$ref": "#/$defs/vrf"}},
    ]
}
DUMMIES: Shape = {
    "type": "object",
    "propertyNames": ANY_NAME,
    "additionalProperties": {"anyOf": [TEXTS, {"$ref": "#/$defs/dummy"}]},
}
EVPNS: Shape = {
    "anyOf": [
        TEXTS,
        {"type": "object", "propertyNames": ANY_NAME, "additionalProperties": {"$ref": "#/$defs/evpn"}},
    ]
}
TTL: Shape = {"enum": ["uniform", "pipe"]}
ASN: Shape = {"type": "integer", "minimum": 1, "maximum": 2**32 - 2}
TTL_OR_NUMBER: Shape = {"anyOf": [TTL, {"type": "integer", "minimum": 1, "maximum": 255}]}
SYSCTLS: Shape = {"type": "object", "propertyNames": {"pattern": r"^net\."}, "additionalProperties": TEXT}
VNI: Shape = {"type": "integer", "minimum": 1, "maximum": 2**24 - 1}
LABEL_RANGE: Shape = {"type": "string", "pattern": r"^[0-9]+-[0-9]+$"}
END: Shape = {"$ref": "#/$defs/end"}
MODE: Shape = {"enum": list(IPSEC_MODES)}
CONFIG: Shape = {"type": "string"}
CONFIGS: Shape = {
    "anyOf": [
        CONFIG,
        {"type": "object", "properties": dict.fromkeys(FRR_DAEMONS, CONFIG), "additionalProperties": False},
    ]
}


SECONDS: Shape = {"type": "integer", "minimum": 1, "maximum": 65535}


def _list_of(name: str) -> Shape:
    return {"type": "array", "items": {"$ref": f"#/$defs/{name}"}}


def _key(shape: Shape, text: str) -> Shape:
    return {**shape, "description": text}


def _maker(words: list[str], long_form: str) -> Shape:
    """A protocol's name, or a mapping with it and its settings."""
    return {"anyOf": [{"enum": words}, {"$ref": f"#/$defs/{long_form}"}]}


IGP_OF_NODE: Keys = {
    "area": _key(TEXT, "such as 0.0.0.1 for OSPF, 49.0001 for IS-IS; left out: 0.0.0.0, 49.0001"),
    "metric": _key({"type": "integer", "minimum": 1, "maximum": 65535}, "what sending over a link costs; left out: 10"),
}

IGP_OF_LINK: Keys = {
    **IGP_OF_NODE,
    "hello": _key(SECONDS, "seconds between hello packets; left out: 1"),
    "dead": _key(SECONDS, "seconds without one after which a neighbour is lost; left out: four times hello"),
    "bfd": _key({"type": "boolean"}, "false: no BFD, which otherwise notices a silent neighbour within a second"),
}

IGP: Keys = {
    "protocol": _key({"enum": [STATIC, "ospf", "isis"]}, "planned, OSPF (FRR's ospfd, ospf6d) or IS-IS (isisd)"),
    **IGP_OF_LINK,
    "level": _key({"enum": [*LEVELS, 1, 2]}, "IS-IS's, of all routers; left out: 2"),
}

LABEL_MAKER: Keys = {
    "protocol": _key({"enum": [STATIC, "ldp", SEGMENTS]}, "planned, LDP (FRR's ldpd), or igp's SIDs (SR-MPLS)"),
    "srgb": _key(LABEL_RANGE, "SR's block of labels, on all routers; left out: 16000-23999"),
    "pop": _key({"enum": list(POPS)}, "who takes SR's last label off: the router before (php), or the last one"),
}

VPN_MAKER: Keys = {
    "protocol": _key({"enum": [STATIC, "bgp", BY_EVPN]}, "planned, or BGP (FRR's bgpd), with labels or in VXLAN"),
    "asn": _key(ASN, "the provider's autonomous system; left out: 65000"),
    "reflectors": _key(TEXTS, "routers by which PEs hear of each other; left out: each PE speaks with each"),
    "unicast": _key({"enum": [LABELLED]}, "PEs tell each other of customers outside VRFs, by labels; no p is told"),
}

LAB: Keys = {
    "name": _key(TEXT, "what the lab is called"),
    "platform_labels": _key(
        {"type": "integer", "minimum": 17, "maximum": 1048575},
        "size of every router's label table (net.mpls.platform_labels); left out: 10000, or more where labels need it",
    ),
    "igp": _key(_maker([STATIC, "ospf", "isis"], "igp"), "who makes the core's routes: planned, OSPF, IS-IS"),
    "labels": _key(_maker([STATIC, "ldp", SEGMENTS], "labels"), "who makes the core's labels: planned, LDP, SR"),
    "vpn": _key(_maker([STATIC, "bgp", BY_EVPN], "vpn"), "who makes the routes between VRFs: planned, BGP, EVPN"),
    "evpns": _key(
        EVPNS, "LANs that PEs stretch over the core (EVPN-VXLAN): names, or name: {vni, rt, vrf, gateway, ...}"
    ),
    "nodes": _key(NODES, "name: role, or name: {role: ..., ...}"),
    "links": _key(_list_of("link"), "wires, each [END, END] or {a: END, b: END, ...}"),
    "ttl": _key(TTL, "how labels count hops: uniform goes on with the packet's TTL, pipe hides the core"),
    "lsps": _key(_list_of("lsp"), "label switched paths that are asked for; VPNs without one have theirs planned"),
}

NODE: Keys = {
    "role": _key({"enum": list(ROLES)}, "p: LSR; pe: has VRFs; ce: customer's router; host; bridge: a LAN"),
    "loopback": _key(TEXTS, "address on lo, or none; left out: planned for p and pe"),
    "vrfs": _key(VRFS, "names of VRFs, or name: {table, rd, rt, import, export, loopback, vni}; only at a pe"),
    "main": _key(
        {"$ref": "#/$defs/main"},
        "{rt, import, export}: route targets of the main table, for routes to and from VRFs; only at a pe",
    ),
    "dummies": _key(DUMMIES, "interfaces that lead nowhere, name: address, or name: {ip, vrf, mtu}"),
    "routes": _key(_list_of("route"), "static routes; they win over planned ones"),
    "rules": _key(_list_of("rule"), "policy routing: which packets have tables of their own"),
    "sysctls": _key(SYSCTLS, "net.* settings of this node"),
    "gateway": _key(TEXT, "default gateway of a ce or host, or none; left out: planned"),
    "igp": _key(
        _maker([NO_IGP], "igp_of_node"), "none: the core's routing protocol does not run here; or {area, metric}"
    ),
    "asn": _key(ASN, "AS number of a CE that speaks BGP (left out: one a site is planned) or of another provider"),
    "label_range": _key(LABEL_RANGE, "planned labels that come in here are from it, as 100-199"),
    "sid": _key({"type": "integer", "minimum": 0}, "number of a p or pe in SR's block of labels; left out: planned"),
    "frr": _key(
        CONFIGS, "your own frr.conf, or a file per daemon, {zebra: FILE, ...}; paths are relative to the lab file's"
    ),
    "daemon": _key({"enum": ["frr", "bird"]}, "whose routing daemons run here; left out: FRR's"),
    "bird": _key(CONFIG, "your own bird.conf; a text of several lines is the configuration itself"),
    "swanctl": _key(CONFIG, "your own swanctl.conf, for strongSwan; likewise"),
    "exec": _key(TEXTS, "command lines run in the node after set-up, without a shell, and only with --allow-exec"),
}

VRF: Keys = {
    "table": _key(TABLE, "routing table, one VRF's alone on this node; left out: planned"),
    "rd": _key(TEXT, "route distinguisher, such as 65000:1; left out: planned"),
    "rt": _key(TEXTS, "route targets imported and exported, such as 65000:1; left out: one per VRF name"),
    "import": _key(TEXTS, "route targets imported only"),
    "export": _key(TEXTS, "route targets exported only"),
    "loopback": _key(TEXTS, "address on the VRF's own device, or a list of them"),
    "vni": _key(VNI, "with vpn: evpn: what VXLAN marks its packets with; left out: one per VRF name"),
}

MAIN: Keys = {key: VRF[key] for key in ("rt", "import", "export")}

EVPN: Keys = {
    "vni": _key(VNI, "VXLAN network identifier; left out: planned"),
    "rt": _key(TEXTS, "route targets imported and exported; left out: AS number and VNI"),
    "import": _key(TEXTS, "route targets imported only"),
    "export": _key(TEXTS, "route targets exported only"),
    "mtu": _key({"type": "integer", "minimum": 68, "maximum": 65535}, "in bytes; left out: what the core leaves it"),
    "vrf": _key(TEXT, "with vpn: evpn: the VRF in which each PE routes for the LAN"),
    "gateway": _key(TEXTS, "with vrf: ADDRESS/LENGTH, the same at each PE, that the LAN's nodes send to, or a list"),
}

ROUTE: Keys = {
    "dst": _key(TEXT, "a prefix, or default"),
    "label": _key(LABEL, "in the place of dst: the label that packets arrive with"),
    "via": _key(TEXT, "address of the next hop"),
    "port": _key(TEXT, "port to send by, or lo: label is popped, the packet delivered; left out: found from via"),
    "labels": _key(STACK, "labels to push, or instead of label, outermost first; 0 and 2 are explicit null"),
    "vrf": _key(TEXT, "VRF that dst is looked up in (left out: the main table), or that label is popped into"),
    "ttl": _key(TTL_OR_NUMBER, "uniform, pipe, or the TTL that pushed labels begin with"),
    "table": _key(TABLE, "in the place of vrf: a table that rules lead to"),
}

RULE: Keys = {
    "from": _key(TEXT, "prefix of the source; no address that a packet made here has yet to be given"),
    "iif": _key(TEXT, "port that the packets come in by"),
    "fwmark": _key({"type": "integer", "minimum": 0, "maximum": 2**32 - 1}, "their mark"),
    "table": _key(TABLE, "where they are looked up: the table of routes of this node"),
    "priority": _key({"type": "integer", "minimum": 1001, "maximum": 32765}, "lower is first; VRFs come before all"),
}

IMPAIRED: Keys = {
    "bw": _key(TEXT, "Mbit/s that a port sends at most (netem)"),
    "delay": _key(TEXT, "for every packet sent, such as 10ms"),
    "jitter": _key(TEXT, "by how much the delay varies, such as 2ms"),
    "loss": _key(TEXT, "of the packets sent, in per cent"),
    "max_queue_size": _key({"type": "integer", "minimum": 1, "maximum": 2**32 - 1}, "packets that may wait; else 1000"),
}

LINK: Keys = {
    "a": _key(END, "one end"),
    "b": _key(END, "the other end"),
    "type": _key({"enum": list(LINK_TYPES)}, "veth: a wire; all others are tunnels through other links"),
    "name": _key(TEXT, "what a tunnel calls the link that it runs over"),
    "over": _key(TEXTS, "a tunnel's way: a link's name, or the two addresses, a's first; left out: what joins the two"),
    "versions": _key(
        {"enum": [4, 6, [4], [6], [4, 6], [6, 4]]}, "IP versions of the addresses that are planned here; left out: 4"
    ),
    "unnumbered": _key(
        {"type": "boolean"},
        "true: its p and pe lend it their loopbacks' addresses; traceroute then does not tell such links apart",
    ),
    "igp": _key(
        _maker([NO_IGP], "igp_of_link"), "none: no routing protocol of the core; or {area, metric, hello, dead, bfd}"
    ),
    "routing": _key(
        _maker(list(ROUTINGS), "routing"),
        "how a PE learns what is behind its end in a VRF: static (planned), connected (not), ospf or bgp with the CE",
    ),
    "ipsec": _key(
        {"anyOf": [MODE, {"$ref": "#/$defs/ipsec"}]},
        "encrypts a gre, ip6gre, gretap or vxlan tunnel (strongSwan): a mode, or {mode, cipher, secret, rekey}",
    ),
    "key": _key({"type": "integer", "minimum": 0, "maximum": 2**32 - 1}, "GRE key"),
    "vni": _key({"type": "integer", "minimum": 0, "maximum": 2**24 - 1}, "VXLAN network identifier"),
    "ttl": _key({"type": "integer", "minimum": 1, "maximum": 255}, "of a tunnel's outer header"),
    "encaplimit": _key(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"const": "none"}]},
        "tunnel encapsulation limit of an ip6gre tunnel (RFC 2473); left out: none",
    ),
    **IMPAIRED,
    "mtu": _key({"type": "integer", "minimum": 68, "maximum": 65535}, "MTU of both ends in bytes"),
}

ROUTING: Keys = {
    "protocol": _key({"enum": list(ROUTINGS)}, "static, connected, ospf or bgp"),
    "area": _key(TEXT, "OSPF's; left out: 0.0.0.0"),
    "as_override": _key({"type": "boolean"}, "the PE writes its own AS number over the CE's: sites may share one"),
    "site_of_origin": _key(TEXT, "marks a site's routes, such as 65000:1, so that they are not told to it again"),
    "allow_own_as": _key({"type": "boolean"}, "the PE takes routes that have been in its own AS, as a hub's"),
}

IPSEC: Keys = {
    "mode": _key(MODE, "how ESP is put around the tunnel's packets; udp and udp-tunnel: in UDP, port 4500"),
    "cipher": _key({"enum": list(CIPHERS)}, f"left out: {CIPHERS[0]}"),
    "secret": _key(TEXTS, "the ends' common key, or a's and b's own; left out: one that is drawn at each start"),
    "rekey": _key({"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, "seconds that ESP's keys last; else 3600"),
}

PORT: Keys = {
    "port": _key(ANY_NAME, "interface name, at most 15 bytes; left out: NODE-PEER-eth"),
    "ip": _key(TEXTS, "ADDRESS/LENGTH, a list of them, or none; left out: planned"),
    "vrf": _key(TEXT, "VRF of the node that this port is in"),
    "evpn": _key(TEXT, "the lab's EVPN that this port of a pe is in"),
    "mtu": _key({"type": "integer", "minimum": 68, "maximum": 65535}, "MTU in bytes; left out: 1500"),
    "mac": _key(TEXT, "MAC address, such as 02:00:00:00:00:01"),
    **IMPAIRED,
}

DUMMY: Keys = {
    "ip": _key(TEXTS, "ADDRESS/LENGTH, or a list of them"),
    **{key: PORT[key] for key in ("vrf", "mtu")},
}

LSP: Keys = {
    "path": _key(TEXTS, "routers from where labels are pushed to where they are popped, or shortest (all equal ways)"),
    "ingress": _key(TEXT, "where a shortest path begins"),
    "egress": _key(TEXT, "where a shortest path ends"),
    "labels": _key(LABELS, "labels[i] is on the path's i-th wire; left out: planned"),
    "vrf": _key(TEXT, "VRF of the last router that packets are popped into; its exports take the path"),
    "fec": _key(TEXTS, "without vrf: prefixes that take the path; left out: the last router's loopbacks"),
    "pop": _key({"enum": list(POPS)}, "who takes the last label off; php: the router before the last"),
    "ttl": _key(TTL_OR_NUMBER, "uniform, pipe, or the TTL that labels begin with"),
}
