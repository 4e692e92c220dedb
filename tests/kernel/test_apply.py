"""What apply does beyond single records: order, ownership, and what the kernel takes along."""

from __future__ import annotations

import re

import pytest

from mnmpls.apply import Difference, added, apply, difference, remove_added
from mnmpls.errors import KernelRefused
from mnmpls.state import (
    IPV6_METRIC,
    MAIN_TABLE,
    UNREACHABLE_METRIC,
    Address,
    Bridge,
    LabelRoute,
    Member,
    NextHop,
    Port,
    Record,
    Route,
    Sysctl,
    VrfDevice,
)
from tests.kernel.scene import GROUND, Scene

pytestmark = pytest.mark.kernel

PE: frozenset[Record] = GROUND | {
    Member("spare", "red"),
    Address("spare", "10.7.0.1/30"),
    Address("spare", "fd07::1/64"),
    Sysctl("net.ipv4.ip_forward", "1"),
    Sysctl("net.ipv4.conf.left.1.rp_filter", "0"),
    Sysctl("net.mpls.conf.left.1.input", "1"),
    Route(1000, "10.8.0.0/24", (NextHop("10.7.0.2", "spare"),)),
    Route(1000, "10.9.0.0/24", (NextHop("10.0.0.2", "left.1", (101,)),)),
    Route(1000, "fd08::/64", (NextHop("fd07::2", "spare"),), metric=IPV6_METRIC),
    Route(1000, "fd09::/64", (NextHop("fd00::2", "left.1", (101,)),), metric=IPV6_METRIC),
    Route(1000, "0.0.0.0/0", (), "unreachable", UNREACHABLE_METRIC),
    Route(1000, "::/0", (), "unreachable", UNREACHABLE_METRIC),
    LabelRoute(102, (NextHop("", "red"),)),
    LabelRoute(103, (NextHop("10.0.0.2", "left.1", (113,)),)),
}


def test_provider_edge_from_nothing(scene: Scene) -> None:
    """All the records of a PE are written in one go, in an order in which the kernel takes them."""
    assert apply(PE, scene.here).write
    assert scene.observe(*PE) == PE
    assert apply(PE, scene.here) == Difference()


def test_fresh_namespace_has_only_its_ports(scene: Scene) -> None:
    """Nothing that the kernel makes by itself (fallback tunnels, lo's and link-local addresses) is observed."""
    assert scene.here.observe() == {Port("lo", False, 65536), Port("left.1", False), Port("spare", False)}
    for port in scene.here.ports():
        scene.here.set_up(port, True)
    assert scene.here.observe() == {Port("lo", True, 65536), Port("left.1"), Port("spare")}


@pytest.mark.parametrize(
    "command",
    [
        "ip link set spare nomaster",
        "ip link set left.1 down",
        "ip addr flush dev left.1",
        "ip link del red",
        "ip -6 addr flush dev spare",
        "ip link set left.1 mtu 1200",
        "ip link set lo down",
        "ip route flush table 1000 proto 201",
    ],
)
def test_what_the_kernel_took_along_is_restored(scene: Scene, command: str) -> None:
    """One change by hand that drops addresses, routes and labels with it is healed by one apply."""
    apply(PE, scene.here)
    scene.by_hand(command)
    assert apply(PE, scene.here)
    assert scene.observe(*PE) == PE
    assert apply(PE, scene.here) == Difference()


def test_removed_address_takes_no_wanted_route_along(scene: Scene) -> None:
    """Where an unwanted address goes and the kernel drops a wanted one or a route with it, that is written again."""
    apply(GROUND, scene.here)
    scene.by_hand("ip addr del 10.0.0.1/24 dev left.1")
    scene.by_hand("ip addr add 10.0.0.99/24 dev left.1")
    scene.by_hand("ip addr add 10.0.0.1/24 dev left.1")
    wanted = GROUND | {Route(MAIN_TABLE, "10.5.0.0/24", (NextHop("10.0.0.2", "left.1"),))}
    apply(wanted, scene.here)
    assert wanted == scene.observe(*wanted)


