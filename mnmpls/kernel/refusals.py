"""What the kernel means when it refuses a record: cause and remedy from the error number and the extended ack."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..errors import KernelRefused
from ..state import (
    TUNNEL_MODULES,
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
)
from ..wording import words

GUEST = "or run in a guest that has it: MNMPLS_KERNEL=uml (or qemu), `mnmpls guest run`"
IN_USER_NAMESPACE = "the kernel allows this to nobody in a user namespace"
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13  # include/uapi/linux/capability.h
_ALL_USERS = ["0", "0", "4294967295"]
_WRITABLE = "in a container: start it with --privileged; elsewhere: mount -o remount,rw /proc/sys"


def refusal(record: object, why: str, remedy: str, errno: int = 0) -> KernelRefused:
    """Of a record in the words that a person would type for it, or of something else that can be told."""
    return KernelRefused(record, words(record) if isinstance(record, Record) else str(record), why, remedy, errno)


def refused(record: object, code: int, said: str) -> KernelRefused:
    """``said`` is the kernel's own sentence where it gave one."""
    why, remedy = _meaning(record, code, said)
    told = why if said in ("", why) else f"{why} (the kernel says: {said})"
    return refusal(record, told, remedy, code)


def missing_interface(record: object, name: str) -> KernelRefused:
    return refusal(
        record,
        f"there is no interface {name!r} in this namespace",
        "make its link (or VRF device) first; `ip link` in the node shows what is there",
        errno=errno.ENODEV,
    )


def _meaning(record: object, code: int, said: str) -> tuple[str, str]:
    if code == errno.EPERM:
        return _forbidden()
    if not isinstance(record, Record) and (found := _no_record(str(record), code)):
        return found
    if code == errno.EMFILE:
        return "this process has as many files open as it may", "raise its limit: `ulimit -n`; a node takes two"
    if code in (errno.ENOSPC, errno.ENOBUFS, errno.ENOMEM):
        return "the kernel is out of room for it", "use a smaller lab, or give the machine or guest more memory"
    for kind, meaning in _BY_RECORD.items():
        if isinstance(record, kind) and (found := meaning(record, code, said)):
            return found
    return _any_record(code, said)


def _forbidden() -> tuple[str, str]:
    """Root may have few of root's rights, and those of a user namespace do not count for all that is asked (FOU's
    GENL_ADMIN_PERM, net/ipv4/fou_core.c, is for the machine's own)."""
    if os.geteuid() != 0:
        return "only root may do this", "run it with sudo (or as root in a guest: `mnmpls guest run`)"
    if not may(CAP_NET_ADMIN):
        return "root may not do this here", "in a container: give it cap-add: [NET_ADMIN], or --privileged"
    if Path("/proc/self/uid_map").read_text(encoding="ascii").split() != _ALL_USERS:
        return IN_USER_NAMESPACE, "start it outside: docker without userns-remap, all else as the machine's root"
    return "something forbids it even to root", "look for a security module or seccomp profile that does (`dmesg`)"


