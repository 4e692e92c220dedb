"""Known bugs of kernels and of FRR that a lab can run into, as a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..model import Lab
from ..plan.tunnels import is_fatal
from ..state import LabelRoute, Record, Route

Version = tuple[int, ...]
Records = Mapping[str, frozenset[Record]]


@dataclass(frozen=True, slots=True)
class Bug:
    """In versions from ``first`` to ``last`` of ``part``, both included as far as they are given (8.4 stands for every
    8.4.x). ``concerns`` and ``of_lab``: whether a lab can meet it, by its records and by itself."""

    part: str
    first: Version
    last: Version
    text: str
    advice: str
    source: str
    concerns: Callable[[Records], bool] = lambda _: True
    of_lab: Callable[[Lab], bool] = lambda _: True

    def title(self) -> str:
        first, last = (".".join(map(str, version)) for version in (self.first, self.last))
        return f"{self.part} {first}" if first == last else f"{self.part} {first or '...'} to {last or '...'}"

    def has(self, version: Version) -> bool:
        return self.first <= version and (not self.last or version[: len(self.last)] <= self.last)


def _multipath(planned: Records) -> bool:
    """Labels on several ways: of the label table, or pushed."""
    return any(
        len(each.hops) > 1 and (isinstance(each, LabelRoute) or any(hop.labels for hop in each.hops))
        for node in planned.values()
        for each in node
        if isinstance(each, LabelRoute | Route)
    )


def _borrows(lab: Lab) -> bool:
    """LDP over links whose ends have the loopback's address."""
    return lab.has_daemons and any(link.unnumbered for link in lab.links)


def _encrypted_vxlan6(lab: Lab) -> bool:
    return any(is_fatal(link) for link in lab.links)


def _no_lab(_: Records) -> bool:
    """What a planned lab is kept from: what its daemons are told avoids it. Who configures by hand can meet it, and is
    told where no lab is asked about."""
    return False


BUGS = (
    Bug(
        "kernel", (6, 19), (7, 1, 5), "MPLS routes with several next hops are taken for dead",
        "Use another kernel: MNMPLS_KERNEL=uml", "FRRouting/frr#22986", _multipath,
    ),
    Bug(
        "kernel", (6, 1), (6, 1),
        "VXLAN over IPv6 under ESP in tunnel mode: a packet larger than the path panics it (__xfrm6_output, reached "
        "from udp_tunnel6_xmit_skb)",
        "A lab file's planned MTU fits, and a larger one is refused; do not raise it by hand (1356 for ESP, 1348 for "
        "ESP in UDP at 1500)", "seen on 6.1.176", of_lab=_encrypted_vxlan6,
    ),
    Bug(
        "kernel", (), (4, 10), "replacing an IPv6 route that has several next hops leaves some of the old behind",
        "Use a newer kernel", "FRR's manual, known kernel issues",
    ),
    Bug(
        "FRR", (8, 4), (8, 4),
        "ldpd withdraws the address of an interface that goes down, though another interface has it still: IPv4 "
        "over unnumbered tunnels stays black",
        "Number the tunnels (/31), or add the address to lo", "seen on 8.4.4", of_lab=_borrows,
    ),
    Bug(
        "FRR", (), (9, 0), "no labels of their own for inter-AS option B (mpls bgp l3vpn-multi-domain-switching)",
        "Use 9.1 or later", "FRR's release notes, 9.1", _no_lab,
    ),
    Bug(
        "FRR", (), (), "`mpls ldp` after an open `router ospf` block is read as `mpls ldp-sync`",
        "Close that block with `exit`", "FRRouting/frr#9206", _no_lab,
    ),
    Bug(
        "iproute2", (6, 1), (6, 1), "`ip -j route` prints the key dst twice for a route with labels: readers of JSON "
        "lose the prefix", "Read `ip route` without -j", "seen on 6.1.0",
    ),
)  # fmt: skip


def version(text: str) -> Version:
    """The numbers at the first that looks like a version: ``6.1.0-56-amd64`` is 6, 1, 0. Empty for none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def concerning(
    versions: Mapping[str, str], planned: Records | None = None, lab: Lab | None = None
) -> Iterator[Bug]:
    """The bugs of these versions of each part; of a planned lab those that it can meet."""
    for bug in BUGS:
        its = version(versions.get(bug.part, ""))
        if its and bug.has(its) and (planned is None or bug.concerns(planned)) and (lab is None or bug.of_lab(lab)):
            yield bug
