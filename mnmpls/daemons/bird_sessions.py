"""What BIRD says of its neighbours (birdc(8))."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..asking import BIRD

BIRDS: Mapping[str, str] = {"ospfd": "bird ospf4", "ospf6d": "bird ospf6", "bgpd": "bird bgp"}
"""What of BIRD does what a daemon of FRR does."""

QUESTIONS: Mapping[str, str] = {
    "bird ospf4": "show ospf neighbors ospf4",
    "bird ospf6": "show ospf neighbors ospf6",
    "bird bgp": "show protocols all",
}


def daemon_at(daemon: str, running: Collection[str]) -> str:
    """What does the same as ``daemon``, whichever end that is of, at a node that runs these: of FRR, or BIRD."""
    if BIRD in running and daemon not in running:
        return BIRD
    return next((of_frr for of_frr, of_bird in BIRDS.items() if of_bird == daemon), daemon)


def established(daemon: str, answer: str) -> frozenset[tuple[str, str]]:
    """(peer, port) of each session that it has up, as for FRR's daemons."""
    lines = [line[5:] if line[:4].isdigit() else line for line in answer.splitlines()]
    return frozenset(_of_bgp(lines) if daemon == BIRDS["bgpd"] else _of_ospf(lines))


def _of_ospf(lines: list[str]) -> Iterator[tuple[str, str]]:
    """``10.0.0.2  1  Full/PtP  3.5  p-pe1-eth  10.1.0.1`` each."""
    for words in map(str.split, lines):
        if len(words) == 6 and words[2].startswith("Full"):
            yield words[0], words[4]


def _of_bgp(lines: list[str]) -> Iterator[tuple[str, str]]:
    """A state, then the address, both with what they are before a colon."""
    state = ""
    for key, _, value in (line.strip().partition(":") for line in lines):
        if key == "BGP state":
            state = value.strip()
        elif key == "Neighbor address" and state == "Established":
            yield value.strip(), ""
