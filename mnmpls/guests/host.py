"""What this machine's own kernel can do, found by trying it in a throw-away network namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping

from mnmpls.errors import KernelRefused
from mnmpls.kernel import Namespace, wire
from mnmpls.state import Bridge, LabelRoute, NextHop, Port, Record, Route, Sysctl, VrfDevice

SPOKEN = {
    "netns": "network namespaces",
    "veth": "veth pairs",
    "bridge": "bridges",
    "vrf": "VRF devices",
    "mpls": "MPLS",
    "mpls-encap": "MPLS encapsulation",
}
"""Every feature, as it is named to a person."""

ALWAYS = frozenset({"netns", "veth"})

TRIALS: dict[str, tuple[Record, ...]] = {
    "bridge": (Bridge("trial-bridge"),),
    "vrf": (VrfDevice("trial-vrf", 10),),
    "mpls": (Sysctl("net.mpls.platform_labels", "100"), LabelRoute(16, (NextHop("", "lo"),))),
    "mpls-encap": (Route(254, "192.0.2.0/24", (NextHop("", "lo", (16,)),)),),
}
"""Records that a kernel with the feature takes in a namespace of which only ``lo`` is up."""


def features(records_by_node: Mapping[str, Iterable[Record]]) -> frozenset[str]:
    """The features that these records need, pure."""
    return ALWAYS.union(*(needs(record) for records in records_by_node.values() for record in records))


def needs(record: Record) -> frozenset[str]:
    match record:
        case VrfDevice():
            return frozenset({"vrf"})
        case Bridge():
            return frozenset({"bridge"})
        case LabelRoute():
            return frozenset({"mpls"})
        case Sysctl(key) if key.startswith("net.mpls."):
            return frozenset({"mpls"})
        case Route(hops=hops) if any(hop.labels for hop in hops):
            return frozenset({"mpls", "mpls-encap"})
    return frozenset()


def missing(wanted: Iterable[str]) -> dict[str, str]:
    """Which of these features this kernel lacks, for us, and the reason it gives."""
    wanted = set(wanted)
    if "mpls" in wanted:
        load_mpls()
    try:
        space = Namespace.create()
    except KernelRefused as error:
        return dict.fromkeys(sorted(wanted), error.why)
    try:
        space.write(Port("lo"))
        reasons = {feature: why_not(space, feature) for feature in sorted(wanted)}
    finally:
        space.close()
    return {feature: reason for feature, reason in reasons.items() if reason}


def why_not(space: Namespace, feature: str) -> str:
    if feature not in SPOKEN:
        raise KeyError(f"{feature}: not a kernel feature; there are {', '.join(SPOKEN)}")
    try:
        if feature == "veth":
            wire(space, "trial-a", space, "trial-b")
        for record in TRIALS.get(feature, ()):
            space.write(record)
    except KernelRefused as error:
        return error.why
    return ""


def load_mpls() -> None:
    """Have the modules loaded that no request loads by itself; a kernel without them is found out by the trial."""
    modprobe = shutil.which("modprobe", path="/usr/sbin:/sbin")
    if modprobe and os.geteuid() == 0 and not os.path.exists("/proc/sys/net/mpls"):
        wanted = ("mpls_router", "mpls_iptunnel", "mpls_gso")
        subprocess.run([modprobe, "-q", "-a", *wanted], capture_output=True, check=False)


def describe(lacking: Mapping[str, str]) -> str:
    """A sentence about what is missing; the reason is given once where all have the same."""
    names = [spoken for feature, spoken in SPOKEN.items() if feature in lacking]
    spoken = " and no ".join(filter(None, [", no ".join(names[:-1]), names[-1]]))
    reasons = set(lacking.values())
    why = f" ({reasons.pop()})" if len(reasons) == 1 < len(lacking) else ""
    return f"this kernel has no {spoken}{why}"
