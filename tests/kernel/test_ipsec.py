"""Encrypted tunnels with strongSwan: what the wire shows, when keys change, when something is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from mininet.log import setLogLevel

from mnmpls.checks.layers import layers
from mnmpls.export.plan_data import plan_data
from mnmpls.mn.net import Mininet
from mnmpls.mn.topo import LabTopo
from mnmpls.model import Lab, OwnConfig
from mnmpls.netns import RunningLab
from mnmpls.plan import complete
from mnmpls.sources import from_data
from tests.kernel.running import captured, settled
from tests.unit.test_daemons import TOPOS
from tests.watching import read, words

pytestmark = pytest.mark.kernel

LIMIT_S = 180
MODES = (
    ("gre", "transport", "chacha20poly1305", 4),
    ("ip6gre", "tunnel", "aes-gcm", 6),
    ("vxlan", "udp", "chacha20poly1305", 6),
    ("vxlan", "tunnel", "aes-gcm", 4),
    ("gretap", "udp-tunnel", "chacha20poly1305", 4),
    ("ip6gre", "transport", "aes-gcm", 6),
    ("vxlan", "transport", "chacha20poly1305", 6),
)
"""Type of link, mode, cipher, and what it runs over; each between two addresses of its own."""
QUICK = 3
"""So many of them have new keys every two seconds."""
CLEAR = re.compile(r"gre|vxlan|protocol 137")


def _over(number: int, version: int) -> list[str]:
    return [f"10.0.{number}.{end}" if version == 4 else f"fd00:{number}::{end}" for end in (1, 2)]


def _wire(end: int) -> list[object]:
    known = (_over(number, version)[end] for number, (_, _, _, version) in enumerate(MODES))
    return [{f"r{end + 1}": {"ip": [f"{ip}/{64 if ':' in ip else 24}" for ip in known]}}, {"lan": {"port": f"to{end}"}}]


def _lab(tunnels: bool = True) -> dict[str, object]:
    """What is received by a port that is sent through ESP in tunnel mode, the port shows in clear as well: hence a LAN
    between the two, which has no keys."""
    links: list[object] = [_wire(0), _wire(1)]
    for number, (kind, mode, cipher, version) in enumerate(MODES if tunnels else ()):
        one = {"a": {"r1": {"port": f"t{number}"}}, "b": {"r2": {"port": f"t{number}"}}, "type": kind,
               "over": _over(number, version),
               "ipsec": {"mode": mode, "cipher": cipher, "rekey": 2 if number < QUICK else 3600}}  # fmt: skip
        links.append({**one, "vni": number} if kind == "vxlan" else one)
    return {"name": "modes", "nodes": {"r1": "host", "r2": "host", "lan": "bridge"}, "links": links}


@pytest.fixture(scope="module")
def seen() -> Iterator[tuple[RunningLab, list[bytes]]]:
    """The lab with all modes, and what its wire has shown since before the first tunnel was made."""
    with RunningLab(from_data(_lab(tunnels=False))) as lab, captured(lab, "lan", "to1") as frames:
        lab.change(from_data(_lab()))
        assert lab.await_reach(LIMIT_S) == ""
        yield lab, frames


def _ports(lab: RunningLab) -> list[tuple[str, str, int]]:
    """Name, the other end's address, and MTU of each tunnel at r1."""
    links = [link for link in lab.lab.links if not link.is_wire]
    return [(k.a.name, (k.b.addresses or ("",))[0].split("/")[0], k.a.mtu_bytes or 0) for k in links]


def test_largest_packets_get_through(seen: tuple[RunningLab, list[bytes]]) -> None:
    """The planned MTUs are what fits: the largest packet passes each tunnel whole, and 4 bytes more would not."""
    lab, _ = seen
    for port, peer, mtu in _ports(lab):
        lab["r1"].run(["ping", "-c", "1", "-W", "5", peer], check=True)
        with captured(lab, "lan", "to1") as frames:
            lab["r1"].run(["ping", "-c", "1", "-W", "5", "-M", "do", "-s", str(mtu - 28), peer], check=True)
        largest = max(map(len, frames)) - 14
        assert 1496 < largest <= 1500, (port, mtu, largest)


def test_nothing_in_clear(seen: tuple[RunningLab, list[bytes]]) -> None:
    """From the first packet on, before there were keys too, the wire has shown the tunnels' packets as ESP alone, in
    UDP where asked for; what else there was is IKE and neighbour discovery."""
    _, frames = seen
    told = {" ".join(layers(frame)) for frame in list(frames)}
    assert not [one for one in told if CLEAR.search(one)]
    for number, (_, mode, _, version) in enumerate(MODES):
        a, b = _over(number, version)
        for ends in (f"ipv{version} {a} > {b}", f"ipv{version} {b} > {a}"):
            esp = "udp 4500" if mode.startswith("udp") else "protocol 50"
            assert f"ethernet {ends} {esp}" in told
    kinds = {one.split(" > ")[1].split(" ", 1)[1] if " > " in one else one for one in told}
    assert kinds <= {"protocol 50", "udp 500", "udp 4500", "icmpv6", "ethernet", "icmp", "protocol 0", "protocol 2"}


