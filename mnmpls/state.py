"""The records: the small vocabulary that plan and kernel share.

Each record is one fact about ONE network namespace, true or false of it, written in the kernel's own canonical
spelling, so that what was written equals what is read back. A plan is a set of records; so is an observation;
their difference is the work (see apply.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

RTPROT_MNMPLS = 201
"""Our routes' protocol number (unused in include/uapi/linux/rtnetlink.h): what carries it is ours."""

MAIN_TABLE = 254
"""RT_TABLE_MAIN; the only table in which the kernel takes label routes (net/mpls/af_mpls.c)."""

UNREACHABLE_METRIC = 4278198272
"""Metric of a VRF's unreachable default: as low in preference as the kernel's VRF documentation advises
(Documentation/networking/vrf.rst), so that any real default wins."""

EXPLICIT_NULLS = (0, 2)
"""IPv4's and IPv6's labels that every router with a label table pops and looks under (RFC 3032 2.1)."""

TTL_AS_SET = -1
"""The TTL of pushed labels is what the router's net.mpls.ip_ttl_propagate and net.mpls.default_ttl make it."""

IPV6_METRIC = 1024
"""What the kernel writes for an IPv6 route without a metric (IP6_RT_PRIO_USER)."""

IPV6_CONNECTED_METRIC = 256
"""Of the route that an IPv6 address brings along (IP6_RT_PRIO_ADDRCONF)."""


@dataclass(frozen=True, order=True, slots=True)
class Sysctl:
    """``key`` with dots between its parts; an interface name with a dot in it keeps it."""

    key: str
    value: str


@dataclass(frozen=True, order=True, slots=True)
class VrfDevice:
    """A VRF device bound to a routing table (Documentation/networking/vrf.rst)."""

    name: str
    table: int
    up: bool = True


GATEWAY_MAC = "00:00:5e:00:01:01"
"""A virtual router's (RFC 5798 7.3): all PEs that route for a LAN have it there, and answer for it alike."""


@dataclass(frozen=True, order=True, slots=True)
class Bridge:
    """A bridge device without spanning tree. ``mac`` is GATEWAY_MAC, or empty for one of the kernel's choice."""

    name: str
    up: bool = True
    mac: str = ""


@dataclass(frozen=True, order=True, slots=True)
class Tunnel:
    """One end of a tunnel, a device of the kernel's kind ``kind``. ``key`` is GRE's (None: none) or VXLAN's VNI,
    ``ttl`` 0 takes the inner packet's, ``encap_limit`` is for IPv6 outside (None: none). VXLAN without a ``remote``
    goes where a daemon says, and learns nothing by itself."""

    name: str
    kind: str
    local: str
    remote: str
    key: int | None = None
    ttl: int = 0
    encap_limit: int | None = None
    udp_port: int = 0
    """Where packets are put into UDP, to which port (the source port is a hash of theirs); 0: they are not."""


@dataclass(frozen=True, order=True, slots=True)
class Dummy:
    """An interface that leads nowhere (drivers/net/dummy.c)."""

    name: str
    kind: ClassVar[str] = "dummy"


@dataclass(frozen=True, order=True, slots=True)
class UdpPort:
    """What arrives at a UDP port, over one IP version, is taken out and handled as a packet of an IP protocol."""

    port: int
    version: int
    protocol: int


GUARD_PRIORITY = 2**31
"""Behind every policy of an IKE daemon (strongSwan's are below 2**20)."""


@dataclass(frozen=True, order=True, slots=True)
class Guard:
    """Packets of an IP protocol (to a UDP port, where one is given) that leave by (``out``) or come in by (``in``) no
    ESP are dropped: a policy that IKE's own go before (RFC 4301 4.4.1)."""

    direction: str
    src: str
    dst: str
    protocol: int
    port: int = 0


MPLS_IN_IP = 137
"""The IP protocol number (RFC 4023 3)."""

TUNNEL_MODULES = {
    "gre": "ip_gre",
    "gretap": "ip_gre",
    "ip6gre": "ip6_gre",
    "ip6gretap": "ip6_gre",
    "sit": "sit",
    "ip6tnl": "ip6_tunnel",
    "vxlan": "vxlan",
    "ipip": "ipip",
}
"""The kinds of tunnels, and the kernel module that has each."""

