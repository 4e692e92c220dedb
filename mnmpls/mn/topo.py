"""Topologies: write one as any Mininet Topo with our node and link classes, or make one of any lab file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mininet.topo import Topo

from ..model import NO_LOOPBACK, Lab, Link, Node, Port
from ..plan import complete
from ..plan.foreign import stood_in_for
from ..processes import require_exec_allowed
from ..sources import load
from ..sources.impairments import impairment_data
from ..sources.protocols import igp_data, labels_data, vpn_data
from ..sources.to_data import dummy_data, evpn_data, link_data, own_data, rule_data, targets_data
from .graph import SETTINGS
from .links import MPLSLink
from .nodes import ROLE_CLASSES


class LabTopo(Topo):  # type: ignore[misc]
    """The Topo of a Lab: ``LabTopo(lab)``, or ``LabTopo("lab.yml")`` for a lab file.

    Nodes and links keep the order in which they were added, where Mininet sorts them by name: it decides by which of
    its addresses a node is known, and has to be the same in every runtime.
    """

    def __init__(self, *args: Any, **params: Any) -> None:
        self._written: dict[tuple[str, str, Any], None] = {}
        super().__init__(*args, **params)

    def build(self, lab: Lab | str) -> None:
        """Raises CheckFailed for a lab file whose nodes have command lines, unless MNMPLS_ALLOW_EXEC=1."""
        if isinstance(lab, str):
            lab = load(lab)
            lines = ((node.name, line) for node in lab.nodes for line in node.exec)
            require_exec_allowed(lines, os.environ.get("MNMPLS_ALLOW_EXEC") == "1")
        self.add_lab(lab)

    def add_lab(self, lab: Lab) -> None:
        """Add every node and link of ``lab``, with what was planned for it. Raises LabError."""
        lab = complete(lab)
        stood_in_for(lab)
        self.lab_name = lab.name
        for node in lab.nodes:
            made_by = {"igp": igp_data(lab.igp), "labels": labels_data(lab.labels), "vpn": vpn_data(lab.vpn)}
            evpns = {evpn.name: evpn_data(evpn) for evpn in lab.evpns}
            of_lab = {"platform_labels": lab.platform_labels, "ttl": lab.ttl, "evpns": evpns, **made_by}
            extra = of_lab if node.role in ("p", "pe") else {}
            lsps = [lsp for lsp in lab.lsps if lsp.ends[0] == node.name]
            self.addHost(node.name, cls=ROLE_CLASSES[node.role], lsps=lsps, **_node_params(node), **extra)
        for link in lab.links:
            self._add(link)

    def addLink(self, node1: str, node2: str, *args: Any, **params: Any) -> Any:  # noqa: N802
        key = super().addLink(node1, node2, *args, **params)
        self._written[node1, node2, key] = None
        return key

    def nodes(self, sort: bool = True) -> list[str]:
        return list(self.g.nodes())

    def iterLinks(self, withKeys: bool = False, withInfo: bool = False) -> Iterator[tuple[Any, ...]]:  # noqa: N802, N803
        for a, b, key in self._written:
            yield a, b, *((key,) if withKeys else ()), *((self.linkInfo(a, b, key),) if withInfo else ())

    def links(self, sort: bool = False, withKeys: bool = False, withInfo: bool = False) -> list[Any]:  # noqa: N803
        return list(self.iterLinks(withKeys, withInfo))

    def _add(self, link: Link) -> None:
        names = {f"intfName{n}": port.name for n, port in enumerate(link.ports, 1)}
        params = {f"params{n}": _port_params(port) for n, port in enumerate(link.ports, 1)}
        macs = {f"addr{n}": port.mac for n, port in enumerate(link.ports, 1) if port.mac}
        told = {key: value for key, value in link_data(link).items() if key not in ("a", "b")}
        settings = {given: told[key] for given, key in SETTINGS.items() if key in told}
        self.addLink(link.a.node, link.b.node, cls=MPLSLink, type=link.type, **names, **params, **macs, **settings)


def _node_params(node: Node) -> dict[str, Any]:
    return {
        "loopback": node.loopbacks or NO_LOOPBACK,
        "vrfs": node.vrfs,
        "main": targets_data(node),
        "rules": [rule_data(rule) for rule in node.rules],
        "dummies": {dummy.name: dummy_data(dummy) for dummy in node.dummies},
        "routes": node.routes,
        "sysctls": dict(node.sysctls),
        "gateway": node.gateway,
        "exec": node.exec,
        "label_range": node.label_range,
        "node_igp": igp_data(node.igp),
        "asn": node.asn,
        "sid": node.sid,
        "daemon": node.daemon,
        **own_data(node),
    }


def _port_params(port: Port) -> dict[str, Any]:
    given = {"ip": list(port.addresses or ()) or "none", "vrf": port.vrf, "evpn": port.evpn, "mtu": port.mtu_bytes,
             **impairment_data(port.impairment)}  # fmt: skip
    return {key: value for key, value in given.items() if value is not None}
