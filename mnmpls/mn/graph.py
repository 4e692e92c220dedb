"""Mininet's live graph of nodes and links, read as a Lab; its plan; and each node's share applied.

The live graph is the source, a Topo is only one way to make it: scripts with ``net.addHost`` and a running
``py net.addLink(...)`` take the same way. A lab is what is connected: it is found by walking the links from any of
its nodes, so that our classes need nothing from the Mininet object around them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from mininet.node import Switch
from mininet.topo import Topo

from .. import programs
from ..apply import Difference, early
from ..kernel import Namespace
from ..kernel_choice import ensure_kernel
from ..model import Lab, Lsp, StaticRoute, Vrf
from ..plan import complete, records
from ..plan.graph import spread
from ..plan.origins import located
from ..processes import Folders
from ..services import Services, wants_any
from ..sources import from_data
from ..sources.impairments import IMPAIRMENTS
from ..sources.to_data import lsp_data, route_data, vrf_data
from ..state import Port as PortState
from ..state import Record, Route, Sysctl


@dataclass(frozen=True, eq=False)
class Plan:
    """A completed lab and the records of each node."""

    lab: Lab
    records: Mapping[str, frozenset[Record]]

    @cached_property
    def addresses(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """By node and port."""
        found: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in self.records}
        for link in self.lab.links:
            for port in link.ports:
                found[port.node][port.name] = port.addresses or ()
        return found


@dataclass(frozen=True, eq=False)
class Planned:
    """A connected lab: what was planned for it, and its live nodes by name."""

    plan: Plan
    nodes: Mapping[str, Any]

    @property
    def lab(self) -> Lab:
        return self.plan.lab

    @property
    def records(self) -> Mapping[str, frozenset[Record]]:
        return self.plan.records

    @property
    def namespaces(self) -> dict[str, Any]:
        """Of all its nodes, somebody else's too."""
        return {name: namespace_of(node) for name, node in self.nodes.items()}

    @property
    def folders(self) -> Mapping[str, Folders]:
        """Of its nodes that have daemons."""
        services = next((node.daemons for node in self.nodes.values() if _is_ours(node)), None)
        return services.folders if services else {}

    @property
    def off(self) -> frozenset[str]:
        return frozenset(name for name, node in self.nodes.items() if getattr(node, "off", False))


def lab_name(topo: Any) -> str:
    """What a net of this Topo is called among the labs of the machine."""
    return getattr(topo, "lab_name", "") or (type(topo).__name__.lower() if topo else "mininet")


OF_LAB = ("igp", "labels", "vpn", "evpns")
"""Parameters of routers that say something of the whole lab."""
AT_NODES = (
    *("loopback", "vrfs", "main", "rules", "dummies", "routes", "sysctls", "gateway", "label_range", "node_igp", "asn"),
    *("sid", "daemon", "frr", "bird", "swanctl"),
)
AT_PORTS = ("ip", "vrf", "evpn", "mtu", *IMPAIRMENTS)

_End = tuple[str, str, Mapping[str, Any]]
_Told = tuple[Mapping[str, Any], _End, _End]
"""A link's own settings, as a lab file calls them, and its ends."""

_SAME = ("name", "over", "vni", "ttl", "encaplimit", "versions", "unnumbered", "igp", "routing", "ipsec")
SETTINGS = {key: key for key in _SAME} | {"gre_key": "key"}
"""What a link takes beside its type and its ends, and what a lab file calls it. Topo.addLink has a ``key`` already."""

_LAST = float("inf")

_plans: WeakKeyDictionary[Any, Planned] = WeakKeyDictionary()
_fits: WeakSet[Plan] = WeakSet()  # those that this kernel can carry out
_latest: dict[str, Plan] = {}  # one, under the text of what was planned: a Topo's lab is that of its nodes later
_foreseen: dict[str, list[Sysctl]] = {}  # of the nodes that are to be made of the latest Topo
_running: WeakSet[Any] = WeakSet()  # nodes that were configured and not terminated


def forget_plans() -> None:
    """To be called whenever a node, a link or a parameter of one has changed."""
    _plans.clear()


def plan_around(node: Any) -> Planned:
    """The lab that ``node`` is part of, planned. Raises LabError with everything that is wrong with it."""
    if node not in _plans:
        found = sorted(_connected(node), key=lambda each: (getattr(each, "born", _LAST), each.name))
        planned = Planned(_plan(_data_of_nodes(found)), {each.name: each for each in found})
        for each in found:
            _plans[each] = planned
    return _plans[node]


