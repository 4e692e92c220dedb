"""Every kind of record and every variant of it, with the commands that spoil it by hand."""

from __future__ import annotations

from dataclasses import dataclass

from mnmpls.state import (
    GATEWAY_MAC,
    IPV6_METRIC,
    MAIN_TABLE,
    TTL_AS_SET,
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
    VrfDevice,
)


@dataclass(frozen=True, slots=True)
class Case:
    """``record`` is made untrue by ``removal`` and turned into something else by each of ``changes``."""

    name: str
    record: Record
    removal: str = ""
    changes: tuple[str, ...] = ()
    needs: tuple[Record, ...] = ()


def _hop(via: str, *labels: int, port: str = "left.1", weight: int = 1, ttl: int = TTL_AS_SET) -> NextHop:
    return NextHop(via, port, labels, weight, ttl)


def _route4(name: str, *hops: NextHop, table: int = MAIN_TABLE, metric: int = 0, dst: str = "10.5.0.0/24") -> Case:
    it = f"{dst} table {table} metric {metric}"
    changes = (f"ip route replace {it} via 10.0.0.9 dev left.1", f"ip route replace {it} via 10.0.0.9 proto 201")
    record = Route(table, dst, tuple(sorted(hops)), metric=metric)
    return Case(f"route4-{name}", record, f"ip route del {it}", tuple(f"{each} onlink dev left.1" for each in changes))


def _route6(name: str, *hops: NextHop, table: int = MAIN_TABLE, metric: int = IPV6_METRIC) -> Case:
    it = f"fd05::/64 table {table} metric {metric}"
    changes = (
        f"ip -6 route replace {it} via fd00::9 dev left.1 proto 201",
        f"ip -6 route replace {it} dev spare",
        f"ip -6 route append {it} dev spare proto 201",
    )
    record = Route(table, "fd05::/64", tuple(sorted(hops)), metric=metric)
    return Case(f"route6-{name}", record, f"ip -6 route del {it}", changes)


def _nowhere(version: int, kind: str, dst: str, metric: int) -> Case:
    it = f"ip -{version} route"
    place = f"{dst} table 1000 metric {metric}"
    change = f"{it} replace prohibit {place} proto 201"
    return Case(f"{kind}{version}", Route(1000, dst, (), kind, metric), f"{it} del {kind} {place}", (change,))


def _label(name: str, *hops: NextHop, ttl: str = "") -> Case:
    changes: tuple[str, ...] = (
        "ip -M route replace 100 as 999 via inet 10.0.0.9 dev left.1",
        "ip -M route replace 100 via inet 10.0.0.9 dev left.1 proto 201",
        "ip -M route replace 100 dev red proto 201",
    )
    if hops == (_hop("", port="red"),):
        changes = changes[:2]
    return Case(f"label-{name}", LabelRoute(100, tuple(sorted(hops)), ttl), "ip -M route del 100", changes)


def _sysctl(key: str, value: str, other: str, path: str = "") -> Case:
    return Case(f"sysctl-{key}", Sysctl(key, value), "", (f"sysctl -qw {path or key}={other!r}",))


_SYSCTLS = (
    _sysctl("net.ipv4.ip_forward", "1", "0"),
    _sysctl("net.ipv6.conf.all.forwarding", "1", "0"),
    _sysctl("net.ipv4.conf.all.rp_filter", "2", "1"),
    _sysctl("net.ipv4.conf.left.1.rp_filter", "2", "0", "net/ipv4/conf/left.1/rp_filter"),
    _sysctl("net.ipv6.conf.left.1.hop_limit", "33", "44", "net/ipv6/conf/left.1/hop_limit"),
    _sysctl("net.mpls.conf.left.1.input", "1", "0", "net/mpls/conf/left.1/input"),
    _sysctl("net.mpls.platform_labels", "2000", "1000"),
    _sysctl("net.ipv4.ip_local_port_range", "20000 30000", "20000 40000"),
)

