"""What can be wrong with a link's IPsec."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import nearest
from ..model import CIPHERS, IPSEC_MODES, Ipsec, Lab, Link
from .check_links import link_text
from .graph import interface
from .spelling import is_address
from .tunnels import ENCRYPTED

Fault = tuple[str, str]


def ipsec_faults(lab: Lab) -> Iterator[Fault]:
    for i, link in enumerate(lab.links):
        if link.ipsec:
            for path, text in _of_link(link, link.ipsec, f"links[{i}].ipsec"):
                yield path, f"{link_text(link)}: {text}"
    yield from _beside(lab)


def _of_link(link: Link, ipsec: Ipsec, where: str) -> Iterator[Fault]:
    if link.type not in ENCRYPTED:
        yield where, f"a link of type {link.type} has no ipsec, only {', '.join(ENCRYPTED)}: take it out"
    if ipsec.mode not in IPSEC_MODES:
        yield f"{where}.mode", f"there is no ipsec: {ipsec.mode}; {nearest(ipsec.mode, IPSEC_MODES)}"
    if ipsec.cipher not in CIPHERS:
        yield f"{where}.cipher", f"there is no cipher {ipsec.cipher!r}; {nearest(ipsec.cipher, CIPHERS)}"
    if len(ipsec.secrets) > 2:
        yield f"{where}.secret", "a link has two ends: give one secret for both, or a's and b's"
    if not all(ipsec.secrets):
        yield f"{where}.secret", "an empty secret is none: leave it out to have one drawn at each start"
    if ipsec.rekey_s is not None and ipsec.rekey_s < 1:
        yield f"{where}.rekey", f"keys cannot last {ipsec.rekey_s} s: give 1 or more"


def _beside(lab: Lab) -> Iterator[Fault]:
    """Two links between the same addresses: the kernel knows packets by these and the protocol, and IKE has one
    connection for both."""
    seen: dict[frozenset[str], list[tuple[int, Link]]] = {}
    for i, link in enumerate(lab.links):
        if link.type in ENCRYPTED and len(link.over) == 2 and all(map(is_address, link.over)):
            ends = frozenset(str(interface(text).ip) for text in link.over)
            for j, first in seen.setdefault(ends, []):
                if text := _quarrel(first, link):
                    yield f"links[{i}].ipsec", f"{link_text(link)}: {text}; the first is {lab.told(f'links[{j}]')}"
            seen[ends].append((i, link))


def _quarrel(first: Link, link: Link) -> str:
    if first.ipsec and link.ipsec and first.ipsec != link.ipsec:
        return "links between the same two addresses have the same ipsec: let this one have what the first has"
    if (first.ipsec is None) != (link.ipsec is None) and ENCRYPTED[first.type] == ENCRYPTED[link.type]:
        same = f"between the same two addresses all {'vxlan' if link.type == 'vxlan' else 'GRE'} is encrypted or none"
        return f"{same}: let one of them run over other addresses, or both have the same ipsec"
    return ""
