"""Thousands of damaged lab files: each is a lab or a LabError, soon, and nothing else happens.

The same ten thousand every time; MNMPLS_MUTANTS=20 makes twenty times as many.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mnmpls.errors import LabError
from mnmpls.model import Lab
from mnmpls.plan import complete, records
from mnmpls.sources import from_data, load

ROOT = Path(__file__).resolve().parents[2]
SOUND = b"""
name: whole
platform_labels: 5000
ttl: pipe
nodes:
  pe1: {role: pe, loopback: 10.0.0.1/32, vrfs: {red: {table: 77, rd: 65000:1, rt: 65000:1, export: 1.2.3.4:5}}}
  pe2: {role: pe, vrfs: [red, blue], sysctls: {net.ipv4.ip_forward: 1}}
  p: {role: p, loopback: [10.0.0.9/32, "2001:db8::9/128"], routes: [{dst: default, via: 10.1.0.1, labels: [900]}]}
  p2: {role: p, loopback: none, label_range: 200-299, routes: [{label: 900, port: lo}, {label: 901, via: 10.4.0.2}]}
  ce: {role: ce, routes: [{dst: 10.7.0.0/16, via: 10.3.0.2, port: ce-pe1-eth}]}
  h: {role: host, gateway: none, exec: [ping -c 1 10.3.0.1, "sh -c 'true | true'"]}
  h2: host
  b: bridge
  b2: bridge
links:
  - [pe1: [10.1.0.1/30, "2001:db8:1::1/64"], p: [10.1.0.2/30, "2001:db8:1::2/64"]]
  - [p, pe2]
  - [pe1, p2]
  - [p2: 10.4.0.1/30, pe2: 10.4.0.2/30]
  - {a: {node: pe1, port: red-1, vrf: red, ip: 10.3.0.2/30, mac: 02:00:00:00:00:01, mtu: 9000}, b: {ce: 10.3.0.1/30}}
  - {a: ce, b: b, mtu: 1400, type: veth}
  - [b, b2]
  - [h: none, b2]
  - [h2, pe2: {vrf: red}]
lsps:
  - {path: [pe1, p, pe2], labels: [101, 111], vrf: red}
  - {path: [pe1, p2, pe2], labels: [102], fec: 10.7.0.0/16, pop: php, ttl: 9}
  - {ingress: pe2, egress: pe1, pop: explicit-null}
