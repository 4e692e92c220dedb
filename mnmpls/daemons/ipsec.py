"""strongSwan's charon (https://docs.strongswan.org): with whom a node's is to agree on keys for ESP, its configuration,
and why it has not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..asking import CHARON
from ..model import SWANCTL, Lab, Link, Node
from .peers import Peer, Secret
from .service import Service
from .sessions import Session
from .templating import templates

ARGV, FILE = ("charon-systemd",), "swanctl.conf"


def peers(lab: Lab) -> dict[str, tuple[Peer, ...]]:
    """Node -> whom it encrypts for, for a completed lab; nodes that encrypt for nobody, and those of which their own
    configuration says it, are absent."""
    own = {node.name for node in lab.nodes if node.has_own_keys}
    found: dict[str, dict[tuple[str, str], Peer]] = {}
    for number, link in enumerate(lab.links):
        for one in _ends(link, f"links[{number}].ipsec") if link.ipsec else ():
            node, peer = one
            if node in own:
                continue
            if peer.node in own:  # which may wait for the other
                peer = replace(peer, begins=True)
            known = found.setdefault(node, {})
            first = known.setdefault((peer.local, peer.remote), peer)
            if first is not peer:
                known[peer.local, peer.remote] = _joined(first, peer)
    return {node: tuple(_named(some.values())) for node, some in found.items()}


def _ends(link: Link, where: str) -> Iterator[tuple[str, Peer]]:
    assert link.ipsec
    protocol = "vxlan" if link.type == "vxlan" else "gre"
    secrets = (link.ipsec.secrets * 2)[:2] or ("", "")
    for port, other, over, secret in (
        (link.a, link.b, link.over, secrets[0]), (link.b, link.a, link.over[::-1], secrets[1])
    ):  # fmt: skip
        ids = over[0], over[1]
        yield port.node, Peer(
            "", other.node, *ids, port is link.a, link.ipsec, {protocol: (where, port.name)}, Secret(ids, secret)
        )  # fmt: skip


def _joined(first: Peer, more: Peer) -> Peer:
    """One connection for all links between the same two addresses."""
    return replace(first, links={**more.links, **first.links})


def _named(some: Iterable[Peer]) -> Iterator[Peer]:
    """By the node, in which strongSwan's files have no dots; where there are several to one, with a number."""
    times: dict[str, int] = {}
    for peer in some:
        base = peer.node.replace(".", "_")
        times[base] = times.get(base, 0) + 1
        yield replace(peer, name=base if times[base] == 1 else f"{base}-{times[base]}")


def services(lab: Lab) -> dict[str, tuple[Service, ...]]:
    """Node -> its charon; nodes without one are absent."""
    own = {node.name: _own(node) for node in lab.nodes if node.has_own_keys}
    return {node: (_service(some),) for node, some in peers(lab).items()} | own


def _own(node: Node) -> tuple[Service, ...]:
    files = (each for each in node.own if each.daemon == SWANCTL)
    where = f"nodes.{node.name}.{SWANCTL}"
    return tuple(Service(CHARON, ARGV, each.text, (), FILE, where, each.path) for each in files)


def _service(some: tuple[Peer, ...]) -> Service:
    config = templates().get_template("swanctl.conf").render(peers=some)
    return Service(CHARON, ARGV, config, (), FILE, peers=some)


def strongswan_conf() -> str:
    """The daemon's own settings, which are the same everywhere."""
    return templates().get_template("strongswan.conf").render()


def secrets_conf(secrets: Iterable[Secret]) -> str:
    """The part of swanctl.conf that nobody else may read."""
    return templates().get_template("secrets.conf").render(secrets=secrets)


def sessions(lab: Lab) -> tuple[Session, ...]:
    """One for each end of an encrypted link."""
    return tuple(
        Session(node, CHARON, "IPsec", f"{peer.name}/{protocol}", peer.node, port, where=where)
        for node, some in peers(lab).items()
        for peer in some
        for protocol, (where, port) in peer.links.items()
    )


_CAUSES = (
    (r"MAC mismatched|received AUTHENTICATION_FAILED", "the two ends have different secrets"),
    (r"no shared key found", "there is no secret for it"),
    (r"NO_PROPOSAL_CHOSEN|no acceptable proposal", "the two ends have no cipher in common"),
    (r"TS_UNACCEPTABLE|no acceptable traffic selectors", "the other end does not encrypt these packets"),
    (r"giving up after|retransmit \d+ of request", "the other end does not answer IKE (UDP 500, 4500)"),
)
"""Lines of charon's log, and what they mean."""


def cause(session: Session, log: Iterable[str]) -> str:
    """What the last lines about a session that is not there say; empty if they say nothing."""
    about = f"<{session.peer.partition('/')[0]}|"
    for line in reversed([line for line in log if about in line]):
        if found := next((meaning for pattern, meaning in _CAUSES if re.search(pattern, line)), ""):
            return found
    return ""
