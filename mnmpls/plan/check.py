"""What can be wrong in a lab, all of it at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ..errors import Problem
from ..model import Lab
from . import ttl
from .alloc import FIRST_LABEL, PLATFORM_LABELS
from .check_addresses import address_faults
from .check_bird import bird_faults
from .check_daemons import daemon_faults
from .check_evpn import evpn_faults
from .check_igp import igp_faults
from .check_ipsec import ipsec_faults
from .check_links import link_faults
from .check_lsps import lsp_faults
from .check_nodes import node_faults
from .check_own import own_faults
from .check_routing import routing_faults
from .check_segments import segment_faults
from .check_shape import shape_faults
from .check_tunnels import tunnel_faults
from .check_unnumbered import unnumbered_faults
from .graph import network

Fault = tuple[str, str]
"""A path in the lab and what is wrong there."""


def problems(lab: Lab) -> tuple[Problem, ...]:
    """Every problem of ``lab``, its reader's faults among them, in the order of its text."""
    return problems_of_shape(lab) or problems_of_meaning(lab)


def problems_of_shape(lab: Lab) -> tuple[Problem, ...]:
    """Values of wrong types, in a lab that no reader made."""
    return () if lab.places else tuple(Problem(path, text) for path, text in shape_faults(lab))


def problems_of_meaning(lab: Lab) -> tuple[Problem, ...]:
    """The same for a lab whose values are known to be of the right types."""
    known = {fault.path for fault in lab.faults}
    found = [Problem(path, text, lab.place(path)) for path, text in _faults(lab) if path not in known]
    return tuple(sorted(dict.fromkeys([*lab.faults, *found]), key=_position))


def _position(problem: Problem) -> tuple[int, list[tuple[int, str]]]:
    """By line, then by path, in which ``links[10]`` comes after ``links[9]``."""
    line = problem.place.rpartition(":")[2]
    parts = re.findall(r"(\d{1,9})|(\D+|\d+)", problem.path)
    return int(line) if line.isdigit() else 0, [(int(number or 0), text) for number, text in parts]


def _faults(lab: Lab) -> Iterator[Fault]:
    if not lab.name.isprintable():
        yield "name", f"{lab.name!r} is no name for a lab: give it letters, digits, '_', '.' and '-'"
    limit = lab.platform_labels
    if limit is not None and not FIRST_LABEL < limit <= PLATFORM_LABELS:
        text = f"{limit} is not possible: give {FIRST_LABEL + 1} to {PLATFORM_LABELS}, one more than the highest label"
        yield "platform_labels", text
    if fault := ttl.fault(lab.ttl, numbers=False):
        yield "ttl", fault
    names = {node.name for node in lab.nodes}
    sound = replace(lab, links=tuple(link for link in lab.links if link.a.node in names and link.b.node in names))
    net = network(sound)
    yield from node_faults(lab, net)
    yield from link_faults(lab, net)
    yield from tunnel_faults(lab, net)
    yield from ipsec_faults(lab)
    yield from unnumbered_faults(lab, net)
    yield from address_faults(lab, net)
    yield from lsp_faults(lab, net)
    yield from daemon_faults(lab, net)
    yield from own_faults(lab)
    yield from bird_faults(lab, net)
    yield from evpn_faults(lab, net)
    yield from igp_faults(lab, net)
    yield from routing_faults(lab, net)
    yield from segment_faults(lab, net)
