"""A lab as the commands that a person would type: namespaces, wires, and each node's records."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby

from ..apply import difference
from ..commands import commands
from ..model import DEFAULT_MTU_BYTES, Lab, Link, Port
from ..state import (
    RTPROT_MNMPLS,
    TUNNEL_MODULES,
    Address,
    Bridge,
    Dummy,
    Guard,
    LabelRoute,
    Record,
    Route,
    Sysctl,
    Tunnel,
    UdpPort,
    VrfDevice,
)
from .atlas import Atlas, atlas
from .reasons import ROLES, reason

Records = Mapping[str, frozenset[Record]]


def ip_commands(lab: Lab, records: Records, nodes: Collection[str] = ()) -> str:
    """A script for bash that brings a completed ``lab`` up without mnmpls, each command with its reason. Of ``nodes``,
    if any are named, only what is theirs: their wires, and what is set in them."""
    known = atlas(lab, records)
    if nodes:
        wires = [link for link in lab.links if any(port.node in nodes for port in link.ports)]
        own = replace(lab, nodes=tuple(each for each in lab.nodes if each.name in nodes), links=tuple(wires))
        parts = [_wires(own), *(_node(known, each.name, records[each.name]) for each in own.nodes), _own_lines(own)]
        return _text(parts)
    every = (_node(known, node.name, records[node.name]) for node in lab.nodes)
    return _text([_head(lab, records), _nodes(lab, records), _wires(lab), *every, _own_lines(lab), _TAIL])


def _text(parts: Iterable[Iterable[str]]) -> str:
    texts = ("".join(f"{line}\n" for line in part) for part in parts)
    return "\n".join(text for text in texts if text)


_TAIL = (
    "# To take it all down: wires and routes go with their namespaces.",
    "#   sed -n 's/^ip netns add /ip netns delete /p' FILE | sudo bash",
)


def _head(lab: Lab, records: Records) -> Iterator[str]:
    many = f"{len(lab.nodes)} network namespaces and the {sum(link.is_wire for link in lab.links)} wires between them"
    yield "#!/bin/bash"
    yield f"# The lab {lab.name!r} by hand: {many}."
    yield "#   set it up:      sudo bash FILE   (the names of its nodes must be free: ip netns list)"
    yield "#   be in a node:   sudo ip netns exec NODE bash"
    yield "#   take it down:   the last line tells"
    yield f"# These routes, and no others: ip route show table all proto {RTPROT_MNMPLS}"
    yield "set -e  # ends at the first command that fails"
    modules = list(_modules(records))
    if modules:
        yield ""
        yield "# What the kernel needs for it. Where it is built in there is nothing to load, which is no error."
        yield f"modprobe -qa {' '.join(modules)} || true"


def _modules(records: Records) -> Iterator[str]:
    """Kernel modules of the records, in the order of use."""
    every = [record for found in records.values() for record in found]
    if any(isinstance(each, Bridge) for each in every):
        yield "bridge"
    if any(isinstance(each, Dummy) for each in every):
        yield "dummy"
    if any(isinstance(each, VrfDevice) for each in every):
        yield "vrf"
    tunnels = sorted({each.kind for each in every if isinstance(each, Tunnel)})
    yield from dict.fromkeys(TUNNEL_MODULES[kind] for kind in tunnels)
    udp = {each.version for each in every if isinstance(each, UdpPort)}
    yield from (name for version, name in ((4, "fou"), (6, "fou6")) if version in udp)
    if any(isinstance(each, Guard) for each in every):
        yield "xfrm_user"
    if any(isinstance(each, LabelRoute) or (isinstance(each, Sysctl) and ".mpls." in each.key) for each in every):
        yield "mpls_router"
    if any(isinstance(each, Route) and any(hop.labels for hop in each.hops) for each in every):
        yield "mpls_iptunnel"


def _nodes(lab: Lab, records: Records) -> Iterator[str]:
    yield "# Every node is a network namespace: interfaces, addresses and routes of its own."
    for node in lab.nodes:
        yield shlex.join(["ip", "netns", "add", node.name])
    if any(isinstance(each, Address) and ":" in each.cidr for found in records.values() for each in found):
        settings = [f"net.ipv6.conf.{which}.accept_dad=0" for which in ("all", "default")]
        yield "# IPv6: interfaces made from now on use their link-local addresses at once, not a second or two later."
        yield from (shlex.join(inside(node.name, ["sysctl", "-qw", *settings])) for node in lab.nodes)


def _wires(lab: Lab) -> Iterator[str]:
    yield "# Every wire is a veth pair: what goes in at one end comes out at the other."
    for link in filter(lambda link: link.is_wire, lab.links):
        yield shlex.join(wire_command(link))


def wire_command(link: Link) -> list[str]:
    """The one command that makes a wire, both ends where they belong and with their names."""
    a, b = link.ports
    return ["ip", "link", "add", "name", *_end(a), "type", "veth", "peer", "name", *_end(b)]


def _end(port: Port) -> list[str]:
    mac = ["address", port.mac] if port.mac else []
    return [port.name, *mac, "mtu", str(port.mtu_bytes or DEFAULT_MTU_BYTES), "netns", port.node]


def _node(known: Atlas, node: str, found: Iterable[Record]) -> Iterator[str]:
    yield f"# ---- {node}, {ROLES[known.node(node).role]}"
    ordered = difference(found, ()).write
    for why, group in groupby(ordered, key=lambda record: reason(known, node, record)):
        yield f"# {why}"
        yield from (shlex.join(inside(node, each)) for record in group for each in commands(record))


def _own_lines(lab: Lab) -> Iterator[str]:
    """What the lab's author wants to be run is shown and not run: nobody has read it yet."""
    lines = [f"#   ip netns exec {shlex.quote(node.name)} {line}" for node in lab.nodes for line in node.exec]
    if lines:
        yield "# The lab's own command lines (exec:) come last. Read them before you run them:"
        yield from (" ".join(line.splitlines()) for line in lines)


def inside(node: str, words: list[str]) -> list[str]:
    """The same command for the namespace of ``node``: ip(8) enters it by itself, any other is entered for."""
    return ["ip", "-n", node, *words[1:]] if words[0] == "ip" else ["ip", "netns", "exec", node, *words]
