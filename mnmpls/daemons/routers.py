"""What the daemons of one router have to know, from the lab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_interface

from ..asking import BIRD
from ..model import DEFAULT_MTU_BYTES, NO_LOOPBACK, STATIC, Lab, Node
from ..plan.graph import ROUTERS, Network, network, via
from ..plan.igp import LEVEL, IgpPort, area_of, igp_ports, outer_ports
from ..plan.segments import SRGB, SRLB, block, index, local_block, segmented, speaks_ipv6
from ..plan.sites import local
from ..plan.spoken import labelled
from ..plan.static import hop, prefix

LENGTHS = {4: 32, 6: 128}

LSP_MTU_BYTES, _LLC_BYTES = 1497, 3
"""isisd's largest link state packet, and what Ethernet adds before it (isisd/isis_constants.h)."""


@dataclass(frozen=True, slots=True)
class CorePort:
    """A port at which the core's routing protocol runs. ``direct``: there is one router at the other end, and no LAN
    between. ``neighbours`` are the others' nodes and, as far as known, their addresses here (IPv4). ``labels``: one of
    them may speak LDP."""

    name: str
    direct: bool
    neighbours: tuple[tuple[str, str], ...]
    area: str
    metric: int
    hello_s: int
    dead_s: int
    bfd: bool
    labels: bool

    @property
    def nodes(self) -> tuple[str, ...]:
        """Of its neighbours."""
        return tuple(dict.fromkeys(node for node, _ in self.neighbours))

    @property
    def lost(self) -> int:
        """So many hellos."""
        return self.dead_s // self.hello_s


@dataclass(frozen=True, slots=True)
class Segments:
    """Segment routing at one router: its blocks of labels, empty where they are FRR's own, and its SIDs."""

    blocks: str
    sids: tuple[Sid, ...]


@dataclass(frozen=True, slots=True)
class Sid:
    """The SID of a prefix of IP version ``version``, and ``flag``, what others are to do with the label of it."""

    version: int
    prefix: str
    index: int
    flag: str


FLAGS = {"": "", "php": "", "egress": " no-php-flag", "explicit-null": " explicit-null"}
"""What FRR calls POPS."""


@dataclass(frozen=True, slots=True)
class Router:
    """A p or pe: its name, its loopbacks' addresses (``v6`` empty for none) and the area of these, its ports in the
    core. ``igp``, ``labels``, ``vpn`` are the lab's protocols, and BIRD has no labels; ``level`` and ``lsp_mtu_bytes``
    are IS-IS's. ``outer`` are ports by which customers are outside VRFs, ``sites`` prefixes behind them. ``segments``
    are None where it has no SID. ``beside`` are the loopbacks, of IPv4 and IPv6, of neighbours that may speak LDP."""

    name: str
    v4: str
    v6: str
    area: str
    ports: tuple[CorePort, ...]
    igp: str
    labels: str
    vpn: str
    level: str
    lsp_mtu_bytes: int
    outer: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    segments: Segments | None = None
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def net(self) -> str:
        """IS-IS's name of it: the area and, as is the custom, the twelve digits of its address (ISO 10589 7.1.4)."""
        digits = "".join(f"{byte:03}" for byte in IPv4Address(self.v4).packed)
        return f"{self.area}.{digits[:4]}.{digits[4:8]}.{digits[8:]}.00"

    def sites_of(self, version: int) -> tuple[str, ...]:
        """Those of one IP version."""
        return tuple(prefix for prefix in self.sites if (":" in prefix) == (version == 6))


def is_stub(lab: Lab, name: str) -> bool:
    """Whether this router of the core asks that nothing go through it: BIRD would drop labels."""
    return lab.node(name).daemon == BIRD and lab.labels.protocol != STATIC


def routers(lab: Lab) -> dict[str, Router]:
    """Those of a completed lab that has daemons for its core; none of others."""
    if lab.igp.protocol == lab.labels.protocol == STATIC:
        return {}
    net = network(lab)
    ports = igp_ports(lab, net)
    mtus = [at.port.mtu_bytes or DEFAULT_MTU_BYTES for some in ports.values() for at in some]
    lsp_mtu = min((LSP_MTU_BYTES, *(mtu - _LLC_BYTES for mtu in mtus)))  # which go over every link
    by_labels = labelled(lab)
    found = (node for node in lab.nodes if node.role in ROUTERS)
    return {
        node.name: Router(
            node.name,
            _address(node, 4),
            _address(node, 6),
            area_of(lab, node),
            tuple(_core_port(net, at) for at in ports[node.name]),
            lab.igp.protocol,
            lab.labels.protocol if _has_labels(net, node.name) else STATIC,
            lab.vpn.protocol,
            lab.igp.level or LEVEL,
            lsp_mtu,
            () if node in by_labels else tuple(port.name for port in outer_ports(net, node)),
            () if node in by_labels else tuple(_sites(net, node)),
            _segments(lab, node),
            tuple(_beside(net, ports[node.name])),
        )
        for node in found
    }


def _beside(net: Network, ports: Iterable[IgpPort]) -> Iterator[tuple[str, str]]:
    names = dict.fromkeys(other.node for at in ports for other in at.others if _has_labels(net, other.node))
    yield from ((_address(net.nodes[name], 4), _address(net.nodes[name], 6)) for name in names)


def _has_labels(net: Network, name: str) -> bool:
    return net.nodes[name].daemon != BIRD


def _core_port(net: Network, at: IgpPort) -> CorePort:
    neighbours = tuple((other.node, via(at.port, other, 4) or "") for other in at.others)
    labels = any(_has_labels(net, other.node) for other in at.others)
    return CorePort(
        at.port.name, len(neighbours) == 1, neighbours, at.area, at.metric, at.hello_s, at.dead_s, at.bfd, labels
    )  # fmt: skip


def _sites(net: Network, node: Node) -> Iterator[str]:
    """What ``node`` has routes for, planned or given, to behind its outer ports."""
    outer = {port.name for port in outer_ports(net, node)}
    given = (route for route in node.routes if route.dst and not (route.vrf or route.table or route.labels))
    found = {**local(net, node, None)[1], **{prefix(route): hop(net, node, route) for route in given}}
    yield from (dst for dst, way in found.items() if way.port in outer)


def _segments(lab: Lab, node: Node) -> Segments | None:
    if node not in segmented(lab):
        return None
    mine, local = block(lab.labels), local_block(lab.labels)
    blocks = f"{mine.start} {mine[-1]}" + (f" local-block {local.start} {local[-1]}" if local != SRLB else "")
    found = ((version, _address(node, version)) for version in ((4, 6) if speaks_ipv6(lab) else (4,)))
    flag = FLAGS[lab.labels.pop]
    sids = (Sid(v, f"{address}/{LENGTHS[v]}", index(lab, node, v), flag) for v, address in found if address)
    return Segments("" if (mine, local) == (SRGB, SRLB) else blocks, tuple(sids))


def _address(node: Node, version: int) -> str:
    """The first of its loopbacks of that IP version."""
    found = (ip_interface(cidr).ip for cidr in node.loopbacks if cidr != NO_LOOPBACK)
    return next((str(address) for address in found if address.version == version), "")
