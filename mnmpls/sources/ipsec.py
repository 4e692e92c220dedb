"""A link's IPsec: a mode alone, or a mapping."""

from __future__ import annotations

import yaml

from ..model import CIPHERS, Ipsec
from .keys import IPSEC
from .reading import Notes, mapping, text


def ipsec_of_link(notes: Notes, where: str, node: yaml.Node | None) -> Ipsec | None:
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode):
        return Ipsec(text(notes, where, node))
    has = mapping(notes, where, node, IPSEC)
    has.require(node, mode="transport, tunnel, udp or udp-tunnel")
    return Ipsec(
        has.text("mode"),
        has.text("cipher", CIPHERS[0]),
        has.texts("secret"),
        has.number("rekey"),
    )


def ipsec_data(ipsec: Ipsec | None) -> dict[str, object] | str | None:
    """The same as a lab file writes it."""
    if ipsec is None:
        return None
    more: dict[str, object] = {} if ipsec.cipher == CIPHERS[0] else {"cipher": ipsec.cipher}
    more |= {"secret": list(ipsec.secrets)} if ipsec.secrets else {}
    more |= {"rekey": ipsec.rekey_s} if ipsec.rekey_s is not None else {}
    return {"mode": ipsec.mode, **more} if more else ipsec.mode
