"""Mininet link classes: both ends made in place by one netlink message, nothing forked, nothing deleted one by one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from typing import Any

from mininet.link import Intf, Link

from ..errors import LabError, Problem
from ..kernel import Namespace, wire
from .graph import configure, configure_around, forget_plans

Wire = Callable[..., None]

LINK_TYPES: dict[str, Wire] = {"veth": wire}
"""Link types by name: each makes both ends, in their namespaces, under their final names."""


class LabIntf(Intf):  # type: ignore[misc]
    """A port of a node. ``ip`` (a CIDR, a list, or ``"none"``), ``vrf`` and ``mtu`` are its part of the lab."""

    def config(self, **params: Any) -> dict[str, Any]:
        """Nothing yet: the node applies everything at once when it starts."""
        self.up = True
        return {}

    def setIP(self, ipstr: str, prefixLen: int | None = None) -> str:  # noqa: N802, N803
        """Give the port this address instead of the one it has; the lab around it is planned anew."""
        self.params["ip"] = ipstr if "/" in ipstr else f"{ipstr}/{prefixLen or 8}"
        return self._changed()

    def setMAC(self, macstr: str) -> str:  # noqa: N802
        self.mac = macstr
        process = self.node.popen(["ip", "link", "set", self.name, "address", macstr])
        return str(process.communicate()[1].decode())

    def updateIP(self) -> str | None:  # noqa: N802
        return self.ip  # type: ignore[no-any-return]

    def updateMAC(self) -> str | None:  # noqa: N802
        return self.mac

    def updateAddr(self) -> tuple[str | None, str | None]:  # noqa: N802
        return self.ip, self.mac

    def isUp(self, setUp: bool = False) -> bool:  # noqa: N802
        if setUp:
            self.ifconfig("up")
        return bool(self.up)

    def ifconfig(self, *args: str) -> str:
        """``up`` and ``down`` by netlink; anything else goes to ifconfig(8) in the node."""
        if args not in (("up",), ("down",)):
            return str(super().ifconfig(*args))
        self.up = args == ("up",)
        self.node.namespace.set_up(self.name, self.up)
        return self._changed()  # the kernel dropped the port's routes with it: the plan writes them again

    def status(self) -> str:
        return "OK" if self.name in self.node.namespace.ports() else "MISSING"

    def delete(self) -> None:
        if self.name in self.node.namespace.ports():
            self.node.namespace.delete_port(self.name)
        self.node.delIntf(self)
        self.link = None

    def _changed(self) -> str:
        forget_plans()
        if self.node.configured:
            configure(self.node)
        return ""


class MPLSLink(Link):  # type: ignore[misc]
    """A link of a lab: ``addLink(a, b, cls=MPLSLink, params1={"ip": …, "vrf": …, "mtu": …}, params2=…)``.

    ``type`` names one of LINK_TYPES. Both ends appear in their nodes under their final names; a link added to a
    running net is planned and applied at once.
    """

    def __init__(self, node1: Any, node2: Any, type: str = "veth", **params: Any) -> None:
        if type not in LINK_TYPES:
            known = ", ".join(sorted(LINK_TYPES))
            raise LabError([Problem(f"{node1}-{node2}", f"link type {type!r} is not one of: {known}")])
        self.type = type
        params.update(cls1=LabIntf, cls2=LabIntf, fast=True)
        params.pop("intf", None)
        super().__init__(node1, node2, **params)
        self._settle()

    def makeIntfPair(  # noqa: N802
        self,
        intfname1: str,
        intfname2: str,
        addr1: str | None = None,
        addr2: str | None = None,
        node1: Any = None,
        node2: Any = None,
        deleteIntfs: bool = True,  # noqa: N803
    ) -> None:
        check_port_name(node1.name, intfname1)
        check_port_name(node2.name, intfname2)
        with namespace_of(node1) as a, namespace_of(node2) as b:
            LINK_TYPES[self.type](a, intfname1, b, intfname2, a_mac=addr1, b_mac=addr2)

    def delete(self) -> None:
        nodes = self.intf1.node, self.intf2.node
        super().delete()
        self._settle(*nodes)

    def stop(self) -> None:
        """The namespaces' end takes the link along: deleting links one by one costs 41 ms each."""

    def _settle(self, *nodes: Any) -> None:
        """The lab has another shape now: forget its plan, and apply the new one where nodes are running."""
        forget_plans()
        for node in nodes or (self.intf1.node, self.intf2.node):
            configure_around(node)


def check_port_name(node: str, name: str) -> None:
    """Raises LabError for a name that the kernel would refuse (IFNAMSIZ: 15 bytes and a NUL)."""
    if len(name.encode()) > 15:
        text = f"interface name {name!r} has {len(name.encode())} bytes, the kernel takes 15: give intfName1/intfName2"
        raise LabError([Problem(f"nodes.{node}", text)])


class _Borrowed:
    """Our node's namespace as it is, anybody else's opened by the pid of its shell and closed again."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.opened: closing[Namespace] | None = None

    def __enter__(self) -> Namespace:
        if hasattr(self.node, "namespace"):
            return self.node.namespace  # type: ignore[no-any-return]
        self.opened = closing(Namespace.open(f"/proc/{self.node.pid or os.getpid()}/ns/net"))
        return self.opened.__enter__()

    def __exit__(self, *error: Any) -> None:
        if self.opened:
            self.opened.__exit__(*error)


namespace_of = _Borrowed
