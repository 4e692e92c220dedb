"""A record as the command of iproute2 or procps that a person would type for it."""

from __future__ import annotations

from collections.abc import Callable

from .state import (
    GUARD_PRIORITY,
    IPV6_METRIC,
    L3MDEV,
    MAIN_TABLE,
    RTPROT_MNMPLS,
    TTL_AS_SET,
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

OURS = ("proto", str(RTPROT_MNMPLS))
"""What a route of ours carries, so that what was typed is read back as the same record."""


TTL_MODES = {"uniform": "enabled", "pipe": "disabled"}


def commands(record: Record) -> list[list[str]]:
    """What is typed in a namespace to make ``record`` true there: one command, or two for a port that is to be
    a bridge's with settings of its own: it can have these from then on only (rtnetlink.c, __rtnl_newlink: m_ops)."""
    told = command(record)
    if isinstance(record, Member) and (own := told[7:]):
        return [told[:7], [*told[:5], *own]]
    return [told]


def command(record: Record) -> list[str]:
    """All of `commands` as if it were one: the arguments, program first."""
    match record:
        case Sysctl(key, value):
            return ["sysctl", "-qw", f"{_setting(key)}={value}"]
        case VrfDevice(name, table, up):
            return ["ip", "link", "add", "name", name, _state(up), "type", "vrf", "table", str(table)]
        case Bridge(name, up, mac):
            own = ["address", mac] if mac else []
            return ["ip", "link", "add", "name", name, *own, _state(up), "type", "bridge", "stp_state", "0"]
        case Dummy(name):
            return ["ip", "link", "add", "name", name, "type", "dummy"]
        case Tunnel(name, kind):
            return ["ip", "link", "add", "name", name, "type", kind, *_tunnel(record)]
        case UdpPort(port, version, protocol):
            return ["ip", "fou", "add", "port", str(port), "ipproto", str(protocol), *(["-6"] if version == 6 else [])]
        case Guard():
            return ["ip", "xfrm", "policy", "add", *_guarded(record)]
        case Member(port, master, learns, suppresses):
            own = [] if learns else ["learning", "off"]
            own += ["neigh_suppress", "on"] if suppresses else []
            own = ["type", "bridge_slave", *own] if own else []
            return ["ip", "link", "set", "dev", port, "master", master, *own]
        case Port(name, up, mtu_bytes):
            return ["ip", "link", "set", "dev", name, "mtu", str(mtu_bytes), _state(up)]
        case Qdisc(port):
            return ["tc", "qdisc", "add", "dev", port, "root", "netem", *_netem(record)]
        case Address(port, cidr):
            # Without duplicate address detection, which would keep the address from use for a second.
            return ["ip", "address", "add", cidr, "dev", port, *(["nodad"] if ":" in cidr else [])]
        case Rule():
            return _rule(record)
        case Route():
            return _route(record)
        case LabelRoute(label, hops, ttl):
            mode = ["ttl-propagate", TTL_MODES[ttl]] if ttl else []
            return ["ip", "-f", "mpls", "route", "add", str(label), *mode, *_hops(hops, _label_hop)]


def _guarded(record: Guard) -> list[str]:
    to = ["dport", str(record.port)] if record.port else []
    packets = ["src", record.src, "dst", record.dst, "proto", str(record.protocol), *to]
    return [*packets, "dir", record.direction, "action", "block", "priority", str(GUARD_PRIORITY)]


def _netem(record: Qdisc) -> list[str]:
    words = ["limit", str(record.queue_packets)]
    if record.delay_us or record.jitter_us:
        words += ["delay", f"{record.delay_us}us", *([f"{record.jitter_us}us"] if record.jitter_us else [])]
    words += ["loss", f"{record.loss_ppm / 10_000:g}%"] if record.loss_ppm else []
    words += ["rate", f"{record.rate_kbit}kbit"] if record.rate_kbit else []
    return [*words, "(and more)"] if record.is_more else words


def _tunnel(record: Tunnel) -> list[str]:
    words = ["local", record.local, *(["remote", record.remote] if record.remote else ["nolearning"])]
    if record.kind == "vxlan":
        words = ["id", str(record.key), *words, "dstport", "4789", *([] if ":" in record.local else ["df", "set"])]
    elif record.key is not None:
        words += ["key", str(record.key)]
    if record.kind in ("sit", "ip6tnl", "ipip"):
        words = ["mode", "mplsip" if record.udp_port and record.kind == "ipip" else "any", *words]
    if record.udp_port:
        words += ["encap", "fou", "encap-sport", "auto", "encap-dport", str(record.udp_port)]
        words += ["encap-udp6-csum"] if ":" in record.local else []
    if ":" in record.local and record.kind != "vxlan":
        words += ["encaplimit", "none" if record.encap_limit is None else str(record.encap_limit)]
    # Without its ttl, iproute2 would choose one for tunnels over IPv6.
    return [*words, "ttl", str(record.ttl)] if record.ttl or ":" in record.local else words


def _rule(record: Rule) -> list[str]:
    words = ["ip", *(["-6"] if record.version == 6 else []), "rule", "add"]
    words += ["from", record.src] if record.src else []
    words += ["iif", record.iif] if record.iif else []
    words += ["fwmark", str(record.fwmark)] if record.fwmark is not None else []
    if record.table == L3MDEV:
        return [*words, "l3mdev", "priority", str(record.priority), "proto", "kernel"]
    return [*words, "lookup", str(record.table), "priority", str(record.priority), *OURS]


def _state(up: bool) -> str:
    return "up" if up else "down"


def _setting(key: str) -> str:
    """With slashes where a dot is part of an interface's name: sysctl(8) takes either as the separator."""
    parts = sysctl_parts(key)
    return "/".join(parts) if any("." in part for part in parts) else key


def _route(record: Route) -> list[str]:
    version = 6 if ":" in record.dst else 4
    words = ["ip", *(["-6"] if version == 6 else []), "route", "add"]
    words += [record.kind] if record.kind != "unicast" else []
    words.append("default" if record.dst in ("0.0.0.0/0", "::/0") else record.dst)
    words += ["table", str(record.table)] if record.table != MAIN_TABLE else []
    usual = IPV6_METRIC if version == 6 else 0
    words += ["metric", str(record.metric)] if record.metric != usual else []
    return words + _hops(record.hops, lambda hop: _route_hop(hop, version))


def _route_hop(hop: NextHop, version: int) -> list[str]:
    ttl = ["ttl", str(hop.ttl)] if hop.ttl != TTL_AS_SET else []
    pushed = ["encap", "mpls", stack(hop.labels), *ttl] if hop.labels else []
    same = (6 if ":" in hop.via else 4) == version
    return pushed + (["via", hop.via] if same else _via(hop.via)) if hop.via else pushed


def _label_hop(hop: NextHop) -> list[str]:
    swapped = ["as", stack(hop.labels)] if hop.labels else []
    return swapped + (_via(hop.via) if hop.via else [])


def _via(gateway: str) -> list[str]:
    """A gateway of another family than the route's."""
    return ["via", "inet6" if ":" in gateway else "inet", gateway]


def _hops(hops: tuple[NextHop, ...], words_of: Callable[[NextHop], list[str]]) -> list[str]:
    """One hop stands beside the destination, several behind ``nexthop`` each."""
    if len(hops) == 1:
        return [*words_of(hops[0]), "dev", hops[0].port, *OURS]
    several = [
        ["nexthop", *words_of(hop), "dev", hop.port, *(["weight", str(hop.weight)] if hop.weight != 1 else [])]
        for hop in hops
    ]
    return [*OURS, *(word for words in several for word in words)]


def stack(labels: tuple[int, ...]) -> str:
    """Labels as iproute2 writes them, outermost first."""
    return "/".join(map(str, labels))
