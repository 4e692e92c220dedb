"""What this machine's own kernel can do, found by trying it in a throw-away network namespace."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mnmpls.errors import KernelRefused
from mnmpls.kernel import Namespace, try_cipher, try_esp, wire
from mnmpls.kernel.refusals import IN_USER_NAMESPACE, refused
from mnmpls.model import STATIC, Lab
from mnmpls.state import (
    MPLS_IN_IP,
    TUNNEL_MODULES,
    Address,
    Bridge,
    Dummy,
    Guard,
    LabelRoute,
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
)

_CLONE_NEWPID = 0x20000000

Trial = Callable[[Namespace], None]
"""Raises KernelRefused where the feature is missing. In the namespace only ``lo`` is up."""


@dataclass(frozen=True)
class Feature:
    """Something that a kernel has or has not. ``spoken`` is its name for a person; ``modules`` hold it where it is
    not built in, and ``options`` of the kernel's configuration turn it on. ``trial``: records that a kernel with it
    takes in a namespace of which only ``lo`` is up, or a function. ``after``: features without which it cannot be."""

    spoken: str
    trial: tuple[Record, ...] | Trial
    modules: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def _pid_namespace(_: Namespace) -> None:
    """For the children of this thread, and back; the kernel has this for processes of one thread only (unshare(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWPID) == 0:
            libc.setns(own, _CLONE_NEWPID)
        elif ctypes.get_errno() != errno.EINVAL:
            raise refused("a new PID namespace", ctypes.get_errno(), "")
    finally:
        os.close(own)


def _tunnel(spoken: str, kind: str, option: str) -> Feature:
    ends = ("fd00::1", "fd00::2") if kind.startswith("ip6") else ("192.0.2.1", "192.0.2.2")
    return Feature(spoken, (Tunnel(f"trial-{kind}", kind, *ends, 1),), (TUNNEL_MODULES[kind],), (option,))


FEATURES: dict[str, Feature] = {
    "netns": Feature("network namespaces", (), (), ("NET_NS",)),
    "pidns": Feature("PID namespaces", _pid_namespace, (), ("PID_NS",)),
    "veth": Feature("veth pairs", lambda space: wire(space, "trial-a", space, "trial-b"), ("veth",), ("VETH",)),
    "settings": Feature("network settings to write", (Sysctl("net.ipv4.ip_forward", "1"),)),
    "ipv6": Feature(
        "IPv6", (Sysctl("net.ipv6.conf.all.forwarding", "1"), Address("lo", "fd00::1/128")), ("ipv6",), ("IPV6",),
        after=("settings",),
    ),
    "bridge": Feature("bridges", (Bridge("trial-bridge"),), ("bridge",), ("BRIDGE",)),
    "dummy": Feature("dummy interfaces", (Dummy("trial-dummy"),), ("dummy",), ("DUMMY",)),
    "vrf": Feature("VRF devices", (VrfDevice("trial-vrf", 10),), ("vrf",), ("NET_VRF", "NET_L3_MASTER_DEV")),
    "mpls": Feature(
        "MPLS", (Sysctl("net.mpls.platform_labels", "100"), LabelRoute(16, (NextHop("", "lo"),))),
        ("mpls_router",), ("MPLS", "MPLS_ROUTING"), after=("settings",),
    ),
    "mpls-encap": Feature(
        "MPLS encapsulation", (Route(254, "192.0.2.0/24", (NextHop("", "lo", (16,)),)),),
        ("mpls_iptunnel", "mpls_gso"), ("MPLS_IPTUNNEL", "NET_MPLS_GSO"), after=("mpls",),
    ),
    "rules": Feature(
        "policy routing", (Rule(1001, 4, 100, fwmark=1), Rule(1001, 6, 100, "fd00::/64")), (),
        ("IP_MULTIPLE_TABLES", "IPV6_MULTIPLE_TABLES"), after=("ipv6",),
    ),
    "netem": Feature("delay and loss of packets", (Qdisc("lo", delay_us=1),), ("sch_netem",), ("NET_SCH_NETEM",)),
    "gre": _tunnel("GRE tunnels", "gre", "NET_IPGRE"),
    "gretap": _tunnel("GRE tunnels for Ethernet", "gretap", "NET_IPGRE"),
    "ip6gre": _tunnel("GRE tunnels over IPv6", "ip6gre", "IPV6_GRE"),
    "ip6gretap": _tunnel("GRE tunnels for Ethernet over IPv6", "ip6gretap", "IPV6_GRE"),
    "sit": _tunnel("tunnels for MPLS in IPv4", "sit", "IPV6_SIT"),
    "ip6tnl": _tunnel("tunnels for MPLS in IPv6", "ip6tnl", "IPV6_TUNNEL"),
    "vxlan": _tunnel("VXLAN", "vxlan", "VXLAN"),
    "fou": Feature(
        "tunnels for MPLS in UDP", (
            UdpPort(6635, 4, MPLS_IN_IP), Tunnel("trial-fou", "ipip", "192.0.2.1", "192.0.2.2", udp_port=6635)
        ), ("fou", "ipip"), ("NET_FOU", "NET_FOU_IP_TUNNELS", "NET_IPIP"),
    ),
    "fou6": Feature(
        "tunnels for MPLS in UDP over IPv6", (
            UdpPort(6635, 6, MPLS_IN_IP), Tunnel("trial-fou6", "ip6tnl", "fd00::3", "fd00::4", udp_port=6635)
        ), ("fou6", "ip6_tunnel"), ("IPV6_FOU", "IPV6_FOU_TUNNEL", "IPV6_TUNNEL"), after=("ipv6",),
    ),
    "xfrm": Feature(
        "IPsec policies", (Guard("out", "192.0.2.1", "192.0.2.2", 47),), ("xfrm_user",), ("XFRM_USER",)
    ),
    "esp": Feature("ESP over IPv4", lambda space: try_esp(space, 4), ("esp4",), ("INET_ESP",), after=("xfrm",)),
    "esp6": Feature("ESP over IPv6", lambda space: try_esp(space, 6), ("esp6",), ("INET6_ESP",), after=("xfrm",)),
    "esp-udp": Feature("ESP in UDP over IPv4", lambda space: try_esp(space, 4, in_udp=True), after=("esp",)),
    "esp6-udp": Feature("ESP in UDP over IPv6", lambda space: try_esp(space, 6, in_udp=True), after=("esp6",)),
    "chacha20poly1305": Feature(
        "ESP with ChaCha20-Poly1305", lambda space: try_cipher(space, "chacha20poly1305"), ("chacha20poly1305",),
        ("CRYPTO_CHACHA20POLY1305",), after=("xfrm",),
    ),
    "aes-gcm": Feature(
        "ESP with AES-GCM", lambda space: try_cipher(space, "aes-gcm"), ("gcm", "seqiv"),
        ("CRYPTO_GCM", "CRYPTO_SEQIV"), after=("xfrm",),
    ),
}  # fmt: skip
"""Every feature; what others cannot be without comes before them."""

ALWAYS = frozenset({"netns", "pidns", "veth"})
BASICS = frozenset(FEATURES) - {"fou", "fou6"}
"""What an L3VPN may need, of ordinary links and of tunnels; every guest kernel has it."""


def features(records_by_node: Mapping[str, Iterable[Record]]) -> frozenset[str]:
    """The features that these records need, pure."""
    return ALWAYS.union(*(needs(record) for records in records_by_node.values() for record in records))


def wishes(lab: Lab) -> frozenset[str]:
    """What a completed lab's daemons need: routes with labels that no plan has, and IPsec's ciphers."""
    found = {"mpls-encap"} if lab.labels.protocol != STATIC or lab.has_own_routers else set()
    for link in lab.links:
        if link.ipsec:
            found.add(link.ipsec.cipher)
            if link.ipsec.mode.startswith("udp"):
                found.add("esp6-udp" if ":" in link.over[0] else "esp-udp")
    return frozenset(found)


_NOTHING, _IPV6, _LABELS = frozenset[str](), frozenset({"ipv6"}), frozenset({"mpls", "mpls-encap"})
_NEEDED: Mapping[type[Record], frozenset[str]] = {
    VrfDevice: frozenset({"vrf"}),
    Bridge: frozenset({"bridge"}),
    Dummy: frozenset({"dummy"}),
    Qdisc: frozenset({"netem"}),
    Rule: frozenset({"rules"}),
    LabelRoute: frozenset({"mpls"}),
    Port: _NOTHING,
}
"""By records whose kind says all."""


def needs(record: Record) -> frozenset[str]:
    if (known := _NEEDED.get(type(record))) is not None:
        return known
    match record:
        case Address(_, cidr):
            return _IPV6 if ":" in cidr else _NOTHING
        case Route(_, dst, hops):
            labelled = _LABELS if any(hop.labels for hop in hops) else _NOTHING
            return labelled | _IPV6 if ":" in dst else labelled
        case Sysctl(key):
            return _of_setting(key)
        case UdpPort(version=version):
            return frozenset({"fou6" if version == 6 else "fou"})
        case Guard(_, src):
            return frozenset({"xfrm", "esp6" if ":" in src else "esp"})
        case Tunnel(kind=kind, udp_port=port):
            return frozenset({{"ipip": "fou", "ip6tnl": "fou6"}[kind] if port else kind})
    return _NOTHING


@lru_cache(maxsize=1024)
def _of_setting(key: str) -> frozenset[str]:
    return frozenset({"settings", *({"mpls", "ipv6"} & {key.split(".")[1]})})


def missing(wanted: Iterable[str]) -> dict[str, str]:
    """Which of these features this kernel lacks, for us, and the reason it gives. What cannot be because another one
    is missing is not told beside that."""
    wanted = _with_what_they_need(wanted)
    if "mpls" in wanted:
        load_mpls()
    try:
        space = Namespace.create()
    except KernelRefused as error:
        if error.errno == errno.EROFS:
            return {"settings": error.why}
        return {"netns": error.why}
    lacking: dict[str, str] = {}
    without = set[str]()
    try:
        space.write(Port("lo"))
        for name, feature in FEATURES.items():
            if name in wanted and not without.isdisjoint(feature.after):
                without.add(name)
            elif name in wanted and (reason := why_not(space, feature)):
                lacking[name] = reason
                without.add(name)
    finally:
        space.close()
    return lacking


def missing_here(wanted: Iterable[str]) -> dict[str, str]:
    """The same for somebody who may make no namespace, as in a container with but a few rights: what is tried is tried
    in this one, and taken away again. Whether settings can be written is not looked at."""
    space = Namespace.open("/proc/self/ns/net")
    try:
        return {name: why for name in FEATURES if name in wanted and (why := _why_not_here(space, name))}
    finally:
        space.close()


def _why_not_here(space: Namespace, name: str) -> str:
    if name == "mpls":  # a label route needs a label table, and that a setting
        return "" if os.path.exists("/proc/sys/net/mpls") else "there is no /proc/sys/net/mpls"
    trial, before = FEATURES[name].trial, space.observe()
    try:
        space.write(*(record for record in trial if not isinstance(record, Sysctl)) if not callable(trial) else ())
    except KernelRefused as error:
        return error.why
    finally:
        space.remove(*(record for record in space.observe() - before if not isinstance(record, Port)))
    return ""


def _with_what_they_need(wanted: Iterable[str]) -> set[str]:
    whole = set(wanted)
    for name in reversed(FEATURES):
        if name in whole:
            whole.update(FEATURES[name].after)
    if unknown := whole - FEATURES.keys():
        raise KeyError(f"{', '.join(unknown)}: no kernel feature; there are {', '.join(FEATURES)}")
    return whole


def why_not(space: Namespace, feature: Feature) -> str:
    try:
        if callable(feature.trial):
            feature.trial(space)
        else:
            space.write(*feature.trial)
    except KernelRefused as error:
        return error.why
    return ""


def load_mpls() -> None:
    """Have the modules loaded that no request loads by itself; a kernel without them is found out by the trial."""
    modprobe = shutil.which("modprobe", path="/usr/sbin:/sbin")
    if modprobe and os.geteuid() == 0 and not os.path.exists("/proc/sys/net/mpls"):
        wanted = ("mpls_router", "mpls_iptunnel", "mpls_gso")
        subprocess.run([modprobe, "-q", "-a", *wanted], capture_output=True, check=False)


def describe(lacking: Mapping[str, str], most: int = len(FEATURES)) -> str:
    """A sentence about what is missing; beyond ``most`` it only says how much."""
    allowed = {name: why for name, why in lacking.items() if why != IN_USER_NAMESPACE}
    forbidden = [FEATURES[name].spoken for name in lacking if name not in allowed]
    absent = [feature.spoken for name, feature in FEATURES.items() if name in allowed]
    parts = [f"has no {_listed(absent, most)}"] if absent else []
    parts += [f"lets nobody in a user namespace have {' and '.join(forbidden)}"] if forbidden else []
    why = f" ({lacking['netns']})" if "netns" in lacking else ""
    return f"this kernel {' and '.join(parts)}{why}"


def _listed(names: Sequence[str], most: int) -> str:
    told, left = names[:most], len(names) - most
    if left > 0:
        return f"{', no '.join(told)} and {left} more of what is needed"
    return " and no ".join(filter(None, [", no ".join(told[:-1]), told[-1]]))


def explain(lacking: Mapping[str, str]) -> str:
    """A line about each, with its reason and the modules that it is in."""
    return "".join(
        f"\n  {FEATURES[name].spoken}: {reason}"
        + (f"; it is in the module {FEATURES[name].modules[0]}" if FEATURES[name].modules else "")
        for name, reason in lacking.items()
    )
