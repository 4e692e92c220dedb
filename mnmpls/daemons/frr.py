"""FRR's daemons (https://docs.frrouting.org): which of them a router runs, and their configurations."""

from __future__ import annotations

from collections.abc import Mapping

from ..asking import BIRD
from ..model import Lab
from ..state import UNREACHABLE_METRIC
from .bgp import Speaker, speakers
from .bird import bird
from .ospf_edges import Edge, edges
from .own import own_services
from .routers import Router, is_stub, routers
from .service import COMMON, FIRST, Service
from .templating import templates


def services(lab: Lab) -> dict[str, tuple[Service, ...]]:
    """Node -> its daemons in the order of their start, for a completed lab; nodes without any are absent."""
    found: dict[str, tuple[Service, ...]] = {}
    core, at_edges, speaking = (routers(lab), edges(lab), speakers(lab)) if lab.has_daemons else ({}, {}, {})
    for node in lab.nodes:
        name, own, speaker = node.name, at_edges.get(node.name, ()), speaking.get(node.name)
        if node.routes_itself:
            found[name] = own_services(node)
        elif node.daemon == BIRD and (name in core or own or speaker):
            found[name] = bird(name, core.get(name), own, speaker, stub=is_stub(lab, name))
        elif name in core or own or speaker:
            has = {"name": name, "router": core.get(name), "edges": own, "speaker": speaker}
            kinds = _kinds(core.get(name), own, speaker)
            found[name] = tuple(_service(kind, has) for kind in kinds)
    return found


def _kinds(router: Router | None, edges: tuple[Edge, ...], speaker: Speaker | None) -> list[str]:
    igp = router.igp if router else ""
    wanted = {
        FIRST: True,
        "bfdd": router is not None and any(port.bfd for port in router.ports),
        "ospfd": igp == "ospf" or any(edge.ports[4] for edge in edges),
        "ospf6d": (igp == "ospf" and router is not None and bool(router.v6)) or any(edge.ports[6] for edge in edges),
        "isisd": igp == "isis",
        "ldpd": router is not None and router.labels == "ldp",
        "bgpd": speaker is not None,
    }
    return [kind for kind, is_wanted in wanted.items() if is_wanted]


def _service(kind: str, has: Mapping[str, object]) -> Service:
    config = templates().get_template(f"{kind}.conf").render(has, unreachable=UNREACHABLE_METRIC)
    return Service(kind, (kind, *COMMON), config, () if kind == FIRST else (FIRST,))
