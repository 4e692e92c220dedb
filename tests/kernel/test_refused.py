"""What a user reads when the kernel refuses a record: real refusals, by this kernel."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from mnmpls.apply import apply
from mnmpls.errors import KernelRefused
from mnmpls.kernel import Namespace, messages, wire
from mnmpls.kernel.netlink import Socket
from mnmpls.kernel.refusals import refused
from mnmpls.netns import RunningLab
from mnmpls.sources import load
from mnmpls.state import (
    IPV6_METRIC,
    MAIN_TABLE,
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
from mnmpls.wording import words
from tests.kernel.scene import GROUND, Scene

pytestmark = pytest.mark.kernel

REFUSED: list[tuple[Record, str]] = [
    (VrfDevice("spare", 10), "an interface of another kind has that name"),
    (VrfDevice("v0", 0), "Invalid VRF table id"),
    (VrfDevice("a-name-far-too-long", 10), "an interface name has 1 to 15 bytes"),
    (Bridge("spare"), "an interface of another kind has that name"),
    (Member("spare", "lo"), "the master must be a VRF device or a bridge"),
    (Member("nix", "red"), "no interface 'nix'"),
    (Member("spare", "nix"), "no interface 'nix'"),
    (Port("spare", True, 70000), "does not take an MTU of 70000 bytes"),
    (Port("nix"), "no interface 'nix'"),
    (Address("nix", "10.0.0.1/24"), "no interface 'nix'"),
    (Sysctl("net.ipv4.nix", "1"), "no such setting"),
    (Sysctl("net.mpls.conf.nix.input", "1"), "modprobe mpls_router"),
    (Sysctl("net.ipv4.ip_forward", "yes"), "does not take this value"),
    (Sysctl("kernel.panic", "0"), r"only net\.\* keys"),
    (Route(MAIN_TABLE, "10.5.0.0/24", (NextHop("10.9.0.2", "left.1"),)), "no way to the next hop 10.9.0.2"),
    (Route(MAIN_TABLE, "10.5.0.0/24", (NextHop("", "spare"),)), "set the port up first"),
    (Route(MAIN_TABLE, "10.5.0.0/24", (NextHop("10.0.0.2", "nix"),)), "no interface 'nix'"),
    (Route(MAIN_TABLE, "10.5.0.0/24", (NextHop("10.0.0.2", "left.1", (3,)),)), "Implicit NULL"),
    (
        Route(MAIN_TABLE, "fd05::/64", (NextHop("fd09::2", "left.1"),), metric=IPV6_METRIC),
        "no way to the next hop fd09::2",
    ),
    (
        Route(MAIN_TABLE, "fd05::/64", (NextHop("", "left.1"), NextHop("", "red")), metric=IPV6_METRIC),
        "Device only routes can not be added for IPv6",
    ),
    (LabelRoute(5000, (NextHop("", "lo"),)), "set the sysctl net.mpls.platform_labels to 5001 or more"),
    (LabelRoute(1048575, (NextHop("", "lo"),)), "choose a smaller label"),
    (LabelRoute(3, (NextHop("", "lo"),)), "labels 0 to 15 are reserved"),
    (LabelRoute(100, ()), "a label route needs a hop"),
    (LabelRoute(100, (NextHop("10.0.0.2", "nix"),)), "no interface 'nix'"),
    (LabelRoute(100, (NextHop("10.0.0.2", "left.1"), NextHop("10.0.0.3", "left.1", (), 2))), "give every hop weight 1"),
]


@pytest.mark.parametrize(("record", "text"), REFUSED, ids=[str(record) for record, _ in REFUSED])
def test_refusal_says_why(scene: Scene, record: Record, text: str) -> None:
    """The text begins with the record and has the cause or the remedy."""
    apply(GROUND - {Port("spare")}, scene.here)
    with pytest.raises(KernelRefused, match=text) as caught:
        scene.here.write(record)
    assert str(caught.value).startswith(f"{words(record)}: ")


def test_refusal_where_ipv6_is_off(scene: Scene) -> None:
    """The remedy names the sysctl of that port."""
    scene.here.write(Sysctl("net.ipv6.conf.left.1.disable_ipv6", "1"))
    with pytest.raises(KernelRefused, match=r"set the sysctl net\.ipv6\.conf\.left\.1\.disable_ipv6 to 0"):
        scene.here.write(Address("left.1", "fd00::1/64"))


SETTINGS = """
nodes:
  h1: {role: host}
  h2:
    role: host
    sysctls:
      net.ipv4.ip_default_ttl: 64
      SETTING
links: [[h1, h2]]
"""


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("net.mpls.conf.nix.input: 1", "no such setting here: no MPLS in this kernel, or no such interface"),
        ("net.ipv4.nix: 1", "no such setting in this namespace"),
        ("net.ipv4.ip_default_ttl: never", "it does not take this value"),
    ],
)
def test_a_lab_files_line_is_told(tmp_path: Path, setting: str, why: str) -> None:
    """What the source knew as "cannot stat /proc/sys/net/mpls/...": file and line, path, node, cause, remedy; and
    nothing is left of the lab."""
    file = tmp_path / "lab.yml"
    lines = [line for line in SETTINGS.splitlines() if "ttl" not in setting or "ttl" not in line]
    file.write_text("\n".join(lines).replace("SETTING", setting))
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if setting in text)
    with pytest.raises(KernelRefused) as caught:
        RunningLab(load(str(file)))
    key, _, value = setting.partition(": ")
    head = f"{file}:{line}: nodes.h2.sysctls.{key}: h2: sysctl {key}={value}: {why}\n  what to do: "
    assert str(caught.value).startswith(head), caught.value


def test_a_label_outside_the_main_table_is_refused_with_its_reason(scene: Scene) -> None:
    """The source's first EINVAL: the kernel's own sentence leads to the cause. No record can ask for that."""
    scene.here.write(Sysctl("net.mpls.platform_labels", "1000"))
    record = LabelRoute(100, (NextHop("", "lo"),))
    asked = messages.label_new(record, lambda _: 1)
    beside = asked._replace(body=asked.body[:4] + b"\x0a" + asked.body[5:])  # struct rtmsg: rtm_table
    with scene.here.entered(), closing(Socket()) as socket:
        (refusal,) = socket.write([beside]).values()
    assert refusal.code == errno.EINVAL
    said = str(refused(record, refusal.code, refusal.said))
    assert "label routes live in the main table only (the kernel says: MPLS only supports the main route table" in said
    assert "\n  what to do: leave the table out" in said


@pytest.mark.parametrize(("a", "b"), [("spare", "z"), ("z", "spare")])
def test_wire_refuses_a_name_that_exists(scene: Scene, a: str, b: str) -> None:
    """Neither end is made when one name is taken."""
    before = scene.here.ports(), scene.far.ports()
    with pytest.raises(KernelRefused, match=f"wire {a} - {b}: the name exists already"):
        wire(scene.here, a, scene.far, b)
    assert (scene.here.ports(), scene.far.ports()) == before


def test_namespace_that_is_not_there() -> None:
    """The path stands in the text."""
    with pytest.raises(KernelRefused, match="network namespace /proc/nix: No such file"):
        Namespace.open("/proc/nix")


def test_ordinary_user_is_told_to_use_sudo() -> None:
    """Without root's rights there is a remedy, not a traceback."""
    os.seteuid(65534)
    try:
        with pytest.raises(KernelRefused, match=r"only root may do this\n.*sudo"):
            Namespace.create()
    finally:
        os.seteuid(0)
