"""The doctor's tables, and how it speaks. What it finds on a real kernel is in tests/system/test_doctor.py."""

from __future__ import annotations

import pytest

from mnmpls.doctor import bugs
from mnmpls.doctor.remedies import REMEDIES, RIGHTS, remedy
from mnmpls.doctor.report import Diagnosis, Item, State
from mnmpls.errors import MissingFeature
from mnmpls.guests.host import FEATURES, describe
from mnmpls.model import Lab, Node, OwnConfig
from mnmpls.plan import complete, l3vpn, records
from mnmpls.programs import PACKAGES, missing, require
from mnmpls.sources import from_data, load
from mnmpls.state import Record

VRF = Item("kernel", "VRF devices", State.MISSING, "Unknown device type", True, "vrf")
BRIDGE = Item("kernel", "bridges", State.MISSING, "Unknown device type", False, "bridge")
ENCAP = Item("kernel", "MPLS encapsulation", State.UNKNOWN, "needs MPLS", True, "mpls-encap")
UML = Item("guests", "UML", State.THERE, "installed")


def test_missing_and_needed_decide_the_status() -> None:
    """What the lab does without, and what only follows from something else, is no reason for status 3."""
    assert Diagnosis("x", "Debian", "", (BRIDGE, ENCAP, UML)).exit_code == 0
    found = Diagnosis("x", "Ubuntu", "Linux 6.8", (VRF, BRIDGE, UML))
    assert (found.exit_code, found.missing) == (3, (VRF,))
    told = found.text()
    assert "✗ VRF devices" in told and "· bridges" in told
    assert "missing: VRF devices\n" in told
    assert "  Ubuntu: apt-get install linux-modules-extra-$(uname -r), modprobe vrf;" in told
    assert "Debian" not in told and "guest kernel that has it (UML)" in told


def test_what_follows_from_something_missing_is_had_with_it() -> None:
    """It is no finding of its own, but its modules are named."""
    mpls = Item("kernel", "MPLS", State.MISSING, "", True, "mpls")
    told = Diagnosis("x", "Debian", "", (mpls, ENCAP)).text()
    assert "? MPLS encapsulation" in told and "missing: MPLS\n" in told
    assert "modprobe -a mpls_router mpls_iptunnel mpls_gso" in " ".join(told.split())


def test_what_can_be_had_together_is_told_together() -> None:
    """One line for all modules, one for all programs; the rest stands alone."""
    keys = ("vrf", "mpls", "setpriv", "unshare", "iperf", "netns")
    told = Diagnosis("", "Fedora", "", tuple(Item("", key, State.MISSING, "", True, key) for key in keys)).text()
    assert "  Fedora: dnf install kernel-modules-extra-$(uname -r), modprobe -a vrf mpls_router;" in told
    assert "  Fedora: dnf install util-linux iperf" in told.splitlines()
    assert "  Fedora: run it with sudo;" in told and told.count("  Fedora: ") == 3


def test_an_unknown_system_gets_every_remedy() -> None:
    """Somebody's own distribution is like one of these."""
    told = Diagnosis("", "", "", (VRF,)).text()
    assert all(f"\n  {system}: " in told for system in REMEDIES)


@pytest.mark.parametrize("system", REMEDIES)
def test_each_missing_thing_has_a_remedy_on_each_system(system: str) -> None:
    """Of a module its name, of a program its package, and a word for the rest; WSL2 is told the kernel's options."""
    for name, feature in FEATURES.items():
        text = remedy([name], system)
        assert name in RIGHTS or all(module in text for module in feature.modules) or system == "WSL2"
        assert name in RIGHTS or system != "WSL2" or all(f"CONFIG_{each}=y" in text for each in feature.options)
    assert all(remedy([name], system).split()[:2] in (["apt-get", "install"], ["dnf", "install"]) for name in PACKAGES)


def multipath() -> dict[str, frozenset[Record]]:
    return records(complete(load("topos/multipath.yml")))