def prepare(topo: Topo) -> None:
    """Plan the lab of a Topo that was not built yet, and find the kernel that it needs. Raises LabError with everything
    that is wrong with it."""
    plan = _plan(_data_of_topo(topo))
    programs.require(plan.lab)
    if plan.records:
        _ensure_fits(plan, lab_name(topo))
    _foreseen.update((name, early(wanted)) for name, wanted in plan.records.items())


def foreseen(node: str) -> list[Sysctl]:
    """What a node that is made of the Topo will be given in any case."""
    return _foreseen.pop(node, [])


def all_made() -> None:
    """Nodes to come are not that Topo's."""
    _foreseen.clear()


def _plan(data: Mapping[str, Any]) -> Plan:
    said = repr(data)
    if said not in _latest:
        lab = complete(from_data(data))
        _latest.clear()
        _latest[said] = Plan(lab, records(lab))
    return _latest[said]


def _ensure_fits(plan: Plan, name: str) -> None:
    """``name`` is what a guest for it is called."""
    if plan not in _fits:
        ensure_kernel(plan.lab, plan.records, name)
        _fits.add(plan)


def configure(node: Any) -> Difference:
    """Plan the lab around ``node`` and make the node match its share. Returns what had to be done."""
    planned = plan_around(node)
    _ensure_fits(planned.plan, planned.lab.name)
    _adopt(node, planned.plan)
    node.configured = True
    _running.add(node)
    if node.off:
        return Difference()
    down = frozenset(intf.name for intf in node.intfList() if not getattr(intf, "up", True))
    with located(planned.lab):
        return node.apply(without_ports(planned.records[node.name], down))  # type: ignore[no-any-return]


def settle(*nodes: Any) -> None:
    """The lab around ``nodes`` has another shape now: its plan is forgotten, and where it runs already, every node of
    it follows."""
    forget_plans()
    for node in nodes if _running else ():
        around = [each for each in _connected(node) if _is_ours(each)]
        if any(each.configured for each in around):
            for each in around:
                configure(each)
            fit_daemons(node)


def fit_daemons(node: Any, report: Callable[[str], None] = lambda _: None) -> Services | None:
    """Have the daemons that the lab around ``node`` asks for; None where it has none and had none. ``report`` hears of
    each that dies. Raises CheckFailed for one that does not start."""
    plan = plan_around(node)
    ours = [each for each in plan.nodes.values() if _is_ours(each)]
    running = list(dict.fromkeys(each.daemons for each in ours if each.daemons))
    if not running and not wants_any(plan.lab):
        return None
    for other in running[1:]:  # labs that have grown together
        other.close()
    services: Services = running[0] if running else Services(ours[0].processes, report)
    for each in ours:
        each.daemons = services
    services.fit(plan.lab, plan.namespaces, plan.off)
    return services


def ended(node: Any) -> None:
    """``node`` is no longer to be configured."""
    node.configured = False
    _running.discard(node)


def without_ports(wanted: frozenset[Record], down: frozenset[str]) -> frozenset[Record]:
    """What can be true while ``down`` ports are down on purpose: the kernel takes no route through them."""

    def keep(record: Record) -> Record | None:
        if isinstance(record, PortState) and record.name in down:
            return replace(record, up=False)
        if isinstance(record, Route) and record.hops:
            hops = tuple(hop for hop in record.hops if hop.port not in down)
            return replace(record, hops=hops) if hops else None
        return record

    return frozenset(kept for record in wanted if (kept := keep(record)) is not None) if down else wanted


_opened: WeakKeyDictionary[Any, Namespace] = WeakKeyDictionary()


def namespace_of(node: Any) -> Namespace:
    """Our node's own; anybody else's is opened by the pid of its shell, and held until let_go."""
    if hasattr(node, "namespace"):
        return node.namespace  # type: ignore[no-any-return]
    if node not in _opened:
        _opened[node] = Namespace.open(f"/proc/{node.pid or os.getpid()}/ns/net")
    return _opened[node]


def let_go(node: Any) -> None:
    """Close what namespace_of opened for a node of somebody else's: it would outlive the node."""
    if node in _opened:
        _opened.pop(node).close()


# The live graph as a Lab


def lab_of(node: Any) -> Lab:
    """The completed lab that ``node`` is part of."""
    return plan_around(node).lab


def _data_of_nodes(nodes: Sequence[Any]) -> Mapping[str, Any]:
    """Live Mininet nodes and the links between them in a lab file's form, with what is open left open."""
    every = {id(intf.link): intf.link for node in nodes for intf in node.intfList() if intf.link}
    links = sorted(every.values(), key=lambda link: getattr(link, "born", _LAST))
    return _data(
        [_live_node(node) for node in nodes],
        [(getattr(link, "told", {"type": "veth"}), _live_end(link.intf1), _live_end(link.intf2)) for link in links],
    )


