"""What is in a namespace that no record tells of, and what is missing of the kernel's own: rules, queues, filters.
Only namespace.py uses this."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from socket import NETLINK_ROUTE
from typing import TYPE_CHECKING

from ..state import L3MDEV, Rule
from . import messages, messages_devices, messages_rules
from .netlink import NETLINK_NETFILTER, Message, Refused, Socket, attributes

if TYPE_CHECKING:
    from .namespace import Namespace

_TABLES = Message(10 << 8 | 1, 0, struct.pack("=BBH", 0, 0, 0))
"""NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE and a struct nfgenmsg for all families (include/uapi/linux/netfilter)."""

_NFGENMSG_BYTES, _TABLE_NAME = 4, 1
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_LEGACY = {"iptables": "ip_tables_names", "ip6tables": "ip6_tables_names"}


def rules_by_hand(namespace: Namespace) -> frozenset[Rule]:
    """Policy routing rules that were made by ip(8) or the like without naming a routing protocol."""
    found = (messages_rules.rule(body, messages_rules.BY_HAND) for body in _dump(namespace, messages_rules.rule_dump()))
    return frozenset(rule for rule in found if rule and rule.table != L3MDEV)


def lost_rules(namespace: Namespace) -> tuple[Rule, ...]:
    """The rules that lead each VRF's packets to its table, as far as they are not there. The kernel makes them with
    the first VRF of a namespace, and never again (drivers/net/vrf.c, vrf_add_fib_rules)."""
    there = set(filter(None, map(messages_rules.l3mdev_version, _dump(namespace, messages_rules.rule_dump()))))
    return tuple(Rule(messages_rules.L3MDEV_PRIORITY, version, L3MDEV) for version in (4, 6) if version not in there)


def queues(namespace: Namespace) -> tuple[tuple[str, str], ...]:
    """(port, kind) of each qdisc that is neither the kernel's own nor a netem, sorted."""
    interfaces = map(messages.interface, _dump(namespace, messages.link_dump()))
    names = {interface.number: interface.name for interface in interfaces}
    found = (messages_devices.queue(body, names) for body in _dump(namespace, messages_devices.qdisc_dump()))
    return tuple(sorted(filter(None, found)))


def filters(namespace: Namespace) -> tuple[str, ...]:
    """The tables of packet filters, none of which a lab makes: `nft table inet filter`, `iptables table filter`."""
    return (*_nft_tables(namespace), *_legacy_tables(namespace))


def _nft_tables(namespace: Namespace) -> Iterator[str]:
    try:
        found = _dump(namespace, _TABLES, NETLINK_NETFILTER)
    except (Refused, OSError):  # a kernel without them
        return
    for body in found:
        name = attributes(body[_NFGENMSG_BYTES:])[_TABLE_NAME].rstrip(b"\0").decode(errors="replace")
        yield f"nft table {_FAMILIES.get(body[0], body[0])} {name}"


def _legacy_tables(namespace: Namespace) -> Iterator[str]:
    """Of x_tables, where each is there from its first use on (net/netfilter/x_tables.c)."""
    for tool, names in _LEGACY.items():
        with namespace.entered():
            listed = Path("/proc/thread-self/net", names)
            tables = listed.read_text(encoding="ascii").split() if listed.exists() else []
        yield from (f"{tool} table {name}" for name in tables)


def _dump(namespace: Namespace, asked: Message, protocol: int = NETLINK_ROUTE) -> list[bytes]:
    with namespace.entered():
        one = Socket(protocol)
    try:
        return list(one.dump(asked))
    finally:
        one.close()
