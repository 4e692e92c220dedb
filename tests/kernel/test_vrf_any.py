"""A server that serves every VRF by one socket, as the lab's settings allow it ("VRF any")."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mnmpls.netns import RunningLab
from mnmpls.sources import from_data

pytestmark = pytest.mark.kernel

VRFS = ("red", "blue", "green")
ACCEPT = ("net.ipv4.tcp_l3mdev_accept", "net.ipv4.udp_l3mdev_accept", "net.ipv4.raw_l3mdev_accept")

SERVER = """
import os, socket, sys, threading
DEVICE, PKTINFO = 25, 8

def tcp(family):
    here = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    here.bind(("", 7)); here.listen(); ready.release()
    while True:
        one = here.accept()[0]
        one.sendall(one.getsockopt(socket.SOL_SOCKET, DEVICE, 16).strip(b"\\0"))
        one.close()

def udp():
    here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    here.setsockopt(socket.IPPROTO_IP, PKTINFO, 1)
    here.bind(("", 7)); ready.release()
    while True:
        _, notes, _, who = here.recvmsg(64, 64)
        index = int.from_bytes(notes[0][2][:4], sys.byteorder)
        port = socket.if_indextoname(index)
        vrf = os.path.basename(os.readlink(f"/sys/class/net/{port}/master"))
        back = (index).to_bytes(4, sys.byteorder) + bytes(8)
        here.sendmsg([vrf.encode()], [(socket.IPPROTO_IP, PKTINFO, back)], 0, who)

ready = threading.Semaphore(0)
for work in (lambda: tcp(socket.AF_INET), lambda: tcp(socket.AF_INET6), udp):
    threading.Thread(target=work, daemon=True).start()
for _ in range(3):
    ready.acquire()
print("ready", flush=True)
threading.Event().wait()
"""

CLIENT = """
import socket
def ask(address, kind):
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.settimeout(30)
    try:
        made.connect((address, 7)); made.send(b"?")
        return made.recv(16).decode()
    except OSError as error:
        return type(error).__name__
print(ask("10.0.0.1", 1), ask("fd00::1", 1), ask("10.0.0.1", 2))
"""


@pytest.fixture(params=["1", "0"])
def lab(request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    """Three customers with the same addresses at one PE; the settings are on, or off."""
    pe = {"role": "pe", "vrfs": list(VRFS), "sysctls": dict.fromkeys(ACCEPT, request.param)}
    links = [
        [{"node": "pe", "port": f"p-{vrf}", "ip": ["10.0.0.1/24", "fd00::1/64"], "vrf": vrf},
         {"node": vrf, "ip": ["10.0.0.2/24", "fd00::2/64"]}]
        for vrf in VRFS
    ]  # fmt: skip
    lab = from_data({"nodes": {"pe": pe, **dict.fromkeys(VRFS, "host")}, "links": links})
    with RunningLab(lab) as running:
        yield running


def test_one_server_answers_in_three_vrfs_and_knows_which(lab: RunningLab) -> None:
    """With the settings one socket takes connections and datagrams of all VRFs, and tells them apart: by the device
    that a connection is bound to, and by the port that a datagram came in on. Without them it takes none."""
    accepts = dict(lab.lab.node("pe").sysctls)[ACCEPT[0]] == "1"
    with lab["pe"].popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout and server.stdout.readline() == "ready\n"
        for vrf in VRFS:
            done = lab[vrf].run([sys.executable, "-c", CLIENT])
            assert done.stdout.split() == ([vrf] * 3 if accepts else ["ConnectionRefusedError"] * 3), done
        server.kill()
