"""A lab from a tree of entries, whatever that was read from. The short forms and the long ones, in YAML::

nodes:
  p: p                                          # only a role
  pe1: {role: pe, loopback: none, vrfs: [red], routes: [{dst: 10.9.0.0/16, via: 2.1.1.2}]}
  pe2: {role: pe, vrfs: {red: {table: 10, rd: 65000:1, rt: 65000:1}}}
  h1: {role: host, exec: iperf -s -D}           # a command line or a list of them
  r1: {role: p, frr: r1/frr.conf}               # or {zebra: r1/zebra.conf, ospfd: r1/ospfd.conf}; bird: FILE
  r2: {role: p, swanctl: r2/swanctl.conf}       # the same for charon
links:
  - [c1h1, br11]                                # everything planned
  - [pe1: 2.1.1.1/30, p: 2.1.1.2/30]            # an address, or a list of them; none: no address
  - [pe1: {port: pe1-c1, ip: 1.1.1.2/30, vrf: red}, c1e1: 1.1.1.1/30]
  - {a: pe1, b: {node: p, port: p-pe1}, type: veth, mtu: 9000}
  - {a: pe1, b: pe2, type: gre, over: [10.1.0.1, 10.2.0.1], key: 7}  # or the name of a link that joins the two
  - {type: dummy, pe1: 10.9.0.1/24}             # leads nowhere: the same as dummies at the node
  - {a: pe1, b: pe2, type: gre, ipsec: transport}  # or ipsec: {mode: udp, cipher: aes-gcm, secret: KEY, rekey: 60}
lsps:
  - {path: [pe1, p, pe2], labels: [101, 111], vrf: red}
  - {ingress: pe1, egress: pe2, fec: 10.9.0.0/16, pop: php, ttl: pipe}
"""

from __future__ import annotations

from dataclasses import replace

import yaml

from ..errors import Problem
from ..model import DUMMY as DUMMY_TYPE
from ..model import ROLES, Dummy, Evpn, Impairment, Lab, Link, Lsp, Node, PolicyRule, Port, StaticRoute, Vrf
from . import ipsec, protocols
from .impairments import impairment, merged
from .keys import DUMMY, EVPN, LAB, LINK, LSP, MAIN, NODE, PORT, ROUTE, RULE, VRF
from .own_configs import own_configs
from .reading import Entries, Notes, is_null, is_text, items, mapping, number, text, texts

END = ("node", *PORT)

WHICH_NODE = "which node is this end at? Write NODE, or NODE: ADDRESS, or {node: NODE, ip: ADDRESS, vrf: VRF, ...}"

SHORTEST = "shortest"
"""At an LSP's path: all shortest ways from its ingress to its egress, as without a path."""

LIKE_EVPNS = "evpns: {NAME: {vni: 100, rt: 65000:100}, ...}"
LIKE_DUMMIES = "dummies: {d0: 10.9.0.1/24}"

NO_ADDRESS = "none"
"""At a port: no address is wanted."""


def read(notes: Notes, root: yaml.Node) -> Lab:
    """The lab at ``root``, with its faults."""
    top = mapping(notes, "", root, LAB)
    entries = [node for _, node in top.listed("links")]
    nodes = _nodes(notes, root, top)
    for entry in filter(_is_dummy, entries):
        nodes = _with_dummy(notes, nodes, entry)
    return Lab(
        name=top.text("name", "lab"),
        nodes=tuple(nodes),
        links=tuple(_links(notes, [entry for entry in entries if not _is_dummy(entry)])),
        lsps=tuple(_lsps(notes, top)),
        ttl=top.text("ttl"),
        platform_labels=top.number("platform_labels"),
        igp=protocols.igp(notes, top.get("igp")),
        labels=protocols.labels(notes, top.get("labels")),
        vpn=protocols.vpn(notes, top.get("vpn")),
        evpns=tuple(_evpns(notes, top.get("evpns"))),
        places=notes.places,
        faults=tuple(notes.problems),
    )