def test_check_is_content(seen: tuple[RunningLab, list[bytes]]) -> None:
    """Daemons, associations and records are as intended: neither keys nor policies of charon are drift."""
    lab, _ = seen
    report = settled(lab)
    assert report.ok, report.text()
    assert len(report.of("session")) == 2 * len(MODES)


def test_new_keys_lose_nothing(seen: tuple[RunningLab, list[bytes]]) -> None:
    """Under a stream of packets each direction changes its keys several times, and every packet is answered."""
    lab, _ = seen
    ends = [socket.inet_pton(socket.AF_INET6, text) for text in _over(1, 6)]

    def keys(way: bytes) -> set[bytes]:
        esp = [one for one in list(frames) if layers(one)[-1] == "protocol 50" and one[12:14] == b"\x86\xdd"]
        return {one[54:58] for one in esp if one[22:54] == way}

    def changed() -> bool:
        streams = [
            lab["r1"].popen(["ping", "-i", "0.02", "-c", "350", peer], stdout=subprocess.PIPE, text=True)
            for _, peer, _ in _ports(lab)[:QUICK]
        ]
        said = [one.communicate(timeout=LIMIT_S)[0] for one in streams]
        # The last ones it does not wait for as long as a busy machine may take.
        assert [set(range(1, 301)) - set(map(int, re.findall(r"icmp_seq=(\d+) ttl", one))) for one in said] == [
            set()
        ] * QUICK
        return all(len(keys(way)) >= 3 for way in (ends[0] + ends[1], ends[1] + ends[0]))

    with captured(lab, "lan", "to1") as frames:
        assert soon(changed)


SWANCTL = """connections {
  other {
    version = 2
    local_addrs = ADDRESS
    remote_addrs = %any
    proposals = aes256gcm16-prfsha256-x25519
    local { auth = psk }
    remote { auth = psk }
    children {
      all-gre {
        mode = transport
        local_ts = dynamic[gre]
        remote_ts = dynamic[gre]
        esp_proposals = aes256gcm16-x25519
      }
    }
  }
}
secrets {
  ike-all { secret = "hush" }
}
"""


def _with_own(text: str) -> Lab:
    plain = complete(from_data(_pair("hush", cipher="aes-gcm")))
    own = OwnConfig("swanctl", text.replace("ADDRESS", plain.links[1].over[0]))
    return replace(plain, nodes=tuple(replace(n, own=(own,) if n.name == "r1" else ()) for n in plain.nodes))


def test_own_configuration() -> None:
    """A node's own swanctl.conf is used as it is, and by nobody else to read; it agrees on keys with a generated one,
    which says so if the two have different secrets."""
    given = _with_own(SWANCTL)
    with RunningLab(given) as running:
        assert running.await_reach(LIMIT_S) == ""
        report = settled(running)
        assert report.ok, report.text()
        assert {one.subject for one in report.of("session")} == {"r2: IPsec with r1 on t"}
        assert [one.subject for one in report.of("config")] == ["r1 swanctl.conf"]
        said = running["r1"].run(["cat", "/etc/swanctl/swanctl.conf"], check=True).stdout
        assert said == given.node("r1").own[0].text and "all-gre" in said
        assert running["r1"].run(["stat", "-c", "%a", "/etc/swanctl/swanctl.conf"], check=True).stdout == "600\n"
        running.change(_with_own(SWANCTL.replace("hush", "hash")))
        why = "r2 (charon) has no IPsec with r1 on t: the two ends have different secrets"
        assert soon(lambda: why in running.await_reach(10))


def _pair(secret: object, **more: object) -> dict[str, object]:
    ipsec = {"mode": "transport", **({"secret": secret} if secret else {}), **more}
    return {
        "name": "pair", "nodes": {"r1": "p", "r2": "p"},
        "links": [{"a": {"r1": {"port": "wire"}}, "b": {"r2": {"port": "wire"}}, "name": "wire"},
                  {"a": {"r1": {"port": "t"}}, "b": {"r2": {"port": "t"}}, "type": "gre", "over": "wire",
                   "ipsec": ipsec}],
    }  # fmt: skip


def soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _answers(lab: RunningLab) -> bool:
    address = (lab.lab.links[1].b.addresses or ("",))[0].split("/")[0]
    return lab["r1"].run(["ping", "-c", "1", "-W", "1", address]).returncode == 0


def _read(lab: RunningLab, node: str, *words: str) -> str:
    return lab[node].run(words, check=True).stdout


