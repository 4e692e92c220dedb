"""A link's IPsec: a mode alone, or a mapping."""

from __future__ import annotations

import yaml

from ..model import CIPHERS, Ipsec
from .keys import IPSEC
from .reading import Notes, mapping, needed, number, text, texts


def ipsec_of_link(notes: Notes, where: str, node: yaml.Node | None) -> Ipsec | None:
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode):
        return Ipsec(text(notes, where, node))
    has = mapping(notes, where, node, IPSEC)
    needed(notes, where, node, has, mode="transport, tunnel, udp or udp-tunnel")
    return Ipsec(
        text(notes, f"{where}.mode", has.get("mode")),
        text(notes, f"{where}.cipher", has.get("cipher"), CIPHERS[0]),
        texts(notes, f"{where}.secret", has.get("secret")),
        number(notes, f"{where}.rekey", has.get("rekey")),
    )


def ipsec_data(ipsec: Ipsec | None) -> dict[str, object] | str | None:
    """The same as a lab file writes it."""
    if ipsec is None:
        return None
    more: dict[str, object] = {} if ipsec.cipher == CIPHERS[0] else {"cipher": ipsec.cipher}
    more |= {"secret": list(ipsec.secrets)} if ipsec.secrets else {}
    more |= {"rekey": ipsec.rekey_s} if ipsec.rekey_s is not None else {}
    return {"mode": ipsec.mode, **more} if more else ipsec.mode
