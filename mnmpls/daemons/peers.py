"""Whom a node encrypts for: what its charon has to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model import Ipsec

PROPOSALS = {"chacha20poly1305": "chacha20poly1305", "aes-gcm": "aes256gcm16"}
"""What strongSwan calls a cipher."""

_GRE, _UDP = "47", "17"
"""By number: names want /etc/protocols, which a small machine lacks (strongSwan, vici_config.c, parse_ts)."""
CHILDREN = {
    "gre": (("gre", _GRE, _GRE),),
    "vxlan": (("vxlan-out", _UDP, f"{_UDP}/4789"), ("vxlan-in", f"{_UDP}/4789", _UDP)),
}
"""By protocol: the name of each pair of associations, and what its packets are here and there. VXLAN's source ports
are hashes (RFC 7348 5), so that each direction has a pair of its own."""

HOUR_S, GRACE_S = 3600, 60
"""How long keys are in use, and how much longer they are still understood."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What two addresses know each other by; an empty ``text`` is to be drawn."""

    ids: tuple[str, str]
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node that this one encrypts for, as strongSwan's connection ``name``, from ``local`` to ``remote``.
    ``begins``: this end asks first. ``links``: by protocol, the first link that wants it: its place in the lab, and its
    port here."""

    name: str
    node: str
    local: str
    remote: str
    begins: bool
    ipsec: Ipsec
    links: Mapping[str, tuple[str, str]]
    secret: Secret

    @property
    def children(self) -> list[tuple[str, str, str]]:
        return [child for protocol in self.links for child in CHILDREN[protocol]]

    @property
    def cipher(self) -> str:
        return PROPOSALS[self.ipsec.cipher]

    @property
    def mode(self) -> str:
        return "tunnel" if self.ipsec.mode.endswith("tunnel") else "transport"

    @property
    def in_udp(self) -> bool:
        return self.ipsec.mode.startswith("udp")

    @property
    def rekey_s(self) -> int:
        """The end that begins renews keys; the other would, were it late, so that they do not meet in it."""
        return (self.ipsec.rekey_s or HOUR_S) + (0 if self.begins else GRACE_S // 2)

    @property
    def life_s(self) -> int:
        return (self.ipsec.rekey_s or HOUR_S) + GRACE_S
