"""The adjacencies and sessions that a lab's daemons are to have with each other, and what a daemon says it has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..asking import BIRD, CHARON
from ..model import Lab
from . import bird_sessions
from .bgp import speakers
from .ospf_edges import edges
from .own import spoken_by
from .routers import Router, routers
from .segments import sid_labels


@dataclass(frozen=True, order=True, slots=True)
class Session:
    """What ``node``'s ``daemon`` is to have: ``kind`` for a person, the ``peer`` as the daemon calls it, the peer's
    node and, for an adjacency, the port, for BGP the VRF. ``where``: what of the lab wants it, as far as that is one
    thing."""

    node: str
    daemon: str
    kind: str
    peer: str
    peer_node: str
    port: str = ""
    vrf: str = ""
    where: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """By which ``established`` tells it; charon knows no ports."""
        return self.peer, "" if self.daemon == CHARON else self.port or self.vrf

    @property
    def text(self) -> str:
        if self.daemon == ZEBRA:
            return f"label {self.peer} to {self.peer_node}"
        where = f" on {self.port}" if self.port else f" in {self.vrf}" if self.vrf else ""
        return f"{self.kind} with {self.peer_node}{where}"


ZEBRA = "zebra"
"""FRR's daemon that has the labels of all others, and gives them to the kernel."""

"""strongSwan's daemon, which is not asked by FRR's socket."""

LINK_LOCAL = "fe80::"
"""What stands for a peer that is called by its link-local address."""


def sessions(lab: Lab) -> tuple[Session, ...]:
    """All of a completed lab, those first that others need. Which ones a node with its own configuration has, that
    says; others have one with it if it runs that daemon."""
    known = routers(lab)
    own = {node.name: spoken_by(node) for node in lab.nodes if node.routes_itself}
    of = {kind: tuple(each for router in known.values() for each in found(router, known)) for kind, found in _ALL}
    of["ospfd"] += tuple(_edges(lab, "ospfd", 4, "OSPF adjacency"))
    of["ospf6d"] += tuple(_edges(lab, "ospf6d", 6, "OSPFv3 adjacency"))
    every = (*(each for found in of.values() for each in found), *_labels(lab), *_bgp(lab))
    birds = {node.name for node in lab.nodes if node.daemon == BIRD}
    own |= dict.fromkeys(birds, frozenset(("ospfd", "ospf6d", "bfdd", "bgpd")))
    known_to = (each for each in every if each.peer and each.daemon in own.get(each.peer_node, (each.daemon,)))
    theirs = (each for each in known_to if each.node in birds or each.node not in own)
    return tuple(each for one in theirs if (each := _of_bird(one) if one.node in birds else one))


def _of_bird(one: Session) -> Session | None:
    """The same where BIRD has it; None for what BIRD is not asked for."""
    daemon = bird_sessions.BIRDS.get(one.daemon)
    return replace(one, daemon=daemon) if daemon else None


def _adjacencies(daemon: str, kind: str) -> Callable[[Router, Mapping[str, Router]], Iterator[Session]]:
    def found(router: Router, known: Mapping[str, Router]) -> Iterator[Session]:
        for port in router.ports if router.igp == "ospf" and (daemon == "ospfd" or router.v6) else ():
            for other in port.nodes if port.direct else ():
                yield Session(router.name, daemon, kind, known[other].v4, other, port.name)

    return found


def _isis(router: Router, _: Mapping[str, Router]) -> Iterator[Session]:
    """isisd calls a neighbour by the name that it gives itself."""
    for port in router.ports if router.igp == "isis" else ():
        for other in port.nodes:
            yield Session(router.name, "isisd", "IS-IS adjacency", other, other, port.name)


def _bfd(router: Router, known: Mapping[str, Router]) -> Iterator[Session]:
    """An IPv6 neighbour is called by an address that the kernel chose; on a LAN there are several. isisd has one for
    both (isisd/isis_bfd.c)."""
    for port in router.ports:
        for other, address in port.neighbours if port.bfd and port.direct else ():
            if router.igp == "ospf" or not router.v6:
                yield Session(router.name, "bfdd", "BFD session", address, other, port.name)
            if router.v6:
                yield Session(router.name, "bfdd", "BFD session for IPv6", LINK_LOCAL, other, port.name)


def _ldp(router: Router, known: Mapping[str, Router]) -> Iterator[Session]:
    for other in dict.fromkeys(name for port in router.ports for name in port.nodes) if router.labels == "ldp" else ():
        yield Session(router.name, "ldpd", "LDP session", known[other].v4, other)


def _labels(lab: Lab) -> Iterator[Session]:
    """Of SIDs: to have one is all that the routers have to do with each other."""
    for name, wanted in sid_labels(lab).items():
        for one in wanted:
            yield Session(name, ZEBRA, "SID labels", str(one.label), one.node)


