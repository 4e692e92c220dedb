"""A port's frames as a capture file."""

from __future__ import annotations

import io
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnmpls.checks.pcap import record
from mnmpls.errors import CheckFailed
from mnmpls.sources import load
from tests.kernel.running import Running, running_lab

pytestmark = pytest.mark.kernel

YAML = Path(__file__).resolve().parents[2] / "topos" / "l3vpn.yml"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with running_lab(load(str(YAML))) as lab:
        yield lab


class _Recording(threading.Thread):
    """Records into a pipe; its header is out as soon as it listens."""

    def __init__(self, running: Running, node: str, port: str, **limits: float) -> None:
        super().__init__()
        self.hear, tell = os.pipe()
        self._namespace, self._port, self._file = running.namespaces[node], port, os.fdopen(tell, "wb")
        self._limits, self.written = limits, -1
        self.start()
        self.header = os.read(self.hear, 24)

    def run(self) -> None:
        with self._file:
            self.written = record(self._namespace, self._port, self._file, **self._limits)  # type: ignore[arg-type]


def _ping(running: Running, node: str, target: str) -> None:
    with running.namespaces[node].entered():
        subprocess.run(["ping", "-q", "-c", "1", target], check=True, stdout=subprocess.DEVNULL)


def test_tcpdump_reads_the_labels(running: Running) -> None:
    """After so many frames the recording ends, and tcpdump reads both directions with their labels and times."""
    _ping(running, "c1h1", "88.2.1.3")  # addresses are resolved
    recording = _Recording(running, "p", "p-pe1-eth", count=12)
    for _ in range(6):
        _ping(running, "c1h1", "88.2.1.3")
    recording.join(60)
    assert recording.written == 12
    with os.fdopen(recording.hear, "rb") as file:
        pcap = recording.header + file.read()
    read = subprocess.run(["tcpdump", "-tttt", "-nr", "-"], input=pcap, capture_output=True, check=True).stdout.decode()
    lines = [line for line in read.splitlines() if "MPLS" in line]  # IPv6 may have said something, too
    assert len(lines) >= 4
    labels = [("(label 101" in line, "(label 112" in line) for line in lines]
    assert labels == ([(True, False), (False, True)] * 6)[: len(lines)]
    assert "88.1.1.1 > 88.2.1.3: ICMP echo request" in lines[0]
    assert all(line.startswith("20") for line in lines)


def test_a_recording_ends_in_time(running: Running) -> None:
    """Where nothing happens for so many seconds, only the header is there."""
    file = io.BytesIO()
    assert record(running.namespaces["p"], "lo", file, seconds=0.05) == 0
    assert len(file.getvalue()) == 24


def test_a_recording_ends_with_its_reader(running: Running) -> None:
    """When nobody reads the pipe any more the recording is over, even if no frame ever comes."""
    recording = _Recording(running, "p", "p-pe2-eth")
    os.close(recording.hear)
    recording.join(60)
    assert not recording.is_alive()


def test_a_recording_ends_with_its_port() -> None:
    """A port that goes down is waited for, one that is deleted ends the recording."""
    with running_lab(load(str(YAML))) as lab:
        recording = _Recording(lab, "p", "p-pe2-eth")
        lab.ip("p", "link", "set", "p-pe2-eth", "down")
        lab.ip("p", "link", "set", "p-pe2-eth", "up")
        lab.ip("p", "link", "del", "p-pe2-eth")
        recording.join(60)
        os.close(recording.hear)
        assert not recording.is_alive()


def test_a_port_that_is_not_there(running: Running) -> None:
    """The error names the ports that the node has."""
    with pytest.raises(CheckFailed, match="on port p-pe3-eth: it has lo, p-pe1-eth, p-pe2-eth"):
        record(running.namespaces["p"], "p-pe3-eth", io.BytesIO())
