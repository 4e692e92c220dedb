"""A lab as plain data in the lab file's own form: what ``from_data`` reads back to an equal lab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import LabError
from ..model import FRR_DAEMONS, SWANCTL, Dummy, Evpn, Lab, Link, Lsp, Node, PolicyRule, Port, StaticRoute, Vrf
from .from_tree import NO_ADDRESS
from .impairments import impairment_data
from .ipsec import ipsec_data
from .protocols import igp_data, labels_data, routing_data, vpn_data

Data = dict[str, object]


def data(lab: Lab) -> Data:
    """``lab`` as texts, numbers, lists and dicts, as JSON takes them; what is open is left out. The names of nodes, and
    of one node's VRFs and sysctls, have to differ. Raises LabError for a lab that was not read whole."""
    if lab.faults:
        raise LabError(lab.faults)
    return {
        "name": lab.name,
        **_given(platform_labels=lab.platform_labels, ttl=lab.ttl or None),
        **_given(igp=igp_data(lab.igp), labels=labels_data(lab.labels), vpn=vpn_data(lab.vpn)),
        **_given(evpns={evpn.name: evpn_data(evpn) for evpn in lab.evpns}),
        "nodes": {node.name: _node(node) for node in lab.nodes},
        "links": [link_data(link) for link in lab.links],
        **_given(lsps=[lsp_data(lsp) for lsp in lab.lsps]),
    }


def public(lab: Lab) -> Lab:
    """``lab`` without the keys of its IPsec, and the files that have some: which others may read."""
    bare = (replace(k, ipsec=replace(k.ipsec, secrets=())) if k.ipsec else k for k in lab.links)
    nodes = (replace(n, own=tuple(each for each in n.own if each.daemon != SWANCTL)) for n in lab.nodes)
    return replace(lab, links=tuple(bare), nodes=tuple(nodes))


def _given(**entries: object) -> Data:
    """Those entries that say something."""
    return {key: value for key, value in entries.items() if value is not None and value != [] and value != {}}


def _node(node: Node) -> Data:
    return {
        "role": node.role,
        **_given(
            loopback=list(node.loopbacks),
            vrfs={vrf.name: vrf_data(vrf) for vrf in node.vrfs},
            main=targets_data(node),
            dummies={dummy.name: dummy_data(dummy) for dummy in node.dummies},
            rules=[rule_data(rule) for rule in node.rules],
            routes=[route_data(route) for route in node.routes],
            sysctls=dict(node.sysctls),
            gateway=node.gateway or None,
            label_range=node.label_range or None,
            igp=igp_data(node.igp),
            asn=node.asn,
            sid=node.sid,
            daemon=node.daemon or None,
            **own_data(node),
            exec=list(node.exec),
        ),
    }


def own_data(node: Node) -> Data:
    """Its own configurations, by their texts: a path means something beside one file only."""
    of_frr: Data = {each.daemon: each.text for each in node.own if each.daemon in FRR_DAEMONS}
    return {**_given(frr=of_frr), **{each.daemon: each.text for each in node.own if each.daemon not in of_frr}}


def dummy_data(dummy: Dummy) -> Data:
    return _given(ip=list(dummy.addresses), vrf=dummy.vrf, mtu=dummy.mtu_bytes)


def vrf_data(vrf: Vrf) -> Data:
    return _given(table=vrf.table, rd=vrf.rd, **targets_data(vrf), loopback=list(vrf.loopbacks), vni=vrf.vni)


def evpn_data(evpn: Evpn) -> Data:
    routed = _given(vrf=evpn.vrf, gateway=list(evpn.gateway))
    return {**_given(vni=evpn.vni, **targets_data(evpn), mtu=evpn.mtu_bytes), **routed}


def targets_data(has: Vrf | Node | Evpn) -> Data:
    """Route targets, of a VRF, an EVPN or a node's main table."""
    apart: Mapping[str, object] = {"import": list(has.imports), "export": list(has.exports)}
    return _given(**({"rt": list(has.imports)} if has.imports == has.exports else apart))


def route_data(route: StaticRoute) -> Data:
    return _given(
        dst=route.dst or None,
        label=route.label,
        via=route.via or None,
        port=route.port or None,
        labels=list(route.labels),
        vrf=route.vrf,
        ttl=_ttl(route.ttl),
        table=route.table,
    )


def rule_data(rule: PolicyRule) -> Data:
    selected = _given(**{"from": rule.src or None}, iif=rule.iif or None, fwmark=rule.fwmark)
    return {**selected, "table": rule.table, "priority": rule.priority}


def link_data(link: Link) -> Data:
    kind = {} if link.type == "veth" else {"type": link.type}
    return {
        "a": _end(link.a),
        "b": _end(link.b),
        **kind,
        **_given(
            name=link.name or None,
            over=list(link.over),
            key=link.key,
            vni=link.vni,
            ttl=link.ttl,
            encaplimit=link.encap_limit,
            versions=list(link.versions),
            unnumbered=link.unnumbered or None,
            igp=igp_data(link.igp),
            routing=routing_data(link.routing),
            ipsec=ipsec_data(link.ipsec),
        ),
    }


def _end(port: Port) -> Data:
    """The long form: in the short one a node named like a key would not be known from it."""
    addresses = NO_ADDRESS if port.addresses == () else port.addresses and list(port.addresses)
    return {
        "node": port.node,
        **_given(port=port.name or None, ip=addresses, vrf=port.vrf, evpn=port.evpn, mtu=port.mtu_bytes, mac=port.mac),
        **_given(**impairment_data(port.impairment)),
    }


def _ttl(ttl: str) -> str | int | None:
    """A word, or a number as such."""
    return int(ttl) if ttl.isascii() and ttl.isdigit() and str(int(ttl)) == ttl else ttl or None


def lsp_data(lsp: Lsp) -> Data:
    path = {} if not lsp.path and (lsp.ingress or lsp.egress) else {"path": list(lsp.path)}
    return {
        **path,
        **_given(
            ingress=lsp.ingress or None,
            egress=lsp.egress or None,
            labels=list(lsp.labels),
            vrf=lsp.vrf or None,
            fec=list(lsp.fec),
            pop=None if lsp.pop == "egress" else lsp.pop,
            ttl=_ttl(lsp.ttl),
        ),
    }