def _bgp(lab: Lab) -> Iterator[Session]:
    for speaker in speakers(lab).values():
        for instance in speaker.instances:
            for peer in instance.peers:
                yield Session(speaker.name, "bgpd", "BGP session", peer.address, peer.node, vrf=instance.vrf)


def _edges(lab: Lab, daemon: str, version: int, kind: str) -> Iterator[Session]:
    """Adjacencies of PEs with CEs."""
    found = edges(lab)
    ids = {name: some[0].router_id for name, some in found.items()}
    for name, some in found.items():
        for edge in some:
            for port in edge.ports[version]:
                for other in port.neighbours if port.direct else ():
                    yield Session(name, daemon, kind, ids[other], other, port.name)


_ALL = (
    ("ospfd", _adjacencies("ospfd", "OSPF adjacency")),
    ("ospf6d", _adjacencies("ospf6d", "OSPFv3 adjacency")),
    ("isisd", _isis),
    ("bfdd", _bfd),
    ("ldpd", _ldp),
)

QUESTIONS = {
    CHARON: "list-sas",
    "ospfd": "show ip ospf vrf all neighbor json",
    "ospf6d": "show ipv6 ospf6 vrf all neighbor json",
    "isisd": "show isis neighbor detail",
    "bfdd": "show bfd peers json",
    "ldpd": "show mpls ldp neighbor json",
    "bgpd": "show bgp vrf all summary json",
    ZEBRA: "show mpls table json",
    **bird_sessions.QUESTIONS,
}
"""What to ask each daemon for ``established``."""


def established(daemon: str, answer: str) -> frozenset[tuple[str, str]]:
    """(peer, port or VRF) of each session that the daemon has up; the second is empty for one outside of VRFs that is
    no adjacency. An answer that is no JSON says nothing; only isisd's is text, since its JSON tells but one neighbour
    of a LAN."""
    if daemon in bird_sessions.QUESTIONS:
        return bird_sessions.established(daemon, answer)
    if daemon == "isisd":
        return frozenset(_of_isisd(answer))
    return frozenset(each for said in documents(answer) for each in _READERS[daemon](said))


def documents(answer: str) -> Iterator[Any]:
    """Asked of all VRFs, ospf6d and zebra give a document for each."""
    rest = answer.lstrip()
    while rest:
        try:
            said, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            return
        yield said
        rest = rest[end:].lstrip()


def _of_ospfd(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for vrf in said.values():
        for peer, ports in vrf.get("neighbors", {}).items():
            for one in ports:
                if one.get("nbrState", one.get("state", "")).startswith("Full"):
                    yield peer, one.get("ifaceName", "").partition(":")[0]


def _of_ospf6d(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in said.get("neighbors", ()):
        if one.get("state") == "Full":
            yield one.get("neighborId", ""), one.get("interfaceName", "")


def _of_isisd(answer: str) -> Iterator[tuple[str, str]]:
    """Each neighbour's name, then a line ``Interface: p-pe1-eth, Level: 2, State: Up, Expires in 4s``."""
    name = ""
    for words in map(str.split, answer.splitlines()):
        if len(words) == 1:
            name = words[0]
        elif words[:1] == ["Interface:"] and words[4:6] == ["State:", "Up,"]:
            yield name, words[1].rstrip(",")


def _of_bfdd(said: Any) -> Iterator[tuple[str, str]]:
    for one in said or ():
        if one.get("status") == "up":
            peer = one.get("peer", "")
            yield LINK_LOCAL if ":" in peer else peer, one.get("interface", "")


def _of_ldpd(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in said.get("neighbors", ()):
        if one.get("state") == "OPERATIONAL":
            yield one.get("neighborId", ""), ""


_IN_USE = ("INSTALLED", "REKEYING")
"""A pair of associations that is being replaced still works."""


def _of_charon(said: Any) -> Iterator[tuple[str, str]]:
    """``connection/protocol`` where all associations of the protocol are in the kernel."""
    for connection, one in ((name, one) for entry in said or () for name, one in entry.items()):
        installed = {child["name"] for child in one["child-sas"].values() if child["state"] in _IN_USE}
        if "gre" in installed:
            yield f"{connection}/gre", ""
        if {"vxlan-in", "vxlan-out"} <= installed:
            yield f"{connection}/vxlan", ""


def _of_bgpd(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for vrf, families in said.items():
        for family in families.values():
            for peer, one in family.get("peers", {}).items():
                if one.get("state") == "Established":
                    yield peer, "" if vrf == "default" else vrf


def _of_zebra(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for label, one in said.items():
        if one.get("installed"):
            yield label, ""


_READERS: Mapping[str, Callable[[Any], Iterator[tuple[str, str]]]] = {
    CHARON: _of_charon,
    "ospfd": _of_ospfd,
    "ospf6d": _of_ospf6d,
    "bfdd": _of_bfdd,
    "ldpd": _of_ldpd,
    "bgpd": _of_bgpd,
    ZEBRA: _of_zebra,
}