_DEVICES = (
    Case(
        "vrf-device",
        VrfDevice("blue", 70000),
        "ip link del blue",
        ("ip link set blue down", "ip link del blue && ip link add blue up type vrf table 9"),
    ),
    Case("vrf-device-down", VrfDevice("blue", 70000, up=False), "ip link del blue", ("ip link set blue up",)),
    Case("bridge-down", Bridge("br0", up=False), "ip link del br0", ("ip link set br0 up",)),
    Case(
        "bridge",
        Bridge("br0"),
        "ip link del br0",
        ("ip link set br0 down", "ip link set br0 type bridge stp_state 1"),
    ),
    Case(
        "bridge-of-gateways",
        Bridge("br0", mac=GATEWAY_MAC),
        "ip link del br0",
        ("ip link set br0 address 02:00:00:00:00:07",),
    ),
    Case("dummy", Dummy("d0"), "ip link del d0", ("ip link del d0 && ip link add d0 type bridge",)),
    Case(
        "member-of-vrf",
        Member("spare", "red"),
        "ip link set spare nomaster",
        ("ip link set spare master br0",),
        (Bridge("br0"),),
    ),
    Case(
        "member-of-bridge",
        Member("spare", "br0"),
        "ip link set spare nomaster",
        ("ip link set spare master red", "ip link set spare type bridge_slave learning off"),
        (Bridge("br0"),),
    ),
    Case(
        "member-that-is-told",
        Member("spare", "br0", learns=False, suppresses=True),
        "ip link set spare nomaster",
        ("ip link set spare type bridge_slave learning on", "ip link set spare type bridge_slave neigh_suppress off"),
        (Bridge("br0"),),
    ),
    Case("port-up", Port("spare", True, 1400), "", ("ip link set spare down", "ip link set spare mtu 1300")),
    Case("port-down", Port("spare", False, 9000), "", ("ip link set spare up", "ip link set spare mtu 1300")),
    Case("port-lo", Port("lo", True, 65536), "", ("ip link set lo down", "ip link set lo mtu 1500")),
)

def _tunnel(name: str, record: Tunnel, *changes: str) -> Case:
    """``changes`` are iproute2's settings of a tunnel in its place."""
    anew = tuple(f"ip link del {record.name} && ip link add {record.name} up type {change}" for change in changes)
    return Case(f"tunnel-{name}", record, f"ip link del {record.name}", anew)


def _qdisc(name: str, record: Qdisc, *changes: str) -> Case:
    each = ("tc qdisc replace dev spare root netem delay 99ms", "tc qdisc replace dev spare root pfifo", *changes)
    return Case(f"qdisc-{name}", record, "tc qdisc del dev spare root", each)


_QDISCS = (
    _qdisc("delay", Qdisc("spare", delay_us=10_000), "tc qdisc replace dev spare root netem limit 1000 delay 10.001ms"),
    _qdisc("jitter", Qdisc("spare", delay_us=10_000_000, jitter_us=1)),
    _qdisc("loss", Qdisc("spare", loss_ppm=1), "tc qdisc replace dev spare root netem limit 1000 loss 0.0002%"),
    _qdisc("all-lost", Qdisc("spare", loss_ppm=1_000_000)),
    _qdisc("rate", Qdisc("spare", rate_kbit=1, queue_packets=7)),
    _qdisc("fast", Qdisc("spare", rate_kbit=100_000_000)),
    _qdisc("all", Qdisc("spare", 10_000, 20_000, 2_000, 123_456, 50)),
    _qdisc(
        "more", Qdisc("spare", delay_us=5000),
        "tc qdisc replace dev spare root netem limit 1000 delay 5ms duplicate 1%",
        "tc qdisc replace dev spare root netem limit 1000 delay 5ms corrupt 1%",
    ),
)  # fmt: skip

