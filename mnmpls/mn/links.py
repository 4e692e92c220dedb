"""Mininet link classes: both ends made in place by one netlink message, nothing forked, nothing deleted one by one."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

from mininet.link import Intf, Link

from ..errors import LabError, Problem
from ..kernel import wire
from ..model import DUMMY, LINK_TYPES
from ..sources.impairments import IMPAIRMENTS
from .graph import SETTINGS, configure, forget_plans, namespace_of, plan_around, segment, settle

births = count()
"""Links are planned in the order of their making."""


class LabIntf(Intf):  # type: ignore[misc]
    """A port of a node. ``ip`` (a CIDR, a list, or ``"none"``), ``vrf``, ``evpn`` and ``mtu`` are its part of the lab,
    and so is what TCLink takes: ``bw`` (Mbit/s), ``delay``, ``jitter``, ``loss`` (per cent) and ``max_queue_size``."""

    name: str
    params: dict[str, Any]

    def config(self, mac: str | None = None, ip: str | None = None, **params: Any) -> dict[str, Any]:
        """In a lab that does not run nothing yet: the node applies everything at once when it starts. In a running one
        as Mininet's TCIntf: these impairments in the place of those that the port has. Raises LabError as setIP."""
        if not (getattr(self.node, "configured", False) and hasattr(self.link, "intf2")):  # it is being made
            self.up = True
            return {}
        told = {"mac": mac and self.setMAC(mac), "ip": ip and self.setIP(ip)}
        if set(params) & set(IMPAIRMENTS):
            self._tell({**{key: each for key, each in self.params.items() if key not in IMPAIRMENTS}, **params})
        return {key: each for key, each in told.items() if each is not None}

    def setIP(self, ipstr: str, prefixLen: int | None = None) -> str:  # noqa: N802, N803
        """Give the port this address instead of the one it has. The lab is planned anew: planned addresses across the
        link follow, others stay. Raises LabError, and nothing has changed, where that cannot be."""
        for port in segment(self):
            port.planned = None
        self._tell({**self.params, "ip": ipstr if "/" in ipstr else f"{ipstr}/{prefixLen or 8}"})
        return ""

    def _tell(self, params: dict[str, Any]) -> None:
        before, self.params = self.params, params
        try:
            settle(self.node)
        except LabError:
            self.params = before
            settle(self.node)
            raise

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

    def rename(self, newname: str) -> str:
        """As stock, down while it is done. Raises LabError, and nothing has changed, for what cannot be a name."""
        check_port_name(self.node.name, newname)
        self.ifconfig("down")
        said = self.node.popen(["ip", "link", "set", self.name, "name", newname]).communicate()[1].decode()
        if not said:
            self.node.nameToIntf[newname] = self.node.nameToIntf.pop(self.name)
            self.name = newname
            forget_plans()
        self.ifconfig("up")
        return str(said)

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
        if self.node.configured:
            configure(self.node)  # the kernel dropped the port's routes with it: the plan writes them again
        return ""

    def status(self) -> str:
        return "OK" if self.name in self.node.namespace.ports() else "MISSING"

    def delete(self) -> None:
        if self.name in self.node.namespace.ports():
            self.node.namespace.delete_port(self.name)
        self.node.delIntf(self)
        self.link = None


