"""What is in a namespace that no record tells of, and what is missing of the kernel's own: rules and queues."""

from __future__ import annotations

from ..state import L3MDEV, Rule
from . import messages, messages_devices, messages_rules
from .namespace import Namespace
from .netlink import Message, Socket


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


def _dump(namespace: Namespace, asked: Message) -> list[bytes]:
    with namespace.entered():
        one = Socket()
    try:
        return list(one.dump(asked))
    finally:
        one.close()