_V4, _V6 = ("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")
_TUNNELS = (
    _tunnel("gre", Tunnel("t1", "gre", *_V4), "gre local 10.0.0.1 remote 10.0.0.3", "gretap local 10.0.0.1 key 3"),
    _tunnel("gre-key", Tunnel("t1", "gre", *_V4, key=7), "gre local 10.0.0.1 remote 10.0.0.2 key 8"),
    _tunnel("gre-key-0", Tunnel("t1", "gre", *_V4, key=0), "gre local 10.0.0.1 remote 10.0.0.2"),
    _tunnel("gre-ttl", Tunnel("t1", "gre", *_V4, key=2**32 - 1, ttl=255), "gre local 10.0.0.1 remote 10.0.0.2 ttl 3"),
    _tunnel("gre-pmtu", Tunnel("t1", "gre", *_V4), "gre local 10.0.0.1 remote 10.0.0.2 nopmtudisc"),
    _tunnel("gretap", Tunnel("t1", "gretap", *_V4, key=9, ttl=64), "gre local 10.0.0.1 remote 10.0.0.2 key 9 ttl 64"),
    _tunnel("ip6gre", Tunnel("t1", "ip6gre", *_V6), "ip6gre local fd00::1 remote fd00::2"),
    _tunnel(
        "ip6gre-limit",
        Tunnel("t1", "ip6gre", *_V6, key=1, ttl=12, encap_limit=4),
        "ip6gre local fd00::1 remote fd00::2 encaplimit none key 1 ttl 12",
    ),
    _tunnel("ip6gre-limit-0", Tunnel("t1", "ip6gre", *_V6, encap_limit=0), "ip6gre local fd00::1 remote fd00::2"),
    _tunnel("ip6gretap", Tunnel("t1", "ip6gretap", *_V6, key=5), "ip6gretap local fd00::1 remote fd00::2 key 5"),
    _tunnel("vxlan", Tunnel("t1", "vxlan", *_V4, key=5), "vxlan id 5 local 10.0.0.1 remote 10.0.0.2 dstport 8472"),
    _tunnel("vxlan-df", Tunnel("t1", "vxlan", *_V4, key=5), "vxlan id 5 local 10.0.0.1 remote 10.0.0.2 dstport 4789"),
    _tunnel("vxlan6", Tunnel("t1", "vxlan", *_V6, key=2**24 - 1, ttl=9), "vxlan id 6 local fd00::1 dstport 4789"),
    _tunnel(
        "vxlan-evpn", Tunnel("t1", "vxlan", _V4[0], "", key=100),
        "vxlan id 100 local 10.0.0.1 dstport 4789 df set",
        "vxlan id 100 local 10.0.0.1 remote 10.0.0.2 nolearning dstport 4789 df set",
    ),
    _tunnel("mpls-ip", Tunnel("t1", "sit", *_V4, ttl=7), "sit mode ip6ip local 10.0.0.1 remote 10.0.0.2 ttl 7"),
    _tunnel("mpls-ip6", Tunnel("t1", "ip6tnl", *_V6), "ip6tnl local fd00::1 remote fd00::2 encaplimit none"),
)

_GUARDS = (
    Case("guard-out", Guard("out", *_V4, 47), "ip xfrm policy flush"),
    Case("guard-in", Guard("in", *_V4, 47), "ip xfrm policy flush"),
    Case("guard-6", Guard("out", *_V6, 47), "ip xfrm policy flush"),
    Case("guard-port", Guard("in", *_V6, 17, 4789), "ip xfrm policy flush"),
)

_ADDRESSES = tuple(
    Case(f"address-{cidr}", Address(port, cidr), f"ip addr del {cidr} dev {port}")
    for port, cidr in (
        ("spare", "10.7.0.1/30"),
        ("left.1", "10.0.0.77/24"),
        ("lo", "10.255.0.1/32"),
        ("red", "10.255.0.2/32"),
        ("spare", "fd07::1/127"),
        ("left.1", "fd00::77/64"),
        ("lo", "fd0f::1/128"),
        ("left.1", "fe80::1/64"),
    )
)

_ROUTES = (
    _route4("gateway", _hop("10.0.0.2")),
    _route4("metric", _hop("10.0.0.2"), metric=20),
    _route4("default", _hop("10.0.0.2"), dst="0.0.0.0/0"),
    _route4("host", _hop("10.0.0.2"), dst="10.5.0.1/32"),
    _route4("table-10", _hop("10.0.0.2"), table=10),
    _route4("table-70000", _hop("10.0.0.2"), table=70000),
    _route4("on-link", _hop("")),
    _route4("to-vrf", _hop("", port="red")),
    _route4("ipv6-gateway", _hop("fd00::2")),
    _route4("one-label", _hop("10.0.0.2", 101)),
    _route4("two-labels", _hop("10.0.0.2", 18, 1002), table=1000),
    _route4("three-labels", _hop("10.0.0.2", 18, 1002, 1048575)),
    _route4("thirty-labels", _hop("10.0.0.2", *range(100, 130))),
    _route4("explicit-null", _hop("10.0.0.2", 0)),
    _route4("labels-ttl", _hop("10.0.0.2", 18, 1002, ttl=255)),
    _route4("labels-ttl-of-the-packet", _hop("10.0.0.2", 18, ttl=0)),
    _route4("multipath-labels-ttl", _hop("10.0.0.2", 18, ttl=7), _hop("10.0.0.3", 19, ttl=0), _hop("10.0.0.4", 20)),
    _route4("label-ipv6-gateway", _hop("fd00::2", 18, 1002)),
    _route4("multipath", _hop("10.0.0.2"), _hop("10.0.0.3")),
    _route4("multipath-weights", _hop("10.0.0.2", weight=3), _hop("10.0.0.3", weight=256), _hop("10.0.0.4")),
    _route4("multipath-labels", _hop("10.0.0.2", 18), _hop("10.0.0.3", 19, 20, 21), _hop("10.0.0.4", weight=2)),
    _route4("multipath-on-link", _hop(""), _hop("", port="spare")),
    _route6("gateway", _hop("fd00::2")),
    _route6("metric", _hop("fd00::2"), metric=20),
    _route6("table-10", _hop("fd00::2"), table=10),
    _route6("table-70000", _hop("fd00::2"), table=70000),
    _route6("on-link", _hop("")),
    _route6("to-vrf", _hop("", port="red")),
    _route6("one-label", _hop("fd00::2", 101)),
    _route6("two-labels", _hop("fd00::2", 18, 1002), table=1000),
    _route6("three-labels", _hop("fd00::2", 18, 1002, 1048575)),
    _route6("thirty-labels", _hop("fd00::2", *range(100, 130))),
    _route6("labels-ttl", _hop("fd00::2", 18, 2, ttl=9)),
    _route6("multipath", _hop("fd00::2"), _hop("fd00::3")),
    _route6("multipath-weights", _hop("fd00::2", weight=3), _hop("fd00::3", weight=256), _hop("fd00::4")),
    _route6("multipath-labels", _hop("fd00::2", 18), _hop("fd00::3", 19, 20, 21), _hop("fd00::4", weight=2)),
    _nowhere(4, "unreachable", "0.0.0.0/0", UNREACHABLE_METRIC),
    _nowhere(6, "unreachable", "::/0", UNREACHABLE_METRIC),
    _nowhere(4, "blackhole", "10.5.0.0/24", 0),
    _nowhere(6, "blackhole", "fd05::/64", IPV6_METRIC),
)

