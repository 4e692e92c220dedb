"""Wires: veth pairs, each made by one message with both ends in their namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..state import Port, Record, Sysctl
from . import messages
from .namespace import Namespace
from .netlink import Message

_OF_PORTS = "net.ipv4.conf."
_DEFAULT = f"{_OF_PORTS}default."


@dataclass(frozen=True, slots=True)
class Wire:
    """A veth pair to be made. Empty ``macs`` are left to the kernel."""

    a: Namespace
    a_name: str
    b: Namespace
    b_name: str
    macs: tuple[str, str] = ("", "")
    mtu_bytes: int = 1500

    def ends(self) -> tuple[tuple[Namespace, str, str], tuple[Namespace, str, str]]:
        """Namespace, name and MAC of each."""
        return (self.a, self.a_name, self.macs[0]), (self.b, self.b_name, self.macs[1])

    def __str__(self) -> str:
        return f"wire {self.a_name} - {self.b_name}"


def wires(wanted: Sequence[Wire]) -> None:
    """Makes each at once in both namespaces, with its final names. Raises KernelRefused for the first that is refused;
    some of those behind it may have been made."""
    before = {end: end._fresh for each in wanted for end in (each.a, each.b)}
    for end in before:
        end._fresh = None
    # Through the socket of the end that it stands for: the kernel looks for that end's number and name there first
    # (net/core/rtnetlink.c, __rtnl_newlink).
    for a, run in groupby(wanted, lambda each: each.a):
        a._carry_out(list(run), _wire_messages)
    for each in wanted:
        for end, name, _ in each.ends():
            if (fresh := before[end]) is not None:
                fresh.add(Port(name, False, each.mtu_bytes))
                fresh.update(_copied(name, fresh))
    for end, fresh in before.items():
        end._fresh = fresh


def wire(
    a: Namespace, a_name: str, b: Namespace, b_name: str, *, a_mac: str | None = None, b_mac: str | None = None,
    mtu_bytes: int = 1500,
) -> None:  # fmt: skip
    """A veth pair made at once in both namespaces with its final names. Raises KernelRefused."""
    wires([Wire(a, a_name, b, b_name, (a_mac or "", b_mac or ""), mtu_bytes)])


def _copied(port: str, settings: Iterable[Record]) -> list[Sysctl]:
    """What a new port has from them: net/ipv4/devinet.c, inetdev_init."""
    ours = (each for each in settings if isinstance(each, Sysctl) and each.key.startswith(_DEFAULT))
    return [Sysctl(f"{_OF_PORTS}{port}.{each.key.removeprefix(_DEFAULT)}", each.value) for each in ours]


def _wire_messages(each: Wire) -> list[Message]:
    """Numbered by us at both ends or at neither: see veth_new."""
    numbered = each.a._ours_to_number and each.b._ours_to_number
    return [messages.veth_new(*(end._new_port(name, mac, each.mtu_bytes, numbered) for end, name, mac in each.ends()))]
