"""Namespaces and the wires between them."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mnmpls.apply import apply
from mnmpls.errors import KernelRefused
from mnmpls.kernel import Namespace, Wire, wire, wires
from mnmpls.state import (
    IPV6_METRIC,
    MAIN_TABLE,
    Address,
    Bridge,
    Member,
    NextHop,
    Port,
    Record,
    Route,
    Sysctl,
    VrfDevice,
)
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


def test_many_namespaces_where_few_files_are_usual() -> None:
    """The usual limit of open files is raised for them; one that cannot be is told."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = len(os.listdir("/proc/self/fd"))
    made: list[Namespace] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (here + 10, hard))
        made.extend(Namespace.create() for _ in range(20))
        resource.setrlimit(resource.RLIMIT_NOFILE, (here + 41, here + 41))
        with pytest.raises(KernelRefused, match="as many files open as it may"):
            made.extend(Namespace.create() for _ in range(20))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in made:
            each.close()


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


def _two() -> tuple[Namespace, Namespace]:
    return Namespace.create(), Namespace.create()


def test_what_is_known_of_a_new_namespace_is_what_the_kernel_says() -> None:
    """A namespace that only got wires is known without asking, to the last record and number."""
    a, b = _two()
    with closing(a), closing(b):
        assert a.fresh == a.observe()
        wires([Wire(a, "one", b, "two"), Wire(a, "loop", a, "pool", mtu_bytes=9000), Wire(b, "x.1", a, "x.2")])
        for each in (a, b):
            seen = dict(each._seen)
            assert each.fresh == each.observe()
            assert {name: port.number for name, port in seen.items()} == {
                name: port.number for name, port in each._seen.items() if name in seen
            }


def test_what_was_set_before_there_were_ports_is_known_of_them() -> None:
    """A new namespace takes its settings at once; ports made later copy some of them, and all of that is known without
    asking. What the kernel refuses is left for apply to tell."""
    settings = [
        Sysctl("net.ipv4.ip_forward", "1"),
        Sysctl("net.ipv6.conf.all.forwarding", "1"),
        Sysctl("net.ipv4.conf.default.rp_filter", "0"),
        Sysctl("net.ipv4.conf.default.arp_announce", "2"),
        Sysctl("net.ipv4.no_such_setting", "1"),
    ]
    router, far = Namespace.create(settings), Namespace.create()
    with closing(router), closing(far):
        wires([Wire(router, "one", far, "two"), Wire(router, "loop", router, "pool")])
        known = router.fresh or frozenset()
        keys = {each.key for each in known if isinstance(each, Sysctl)}
        copied = "rp_filter", "arp_announce"
        assert keys >= {f"net.ipv4.conf.{port}.{key}" for port in ("one", "pool") for key in copied}
        assert keys >= {each.key for each in settings[:4]} and settings[4].key not in keys
        assert known == router.observe([*keys, settings[4].key])
        assert router.observe(keys) >= frozenset(settings[:4])


def _visit(here: Namespace) -> None:
    with here.entered():
        pass


def test_nothing_is_known_once_somebody_was_let_in() -> None:
    """After a write, a visit, or when the descriptor was handed out, apply asks the kernel again."""
    ways: list[Callable[[Namespace], object]] = [
        _visit,
        lambda here: here.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
        lambda here: here.fd,
        lambda here: here.write(Port("lo", mtu_bytes=65536)),
        lambda here: here.set_up("lo", True),
    ]
    for way in ways:
        with closing(Namespace.create()) as here:
            way(here)
            assert here.fresh is None
    with closing(Namespace.open(OWN)) as opened:
        assert opened.fresh is None


def test_first_apply_overrules_what_a_visitor_did() -> None:
    """What somebody did in a new namespace before its first apply is seen and put right."""
    a, b = _two()
    with closing(a), closing(b):
        wire(a, "one", b, "two")
        with a.entered():
            subprocess.run(["ip", "addr", "add", "10.9.9.9/24", "dev", "one"], check=True)
        apply(frozenset({Port("one"), Address("one", "10.7.0.1/24")}), a)
        assert {each for each in a.observe() if isinstance(each, Address)} == {Address("one", "10.7.0.1/24")}


def test_many_records_in_one_write(scene: Scene) -> None:
    """More than fit into one send, of all sizes, are all there afterwards."""
    hops = tuple(sorted(NextHop(f"10.7.{n}.2", "spare") for n in range(100)))
    ground: list[Record] = [Port("spare"), *(Address("spare", f"10.7.{n}.1/24") for n in range(100))]
    routes = [Route(MAIN_TABLE, f"10.8.{n}.0/24", hops if n % 7 == 0 else hops[:1]) for n in range(250)]
    scene.here.write(*ground, *routes)
    assert {*ground, *routes} <= scene.here.observe()


@pytest.mark.parametrize("place", [0, 1, 99, 100, 101, 250, 299])
def test_refusal_is_told_of_its_record(scene: Scene, place: int) -> None:
    """Of several hundred records written at once, the first one that is refused is named, wherever it stands."""
    scene.here.write(Port("spare"), Address("spare", "10.7.0.1/24"))
    routes = [Route(MAIN_TABLE, f"10.8.{n}.0/24", (NextHop("10.7.0.2", "spare"),)) for n in range(256)]
    routes += [Route(MAIN_TABLE, f"10.9.{n}.0/24", (NextHop("10.7.0.2", "spare"),)) for n in range(44)]
    bad = Route(MAIN_TABLE, "10.10.0.0/24", (NextHop("10.99.0.2", "spare"),))
    with pytest.raises(KernelRefused, match=r"no way to the next hop 10\.99\.0\.2") as refusal:
        scene.here.write(*routes[:place], bad, *[bad] * 50, *routes[place:])
    assert refusal.value.record == bad
    assert set(routes[:place]) <= scene.here.observe()


def test_every_record_refused(scene: Scene) -> None:
    """So many refusals at once do not overrun the socket; the first one is told."""
    bad = [Route(MAIN_TABLE, f"10.8.{n}.0/24", (NextHop("10.99.0.2", "spare"),)) for n in range(250)]
    scene.here.write(Port("spare"))
    with pytest.raises(KernelRefused) as refusal:
        scene.here.write(*bad)
    assert refusal.value.record == bad[0]


def test_numbers_that_others_took() -> None:
    """A device whose number somebody else's has by now gets another, and what is written with it follows."""
    a, b = _two()
    with closing(a), closing(b):
        wire(a, "one", b, "two")
        with a.entered():
            former = socket.if_nametoindex("one")
            for number in range(former + 2, former + 6):
                subprocess.run(["ip", "link", "add", f"x{number}", "index", str(number), "type", "bridge"], check=True)
        address = Address("red", "10.7.0.1/24")
        wanted: list[Record] = [Bridge("br0"), VrfDevice("red", 10), Member("one", "red"), address]
        a.write(*wanted)
        assert set(wanted) <= a.observe()


def test_one_wire_of_several_is_refused(scene: Scene) -> None:
    """The wire whose name is taken is named."""
    with pytest.raises(KernelRefused, match=r"^wire spare - other: the name exists already"):
        wires([Wire(scene.here, "new", scene.far, "new"), Wire(scene.here, "spare", scene.far, "other")])
    assert scene.here.fresh is None
    wire(scene.here, "newer", scene.far, "newer")
    apply(frozenset({Port("newer")}), scene.here)
    assert Port("newer") in scene.here.observe()