_LABELS = (
    _label("swap", _hop("10.0.0.2", 111)),
    _label("swap-ipv6", _hop("fd00::2", 111)),
    _label("swap-and-push-two", _hop("10.0.0.2", 18, 1002)),
    _label("swap-and-push-three", _hop("fd00::2", 18, 1002, 1048575)),
    _label("swap-and-push-thirty", _hop("10.0.0.2", *range(100, 130))),
    _label("swap-to-explicit-null", _hop("fd00::2", 2)),
    _label("swap-uniform", _hop("10.0.0.2", 111), ttl="uniform"),
    _label("pop-and-forward-pipe", _hop("10.0.0.2"), ttl="pipe"),
    _label("pop-to-vrf-uniform", _hop("", port="red"), ttl="uniform"),
    _label("multipath-pipe", _hop("10.0.0.2", 111), _hop("10.0.0.3"), ttl="pipe"),
    _label("pop-and-forward", _hop("10.0.0.2")),
    _label("pop-and-forward-ipv6", _hop("fd00::2")),
    _label("pop-to-vrf", _hop("", port="red")),
    _label("pop-to-lo", _hop("", port="lo")),
    _label("multipath", _hop("10.0.0.2", 111), _hop("10.0.0.3", 112, 113)),
    _label("multipath-mixed", _hop("10.0.0.2"), _hop("fd00::2", 111, 112, 113)),
)

def _rule(name: str, given: str, record: Rule) -> Case:
    words = f"ip -{record.version} rule"
    own = f"{given} lookup {record.table} priority {record.priority}"
    change = f"{words} del {own} && {words} add {given} lookup 77 priority {record.priority} protocol 201"
    return Case(f"rule{record.version}-{name}", record, f"{words} del {own}", (change,))


_RULES = (
    _rule("from", "from 10.9.0.0/16", Rule(1001, 4, 100, "10.9.0.0/16")),
    _rule("from-host", "from 10.9.0.1/32", Rule(1001, 4, 70000, "10.9.0.1/32")),
    _rule("in-port", "iif left.1", Rule(2000, 4, 100, "", "left.1")),
    _rule("mark", "fwmark 7", Rule(32765, 4, 100, "", "", 7)),
    _rule("all", "from 10.9.0.0/16 iif left.1 fwmark 4294967295", Rule(1001, 4, 9, "10.9.0.0/16", "left.1", 2**32 - 1)),
    _rule("from", "from fd09::/32", Rule(1001, 6, 100, "fd09::/32")),
    _rule("in-port", "iif left.1", Rule(1001, 6, 100, "", "left.1")),
    _rule("all", "from fd09::1/128 iif spare fwmark 1", Rule(1001, 6, 9, "fd09::1/128", "spare", 1)),
)

CASES = (*_SYSCTLS, *_DEVICES, *_QDISCS, *_TUNNELS, *_GUARDS, *_ADDRESSES, *_RULES, *_ROUTES, *_LABELS)