def may(capability: int) -> bool:
    """Whether this process has it in its user namespace."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    has = next(line for line in lines if line.startswith("CapEff:"))
    return bool(int(has.split()[1], 16) >> capability & 1)


def _no_record(what: str, code: int) -> tuple[str, str] | None:
    """A namespace or a wire."""
    if code == errno.ENOSPC and "namespace" in what:
        which = "pid" if "PID" in what else "net"
        return "this user may have no more of them", f"raise the sysctl user.max_{which}_namespaces (namespaces(7))"
    if code == errno.EROFS and "namespace" in what:
        return "/proc/sys is mounted read-only", _WRITABLE
    if code == errno.ENOENT and "namespace" in what:
        return "No such file: the lab has ended, or its name is another", "`mnmpls list` shows the labs that run"
    if what.startswith("ESP ") and code in (errno.EPROTONOSUPPORT, errno.ENOSYS, errno.ENOENT, errno.EINVAL):
        return f"this kernel has no {what}", GUEST
    if code == errno.EOPNOTSUPP and what.startswith("wire "):
        return "this kernel has no veth pairs", f"load the module: `modprobe veth`, {GUEST}"
    return None


def _any_record(code: int, said: str) -> tuple[str, str]:
    if code == errno.EEXIST:
        return "the name exists already", "choose another name, or remove what holds it (`ip link` shows it)"
    if code == errno.EOPNOTSUPP:
        return "this kernel cannot do it", f"load the module that does, {GUEST}"
    if code == errno.ERANGE:
        return "a name in it is longer than the kernel takes", "an interface name has 1 to 15 bytes"
    if code == errno.ENETDOWN:
        return "its interface is down", "set the port up first"
    why = said or f"the kernel refuses it without a reason ({os.strerror(code)})"
    return why, "`dmesg` may say more; `mnmpls doctor` shows what this kernel can do"


def _vrf(record: object, code: int, said: str) -> tuple[str, str] | None:
    if code == errno.EOPNOTSUPP:
        return "this kernel has no VRF devices", f"load the module: `modprobe vrf`, {GUEST}"
    if code == errno.EEXIST:
        return "an interface of another kind has that name", "choose another name for the VRF"
    return None


def _dummy(record: object, code: int, said: str) -> tuple[str, str] | None:
    if code == errno.EOPNOTSUPP:
        return "this kernel has no dummy interfaces", f"load the module: `modprobe dummy`, {GUEST}"
    if code == errno.EEXIST:
        return "an interface of another kind has that name", "choose another name for the dummy"
    return None


def _bridge(record: object, code: int, said: str) -> tuple[str, str] | None:
    if code == errno.EOPNOTSUPP:
        return "this kernel has no bridges", f"load the module: `modprobe bridge`, {GUEST}"
    if code == errno.EEXIST:
        return "an interface of another kind has that name", "choose another name for the bridge"
    return None


_NO_FOU = (
    "this kernel cannot carry MPLS in UDP (FOU)",
    "load the modules: `modprobe -a fou fou6`; or run in a guest that has it: MNMPLS_KERNEL=qemu",
)


def _tunnel(record: object, code: int, said: str) -> tuple[str, str] | None:
    assert isinstance(record, Tunnel)
    if record.udp_port and code in (errno.EINVAL, errno.EOPNOTSUPP):
        return _NO_FOU
    if code == errno.EOPNOTSUPP:
        module = TUNNEL_MODULES[record.kind]
        return f"this kernel has no {record.kind} tunnels", f"load the module: `modprobe {module}`, {GUEST}"
    if code == errno.EEXIST:
        return (
            "an interface of that name, or another tunnel with these addresses and this key, is there already",
            "give one of the tunnels a key (vni for vxlan) or other addresses; `ip -d link` shows them",
        )
    return None


def _udp_port(record: object, code: int, said: str) -> tuple[str, str] | None:
    if code in (errno.ENOENT, errno.EOPNOTSUPP):
        return _NO_FOU
    if code == errno.EADDRINUSE:
        return "a program of this node has that UDP port", "end it; `ss -lunp` in the node shows which it is"
    return None


def _guard(record: object, code: int, said: str) -> tuple[str, str] | None:
    if code in (errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT):
        return "this kernel has no IPsec (XFRM)", f"load the module: `modprobe xfrm_user`, {GUEST}"
    return None


def _member(record: object, code: int, said: str) -> tuple[str, str] | None:
    assert isinstance(record, Member)
    if code == errno.EOPNOTSUPP:
        return f"{record.master} takes no members", "the master must be a VRF device or a bridge"
    return None


def _port(record: object, code: int, said: str) -> tuple[str, str] | None:
    assert isinstance(record, Port)
    if code == errno.EINVAL:
        return f"it does not take an MTU of {record.mtu_bytes} bytes", "`ip -d link` shows its minmtu and maxmtu"
    return None


def _qdisc(record: object, code: int, said: str) -> tuple[str, str] | None:
    if code in (errno.ENOENT, errno.EOPNOTSUPP):
        return "this kernel cannot delay or lose packets (netem)", f"load the module: `modprobe sch_netem`, {GUEST}"
    return None


def _address(record: object, code: int, said: str) -> tuple[str, str] | None:
    if code == errno.EACCES and isinstance(record, Address) and ":" in record.cidr:
        key = f"net.ipv6.conf.{record.port}.disable_ipv6"
        return "IPv6 is switched off on this interface", f"set the sysctl {key} to 0"
    return None


def _rule(record: object, code: int, said: str) -> tuple[str, str] | None:
    if code in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
        return "this kernel has no policy routing (CONFIG_IP_MULTIPLE_TABLES)", f"use another kernel, {GUEST}"
    if code == errno.EEXIST:
        return "somebody else's rule says the same already", "take that away (`ip rule`), or change the priority"
    return None


def _hop_trouble(hops: tuple[NextHop, ...], code: int, said: str) -> tuple[str, str] | None:
    gateways = ", ".join(hop.via for hop in hops if hop.via)
    if code in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return (
            f"no way to the next hop {gateways}",
            "give a port an address in the next hop's subnet (and set the port up), or name the port it is behind",
        )
    if code == errno.EINVAL and gateways and not said:
        return f"the next hop {gateways} is not usable there", "it must be a neighbour's address on the named port"
    return None


def _route(record: object, code: int, said: str) -> tuple[str, str] | None:
    assert isinstance(record, Route)
    if code == errno.EOPNOTSUPP and any(hop.labels for hop in record.hops):
        return "this kernel cannot push labels on IP packets", f"load the module: `modprobe mpls_iptunnel`, {GUEST}"
    return _hop_trouble(record.hops, code, said)


def _label_route(record: object, code: int, said: str) -> tuple[str, str] | None:
    assert isinstance(record, LabelRoute)
    if "platform_labels" in said:
        # The kernel takes at most 1048575 there (net/mpls/af_mpls.c, label_limit), so that label itself is out.
        needed = f"set the sysctl net.mpls.platform_labels to {record.label + 1} or more (the lab's `platform_labels`)"
        remedy = needed if record.label < 1048575 else "choose a smaller label: this one can only be pushed"
        return "label routes go up to net.mpls.platform_labels - 1, which is too low for this label", remedy
    if "main route table" in said:
        return "label routes live in the main table only", "leave the table out: a VRF is reached by its device as hop"
    if not record.hops:
        return "a label route needs a hop", "name a gateway, a VRF device or lo"
    if code == errno.EINVAL and record.label < 16:
        return "labels 0 to 15 are reserved (RFC 3032 2.1)", "choose a label from 16 to 1048575"
    if code == errno.EINVAL and any(hop.weight != 1 for hop in record.hops):
        return "the kernel has no weights among the hops of a label", "give every hop weight 1"
    if code == errno.EOPNOTSUPP:
        return "this kernel has no MPLS routing", f"load the module: `modprobe mpls_router`, {GUEST}"
    return _hop_trouble(record.hops, code, said)


def _sysctl(record: object, code: int, said: str) -> tuple[str, str] | None:
    assert isinstance(record, Sysctl)
    if code == errno.ENOENT and record.key.startswith("net.mpls."):
        return (
            "no such setting here: no MPLS in this kernel, or no such interface",
            f"load the module: `modprobe mpls_router`, {GUEST}; and look at the interface name",
        )
    if code == errno.ENOENT:
        return "no such setting in this namespace", "look at the key, and at the interface name in it"
    if code == errno.EINVAL:
        return "it does not take this value", "see Documentation/networking/ip-sysctl.rst of the kernel"
    if code in (errno.EACCES, errno.EROFS):
        return "the setting is read-only here", _WRITABLE
    return None


_BY_RECORD = {
    VrfDevice: _vrf,
    Bridge: _bridge,
    Dummy: _dummy,
    Tunnel: _tunnel,
    UdpPort: _udp_port,
    Guard: _guard,
    Member: _member,
    Port: _port,
    Qdisc: _qdisc,
    Address: _address,
    Rule: _rule,
    Route: _route,
    LabelRoute: _label_route,
    Sysctl: _sysctl,
}