def _nodes(notes: Notes, root: yaml.Node, top: Entries) -> list[Node]:
    if "nodes" not in top and (isinstance(root, yaml.MappingNode) or is_null(root)):
        notes.problems.append(Problem("nodes", "a lab needs nodes, such as nodes: {h1: host, h2: host}", notes.path))
    found = mapping(notes, "nodes", top["nodes"], like="{p1: p, h1: host}") if "nodes" in top else {}
    return [_node(notes, name, node) for name, node in found.items()]


def _node(notes: Notes, name: str, node: yaml.Node) -> Node:
    where = f"nodes.{name}"
    if isinstance(node, yaml.ScalarNode) and not is_null(node):
        return Node(name, text(notes, f"{where}.role", node))
    has = mapping(notes, where, node, NODE)
    if "role" not in has and (isinstance(node, yaml.MappingNode) or is_null(node)):
        notes.fault(where, node, f"{name} has no role: give it one of {', '.join(ROLES)}")
    main = mapping(notes, f"{where}.main", has["main"], MAIN) if "main" in has else None
    imports, exports = _targets(main) if main else ((), ())
    return Node(
        name,
        has.text("role", "host"),
        loopbacks=has.texts("loopback"),
        vrfs=tuple(_vrfs(notes, f"{where}.vrfs", has.get("vrfs"))),
        routes=tuple(_route(notes, path, entry) for path, entry in has.listed("routes")),
        sysctls=tuple(_sysctls(notes, f"{where}.sysctls", has.get("sysctls"))),
        gateway=has.text("gateway"),
        exec=has.texts("exec"),
        label_range=has.text("label_range"),
        imports=imports,
        exports=exports,
        rules=tuple(_rule(notes, path, entry) for path, entry in has.listed("rules")),
        dummies=tuple(_dummies(notes, f"{where}.dummies", has.get("dummies"))),
        igp=protocols.igp_of_node(notes, f"{where}.igp", has.get("igp")),
        asn=has.number("asn"),
        sid=has.number("sid"),
        own=tuple(own_configs(has)),
        daemon=has.text("daemon"),
    )


def _dummies(notes: Notes, where: str, node: yaml.Node | None) -> list[Dummy]:
    found = {} if node is None else mapping(notes, where, node, like="{d0: 10.9.0.1/24}")
    return [_dummy(notes, f"{where}.{name}", name, entry) for name, entry in found.items()]


def _dummy(notes: Notes, where: str, name: str, node: yaml.Node) -> Dummy:
    """``ADDRESS``, a list of them, or a mapping."""
    if not isinstance(node, yaml.MappingNode):
        return Dummy(name, texts(notes, f"{where}.ip", node))
    has = mapping(notes, where, node, DUMMY)
    vrf = _vrf_of_port(has)
    return Dummy(name, has.texts("ip"), vrf, has.number("mtu"))


def _vrfs(notes: Notes, where: str, node: yaml.Node | None) -> list[Vrf]:
    if node is None:
        return []
    if not isinstance(node, yaml.MappingNode):
        return [Vrf(name) for path, entry in items(notes, where, node) if (name := _bare(notes, path, entry))]
    return [_vrf(notes, f"{where}.{name}", name, entry) for name, entry in mapping(notes, where, node).items()]


def _bare(notes: Notes, where: str, node: yaml.Node, like: str = "vrfs: {NAME: {table: 10, rt: 65000:1}, ...}") -> str:
    kind = like.partition("s:")[0].upper()
    if isinstance(node, yaml.MappingNode):
        notes.fault(where, node, f"{kind}s with settings are no list: write {like}")
        return ""
    name = text(notes, where, node)
    if isinstance(node, yaml.ScalarNode) and not name:
        notes.fault(where, node, f"{'an' if kind == 'EVPN' else 'a'} {kind} needs a name")
    return name


def _evpns(notes: Notes, node: yaml.Node | None) -> list[Evpn]:
    if node is None:
        return []
    if not isinstance(node, yaml.MappingNode):
        each = ((path, _bare(notes, path, entry, LIKE_EVPNS)) for path, entry in items(notes, "evpns", node))
        return [Evpn(name) for _, name in each if name]
    return [_evpn(notes, f"evpns.{name}", name, entry) for name, entry in mapping(notes, "evpns", node).items()]


