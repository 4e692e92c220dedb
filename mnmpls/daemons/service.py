"""A daemon of one node, as it is to be started."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..asking import BIRD
from .peers import Peer

FIRST = "zebra"
"""The others look for its socket when they start, and then not again for ten seconds (lib/zclient.c)."""

COMMON = ("-A", "127.0.0.1", "-P", "0", "--log", "stdout", "--log-level", "informational")
"""No telnet port; what is logged goes to the standard output."""

INTEGRATED = "frr.conf"
"""Where this file is, FRR's daemons read no others: vtysh tells each what is its own (lib/vty.c, vty_read_config)."""

_IN_VRFS = re.compile(r"^\s*router ospf6 vrf\s", re.MULTILINE)

BIRD_ARGV = (BIRD, "-f", "-c", "/etc/frr/bird.conf", "-s", "/run/frr/bird.ctl")
BIRD_USER = ("-u", "bird", "-g", "bird")
"""It needs no more than the rights on the network that it keeps."""


@dataclass(frozen=True, slots=True)
class Service:
    """A daemon of one node, of FRR or BIRD: the program's name and arguments, and the text of its configuration file,
    in /etc/frr called NAME.conf, or ``file``; charon's is in /etc/swanctl. ``needs`` are those that have to be there
    before it. For a configuration of the user's, ``where`` it stands in the lab and ``path`` where that was read.
    ``peers`` are charon's: their secrets are no part of the text."""

    name: str
    argv: tuple[str, ...]
    config: str
    needs: tuple[str, ...] = ()
    file: str = ""
    where: str = ""
    path: str = ""
    peers: tuple[Peer, ...] = ()

    @property
    def file_name(self) -> str:
        return self.file or f"{self.name}.conf"

    @property
    def is_integrated(self) -> bool:
        return self.file == INTEGRATED

    @property
    def is_handed(self) -> bool:
        """Is it given its configuration by vtysh, when it runs?"""
        return self.is_integrated or self.needs_ports

    @property
    def at_start(self) -> str:
        """What it reads even then: the host's name, which vtysh hands to nobody."""
        return "".join(line for line in self.config.splitlines(keepends=True) if line.startswith("hostname "))

    @property
    def needs_ports(self) -> bool:
        """Has it to know which VRFs the ports are in before it hears of these? ospf6d takes all others for the main
        table's, and leaves them in the OSPF of that one (lib/if.c, lib_interface_create; ospf6d/ospf6_interface.c,
        ospf6_interface_start)."""
        return self.name == "ospf6d" and bool(_IN_VRFS.search(self.config))
