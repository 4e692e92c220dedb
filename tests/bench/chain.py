"""The chain that every variant builds: N routers in a row, and what each of them holds in the end.

Between neighbours a wire with IPv4 /31 and IPv6 /127; loopback addresses at both ends; on every router a route to each
end, IPv4 and IPv6; forwarding on, rp_filter off, ``lo`` up. Routes carry protocol 201 in every variant, so that the
same observation verifies them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address
from subprocess import run

from mnmpls.kernel import Namespace
from mnmpls.model import NO_LOOPBACK, Lab, Link, Node, Port, StaticRoute
from mnmpls.plan import complete, records
from mnmpls.state import Record, Sysctl

LOOPBACKS = (("192.168.0.1", "fd01::1"), ("192.168.0.2", "fd01::2"))
FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
ZEROED = ("net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter")
PROTOCOL = 201

_BASES = int(IPv4Address("10.0.0.0")), int(IPv6Address("fd00::"))
_FARTHEST = 250  # hops: the TTL has 8 bits
_SAMPLED = 97


def addresses(number: int) -> tuple[str, str]:
    """IPv4 and IPv6 address of that number; a wire's ends are 2n and 2n+1."""
    return str(IPv4Address(_BASES[0] + number)), str(IPv6Address(_BASES[1] + number))


def name(node: int) -> str:
    return f"r{node}"


def ports(node: int, nodes: int) -> list[tuple[str, int]]:
    """Each port's name and the number of its address."""
    return [*([("e0", 2 * node - 1)] if node else []), *([("e1", 2 * node)] if node < nodes - 1 else [])]


def loopbacks(node: int, nodes: int) -> tuple[str, ...]:
    return LOOPBACKS[0] if node == 0 else LOOPBACKS[1] if node == nodes - 1 else ()


def routes(node: int, nodes: int) -> list[tuple[str, str, str]]:
    """Destination, gateway and port of each."""
    left = zip(LOOPBACKS[0], addresses(2 * node - 2), ("e0", "e0"), strict=True) if node else ()
    right = zip(LOOPBACKS[1], addresses(2 * node + 1), ("e1", "e1"), strict=True) if node < nodes - 1 else ()
    return [*left, *right]


def sysctls(node: int, nodes: int) -> list[tuple[str, str]]:
    zeroed = (*ZEROED, *(f"net.ipv4.conf.{port}.rp_filter" for port, _ in ports(node, nodes)))
    return [*((key, "1") for key in FORWARDING), *((key, "0") for key in zeroed)]


def lab(nodes: int) -> Lab:
    """The chain as a lab: nothing in it is left to the planner."""
    return Lab(
        "chain",
        tuple(_node(node, nodes) for node in range(nodes)),
        tuple(Link(_port(node, "e1", 2 * node), _port(node + 1, "e0", 2 * node + 1)) for node in range(nodes - 1)),
    )


def _node(node: int, nodes: int) -> Node:
    own = tuple(f"{address}/{_host_length(address)}" for address in loopbacks(node, nodes)) or (NO_LOOPBACK,)
    static = tuple(StaticRoute(f"{dst}/{_host_length(dst)}", via, port) for dst, via, port in routes(node, nodes))
    # A host: of customer edges the planner would make every one know every wire.
    return Node(name(node), "host", own, routes=static, sysctls=tuple((key, "1") for key in FORWARDING))


def _port(node: int, port: str, number: int) -> Port:
    return Port(name(node), port, with_length(number))


def with_length(number: int) -> tuple[str, str]:
    ipv4, ipv6 = addresses(number)
    return f"{ipv4}/31", f"{ipv6}/127"


def _host_length(address: str) -> int:
    return 128 if ":" in address else 32


def verify(nodes: int, paths: Sequence[str]) -> str:
    """Says what was looked at; raises SystemExit when a sampled node does not hold exactly what it should, or the
    ends do not reach each other."""
    planned = records(complete(lab(nodes)))
    sampled = sorted({*range(0, nodes, _SAMPLED), 1, nodes - 1})
    for node in sampled:
        _compare(name(node), planned[name(node)], paths[node])
    if nodes > _FARTHEST:
        return f"{len(sampled)} nodes compared"
    with closing(Namespace.open(paths[-1])) as last:
        last.write(*(Sysctl(key, "255") for key in ("net.ipv4.ip_default_ttl", "net.ipv6.conf.e0.hop_limit")))
    for source, target in zip(*LOOPBACKS, strict=True):
        _ping(paths[0], source, target)
    return f"{len(sampled)} nodes compared, end to end pinged"


def _compare(node: str, wanted: frozenset[Record], path: str) -> None:
    with closing(Namespace.open(path)) as namespace:
        found = namespace.observe([each.key for each in wanted if isinstance(each, Sysctl)])
    if found != wanted:
        raise SystemExit(f"{node} lacks {sorted(map(str, wanted - found))} and has {sorted(map(str, found - wanted))}")


def _ping(path: str, source: str, target: str) -> None:
    """Ten tries: where nobody has switched it off, IPv6 waits for duplicate address detection."""
    with closing(Namespace.open(path)) as namespace, namespace.entered():
        command = ["ping", "-c1", "-t255", "-W1", "-I", source, target]
        if not any(run(command, capture_output=True, check=False).returncode == 0 for _ in range(10)):
            raise SystemExit(f"{target} does not answer {source}")