def _evpn(notes: Notes, where: str, name: str, node: yaml.Node) -> Evpn:
    has = mapping(notes, where, node, EVPN)
    imports, exports = _targets(has)
    vni, mtu = map(has.number, ("vni", "mtu"))
    vrf = _vrf_of_port(has)
    return Evpn(name, vni, imports, exports, mtu, vrf, has.texts("gateway"))


def _vrf(notes: Notes, where: str, name: str, node: yaml.Node) -> Vrf:
    has = mapping(notes, where, node, VRF)
    imports, exports = _targets(has)
    rd = has.text("rd") or None
    loopbacks = has.texts("loopback")
    table, vni = map(has.number, ("table", "vni"))
    return Vrf(name, table, rd, imports, exports, loopbacks, vni)


def _targets(has: Entries) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Route targets: those imported, those exported."""
    both, imports, exports = map(has.texts, ("rt", "import", "export"))
    return both + imports, both + exports


def _route(notes: Notes, where: str, node: yaml.Node) -> StaticRoute:
    has = mapping(notes, where, node, ROUTE)
    if "label" not in has:
        has.require(node, dst="a prefix, or default")
    return StaticRoute(
        dst=has.text("dst"),
        via=has.text("via"),
        port=has.text("port"),
        labels=has.numbers("labels"),
        vrf=has.text("vrf") or None,
        label=has.number("label"),
        ttl=has.text("ttl"),
        table=has.number("table"),
    )


def _rule(notes: Notes, where: str, node: yaml.Node) -> PolicyRule:
    has = mapping(notes, where, node, RULE)
    has.require(node, table="where they are looked up", priority="1001 to 32765, lower is first")
    return PolicyRule(
        table=has.number("table") or 0,
        priority=has.number("priority") or 0,
        src=has.text("from"),
        iif=has.text("iif"),
        fwmark=has.number("fwmark"),
    )


def _sysctls(notes: Notes, where: str, node: yaml.Node | None) -> list[tuple[str, str]]:
    has = mapping(notes, where, node) if node is not None else {}
    return [(key, text(notes, f"{where}.{key}", value)) for key, value in has.items()]


def _is_dummy(node: yaml.Node) -> bool:
    entries = node.value if isinstance(node, yaml.MappingNode) else []
    return any(key.value == "type" and is_text(value, DUMMY_TYPE) for key, value in entries)


def _with_dummy(notes: Notes, nodes: list[Node], entry: yaml.Node) -> list[Node]:
    """``{type: dummy, NODE: ADDRESS}`` among the links, which is a dummy of that node."""
    has = mapping(notes, "links", entry)
    name, ends = text(notes, "links", has.get("name")), {key: has[key] for key in has if key not in ("type", "name")}
    node = next((each for each in nodes if each.name in ends), None)
    if len(ends) != 1 or node is None:
        wrong = f"there is no node {next(iter(ends))!r}" if len(ends) == 1 else "a dummy has one end"
        notes.fault("links", entry, f"{wrong}: write {{type: dummy, NODE: ADDRESS}}, or at the node {LIKE_DUMMIES}")
        return nodes
    taken = {dummy.name for dummy in node.dummies} | {vrf.name for vrf in node.vrfs}
    name = name or next(f"d{n}" for n in range(len(taken) + 1) if f"d{n}" not in taken)
    where = f"nodes.{node.name}.dummies.{name}"
    notes.at(where, entry)
    made = replace(node, dummies=(*node.dummies, _dummy(notes, where, name, ends[node.name])))
    return [made if each is node else each for each in nodes]


def _links(notes: Notes, entries: list[yaml.Node]) -> list[Link]:
    for i, entry in enumerate(entries):  # whose numbers do not count dummies
        notes.places.pop(f"links[{i}]", None)
        notes.at(f"links[{i}]", entry)
    return [_link(notes, f"links[{i}]", entry) for i, entry in enumerate(entries)]


def _link(notes: Notes, where: str, node: yaml.Node) -> Link:
    if isinstance(node, yaml.SequenceNode) and len(node.value) == 2:
        a, b = node.value
        return Link(_end(notes, f"{where}.a", a, None), _end(notes, f"{where}.b", b, None))
    if not isinstance(node, yaml.MappingNode):
        what = f"{len(node.value)} of them" if isinstance(node, yaml.SequenceNode) else repr(node.value)
        notes.fault(where, node, f"a link is a pair of ends, such as [p1, pe1] or {{a: p1, b: pe1}}; here is {what}")
        return Link(Port(""), Port(""))
    has = mapping(notes, where, node, LINK)
    for side in ("a", "b"):
        if side not in has:
            notes.fault(where, node, f"a link has two ends, and {side} is missing: write {{a: NODE, b: NODE}}")
    mtu = has.number("mtu")
    ends = [_end(notes, f"{where}.{side}", has[side], mtu) if side in has else Port("") for side in ("a", "b")]
    shared = impairment(has)
    if shared != Impairment():
        ends = [replace(end, impairment=merged(end.impairment, shared)) for end in ends]
    limit = has.get("encaplimit")
    return Link(
        ends[0],
        ends[1],
        has.text("type", "veth"),
        has.text("name"),
        has.texts("over"),
        has.number("key"),
        has.number("vni"),
        has.number("ttl"),
        None if is_text(limit, "none") else number(notes, f"{where}.encaplimit", limit),
        has.numbers("versions"),
        has.flag("unnumbered"),
        protocols.igp_of_link(notes, f"{where}.igp", has.get("igp")),
        protocols.routing(notes, f"{where}.routing", has.get("routing")),
        ipsec.ipsec_of_link(notes, f"{where}.ipsec", has.get("ipsec")),
    )


def _end(notes: Notes, where: str, node: yaml.Node, mtu: int | None) -> Port:
    """``NODE``, ``{NODE: address or mapping}`` or ``{node: NODE, ...}``."""
    notes.at(where, node)
    if isinstance(node, yaml.ScalarNode):
        if not node.value:
            notes.fault(where, node, WHICH_NODE)
        return Port(text(notes, where, node), mtu_bytes=mtu)
    if isinstance(node, yaml.MappingNode) and len(node.value) == 1 and node.value[0][0].value not in END:
        name, inner = next(iter(mapping(notes, where, node).items()), ("", node))
        if isinstance(inner, yaml.MappingNode):
            return _port(name, mapping(notes, where, inner, PORT), mtu)
        return Port(name, addresses=_addresses(notes, where, inner), mtu_bytes=mtu)
    has = mapping(notes, where, node, END)
    name = has.text("node")
    if not name:
        notes.fault(where, node, WHICH_NODE)
    return _port(name, has, mtu)


def _port(node: str, has: Entries, mtu: int | None) -> Port:
    own = has.number("mtu")
    return Port(
        node,
        has.text("port"),
        _addresses(has.notes, has.under("ip"), has.get("ip")),
        _vrf_of_port(has),
        mtu if own is None else own,
        has.text("mac") or None,
        impairment(has),
        has.text("evpn") or None,
    )


def _vrf_of_port(has: Entries) -> str | None:
    node = has.get("vrf")
    if isinstance(node, yaml.SequenceNode):
        has.notes.fault(has.under("vrf"), node, "a port is in one VRF at most: give each VRF a link of its own")
        return None
    return has.text("vrf") or None


def _addresses(notes: Notes, where: str, node: yaml.Node | None) -> tuple[str, ...] | None:
    if node is None or is_null(node):
        return None
    found = texts(notes, where, node)
    return () if found == (NO_ADDRESS,) else found


def _lsps(notes: Notes, top: Entries) -> list[Lsp]:
    return [_lsp(notes, where, node) for where, node in top.listed("lsps")]


def _lsp(notes: Notes, where: str, node: yaml.Node) -> Lsp:
    has = mapping(notes, where, node, LSP)
    if not has.keys() & {"ingress", "egress"}:
        has.require(node, path="its routers, or ingress and egress")
    path = has.get("path")
    shortest = isinstance(path, yaml.ScalarNode) and path.value == SHORTEST
    return Lsp(
        () if shortest else has.texts("path"),
        has.numbers("labels"),
        has.text("vrf"),
        has.text("ingress"),
        has.text("egress"),
        has.texts("fec"),
        has.text("pop", "egress"),
        has.text("ttl"),
    )
