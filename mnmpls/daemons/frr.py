"""FRR's daemons (https://docs.frrouting.org): which of them a router runs, and their configurations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..model import Lab
from ..state import UNREACHABLE_METRIC
from .routers import Router, routers

if TYPE_CHECKING:
    from jinja2 import Environment

FIRST = "zebra"
"""The others look for its socket when they start, and then not again for ten seconds (lib/zclient.c)."""

_COMMON = ("-A", "127.0.0.1", "-P", "0", "--log", "stdout", "--log-level", "informational")
"""No telnet port; what is logged goes to the standard output."""


@dataclass(frozen=True, slots=True)
class Service:
    """A daemon of one node: the program's name and arguments, and the text of its configuration file
    /etc/frr/NAME.conf. ``needs`` are those that have to be there before it."""

    name: str
    argv: tuple[str, ...]
    config: str
    needs: tuple[str, ...] = ()


def services(lab: Lab) -> dict[str, tuple[Service, ...]]:
    """Node -> its daemons in the order of their start, for a completed lab; nodes without any are absent."""
    return {name: tuple(_service(kind, router) for kind in _kinds(router)) for name, router in routers(lab).items()}


def _kinds(router: Router) -> list[str]:
    wanted = {
        FIRST: True,
        "bfdd": any(port.bfd for port in router.ports),
        "ospfd": router.igp == "ospf",
        "ospf6d": router.igp == "ospf" and bool(router.v6),
        "isisd": router.igp == "isis",
        "ldpd": router.labels == "ldp",
        "bgpd": bool(router.vrfs),
    }
    return [kind for kind, is_wanted in wanted.items() if is_wanted]


def _service(kind: str, router: Router) -> Service:
    config = _templates().get_template(f"{kind}.conf").render(router=router, unreachable=UNREACHABLE_METRIC)
    return Service(kind, (kind, *_COMMON), config, () if kind == FIRST else (FIRST,))


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to import, and most labs need none

    folder = Path(__file__).parent / "templates"
    return Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