def _is_ours(node: Any) -> bool:
    return hasattr(node, "role")


def _live_node(node: Any) -> tuple[str, str, Mapping[str, Any]]:
    """Somebody else's node is there too: a switch is a LAN to us, anything else a host that sets itself up."""
    if _is_ours(node):
        return node.name, node.role, node.given
    return node.name, "bridge" if isinstance(node, Switch) else "host", {}


def _live_end(intf: Any) -> _End:
    if _is_ours(intf.node):
        # An address that was planned once stays while the lab changes around it.
        stays = {"ip": list(intf.planned) or "none"} if getattr(intf, "planned", None) is not None else {}
        return intf.node.name, intf.name, {**stays, **intf.params}
    return intf.node.name, intf.name, {"ip": f"{intf.ip}/{intf.prefixLen}" if intf.ip else "none"}


def lab_from_topo(topo: Topo) -> Lab:
    """The Lab of a Topo, with what is open left open."""
    return from_data(_data_of_topo(topo))


def _data_of_topo(topo: Topo) -> Mapping[str, Any]:
    """As of the nodes and links that will be made of it, and in their order: ours, then other people's around them."""
    infos = {name: topo.nodeInfo(name) for name in sorted(topo.nodes(), key=topo.isSwitch)}
    ours = [(name, cls.role, info) for name, info in infos.items() if hasattr(cls := info.get("cls"), "role")]
    every = [info for _, _, info in topo.links(sort=True, withInfo=True)]
    beside: dict[str, list[str]] = {name: [] for name in infos}
    for info in every:
        beside[info["node1"]].append(info["node2"])
        beside[info["node2"]].append(info["node1"])
    own = [name for name, _, _ in ours]
    others = sorted(spread(own, beside)[len(own) :])
    found = {*own, *others}
    nodes = [*ours, *((name, "bridge" if topo.isSwitch(name) else "host", {}) for name in others)]
    return _data(nodes, (_topo_link(info, frozenset(own)) for info in every if info["node1"] in found))


def _topo_link(info: Mapping[str, Any], ours: frozenset[str]) -> _Told:
    def end(n: int) -> _End:
        node = info[f"node{n}"]
        name = info.get(f"intfName{n}") or f"{node}-eth{info[f'port{n}']}"
        own = info.get(f"params{n}") or {}
        return node, name, {**info, **own} if node in ours else {"ip": own.get("ip", "none")}

    told = {key: info[given] for given, key in SETTINGS.items() if given in info}
    return {"type": info.get("type", "veth"), **told}, end(1), end(2)


def _data(nodes: Iterable[tuple[str, str, Mapping[str, Any]]], links: Iterable[_Told]) -> Mapping[str, Any]:
    """Parameters say what a lab file says, so that its reader reads them: one set of rules, and of mistakes."""
    nodes = list(nodes)
    vrfs = {name: tuple(_vrfs(params.get("vrfs"))) for name, role, params in nodes if role == "pe"}
    tables = [params["platform_labels"] for _, _, params in nodes if "platform_labels" in params]
    own = {name: _with_prefix(params["ip"]) for name, _, params in nodes if params.get("ip") is not None}
    lsps = [each for _, _, params in nodes for each in _many(params.get("lsps"))]
    return {
        "name": "mininet",
        "platform_labels": max(tables, key=lambda table: table if isinstance(table, int) else _LAST, default=None),
        "ttl": next((params["ttl"] for _, _, params in nodes if params.get("ttl")), None),
        **{key: next((params[key] for _, _, params in nodes if params.get(key)), None) for key in OF_LAB},
        "nodes": {name: _node(role, params) for name, role, params in nodes},
        "links": [{**told, **_ends(a, b, vrfs, own)} for told, a, b in links],
        "lsps": [lsp_data(each) if isinstance(each, Lsp) else each for each in lsps],
    }


def _with_prefix(ip: Any) -> Any:
    """As Node.setIP in stock Mininet: an address alone, given to a whole node, is one of a /8."""
    return f"{ip}/8" if isinstance(ip, str) and ip.replace(".", "").isdigit() else ip


def _gateway(params: Mapping[str, Any]) -> str:
    """Ours is called ``gateway``; Mininet's ``defaultRoute="via ADDRESS"`` says the same."""
    route = params.get("defaultRoute")
    words = route.split() if isinstance(route, str) else []
    via = words[words.index("via") + 1] if "via" in words[:-1] else ""
    return params.get("gateway") or via


