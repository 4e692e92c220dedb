"""What daemons' logs and answers say of sessions that are not there."""

from __future__ import annotations

import pytest

from mnmpls.checks.causes import meaning, of_bgpd, of_ldpd


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("interface r-x-eth:10.1.1.1: ospf_read invalid Area ID 0.0.0.1", "the other end is in area 0.0.0.1"),
        ("Packet 10.0.0.2 [Hello:RECV]: RouterDeadInterval mismatch on r-x-eth:10.1.2.1 (expected 4, but received 40).",
         "the other end's dead interval is 40 s"),
        ("VRF default: I/F r-x-eth HelloInterval mismatch from fe80::1 (10.0.0.1): (my 1, rcvd 10)",
         "the other end says hello every 10 s"),
        ("Packet[DD]: Neighbor 10.0.0.9 MTU 1504 is larger than [r-x-eth:10.1.3.2]'s MTU 1400",
         "the other end's MTU is 1504 bytes, its own 1400"),
        ("VRF default: I/F r-x-eth MTU mismatch (my 1500 rcvd 1400)",
         "its own MTU is 1500 bytes, the other end's 1400"),
        ("interface r-x-eth:10.1.4.1: ospf_check_md5 checksum mismatch, Router-ID: 10.0.0.4",
         "the two ends have different keys"),
        ("ospf4: Bad HELLO packet from nbr 10.0.0.1 on r-x-eth - area mismatch (0.0.0.7)",
         "the other end is in area 0.0.0.7"),
    ],
)  # fmt: skip
def test_line_of_a_log(line: str, said: str) -> None:
    """Of FRR 8.4's OSPF and BIRD's: told where it is about that port, and as long as it is of the log's last lines."""
    assert meaning(["starting", f"2026/11/21 OSPF: [EC 1] {line}", "interface r-y-eth:10.9.0.1: up"], "r-x-eth") == said
    assert meaning([line], "r-x-eth2") == meaning([line], "x-eth") == ""
    assert meaning([line, *["something else"] * 100], "r-x-eth") == ""


def test_as_number() -> None:
    """Who sent the notification tells what it had expected."""
    reason = {"remoteAs": 65102, "lastNotificationReason": "OPEN Message Error/Bad Peer AS"}
    sent = {"red": {"vrfId": 3, "10.2.2.2": {**reason, "lastResetDueTo": "BGP Notification send"}}}
    assert of_bgpd(sent, "c2", {"10.2.2.2"}) == "expects AS 65102 at 10.2.2.2, and c2 says another"
    heard = {"red": {"10.2.2.2": {**reason, "lastResetDueTo": "BGP Notification received"}}}
    assert of_bgpd(heard, "c2", {"10.2.2.2"}) == of_bgpd(sent, "c2", {"10.9.9.9"}) == of_bgpd([], "c2", set()) == ""


def test_hellos_of_ldp() -> None:
    """None from the other router, or some with an address for the session that it does not have."""
    def said(**adjacency: str) -> object:
        found = {"adjacencies": [adjacency]} if adjacency else {}
        return {"lsrId": "10.0.0.1", "interfaces": {"r-x-eth": found}, "targetedHellos": {}}

    mine = {"10.0.0.2", "fd00::2"}
    assert of_ldpd(said(), "x", mine) == "hears no LDP hello of x"
    assert of_ldpd(said(lsrId="10.0.0.2", transportAddress="fd00::2"), "x", mine) == of_ldpd({}, "x", mine) == ""
    other = of_ldpd(said(lsrId="10.0.0.2", transportAddress="10.0.0.99"), "x", mine)
    assert other == "is told to call x at 10.0.0.99, which is none of its addresses"