FALLBACK_DEVICES = frozenset(
    ("tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0")
)
"""What tunnel modules make in each namespace by themselves (net.core.fb_tunnels_only_for_init_net)."""


@dataclass(frozen=True, order=True, slots=True)
class Member:
    """``port`` is enslaved to ``master``, a VRF device or a bridge. A bridge's ``learns`` who is behind it from what
    comes in, or ``suppresses`` questions for neighbours whose answer is known (bridge(8))."""

    port: str
    master: str
    learns: bool = True
    suppresses: bool = False


@dataclass(frozen=True, order=True, slots=True)
class Port:
    """State of an interface that the runtime made (or ``lo``)."""

    name: str
    up: bool = True
    mtu_bytes: int = 1500


QUEUE_PACKETS = 1000
"""How many packets wait in a netem when nobody says it."""


@dataclass(frozen=True, order=True, slots=True)
class Qdisc:
    """What a port does to the packets that it sends (netem, tc-netem(8)); 0: nothing of the kind. ``is_more``: it does
    something beyond, which no lab asks for."""

    port: str
    rate_kbit: int = 0
    delay_us: int = 0
    jitter_us: int = 0
    loss_ppm: int = 0
    queue_packets: int = QUEUE_PACKETS
    is_more: bool = False


@dataclass(frozen=True, order=True, slots=True)
class Address:
    """``cidr`` as the kernel prints it: host address and prefix length, IPv6 compressed."""

    port: str
    cidr: str


@dataclass(frozen=True, order=True, slots=True)
class NextHop:
    """One way on. ``via`` is empty for a hop without a gateway (on-link, a VRF device, ``lo``); ``labels`` are
    those on the packet afterwards, outermost first. ``weight`` counts only among several hops. ``ttl`` is that of
    labels pushed on an IP packet: 1 to 255, 0 for the packet's own, or TTL_AS_SET."""

    via: str
    port: str
    labels: tuple[int, ...] = ()
    weight: int = 1
    ttl: int = TTL_AS_SET


L3MDEV = 0
"""In the place of a rule's table: that of the VRF which the packet is in (FRA_L3MDEV)."""


@dataclass(frozen=True, order=True, slots=True)
class Rule:
    """A policy routing rule of ours (ip-rule(8)): packets of IP ``version`` that come from the prefix ``src``, in by
    the port ``iif`` and with the mark ``fwmark``, as far as these are given, are looked up in ``table``. The one with
    L3MDEV is the kernel's own."""

    priority: int
    version: int
    table: int
    src: str = ""
    iif: str = ""
    fwmark: int | None = None


@dataclass(frozen=True, order=True, slots=True)
class Route:
    """An IP route of ours. ``hops`` are sorted; empty for ``unreachable`` and ``blackhole``. ``metric`` is 0 for
    IPv4 and IPV6_METRIC for IPv6 unless given: the kernel's own spelling."""

    table: int
    dst: str
    hops: tuple[NextHop, ...] = ()
    kind: str = "unicast"
    metric: int = 0


@dataclass(frozen=True, order=True, slots=True)
class LabelRoute:
    """An incoming label map (ILM, RFC 3031 3.11) entry: swap (hops with labels), pop and forward (hops with a
    gateway but no labels), or pop and look up (a hop without gateway: a VRF device or ``lo``). ``ttl`` tells what
    the IP packet under the last label has when that is popped: ``uniform``: the label's; ``pipe``: its own, less one
    (RFC 3443); empty: as net.mpls.ip_ttl_propagate says."""

    label: int
    hops: tuple[NextHop, ...]
    ttl: str = ""


Device = VrfDevice | Bridge | Dummy | Tunnel
Record = Sysctl | Device | UdpPort | Guard | Member | Port | Qdisc | Address | Rule | Route | LabelRoute


@lru_cache(maxsize=4096)
def sysctl_parts(key: str) -> tuple[str, ...]:
    """The path below /proc/sys: ``net.ipv4.conf.eth0.100.rp_filter`` is about the interface ``eth0.100``."""
    if port := re.fullmatch(r"(net)\.(\w+)\.(conf|neigh)\.(.+)\.(\w+)", key):
        return port.groups()
    return tuple(key.split("."))