def test_secrets_are_told_to_nobody() -> None:
    """A secret of the lab file works, and stands in a file for root alone: in no log, no plan, no argument of a
    process. One that is drawn is another at each start."""
    wanted = from_data(_pair("sword fish"))
    drawn = set()
    with RunningLab(wanted) as lab:
        assert lab.await_reach(LIMIT_S) == "" and soon(lambda: _answers(lab))
        hidden = b"sword fish".hex()
        assert _read(lab, "r1", "stat", "-c", "%a %U", "/etc/swanctl/secrets.conf") == "600 root\n"
        assert hidden in _read(lab, "r1", "cat", "/etc/swanctl/secrets.conf")
        shown = [_read(lab, "r1", "cat", "/etc/swanctl/swanctl.conf"), _read(lab, "r1", "cat", "/run/frr/charon.log"),
                 repr(lab.lab), json.dumps(plan_data(lab.lab, lab.records)), repr(lab.services.of("r1")),
                 *(" ".join(words(int(path.name))) for path in Path("/proc").glob("[0-9]*"))]
        assert not [text for text in shown if "sword fish" in text or hidden in text]
        lab.change(from_data(_pair(None)))
        for _ in range(2):
            assert lab.await_reach(LIMIT_S) == "" and soon(lambda: _answers(lab))
            drawn.add(_read(lab, "r1", "cat", "/etc/swanctl/secrets.conf"))
        assert len(drawn) == 1 and hidden not in drawn.copy().pop()
        assert not os.path.exists("/etc/swanctl/secrets.conf")


def test_wrong_key_is_named() -> None:
    """Two ends with different secrets: nothing passes, waiting ends with the reason, and check names both ends, the
    reason and the place in the lab."""
    with RunningLab(from_data(_pair(["one", "two"]))) as lab, captured(lab, "r2", "wire") as frames:
        why = "the two ends have different secrets, at links[1].ipsec"
        assert soon(lambda: f"r1 (charon) has no IPsec with r2 on t: {why}" in lab.await_reach(5))
        assert not _answers(lab)
        both = (("r1", "r2"), ("r2", "r1"))
        wanted = {f"{a}: IPsec with {b} on t": f"charon has none: {why}" for a, b in both}

        def wrong() -> dict[str, str]:
            return {one.subject: one.seen for one in lab.check().of("session") if not one.ok}

        assert soon(lambda: wrong() == wanted), wrong()
    assert not [frame for frame in frames if "gre" in layers(frame)]


def _charons() -> set[int]:
    """Of the whole machine, as this process sees them."""
    return {int(path.name) for path in Path("/proc").glob("[0-9]*") if read(int(path.name), "comm")[:6] == "charon"}


def _charon(lab: RunningLab, node: str) -> int:
    inside: dict[str, int] = {}
    for pid in _charons():
        with suppress(OSError):  # it has ended meanwhile
            inside[os.readlink(f"/proc/{pid}/ns/net")] = pid
    return inside[_read(lab, node, "readlink", "/proc/self/ns/net").strip()]


def test_charon_dies() -> None:
    """It is started once more and agrees on new keys, which check notes; no packet leaves in clear meanwhile; at the
    end of the lab none is left. A node turned off and on agrees anew, too."""
    said: list[str] = []
    before = _charons()
    with RunningLab(from_data(_pair(None))) as lab, captured(lab, "r2", "wire") as frames:
        lab.services.report = said.append
        assert lab.await_reach(LIMIT_S) == "" and soon(lambda: _answers(lab))
        first = _charon(lab, "r2")
        os.kill(first, signal.SIGKILL)
        assert soon(lambda: bool(said)) and "r2: charon died (signal 9), started once more" in said[0]
        assert lab.await_reach(LIMIT_S) == "" and soon(lambda: _answers(lab))
        again = _charon(lab, "r2")
        numbers = read(again, "status").split("NSpid:")[1].splitlines()[0].split()
        assert again != first and _read(lab, "r2", "cat", "/run/frr/charon.pid").strip() == numbers[-1]
        report = settled(lab)
        assert report.ok, report.text()
        lab.stop("r1")
        lab.start("r1")
        assert lab.await_reach(LIMIT_S) == "" and soon(lambda: _answers(lab))
        protected = len(frames)
        lab.change(from_data(_lab_without_ipsec()))
        assert soon(lambda: _answers(lab)) and lab.check().ok and not lab.folders
    assert protected and not [frame for frame in frames[:protected] if "gre" in layers(frame)]
    assert soon(lambda: _charons() <= before)


def test_an_l3vpn_under_mininet() -> None:
    """topos/ipsec.yml as a Topo: at its prompt it works, the network between sees ESP with labels inside, and a node's
    shell has swanctl; delLink and the end take the daemons along."""
    setLogLevel("error")
    before = _charons()
    net = Mininet(topo=LabTopo(str(TOPOS / "ipsec.yml")))
    try:
        net.start()
        assert soon(lambda: net.pingAll() == 0)
        agreed = "INSTALLED, TRANSPORT, ESP:CHACHA20_POLY1305"
        assert soon(lambda: agreed in net["pe1"].cmd("swanctl --list-sas"))
        found = [link for link in net.links if "gre" in link.intf1.name]
        net.delLink(found[0])
        assert soon(lambda: _charons() <= before)
    finally:
        net.stop()
    assert soon(lambda: _charons() <= before)


def _lab_without_ipsec() -> dict[str, object]:
    lab = _pair(None)
    links = lab["links"]
    assert isinstance(links, list)
    return {**lab, "links": [links[0], {key: value for key, value in links[1].items() if key != "ipsec"}]}