@pytest.mark.parametrize(
    ("release", "met"),
    [("6.18.9", False), ("6.19.0-1-amd64", True), ("7.1.5", True), ("7.1.6", False), ("7.2.0", False)],
)
def test_a_lab_with_equal_ways_meets_the_bug_of_its_kernels(release: str, met: bool) -> None:
    """Linux 6.19 to 7.1.5; a lab with one way through its core does not meet it."""

    def titles(planned: dict[str, frozenset[Record]]) -> list[str]:
        return [bug.title() for bug in bugs.concerning({"kernel": release}, planned)]

    assert titles(multipath()) == (["kernel 6.19 to 7.1.5"] if met else [])
    assert titles(records(complete(l3vpn(1, 2, 1, 1)))) == []


def test_bugs_of_a_part_that_is_not_there_are_not_told() -> None:
    """Without FRR nobody needs to know of ldpd; 8.4 is every 8.4.x."""
    assert list(bugs.concerning({"FRR": ""})) == []
    ldpd = [bug for bug in bugs.BUGS if bug.text.startswith("ldpd withdraws")]
    assert [bug for bug in bugs.concerning({"FRR": "8.4.4"}) if bug in ldpd] == ldpd
    assert [bug for bug in bugs.concerning({"FRR": "8.5.1"}) if bug in ldpd] == []


def test_a_lab_with_ldp_over_unnumbered_links_meets_ldpds_bug() -> None:
    """One whose links have addresses does not, and neither does one without daemons."""
    nodes = {"a": "p", "b": "p"}
    daemons = {"igp": "ospf", "labels": "ldp", "vpn": "bgp"}
    for keys, unnumbered in ((daemons, True), (daemons, False), ({}, True)):
        lab = complete(from_data({"nodes": nodes, "links": [{"a": "a", "b": "b", "unnumbered": unnumbered}], **keys}))
        met = [bug.text for bug in bugs.concerning({"FRR": "8.4.4"}, records(lab), lab)]
        assert any(text.startswith("ldpd withdraws") for text in met) == (bool(keys) and unnumbered)


def test_every_bug_says_what_to_do_and_where_it_is_known_from() -> None:
    """A row without a source would be hearsay."""
    assert all(bug.advice and bug.source for bug in bugs.BUGS)


def test_programs_of_exec_lines_are_needed_before_anything_is_made() -> None:
    """Each with its node, and its package."""
    lab = Lab("x", (Node("h1", "host", exec=("true", "no-such-program -x")),), ())
    assert [need.program for need in missing(lab)] == ["no-such-program"]
    with pytest.raises(MissingFeature, match=r"'no-such-program' on PATH, wanted at nodes\.h1\.exec") as raised:
        require(lab)
    assert "apt-get install no-such-program" in str(raised.value)


def test_a_daemon_that_frr_comes_without_is_no_matter_of_packages() -> None:
    """Debian's has no sharpd."""
    lab = Lab("x", (Node("r1", "ce", own=(OwnConfig("zebra", "!\n"), OwnConfig("sharpd", "!\n"))),), ())
    with pytest.raises(MissingFeature, match=r"'sharpd' on PATH, wanted at nodes\.r1\.frr\.sharpd") as raised:
        require(lab)
    assert "this machine's FRR comes without sharpd: leave it out" in str(raised.value)
    assert "apt-get" not in str(raised.value)


def test_much_that_is_missing_is_told_shortly() -> None:
    """Where a line is all the room: the first few, and how many more; else all of them."""
    lacking = dict.fromkeys(("bridge", "vrf", "mpls", "gre", "vxlan"), "")
    short = "this kernel has no bridges, no VRF devices, no MPLS and 2 more of what is needed"
    assert describe(lacking, 3) == short and describe(lacking).endswith("no GRE tunnels and no VXLAN")
    assert describe(dict.fromkeys(("vrf", "mpls"), ""), 3) == "this kernel has no VRF devices and no MPLS"
