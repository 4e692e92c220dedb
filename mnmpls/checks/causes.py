"""Why two daemons have no session with each other, as one of them says itself: in its log, or asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..asking import ask, log_lines
from ..daemons import Session, daemon_at, services
from ..model import Lab
from ..plan.graph import interface, interfaces
from ..processes import Folders
from ..services import why_missing

if TYPE_CHECKING:
    from collections.abc import Callable

_RECENT = 100
"""Lines of a log: what is older may be mended."""

_OF_PORTS = (
    (r"invalid Area ID (\S+)", "the other end is in area {}"),
    (r"area mismatch \((\S+)\)", "the other end is in area {}"),
    (r"(?:Hello|hello )[Ii]nterval mismatch .*?(\d+)\)?\.?$", "the other end says hello every {} s"),
    (r"(?:Dead|dead )[Ii]nterval mismatch .*?(\d+)\)?\.?$", "the other end's dead interval is {} s"),
    (r"MTU (\d+) is larger than \[.*\]'s MTU (\d+)", "the other end's MTU is {} bytes, its own {}"),
    (r"MTU mismatch \(my (\d+) rcvd (\d+)\)", "its own MTU is {} bytes, the other end's {}"),
    (r"auth-type mismatch, local (\w+), rcvd (\w+)", "its own authentication is {}, the other end's {}"),
    (r"Simple auth failed|ospf_check_md5 checksum mismatch", "the two ends have different keys"),
)
"""Lines about a port, of ospfd (ospfd/ospf_packet.c), ospf6d (ospf6d/ospf6_message.c) and BIRD, and what they mean."""


def cause_of(lab: Lab, one: Session, folders: Mapping[str, Folders]) -> str:
    """What the two ends of a session that is missing say about it; empty if they say nothing."""
    return why_missing(lab, one, folders) or next(_said(lab, one, folders), "")


def _said(lab: Lab, one: Session, folders: Mapping[str, Folders]) -> Iterator[str]:
    running = {node: {each.name for each in some} for node, some in services(lab).items()}
    near, far = one.node, one.peer_node
    for node, other, port in ((near, far, one.port), (far, near, _other_port(lab, one))):
        if node in folders and node in running:
            home, daemon = folders[node], daemon_at(one.daemon, running[node])
            if port and (found := meaning(log_lines(home, daemon), port)):
                yield f"{daemon} of {node} says that {found}"
            if find := _ASKED.get(daemon):
                question, reads = find
                if found := reads(_answer(home, daemon, question), other, set(_addresses(lab, other))):
                    yield f"{daemon} of {node} {found}"


def _other_port(lab: Lab, one: Session) -> str:
    """The port at the other end of the session's wire; empty on a LAN."""
    ways = (way for link in lab.links for way in (link.ports, link.ports[::-1]))
    here = (one.node, one.port)
    return next((b.name for a, b in ways if (a.node, a.name) == here and b.node == one.peer_node), "")


def meaning(log: list[str], port: str) -> str:
    """Of the last line that says what is wrong with packets at ``port``; empty for none."""
    about = re.compile(rf"(?<![\w.-]){re.escape(port)}(?![\w.-])")
    for line in (line for line in reversed(log[-_RECENT:]) if about.search(line)):
        for pattern, text in _OF_PORTS:
            if found := re.search(pattern, line):
                return text.format(*found.groups())
    return ""


def _addresses(lab: Lab, name: str) -> Iterator[str]:
    yield from (str(cidr.ip) for port in lab.ports(name) for cidr in interfaces(port))
    yield from (str(interface(cidr).ip) for cidr in lab.node(name).loopbacks if "/" in cidr)


def _answer(home: Folders, daemon: str, question: str) -> Any:
    try:
        return json.loads(ask(home, daemon, question) or "{}")
    except ValueError:
        return {}


def of_bgpd(said: Any, name: str, peers: set[str]) -> str:
    """bgpd keeps the last notification; only who sent it knows what it had expected."""
    for vrf in said.values() if isinstance(said, dict) else ():
        for peer in sorted(peers & vrf.keys()) if isinstance(vrf, dict) else ():
            one = vrf[peer]
            sent = str(one.get("lastResetDueTo", "")).endswith("send")
            if sent and str(one.get("lastNotificationReason", "")).endswith("Bad Peer AS"):
                return f"expects AS {one.get('remoteAs')} at {peer}, and {name} says another"
    return ""


def of_ldpd(said: Any, name: str, peers: set[str]) -> str:
    """Whether hellos come, by the ports and from far, and which address they give for the session."""
    if not isinstance(said, dict) or "interfaces" not in said:
        return ""
    sources = [*said["interfaces"].values(), *said.get("targetedHellos", {}).values()]
    heard = [one for each in sources for one in each.get("adjacencies", ())]
    theirs = [one for one in heard if one.get("lsrId") in peers]
    if not theirs:
        return f"hears no LDP hello of {name}"
    other = {one.get("transportAddress", "") for one in theirs} - peers
    return f"is told to call {name} at {', '.join(sorted(other))}, which is none of its addresses" if other else ""


_ASKED: Mapping[str, tuple[str, Callable[[Any, str, set[str]], str]]] = {
    "bgpd": ("show bgp vrf all neighbors json", of_bgpd),
    "ldpd": ("show mpls ldp discovery detail json", of_ldpd),
}
