"""What those who write Containerlab topologies say in their own ways: a daemon's configuration as a bind, addresses and
the default route in command lines, a port by its vendor's name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, ip_interface

from ..model import FRR, FRR_DAEMONS, SWANCTL
from ..state import RTPROT_MNMPLS

_FRR_FOLDER = "/etc/frr"
_WHOLE = {
    f"{_FRR_FOLDER}/{FRR}.conf": FRR,
    "/etc/bird/bird.conf": "bird",
    "/etc/bird.conf": "bird",
    "/etc/swanctl/swanctl.conf": SWANCTL,
}
"""Where a daemon looks for its configuration, and the node's key for that."""
_EACH = {f"{_FRR_FOLDER}/{daemon}.conf": daemon for daemon in FRR_DAEMONS}

_OURS = f" proto {RTPROT_MNMPLS}"
"""By which a route is the one that the plan has."""
_VERB = r"(?P<verb>a(?:d(?:d)?)?|replace)"
_ADDRESS = re.compile(
    rf"\bip\s+(?:-\S+\s+)*a(?:d(?:d(?:r(?:e(?:s(?:s)?)?)?)?)?)?\s+{_VERB}\s+(?P<rest>[^&;|\n'\"]+)"
)
_DEFAULT = re.compile(
    rf"\bip\s+(?:-\S+\s+)*r(?:o(?:u(?:t(?:e)?)?)?)?\s+{_VERB}\s+default\s+via\s+(?P<gateway>[^\s&;|'\"]+)(?:{_OURS})?"
)
"""Words cut short as ip(8) takes them."""


def magic(text: str, node: str, lab: str, folder: str) -> str:
    """``text`` with Containerlab's words for a node's own things put in; ``folder`` is the topology's."""
    made = os.path.join(folder, f"clab-{lab}")
    words = {
        "__clabNodeName__": node, "__clabLabName__": lab, "__clabDir__": made,
        "__clabNodeDir__": os.path.join(made, node),
    }  # fmt: skip
    for word, meant in words.items():
        text = text.replace(word, meant)
    return text


def bound_configs(binds: Iterable[str], folder: str) -> Mapping[str, str | Mapping[str, str]]:
    """The node's keys for the configurations that ``binds`` put where FRR, BIRD or charon look for them, relative to
    the topology's ``folder``: a file each, or one for each of FRR's daemons."""
    found: dict[str, str | Mapping[str, str]] = {}
    each: dict[str, str] = {}
    for source, target in _files(binds, folder):
        if target in _WHOLE:
            found[_WHOLE[target]] = source
        elif target in _EACH:
            each[_EACH[target]] = source
    return {FRR: each, **found} if each else found  # where there is an integrated one, FRR reads no other


def _files(binds: Iterable[str], folder: str) -> Iterator[tuple[str, str]]:
    """(source, target) of each that may be a configuration; of a bound folder, what is in it."""
    for bind in binds:
        source, _, rest = bind.partition(":")
        target = rest.partition(":")[0].rstrip("/")
        inside = {os.path.basename(path) for path in (*_WHOLE, *_EACH) if os.path.dirname(path) == target}
        if source and inside:
            here = os.path.join(folder, source)
            there = (name for name in sorted(inside) if os.path.exists(os.path.join(here, name)))
            yield from ((os.path.join(source, name), f"{target}/{name}") for name in there)
        elif source:
            yield source, target


def told_addresses(line: str) -> Iterator[tuple[str, str]]:
    """(interface, address) of each ``ip address add`` in a command line, a shell's script too."""
    for found in _ADDRESS.finditer(line):
        words = found["rest"].split()
        device = next((after for word, after in zip(words, words[1:], strict=False) if word == "dev"), "")
        address = next(filter(_is_address, words), "")
        if device and address:
            yield device, address


def told_gateways(line: str) -> Iterator[str]:
    """That of each default route which a command line adds."""
    yield from (found["gateway"] for found in _DEFAULT.finditer(line))


def is_near(gateway: str, addresses: Iterable[str]) -> bool:
    """Whether ``gateway`` is an IPv4 address in the subnet of one of ``addresses``."""
    try:
        return any(IPv4Address(gateway) in ip_interface(each).network for each in addresses)
    except ValueError:
        return False


def is_single(address: str) -> bool:
    network = ip_interface(address).network
    return network.prefixlen == network.max_prefixlen


def again(line: str) -> str:
    """``line`` such that it changes nothing where that is so already: whoever reads the topology sets it, too."""
    line = _ADDRESS.sub(lambda found: _replaced(found) if [*told_addresses(found[0])] else found[0], line)
    return _DEFAULT.sub(lambda found: f"{_replaced(found).removesuffix(_OURS)}{_OURS}", line)


def _replaced(found: re.Match[str]) -> str:
    start, end = (place - found.start() for place in found.span("verb"))
    return f"{found[0][:start]}replace{found[0][end:]}"


def _is_address(word: str) -> bool:
    try:
        return "/" in word and bool(ip_interface(word))
    except ValueError:
        return False


_LONGEST_NAME = 15


def linux_name(port: str) -> str:
    """A port as its vendor calls it, by a name that a kernel takes: ``ethernet-1/2`` is ``e1-2``."""
    if re.fullmatch(r"[A-Za-z0-9_.-]+", port) and len(port) <= _LONGEST_NAME:
        return port
    number = re.search(r"\d.*", port)
    return f"e{number[0]}".replace("/", "-") if number else port
