"""Where planned numbers come from: every range this planner takes from, and how it takes.

What the user gave is never taken a second time. Same lab, same numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from itertools import count

LOOPBACKS = (IPv4Network("10.255.0.0/16"),)
"""A /32 on ``lo`` of each p and pe, from 10.255.0.1."""

CORE = (IPv4Network("10.254.0.0/16"),)
"""A /31 (RFC 3021) per wire between routers."""

ACCESS = (IPv4Network("172.16.0.0/12"),)
"""A /31 per wire between a provider's router and a customer's node."""

LANS = (IPv4Network("192.168.0.0/16"), IPv4Network("10.0.0.0/9"))
"""A /24 per customer LAN, 192.168.1.0/24 first. Each VPN counts for itself: customers overlap, as in life."""

CORE6, ACCESS6, LANS6 = (IPv6Network(f"fd00:{kind}::/32") for kind in ("254", "172", "192"))
"""For links that want IPv6: a /127 each (RFC 6164) between two nodes, a /64 on a LAN, no two of a lab alike."""

TABLES = range(10, 2**31, 10)
"""Routing tables of VRFs, per node. 0 and 253 to 255 are the kernel's own (include/uapi/linux/rtnetlink.h)."""

RESERVED_TABLES = frozenset({0, 253, 254, 255})

VNIS = range(100, 2**24, 100)
"""Of EVPNs, one each for all of the lab."""

ASN = 65000
"""For route distinguishers and targets ``65000:N``; a private AS number (RFC 6996)."""

FIRST_LABEL, LAST_LABEL = 16, 2**20 - 1
"""0 to 15 are reserved, a label has 20 bits (RFC 3032 2.1)."""

MOST_LABELS = 30
"""That the kernel pushes at once, or puts in the place of one (net/mpls/internal.h, MAX_NEW_LABELS)."""

VPN_LABELS_STEP = 1000
"""Transport labels begin at 16, VPN labels at the next full thousand after them."""

PLATFORM_LABELS = 1048575
"""The most that net.mpls.platform_labels takes: one less than the label space."""

LABEL_TABLES = (10_000, 100_000, 1_000_000, PLATFORM_LABELS)
"""For net.mpls.platform_labels where the lab names none: the first that has twice the labels which any router of the
lab takes in, so that the user may add some by hand. Not the kernel's maximum for all: a table takes 8 bytes a label
(net/mpls/af_mpls.c, resize_platform_label_table), and 8 MiB a router are too much for the guest of a large lab."""

DYNAMIC_LABELS = 100_000
"""The same where daemons allocate labels, from 16 on: FRR's in blocks, one after the other."""

MTU_BYTES = 1500
LOOPBACK_MTU_BYTES = 65536


class PoolEmpty(ValueError):
    """A documented range has no room left."""

    def __init__(self, pools: Sequence[IPv4Network], length: int) -> None:
        self.pools = pools
        names = ", ".join(map(str, pools))
        super().__init__(f"no /{length} is left in {names}, where they are planned; give addresses to some yourself")


def carve(pools: Sequence[IPv4Network], lengths: Iterable[int], taken: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """For each prefix length the next subnet of the pools, in order, that overlaps nothing in ``taken``.
    Raises PoolEmpty."""
    starts, ends = _merged(taken)
    rest = iter(pools)
    pool = next(rest)
    cursor = int(pool.network_address)
    for length in lengths:
        size = 1 << (32 - length)
        while True:
            cursor = -(-cursor // size) * size
            if cursor + size - 1 > int(pool.broadcast_address):
                pool = _next_pool(rest, pools, length)
                cursor = int(pool.network_address)
                continue
            before = bisect_right(starts, cursor + size - 1) - 1
            if before < 0 or ends[before] < cursor:
                break
            cursor = ends[before] + 1
        yield IPv4Network((cursor, length))
        cursor += size


def carve6(pool: IPv6Network, taken: Iterable[IPv6Network]) -> Iterator[IPv6Network]:
    """The pool's /64s that overlap nothing in ``taken``; there are more than a lab has links."""
    starts, ends = _merged(taken)
    for number in count(1):
        first = int(pool.network_address) + (number << 64)
        before = bisect_right(starts, first + (1 << 64) - 1) - 1
        if before < 0 or ends[before] < first:
            yield IPv6Network((first, 64))


def _next_pool(rest: Iterator[IPv4Network], pools: Sequence[IPv4Network], length: int) -> IPv4Network:
    for pool in rest:
        return pool
    raise PoolEmpty(pools, length)


def _merged(taken: Iterable[IPv4Network | IPv6Network]) -> tuple[list[int], list[int]]:
    """First and last addresses of the spans that are taken; spans neither overlap nor stand out of order."""
    starts: list[int] = []
    ends: list[int] = []
    for first, last in sorted({(int(net.network_address), int(net.broadcast_address)) for net in taken}):
        if ends and first <= ends[-1]:
            ends[-1] = max(ends[-1], last)
        else:
            starts.append(first)
            ends.append(last)
    return starts, ends


def label_table(highest: int) -> int:
    """The size of every router's label table, in labels, in a lab whose highest incoming one is ``highest``."""
    return next((size for size in LABEL_TABLES if size >= 2 * (highest + 1)), PLATFORM_LABELS)


def free(numbers: Iterable[int], taken: Collection[int]) -> Iterator[int]:
    """``numbers`` without those that are taken."""
    return (number for number in numbers if number not in taken)


def labels(first: int, taken: Collection[int]) -> Iterator[int]:
    return free(count(first), taken)
