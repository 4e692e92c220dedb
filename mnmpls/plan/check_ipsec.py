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
    yield from _of_own(lab)


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


def _of_own(lab: Lab) -> Iterator[Fault]:
    """Links between ends of which one has a swanctl.conf of its own, or both."""
    own = {node.name for node in lab.nodes if node.has_own_keys}
    for i, link in enumerate(lab.links):
        theirs = [port.node for port in link.ports if port.node in own]
        if link.ipsec and len(theirs) == 2 and (link.ipsec.secrets or link.ipsec.rekey_s is not None):
            text = "both ends have a swanctl.conf of their own, which says that: take secret and rekey out"
            yield f"links[{i}].ipsec", f"{link_text(link)}: {text}"
        elif link.ipsec and len(theirs) == 1 and not link.ipsec.secrets:
            text = f"{theirs[0]} has a swanctl.conf of its own, which knows no secret that is drawn at the start"
            yield f"links[{i}].ipsec", f"{link_text(link)}: {text}: give secret, as the file has it"


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
