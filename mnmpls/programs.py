"""The programs that a lab needs on this machine."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import MissingFeature
from .model import FRR, FRR_DAEMONS, STATIC, SWANCTL, Lab

ALWAYS = ("setpriv", "unshare", "env", "cat")
"""What the first process of a lab's PID namespace is made with (processes.py)."""

DAEMON_FOLDERS = ("/usr/lib/frr", "/usr/libexec/frr")
"""Where distributions put FRR's daemons; none is on PATH."""

DAEMONS = {**dict.fromkeys(("zebra", "bfdd", "ospfd", "ospf6d", "isisd"), "igp"), "ldpd": "labels", "bgpd": "vpn"}
"""FRR's, by the key of a lab that asks for them."""

STRONGSWAN = ("charon-systemd", "swanctl")
"""What encrypted links need."""

RUN_BY = {FRR: ("zebra", "vtysh"), SWANCTL: STRONGSWAN}
"""What takes a configuration of the user's own, where it is not called as that is."""

PACKAGES = {
    "charon-systemd": "charon-systemd libstrongswan-extra-plugins",
    "swanctl": "strongswan-swanctl",
    **dict.fromkeys((*FRR_DAEMONS, "vtysh"), "frr"),
    "bird": "bird2",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "env": "coreutils",
    "cat": "coreutils",
    "ip": "iproute2",
    "mn": "mininet",
    "tcpdump": "tcpdump",
    "iperf": "iperf",
    "iperf3": "iperf3",
    "ping": "iputils-ping",
    "dot": "graphviz",
    "xterm": "xterm",
}
"""Debian's package for each program that it is known of; the others are mostly called like the program."""


@dataclass(frozen=True, slots=True)
class Need:
    """``where`` in the lab, empty for what each lab needs."""

    program: str
    where: str = ""


def needed(lab: Lab) -> Iterator[Need]:
    """Programs of every lab, and the first word of each ``exec`` line."""
    yield from map(Need, ALWAYS)
    if lab.has_daemons:
        made_by = {"igp": lab.igp.protocol, "labels": lab.labels.protocol, "vpn": lab.vpn.protocol}
        yield from (Need(daemon, lab.told(key)) for daemon, key in DAEMONS.items() if made_by[key] != STATIC)
    encrypted = next((f"links[{i}].ipsec" for i, link in enumerate(lab.links) if link.ipsec), "")
    yield from (Need(program, lab.told(encrypted)) for program in STRONGSWAN if encrypted)
    for node in lab.nodes:
        if node.daemon == "bird":
            yield Need("bird", lab.told(f"nodes.{node.name}.daemon"))
        for config in node.own:
            where = f"nodes.{node.name}.frr" if config.daemon in (FRR, *FRR_DAEMONS) else f"nodes.{node.name}"
            for program in RUN_BY.get(config.daemon, (config.daemon,)):
                yield Need(program, lab.told(f"{where}.{config.daemon}"))
        for number, line in enumerate(node.exec):
            words = shlex.split(line)
            if words:
                yield Need(words[0], lab.told(f"nodes.{node.name}.exec[{number}]"))


def find(program: str) -> str:
    """Its path, empty if neither PATH nor the daemons' folders have it."""
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(DAEMON_FOLDERS)) or ""


def path_of(program: str, node: str) -> str:
    """Its path. Raises MissingFeature, which names the node that is to run it."""
    if path := find(program):
        return path
    package = PACKAGES.get(program, program)
    raise MissingFeature(
        f"{node}: there is no program {program!r} here, which its part of the lab runs\n"
        f"  what to do: apt-get install {package}; in a container, take an image with it, as that for routers is"
    )


def missing(lab: Lab) -> tuple[Need, ...]:
    """Those that are not to be found; each program once."""
    absent = {need.program: need for need in reversed(list(needed(lab))) if not find(need.program)}
    return tuple(reversed(absent.values()))


def require(lab: Lab) -> None:
    """Raises MissingFeature that names all that are not there."""
    absent = missing(lab)
    if absent:
        lines = [f"there is no program {one.program!r} on PATH, wanted {one.where or 'by every lab'}" for one in absent]
        without = [one.program for one in absent if one.program in FRR_DAEMONS and find("zebra")]
        others = (one.program for one in absent if one.program not in without)
        packages = " ".join(dict.fromkeys(PACKAGES.get(program, program) for program in others))
        remedies = [f"this machine's FRR comes without {', '.join(without)}: leave it out"] if without else []
        remedies += [f"apt-get install {packages}; `mnmpls doctor` knows other systems"] if packages else []
        raise MissingFeature("\n".join([*lines, f"  what to do: {'; '.join(remedies)}"]))
