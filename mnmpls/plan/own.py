"""Nodes whose routing daemons have configurations of the user's own: what these say that the plan has to know."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from ..model import FRR, NO_LOOPBACK, Lab, Node, Port, Vrf
from .graph import ROUTERS, canonical
from .spelling import cidr

_INTERFACE = re.compile(r"int(?:e(?:r(?:f(?:a(?:c(?:e)?)?)?)?)?)?\s+(\S+)")
_ADDRESS = re.compile(r"\s*(?:ip|ipv6)\s+add(?:r(?:e(?:s(?:s)?)?)?)?\s+(\S+)")  # as FRR takes words, cut short too
_AS_NUMBER = re.compile(r"^\s*router bgp (\d{1,10})\s*$", re.MULTILINE)
_FORWARDING = re.compile(r"(no\s+)?(ip|ipv6)\s+forwarding\s*$")
_FORWARDS = {"ip": "net.ipv4.ip_forward", "ipv6": "net.ipv6.conf.all.forwarding"}
_OTHER_BLOCK = re.compile(r"(?:router|vrf|route-map|mpls|l2vpn|line|end)\b")


def with_own_words(lab: Lab) -> Lab:
    """``lab`` with what own configurations say and it leaves open: addresses of ports, dummies and loopbacks, which
    zebra sets in any case, and by which neighbours are to have theirs in the same subnets; a CE's AS number, which its
    PE has to know. A router's loopback is its own affair."""
    found = {node.name: addresses_in(node) for node in lab.nodes if node.routes_itself}
    if not found:
        return lab
    nodes = tuple(_with_own(node, found[node.name]) if node.name in found else node for node in lab.nodes)
    links = (link.between(_addressed(link.a, found), _addressed(link.b, found)) for link in lab.links)
    return replace(lab, nodes=nodes, links=tuple(links))


def _with_own(node: Node, found: Mapping[str, tuple[str, ...]]) -> Node:
    vrfs = tuple(_with_own_loopbacks(vrf, found) for vrf in node.vrfs)
    given = node.loopbacks or found.get("lo", ()) or ((NO_LOOPBACK,) if node.role in ROUTERS else ())
    dummies = (replace(one, addresses=one.addresses or found.get(one.name, ())) for one in node.dummies)
    sysctls = {**_forwarding_in(node), **dict(node.sysctls)}
    settings = tuple(sysctls.items()) if len(sysctls) > len(node.sysctls) else node.sysctls
    asn = node.asn or _asn_in(node)
    return replace(node, loopbacks=given, vrfs=vrfs, dummies=tuple(dummies), asn=asn, sysctls=settings)


def _forwarding_in(node: Node) -> dict[str, str]:
    """As zebra sets it. FRR saves `no ipv6 forwarding` wherever that is off (zebra/zebra_cli.c)."""
    lines = (line for config in node.own if config.daemon in (FRR, "zebra") for line in config.text.splitlines())
    return {_FORWARDS[found[2]]: "0" if found[1] else "1" for found in map(_FORWARDING.match, lines) if found}


def _asn_in(node: Node) -> int | None:
    texts = (config.text for config in node.own if config.daemon in (FRR, "bgpd") and node.role == "ce")
    found = next(filter(None, map(_AS_NUMBER.search, texts)), None)
    return int(found[1]) if found else None


def _with_own_loopbacks(vrf: Vrf, found: Mapping[str, tuple[str, ...]]) -> Vrf:
    return vrf if vrf.loopbacks else replace(vrf, loopbacks=found.get(vrf.name, ()))


def _addressed(port: Port, found: Mapping[str, Mapping[str, tuple[str, ...]]]) -> Port:
    """A file that has addresses at all leaves a port without one on purpose."""
    own = found.get(port.node)
    return replace(port, addresses=own.get(port.name, ())) if own and port.addresses is None else port


def addresses_in(node: Node) -> dict[str, tuple[str, ...]]:
    """Interface -> its addresses, as zebra reads its own file or the integrated one."""
    found: dict[str, list[str]] = defaultdict(list)
    for config in node.own:
        here = ""
        for line in config.text.splitlines() if config.daemon in (FRR, "zebra") else ():
            if begun := _INTERFACE.match(line):
                here = begun[1]
            elif _OTHER_BLOCK.match(line):
                here = ""
            elif here and (given := _ADDRESS.match(line)) and cidr(given[1]):
                found[here].append(canonical(given[1]))
    return {name: tuple(dict.fromkeys(each)) for name, each in found.items()}
