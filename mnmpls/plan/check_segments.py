"""What can be wrong with segment routing: its blocks of labels, and who has which SID."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import nearest
from ..model import POPS, SEGMENTS, Lab
from .alloc import LAST_LABEL
from .graph import ROUTERS, Network
from .igp import wanted_at
from .segments import LOWEST, SRGB, block, indices, local_block, segmented, speaks_ipv6
from .spelling import cidr

Fault = tuple[str, str]

LARGEST = 65535
"""SIDs of one block, for FRR (isisd/isis_nb_config.c)."""


def segment_faults(lab: Lab, net: Network) -> Iterator[Fault]:
    """Every fault of ``labels``' settings and of every ``sid``."""
    if lab.labels.protocol != SEGMENTS:
        yield from _without(lab)
        return
    if lab.labels.pop and lab.labels.pop not in POPS:
        yield "labels.pop", f"there is no pop: {lab.labels.pop}; {nearest(lab.labels.pop, POPS)}"
    if fault := _block_fault(lab):
        yield "labels.srgb", fault
        return
    top = max(block(lab.labels)[-1], local_block(lab.labels)[-1])
    if lab.platform_labels is not None and lab.platform_labels <= top:
        text = f"segment routing here takes labels up to {top}, and {lab.platform_labels} allows only those below it"
        yield "platform_labels", f"{text}: leave platform_labels out, give {top + 1}, or give labels a lower srgb"
    yield from _sids(lab)
    if lab.igp.protocol == "ospf":
        yield from _ospf(lab, net)


def _without(lab: Lab) -> Iterator[Fault]:
    remedy = f"this is for segment routing: write labels: {SEGMENTS}, or take it out"
    for key, value in (("srgb", lab.labels.srgb), ("pop", lab.labels.pop)):
        if value:
            yield f"labels.{key}", remedy
    for node in lab.nodes:
        if node.sid is not None:
            yield f"nodes.{node.name}.sid", remedy


def _block_fault(lab: Lab) -> str:
    """What is wrong with the block of labels; empty for nothing."""
    text = lab.labels.srgb
    if not text:
        return ""
    if not re.fullmatch(r"[0-9]{1,7}-[0-9]{1,7}", text):
        return f"{text!r} is no block of labels: write it as {SRGB.start}-{SRGB[-1]}"
    mine = block(lab.labels)
    if len(mine) < 2:
        return f"there are no labels in {text}: write the lower one first, as in {SRGB.start}-{SRGB[-1]}"
    if mine.start < LOWEST or mine[-1] > LAST_LABEL or local_block(lab.labels)[-1] > LAST_LABEL:
        return f"{text} is not possible: give labels from {LOWEST} on, as others are taken from below, to {LAST_LABEL}"
    if len(mine) > LARGEST:
        return f"these are {len(mine)} labels, and FRR takes up to {LARGEST}: end it with {mine.start + LARGEST - 1}"
    return ""


def _sids(lab: Lab) -> Iterator[Fault]:
    """Outside of the block, at a node that is no such router, twice."""
    allowed, mine = indices(lab, 4), {node.name for node in segmented(lab)}
    first: dict[int, str] = {}
    for node in lab.nodes:
        where = f"nodes.{node.name}.sid"
        if node.sid is None:
            continue
        if node.role not in ROUTERS:
            yield where, f"{node.name} is a {node.role}: SIDs are for p and pe"
        elif node.name not in mine:
            yield where, f"nobody is told of it, since {node.name} has igp: none"
        elif node.sid not in allowed:
            why = "; the rest of it is for IPv6" if speaks_ipv6(lab) else ""
            text = f"SID {node.sid} is outside of the block of {len(block(lab.labels))} labels"
            yield where, f"{text}: give {allowed[0]} to {allowed[-1]}{why}, or labels a larger srgb"
        elif first.setdefault(node.sid, node.name) != node.name:
            text = f"{first[node.sid]} has SID {node.sid}, too, and packets would go to either"
            yield where, f"{text}: give {node.name} another"


def _ospf(lab: Lab, net: Network) -> Iterator[Fault]:
    """What FRR's has not (ospfd/ospf_sr.c)."""
    given = [lab.igp, *(wanted_at(lab, node) for node in lab.nodes), *(link.igp for link in lab.links)]
    if len({each.area for each in given if each.area}) > 1:
        yield "labels", "FRR's OSPF tells SIDs to one area only: leave areas out, or write igp: isis or labels: ldp"
    for node in lab.nodes:
        ports = [port for port in net.ports.get(node.name, ()) if port.vrf]
        inside = [address for port in ports for address in port.addresses or ()]
        for text in (*inside, *(text for vrf in node.vrfs for text in vrf.loopbacks)):
            if (found := cidr(text)) is not None and found.version == 6 and not found.is_link_local:
                why = f"{node.name} has {text} in a VRF, and FRR's OSPFv3 has no SIDs to carry IPv6 with"
                yield "labels", f"{why}: write igp: isis, or labels: ldp"
                return