class MPLSLink(Link):  # type: ignore[misc]
    """A link of a lab: ``addLink(a, b, cls=MPLSLink, params1={"ip": …, "vrf": …, "mtu": …}, params2=…)``.

    ``type`` is a link type of a lab file, and ``name``, ``over``, ``gre_key`` (a lab file's ``key``), ``vni``, ``ttl``,
    ``encaplimit``, ``igp`` and ``ipsec`` are its settings. Both ends of a wire appear in their nodes under their final
    names, a tunnel's when the lab is applied; a link added to a running net is planned and applied at once.
    """

    def __init__(self, node1: Any, node2: Any, type: str = "veth", **params: Any) -> None:
        if type == DUMMY:
            text = "a dummy has no other end, and is no link: give its node dummies={'d0': '10.9.0.1/24'}"
            raise LabError([Problem(f"{node1}-{node2}", text)])
        if type not in LINK_TYPES:
            known = ", ".join(LINK_TYPES)
            raise LabError([Problem(f"{node1}-{node2}", f"link type {type!r} is not one of: {known}")])
        if "key" in params:
            raise LabError([Problem(f"{node1}-{node2}", "Topo.addLink has a key of its own: call GRE's gre_key")])
        if type != "veth" and not all(hasattr(node, "role") for node in (node1, node2)):
            raise LabError([Problem(f"{node1}-{node2}", f"a {type} tunnel needs nodes of ours at both ends")])
        shaped = sorted(set(params) & set(IMPAIRMENTS))
        if shaped and not all(hasattr(node, "role") for node in (node1, node2)):
            text = f"{', '.join(shaped)}: only nodes of ours have shaped links; leave it out, or give cls=TCLink"
            raise LabError([Problem(f"{node1}-{node2}", text)])
        self.born = next(births)
        self.told = {"type": type, **{key: params.pop(given) for given, key in SETTINGS.items() if given in params}}
        shape = {key: params.pop(key) for key in shaped}
        params.update({end: {**shape, **(params.get(end) or {})} for end in ("params1", "params2")} if shape else {})
        params.update(cls1=_port_class(node1), cls2=_port_class(node2), fast=True)
        params.pop("intf", None)
        super().__init__(node1, node2, **params)
        try:
            settle(node1, node2)
        except LabError:
            self.drop()
            settle(node1, node2)
            raise

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
        if self.told["type"] == "veth":
            ends = namespace_of(node1), intfname1, namespace_of(node2), intfname2
            wire(*ends, a_mac=addr1, b_mac=addr2)

    def delete(self) -> None:
        """Takes it away; the lab follows. Raises LabError, and nothing has changed, where that cannot be, as below a
        tunnel that has nothing else to run over."""
        check_without([self])
        nodes = self.intf1.node, self.intf2.node
        self.drop()
        settle(*nodes)

    def drop(self) -> None:
        """Takes both ends away, and leaves the lab as it is."""
        super().delete()

    def stop(self) -> None:
        """The namespaces' end takes the link along: deleting links one by one costs 41 ms each."""


def _port_class(node: Any) -> type[Intf]:
    """Somebody else's node sets its ports up itself, with Mininet's own class."""
    return LabIntf if hasattr(node, "role") else Intf


def check_port_name(node: str, name: str) -> None:
    """Raises LabError for a name that the kernel would refuse (IFNAMSIZ: 15 bytes and a NUL)."""
    if len(name.encode()) > 15:
        text = f"interface name {name!r} has {len(name.encode())} bytes, the kernel takes 15: give intfName1/intfName2"
        raise LabError([Problem(f"nodes.{node}", text)])


def shape(topo: Any, link: type[Link]) -> None:
    """What ``mn --link tc,bw=10`` says of all links holds for those between nodes of ours as well, where they do not
    say otherwise. Raises LabError for what a lab's links do not have."""
    if link.__name__.isidentifier():  # specialClass of mininet.util has put no defaults into its name
        return
    given = inspect.getclosurevars(link.__init__).nonlocals.get("defaults") or {}
    if unknown := sorted(set(given) - set(IMPAIRMENTS)):
        text = f"links of a lab have no {', '.join(unknown)}: there are {', '.join(IMPAIRMENTS)}"
        raise LabError([Problem("--link", text)])
    for a, b, params in topo.links(withInfo=True):
        if all(hasattr(topo.nodeInfo(name).get("cls"), "role") for name in (a, b)):
            params.update({key: value for key, value in given.items() if key not in params})


def check_without(links: Iterable[Any], gone: Any = None) -> None:
    """Raises LabError where a running lab could not go on without these links, and their node ``gone``: nothing has
    changed then."""
    held = [(intf, intf.link) for link in links for intf in (link.intf1, link.intf2)]
    left = [intf.node for intf, _ in held if intf.node is not gone and getattr(intf.node, "configured", False)]
    try:
        for intf, _ in held:
            intf.link = None
        forget_plans()
        for node in left:
            plan_around(node)
    except LabError as error:
        told = (replace(each, text=f"the lab cannot go on without that link: {each.text}") for each in error.problems)
        raise LabError(told) from error
    finally:
        for intf, link in held:
            intf.link = link
        forget_plans()