def test_another_plan_replaces_the_first(scene: Scene) -> None:
    """From one plan to quite another and back: nothing of the former stays."""
    gone = {Member("spare", "red"), VrfDevice("red", 1000), LabelRoute(102, (NextHop("", "red"),))}
    other: frozenset[Record] = (PE - gone) | {
        VrfDevice("red", 2000),
        Bridge("br0"),
        Member("spare", "br0"),
        LabelRoute(102, (NextHop("", "lo"),)),
    }
    other -= {record for record in other if isinstance(record, Route) and record.table == 1000}
    other -= {Address("spare", "10.7.0.1/30"), Address("spare", "fd07::1/64")}
    for plan in (PE, other, PE):
        apply(plan, scene.here)
        assert scene.observe(*PE) == plan


def test_bridge_in_the_place_of_a_vrf_device(scene: Scene) -> None:
    """A device whose name the plan now gives to another kind is removed first."""
    apply(GROUND, scene.here)
    wanted: frozenset[Record] = (GROUND - {VrfDevice("red", 1000)}) | {Bridge("red")}
    apply(wanted, scene.here)
    assert wanted == scene.observe()


@pytest.mark.parametrize(
    "command",
    [
        "ip route add 10.5.0.0/24 via 10.0.0.2 proto static",
        "ip route add 10.5.0.0/24 via 10.0.0.2 table 1000 proto bgp metric 20",
        "ip route add unreachable 10.5.0.0/24",
        "ip -6 route add fd05::/64 via fd00::2 proto ospf",
        "ip -M route add 200 as 300 via inet 10.0.0.2 proto static",
        "ip route add 10.5.0.0/24 encap mpls 100 via 10.0.0.2 proto zebra",
    ],
)
def test_routes_of_others_are_left_alone(scene: Scene, command: str) -> None:
    """A route with another protocol number is neither observed nor removed."""
    apply(GROUND, scene.here)
    scene.by_hand(command)
    before = _of_others(scene)
    assert before
    assert apply(GROUND, scene.here) == Difference()
    assert _of_others(scene) == before


def _of_others(scene: Scene) -> list[str]:
    shown = [scene.by_hand(f"ip {family} route show table all") for family in ("-4", "-6")]
    lines = "".join([*shown, scene.by_hand("ip -M route")]).splitlines()
    return [line for line in lines if re.search(r"10\.5\.0\.0|fd05::|^200 ", line)]


@pytest.mark.parametrize(
    "command",
    [
        "ip route add 10.5.0.0/24 encap mpls 201 via 10.0.0.2 table 1000",
        "ip -6 route add fd05::/64 via fd00::2 table 1000",
        "ip -M route add 200 as 300 via inet 10.0.0.2",
        "ip route append 10.9.0.0/24 via 10.0.0.2 dev left.1 table 1000",
    ],
)
def test_what_was_added_by_hand_goes(scene: Scene, command: str) -> None:
    """What drift calls added in VRFs and label tables is removed and told; ours beside it, and the user's own in the
    main table, stay."""
    apply(PE, scene.here)
    scene.by_hand("ip route add 10.6.0.0/24 via 10.0.0.2")
    scene.by_hand(command)
    assert remove_added(PE, scene.here, "pe1").remove
    assert not added(PE, scene.here) and scene.observe(*PE) == PE
    assert "10.6.0.0/24" in scene.by_hand("ip route")


def test_refusal_names_the_node(scene: Scene) -> None:
    """The node's name stands first in what apply reports."""
    with pytest.raises(KernelRefused, match=r"^pe1: ip link nix master red: there is no interface 'nix'"):
        apply(GROUND | {Member("nix", "red")}, scene.here, "pe1")


def test_difference_writes_what_needs_nothing_first() -> None:
    """Removal runs in the reverse order of writing."""
    order = [type(record).__name__ for record in difference(PE, ()).write]
    assert sorted(set(order), key=order.index) == [
        "VrfDevice", "Member", "Port", "Sysctl", "Address", "Route", "LabelRoute",
    ]  # fmt: skip
    removed = [type(record).__name__ for record in difference((), PE).remove]
    assert sorted(set(removed), key=removed.index) == ["LabelRoute", "Route", "Address", "Member", "VrfDevice"]


def test_difference_changes_in_place() -> None:
    """A record about the same thing is one write; ports and sysctls are never removed."""
    label, route = LabelRoute(100, (NextHop("", "lo"),)), Route(10, "10.0.0.0/8", (NextHop("10.1.1.1", "a"),))
    label2, route2 = LabelRoute(100, (NextHop("", "red"),)), Route(10, "10.0.0.0/8", (NextHop("10.1.1.2", "a"),))
    assert difference([label2, route2], [label, route, Port("a")]) == Difference((), (route2, label2))
