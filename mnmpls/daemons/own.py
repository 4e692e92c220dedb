"""The daemons of nodes whose configurations are the user's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..asking import BIRD
from ..model import FRR, FRR_DAEMONS, Node, OwnConfig
from .service import BIRD_ARGV, BIRD_USER, COMMON, FIRST, INTEGRATED, Service

_SPEAKS = {
    "staticd": r"(?:ip|ipv6) m?route\s",
    "ospfd": r"(?:router|ip) ospf\s|router ospf$",
    "ospf6d": r"(?:router|ipv6) ospf6\b",
    "isisd": r"router isis\b|(?:ip|ipv6) router isis\b",
    "ldpd": r"mpls ldp\b|l2vpn\s",
    "bgpd": r"router bgp\b",
    "bfdd": r"bfd$|.*\sbfd\b",
    "ripd": r"router rip$",
    "ripngd": r"router ripng$",
    "eigrpd": r"router eigrp\b",
    "babeld": r"router babel\b",
    "pimd": r"ip (?:pim|igmp|msdp)\b|router pim$",
    "pim6d": r"ipv6 (?:pim|mld)\b",
    "vrrpd": r"vrrp\s",
    "pbrd": r"pbr-map\s",
    "pathd": r"traffic-eng$",
    "nhrpd": r"(?:ip|ipv6) nhrp\b",
    "fabricd": r"router openfabric\b",
}
"""By what an integrated configuration shows that it is for a daemon, at a line's beginning."""

_BIRD_SPEAKS = {
    "bgpd": r"^\s*protocol bgp\b",
    "ospfd": r"^\s*protocol ospf (?!v3)",
    "ospf6d": r"^\s*protocol ospf v3\b",
    "bfdd": r"^\s*protocol bfd\b",
}


def own_services(node: Node) -> tuple[Service, ...]:
    """What runs at a node with own configurations, in the order of their start; vtysh hands an integrated one out."""
    files = {each.daemon: each for each in node.own}
    found = [*(_of_frr(node, kind, files) for kind in FRR_DAEMONS), _of_bird(node, files)]
    return tuple(each for each in found if each)


def spoken_by(node: Node) -> frozenset[str]:
    """The daemons that it speaks with others by, as FRR calls them: BIRD stands for several."""
    bird = "\n".join(each.text for each in node.own if each.daemon == BIRD)
    stood_for = (kind for kind, form in _BIRD_SPEAKS.items() if re.search(form, bird, re.MULTILINE))
    return frozenset([*(each.name for each in own_services(node)), *stood_for]) - {FIRST}


def _of_bird(node: Node, files: dict[str, OwnConfig]) -> Service | None:
    if BIRD not in files:
        return None
    argv = (*BIRD_ARGV, *BIRD_USER)
    return Service(BIRD, argv, files[BIRD].text, where=f"nodes.{node.name}.{BIRD}", path=files[BIRD].path)


def _of_frr(node: Node, kind: str, files: dict[str, OwnConfig]) -> Service | None:
    """Whoever has files of FRR's has zebra. Without a file of its own staticd reads zebra's (staticd/static_main.c)."""
    where = f"nodes.{node.name}.{FRR}"
    argv, needs = (kind, *COMMON), () if kind == FIRST else (FIRST,)
    whole = files.get(FRR)
    if whole and (kind == FIRST or _is_for(kind, whole.text)):
        return Service(kind, argv, whole.text, needs, INTEGRATED, where, whole.path)
    zebras = files.get(FIRST)
    if kind in files:
        return Service(kind, argv, files[kind].text, needs, "", f"{where}.{kind}", files[kind].path)
    if kind == "staticd" and zebras and _is_for(kind, zebras.text):
        return Service(kind, argv, zebras.text, needs, f"{FIRST}.conf", f"{where}.{FIRST}", zebras.path)
    if kind == FIRST and not files.keys().isdisjoint(FRR_DAEMONS):
        return Service(kind, argv, "")
    return None


def _is_for(kind: str, text: str) -> bool:
    return any(re.match(_SPEAKS[kind], line) for line in _lines(text)) if kind in _SPEAKS else False


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines())