"""
CASES = sorted((Path(__file__).parent / "errors").glob("*.yml"))
WRONG = [path.read_bytes() for path in CASES]
TEXTS = [(ROOT / "topos" / "l3vpn.yml").read_bytes(), *[SOUND] * 3 * len(WRONG), *WRONG]
"""What a mutant begins as: most are sound, so that some mutants come through to their plan."""
TIMES = int(os.environ.get("MNMPLS_MUTANTS", "1"))
LONGEST_S = 60

Dice = tuple[int, int]
THROWS = struct.Struct("<H8H")
"""A mutant: what it begins as and how often it is changed; then a pair of dice for each change."""

ODD: list[object] = [
    None, "", " ", "none", "null", "~", "p", "pe", "ce", "host", "bridge", "x" * 16, "é" * 8, "\0", "a\nb", "lo", "all",
    True, 0, -1, 1.5, 15, 16, 253, 2**20 - 1, 2**20, 2**32, 2**64, "9" * 5000, "0x10", "65000:" + "9" * 5000, "1:1:1",
    "10.0.0.1", "10.0.0.1/31", "10.0.0.1/0", "0.0.0.0/0", "255.255.255.255/32", "10.0.0.1/33", "10.0.0.1/", "/24",
    "2001:db8::1/64", "fe80::1/64", "fe80::1%eth0/64", "::/0", "::ffff:1.2.3.4/128", "224.0.0.1/24", "default",
    [], [[]], {}, {"": ""}, {"node": {}}, {"a": "p", "b": "pe1"}, ["p", "pe1"], ["p", "p"], "net.ipv4.ip_forward", "'",
]  # fmt: skip
"""Values that are right in one place and wrong in most others."""


def _places(tree: object) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a tree of plain data."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _places(value)


def _structural(tree: object, dice: Dice) -> None:
    """Puts an odd value, a copy of another entry or nothing in one place, or renames a key."""
    places = list(_places(tree))
    if not places:
        return
    holder, key = places[dice[0] % len(places)]
    other, other_key = places[dice[1] // 8 % len(places)]
    how = dice[1] % 8
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[str(ODD[dice[1] // 8 % len(ODD)])] = holder.pop(key)
    elif how <= 3:
        holder[key] = deepcopy(other[other_key])
    elif how == 4 and isinstance(holder, list):
        holder.insert(key, deepcopy(holder[key]))
    else:
        holder[key] = deepcopy(ODD[dice[1] // 8 % len(ODD)])


@cache
def _tree(base: bytes) -> str:
    """A file's data, all scalars as texts; of one that is not plain data, the sound lab's."""
    try:
        tree = yaml.load(base if b"&a" not in base else SOUND, Loader=yaml.CBaseLoader)
        return json.dumps(tree if isinstance(tree, dict) else yaml.load(SOUND, Loader=yaml.CBaseLoader))
    except yaml.YAMLError:
        return _tree(SOUND)


def _structure(base: bytes, changes: list[Dice]) -> bytes:
    tree = json.loads(_tree(base))
    for dice in changes:
        _structural(tree, dice)
    return json.dumps(tree).encode()


def _mutant(thrown: bytes) -> tuple[bytes, list[Dice]]:
    first, *dice = THROWS.unpack(thrown)
    return TEXTS[first // 4 % len(TEXTS)], list(zip(dice[::2], dice[1::2], strict=True))[: (1, 1, 2, 4)[first % 4]]


def _lines(base: bytes, changes: list[Dice]) -> bytes:
    """Lines dropped, doubled, moved, indented or joined; words swapped."""
    lines = base.split(b"\n")
    for a, b in changes:
        at, to, how = a % len(lines), b // 8 % len(lines), b % 8
        if how == 0:
            lines[at : at + 1 + b // 8 % 3] = []
            lines = lines or [b""]
        elif how == 1:
            lines.insert(to, lines[at])
        elif how == 2:
            lines[at], lines[to] = lines[to], lines[at]
        elif how == 3:
            lines[at] = b"  " + lines[at]
        elif how == 4:
            lines[at] = lines[at][b // 8 % 6 :]
        else:
            words, others = lines[at].split(b" "), lines[to].split(b" ")
            words[a // 7 % len(words)] = others[b // 11 % len(others)]
            lines[at] = b" ".join(words)
    return b"\n".join(lines)


def _bytes(base: bytes, changes: list[Dice]) -> bytes:
    """Bytes changed, dropped, put in; the end cut off."""
    raw = bytearray(base)
    for a, b in changes:
        at, how = a % (len(raw) + 1), b % 4
        if how == 0:
            raw[at : at + 1] = bytes([b // 4 % 256])
        elif how == 1:
            raw[at:at] = b"{}[]:,-&*!|>'\"%@`#? \t\r\n\0\xff\xe2"[b // 4 % 26 :][:1]
        elif how == 2:
            del raw[at : at + 1 + b // 4 % 9]
        else:
            del raw[max(at, len(raw) // 2) :]
    return bytes(raw)


_watched: list[str] | None = None


def _audit(event: str, args: tuple[object, ...]) -> None:
    """Notes whatever reaches outside of this process but reading a file."""
    if _watched is not None:
        if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _watched.append(f"open {args[0]!r}")
        elif event.startswith(("os.", "socket.", "subprocess.", "shutil.", "ctypes.", "tempfile.")):
            _watched.append(event)


sys.addaudithook(_audit)


@contextmanager
def _nothing_created() -> Iterator[None]:
    global _watched
    seen: list[str] = []
    _watched = seen
    try:
        yield
    finally:
        _watched = None
    assert seen == []


@contextmanager
def _no_hang() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still busy after {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _plan(path: Path) -> None:
    try:
        records(complete(load(str(path))))
    except LabError as error:
        assert error.problems and all(problem.text and problem.place for problem in error.problems)
        assert all(line.isprintable() for line in str(error).split("\n"))


def _told(lab: Callable[[], Lab]) -> set[tuple[str, str]]:
    """The problems of a lab without their lines."""
    try:
        records(complete(lab()))
    except LabError as error:
        line = re.compile(r" \(line \d+\)|, first in line \d+")
        return {(problem.path, line.sub("", problem.text)) for problem in error.problems}
    return set()


@settings(derandomize=True, deadline=None, database=None, max_examples=200 * TIMES)
@given(st.binary(min_size=THROWS.size, max_size=THROWS.size))
def test_damaged_data_is_told_as_in_a_file(tmp_path_factory: pytest.TempPathFactory, thrown: bytes) -> None:
    """One reader: data has the problems that a file with the same content has, less the lines."""
    text = _structure(*_mutant(thrown))
    # only a file is looked at for Containerlab's form, and has a folder that paths begin at
    keys = (b'"topology"', b'"frr"', b'"bird"', b'"swanctl"')
    assume(not any(key in text for key in keys))
    path = tmp_path_factory.getbasetemp() / "same.yml"
    path.write_bytes(text)
    told = _told(lambda: load(str(path)))
    assume(not any("this is not YAML" in problem for _, problem in told))  # keys of more than 1024 bytes
    assert _told(lambda: from_data(json.loads(text))) == told


@pytest.mark.parametrize(
    ("mutate", "number"), [(_structure, 5000), (_lines, 3500), (_bytes, 1500)], ids=["structure", "lines", "bytes"]
)
def test_damaged_file_is_a_lab_or_a_lab_error(
    tmp_path: Path, mutate: Callable[[bytes, list[Dice]], bytes], number: int
) -> None:
    """Nothing but LabError, every problem with its place, no hang, nothing written or started."""
    path = tmp_path / "lab.yml"
    file = path.open("wb", buffering=0)  # opened once: a folder's entry costs more than all the rest

    @settings(
        derandomize=True, deadline=None, database=None, max_examples=number * TIMES,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.binary(min_size=THROWS.size, max_size=THROWS.size))
    def one(thrown: bytes) -> None:
        file.truncate(0)
        file.seek(0)
        file.write(mutate(*_mutant(thrown)))
        with _no_hang(), _nothing_created():
            _plan(path)

    with file:
        one()
    assert [each.name for each in tmp_path.iterdir()] == ["lab.yml"]

