"""Namespaces and the wires between them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mnmpls.apply import apply
from mnmpls.errors import KernelRefused
from mnmpls.kernel import Namespace, wire
from mnmpls.state import IPV6_METRIC, MAIN_TABLE, Address, NextHop, Port, Record, Route, Sysctl
from tests.kernel.scene import Scene

pytestmark = pytest.mark.kernel

OWN = "/proc/thread-self/ns/net"


def _here() -> dict[str, object]:
    return {"namespace": os.readlink(OWN), "interfaces": sorted(name for _, name in socket.if_nameindex())}


def _link(scene: Scene, port: str, far: bool = False) -> str:
    with (scene.far if far else scene.here).entered():
        return subprocess.run(["ip", "-d", "link", "show", port], capture_output=True, text=True, check=True).stdout


def test_wire_makes_both_ends_as_asked(scene: Scene) -> None:
    """Both ends have their final names, MACs and MTU at once, and the caller's namespace has neither."""
    before = _here()
    wire(scene.here, "a-b-eth", scene.far, "b.a", a_mac="02:00:00:00:0a:01", b_mac="02:00:00:00:0b:01", mtu_bytes=9000)
    assert _here() == before
    assert re.search(r"a-b-eth@.* mtu 9000 .*02:00:00:00:0a:01.* veth ", _link(scene, "a-b-eth"), re.DOTALL)
    assert re.search(r"b.a@.* mtu 9000 .*02:00:00:00:0b:01.* veth ", _link(scene, "b.a", far=True), re.DOTALL)


def test_wire_within_one_namespace(scene: Scene) -> None:
    """A node may be wired to itself."""
    wire(scene.here, "one", scene.here, "other")
    assert {"one", "other"} <= scene.here.ports()


def test_wire_carries_packets_at_once(scene: Scene) -> None:
    """IPv4 and IPv6 addresses are usable as soon as they are written: no duplicate address detection."""
    for namespace, port, last in ((scene.here, "spare", 1), (scene.far, "spare", 2)):
        cidrs = (f"10.7.0.{last}/24", f"fd07::{last}/64")
        apply(frozenset({Port(port), *(Address(port, cidr) for cidr in cidrs)}), namespace)
    assert "tentative" not in scene.by_hand("ip addr show dev spare scope global")
    for family, address in ((socket.AF_INET, "10.7.0.2"), (socket.AF_INET6, "fd07::2")):
        with scene.far.socket(family, socket.SOCK_DGRAM) as server, scene.here.socket(family, socket.SOCK_DGRAM) as us:
            server.bind((address, 5000))
            us.sendto(b"hello", (address, 5000))
            server.settimeout(10)
            assert server.recv(100) == b"hello"


def test_caller_returns_after_an_error(scene: Scene) -> None:
    """An exception inside leaves the thread where it was before; entering nests."""
    before = _here()
    with pytest.raises(ZeroDivisionError), scene.here.entered(), scene.far.entered():
        assert {name for _, name in socket.if_nameindex()} >= {"right"}
        raise ZeroDivisionError
    assert _here() == before


def test_interface_made_anew_is_found(scene: Scene) -> None:
    """A port that was deleted and made again under its name is written to, not the one that is gone."""
    apply(frozenset({Port("spare")}), scene.here)
    scene.by_hand("ip link del spare")
    wire(scene.here, "spare", scene.far, "spare")
    scene.here.write(Address("spare", "10.7.0.1/24"))
    assert Address("spare", "10.7.0.1/24") in scene.here.observe()


def test_open_is_the_same_namespace(scene: Scene) -> None:
    """A namespace opened by a path is the one that the path stands for."""
    with scene.here.entered(), closing(Namespace.open(OWN)) as again:
        assert again.ports() == scene.here.ports()


def test_closed_namespaces_vanish() -> None:
    """The last descriptor takes the namespace and its wires along, and nothing of ours stays open."""
    outside = Namespace.create()
    outside.ports()
    before = len(list(Path("/proc/self/fd").iterdir()))
    inside = Namespace.create()
    wire(outside, "out", inside, "in")
    inside.write(Port("in"))
    inside.close()
    inside.close()
    while "out" in outside.ports():  # The kernel takes namespaces down in a worker of its own.
        time.sleep(0.01)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    outside.close()


def test_ipv6_is_ready_at_once(chain: tuple[Scene, Namespace]) -> None:
    """No address is tentative after set-up (which would keep a router from asking for its neighbours for a second or
    two): the first ping through a router whose hosts were never heard of before is answered."""
    scene, host = chain
    apply(frozenset({Address("right", "fd00::2/64"), _way("fd01::/64", "fd00::1", "right")}), scene.far)
    apply(frozenset({Port("end"), Address("end", "fd01::2/64"), _way("fd00::/64", "fd01::1", "end")}), host)
    routed: set[Record] = {
        Port("left.1"),
        Port("middle"),
        Address("left.1", "fd00::1/64"),
        Address("middle", "fd01::1/64"),
    }
    apply(frozenset({*routed, Sysctl("net.ipv6.conf.all.forwarding", "1")}), scene.here)
    assert scene.by_hand("ip -6 address show tentative") == ""
    with scene.far.entered():
        done = subprocess.run(["ping", "-6", "-c1", "-W5", "fd01::2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def chain(scene: Scene) -> Iterator[tuple[Scene, Namespace]]:
    """far - here - host"""
    with closing(Namespace.create()) as host:
        wire(scene.here, "middle", host, "end")
        yield scene, host


def _way(dst: str, via: str, port: str) -> Route:
    return Route(MAIN_TABLE, dst, (NextHop(via, port),), metric=IPV6_METRIC)


def test_the_ends_of_a_wire_have_different_indices() -> None:
    """Else the kernel would tell a bridge up to a second late that its port can forward."""
    ours, theirs = Namespace.create(), Namespace.create()
    with closing(ours), closing(theirs):
        wire(ours, "a", theirs, "b")
        with ours.entered():
            near = socket.if_nametoindex("a")
        with theirs.entered():
            assert socket.if_nametoindex("b") != near


def test_a_wire_finds_indices_that_nobody_has() -> None:
    """Interfaces of others under the indices that would be next do not stand in its way; a taken name does."""
    ours, theirs = Namespace.create(), Namespace.create()
    with closing(ours), closing(theirs):
        wire(ours, "a", theirs, "b")
        with ours.entered():
            index = socket.if_nametoindex("a")
            for number in range(index, index + 8):
                words = ["ip", "link", "add", f"x{number}", "index", str(number), "type", "veth", "peer", f"y{number}"]
                subprocess.run(words, check=number != index, capture_output=True)
        wire(ours, "c", theirs, "d")
        assert "c" in ours.ports() and "d" in theirs.ports()
        with pytest.raises(KernelRefused, match="c"):
            wire(ours, "c", theirs, "e")