def _node(role: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    routes = [route_data(each) if isinstance(each, StaticRoute) else each for each in _many(params.get("routes"))]
    told = {
        "role": role,
        "loopback": params.get("loopback"),
        "vrfs": _vrfs(params.get("vrfs")),
        "main": params.get("main"),
        "rules": params.get("rules"),
        "dummies": params.get("dummies"),
        "routes": routes or None,
        "sysctls": params.get("sysctls"),
        "gateway": _gateway(params) or None,
        "igp": params.get("node_igp") or None,
        "asn": params.get("asn"),
        "sid": params.get("sid"),
        **{key: params.get(key) or None for key in ("label_range", "daemon", "frr", "bird", "swanctl")},
    }
    return {**_given(told), **_mistyped(params, AT_NODES)}


def _given(told: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in told.items() if value is not None}


def _mistyped(params: Mapping[str, Any], ours: tuple[str, ...]) -> Mapping[str, Any]:
    """Parameters that nearly are one of ours, for the reader to tell; all others are Mininet's own business."""
    return dict.fromkeys(_nearly(tuple(params), ours))


@lru_cache(maxsize=4096)
def _nearly(keys: tuple[str, ...], ours: tuple[str, ...]) -> tuple[str, ...]:
    known = {*ours, *SETTINGS}
    return tuple(key for key in keys if key not in known and get_close_matches(key, ours, 1, 0.65))


def _vrfs(given: Any) -> Any:
    """Names and Vrf values as name -> details; what is neither stays, to be told as wrong."""
    each = _many(given)
    if isinstance(given, Mapping):
        return given
    if not all(isinstance(vrf, (str, Vrf)) for vrf in each):
        return each
    return dict((vrf.name, vrf_data(vrf)) if isinstance(vrf, Vrf) else (vrf, {}) for vrf in each)


def _ends(a: _End, b: _End, vrfs: Mapping[str, tuple[Any, ...]], own: dict[str, Any]) -> Mapping[str, Any]:
    """A VRF given to a link as a whole is that of the end that has it. One that neither has stays, at a PE if there is
    one, to be told as wrong."""
    ends = {"a": a, "b": b}
    pes = [side for side, (node, _, _) in ends.items() if node in vrfs]
    owners = [side for side in pes if ends[side][2].get("vrf") in vrfs[ends[side][0]]]
    return {side: _port(end, own, side in (owners or pes or ends)) for side, end in ends.items()}


def _port(end: _End, own: dict[str, Any], in_vrf: bool) -> Mapping[str, Any]:
    """``own`` holds addresses given to whole nodes, as Mininet has it: each goes to the node's first port."""
    node, name, params = end
    first = own.pop(node, None)
    ip = first if params.get("ip") is None else params["ip"]
    vrf, evpn = (params.get(key) if in_vrf else None for key in ("vrf", "evpn"))
    told = {"node": node, "port": name, "ip": ip, "vrf": vrf, "evpn": evpn, "mtu": params.get("mtu")}
    return {**_given(told), **{key: params[key] for key in IMPAIRMENTS if key in params}, **_mistyped(params, AT_PORTS)}


def _many(given: Any) -> tuple[Any, ...]:
    return () if given is None else tuple(given) if isinstance(given, (list, tuple, set, frozenset)) else (given,)


def _connected(node: Any) -> Iterator[Any]:
    seen, waiting = {node}, [node]
    while waiting:
        here = waiting.pop()
        yield here
        for intf in here.intfList():
            for end in (intf.link.intf1, intf.link.intf2) if intf.link else ():
                if end and end.node not in seen:
                    seen.add(end.node)
                    waiting.append(end.node)


def segment(intf: Any) -> Iterator[Any]:
    """The ports that share a subnet with this one: across its link, and behind bridges."""
    seen, waiting = {intf}, [intf]
    while waiting:
        here = waiting.pop()
        yield here
        ends = {here.link.intf1, here.link.intf2} if here.link else set()
        beside = here.node.intfList() if getattr(here.node, "role", "") == "bridge" else ()
        new = {*ends, *beside} - seen
        seen |= new
        waiting += new


def _adopt(node: Any, plan: Plan) -> None:
    """Let Mininet's own objects know the addresses that were planned (``IP()``, ``dump``, the CLI)."""
    planned = plan.addresses[node.name]
    for intf in node.intfList():
        addresses = intf.planned = planned.get(intf.name, ())
        intf.ip, intf.prefixLen = addresses[0].split("/") if addresses else (None, None)
