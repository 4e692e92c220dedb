"""Mininet node classes that set their own kernel up: LSR, PE, CE, host and LAN bridge.

A node is a network namespace held by a descriptor. Nothing is forked for it: its shell starts when somebody first
asks for it (``node.cmd``, ``node.pid``, an xterm), and every setting goes over netlink.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from itertools import count
from typing import Any

from mininet.node import Node
from mininet.util import moveIntf

from ..apply import Difference, apply
from ..errors import CheckFailed
from ..kernel import Namespace
from ..model import NO_LOOPBACK
from ..processes import Processes
from ..state import Record
from . import switching
from .graph import configure, ended, foreseen, forget_plans, lab_of
from .links import LabIntf, MPLSLink

PROCESSES = Processes()
_births = count()


class _OnFirstUse:
    """An attribute of a Mininet node that exists only once the node's shell runs; reading it starts the shell."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = "_shell_" + name

    def __get__(self, node: Any, owner: type) -> Any:
        if node is None:
            return self
        if node.__dict__.get(self.name) is None:
            node.start_shell_once()
        return node.__dict__.get(self.name)

    def __set__(self, node: Any, value: Any) -> None:
        node.__dict__[self.name] = value


class LabNode(Node):  # type: ignore[misc]
    """What all our nodes share. Give any of them to ``addHost(..., cls=...)``; parameters:

    ``loopback``  a CIDR or a list of them, ``"none"`` for none; planned for routers when left out.
    ``routes``    dicts as in a lab file (``dst`` or ``label``, ``via``, ``port``, ``labels``, ``vrf``, ``ttl``).
    ``dummies``   interfaces that lead nowhere: ``{"d0": "10.9.0.1/24"}``, or ``{"d0": {"ip": …, "vrf": …, "mtu": …}}``.
    ``rules``     policy routing, dicts as in a lab file (``from``, ``iif``, ``fwmark``, ``table``, ``priority``).
    ``sysctls``   a dict.
    ``daemon``    ``"bird"`` for BIRD instead of FRR's daemons.
    ``frr``       your own frr.conf, or a dict of daemons and their files; relative to the current folder.
    ``bird``      your own bird.conf.
    ``swanctl``   your own swanctl.conf.
    ``gateway``   default gateway of a host or CE; found on its link when left out.
    ``vrfs``      (PERouter) names, or a dict of name -> ``{"table": 10, "rd": …, "rt": …, "loopback": …}``.
    ``main``      (PERouter) route targets of the main table, a dict with ``rt``, ``import``, ``export``.
    ``lsps``      label switched paths that start here, dicts as in a lab file (``path``, ``labels``, ``vrf``, …).
    ``label_range``      where planned labels that come in here are from, such as ``"100-199"``.
    ``asn``       (CERouter) autonomous system of one that speaks BGP with its PE.
    ``node_igp``  (routers) ``"none"``, or a dict with ``area`` and ``metric``, for this router alone.
    ``sid``       (routers) the number in segment routing's block of labels.
    ``platform_labels``  size of the label table; given to one router, it is all routers'.
    ``evpns``     LANs that PEs stretch over the core, as in a lab file; given to one router, they are the lab's.
    ``ttl``       ``"uniform"`` or ``"pipe"``; given to one router, it is all routers'.

    ``ip`` is its first port's. Mininet's default one out of 10.0.0.0/8 is not used: addresses belong to links, or are
    planned.
    """

    role = "host"
    ip_is_its_own = False  # an ``ip`` may be what a stock Mininet gave it
    isSetup = True  # noqa: N815  Mininet would fork `which mnexec ifconfig`, and we need neither

    shell = _OnFirstUse()
    pid = _OnFirstUse()
    stdin = _OnFirstUse()
    stdout = _OnFirstUse()
    pollOut = _OnFirstUse()  # noqa: N815 (Mininet's name)

    def __init__(self, name: str, inNamespace: bool = True, **params: Any) -> None:  # noqa: N803
        self.namespace = Namespace.create(foreseen(name))
        self.shell_state = "none"  # none, starting, running, over
        self.configured = self.off = False
        self.applied: frozenset[Record] = frozenset()
        self.processes, self.daemons = PROCESSES, None  # its lab's, once they run
        self.born = next(_births)  # nodes are planned in the order of their making
        forget_plans()
        params.pop("inNamespace", None)
        super().__init__(name, inNamespace=True, **params)

    # The shell, when somebody wants one

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802
        """Called by Mininet for every node; our shell waits for its first use."""

    def start_shell_once(self) -> None:
        """Raises CheckFailed in a node that is turned off."""
        if self.shell_state != "none":
            return
        self._require_on()
        self.shell_state = "starting"
        super().startShell()
        self.shell_state = "running"

    def forget_shell(self) -> None:
        """It has ended; the next use starts another."""
        if self.shell_state == "running":
            super().cleanup()
            self.pid = self.stdin = self.stdout = self.pollOut = None
            self.shell_state = "none"

    def _require_on(self) -> None:
        if self.off:
            raise CheckFailed(f"{self.name} is turned off: `start {self.name}` turns it on")

    def _popen(self, cmd: list[str], **params: Any) -> Any:
        if self.shell_state == "starting" and cmd[0] == "mnexec":
            # Mininet's own command is `mnexec -cdn env PS1=… bash …`: the namespace is made already
            return PROCESSES.spawn(cmd[2:], self.namespace.fd, self._mounts(), **params)
        shell = self.__dict__.get("_shell_pid") if self.shell_state == "running" else None
        return PROCESSES.spawn(cmd, self.namespace.fd, f"/proc/{shell}/ns/mnt" if shell else self._mounts(), **params)

    def _mounts(self) -> str:
        """Where its daemons' files are; nowhere without daemons."""
        found = self.daemons.folders.get(self.name) if self.daemons else None
        return found.mounts if found else ""

    def popen(self, *args: Any, **kwargs: Any) -> Any:
        """A process in the node, without starting its shell for it. Words, one list or one string, as in Mininet;
        ``shell=True`` gives the words to the user's shell."""
        self._require_on()
        given = args[0] if len(args) == 1 else list(args)
        shell = kwargs.pop("shell", False)
        if shell:
            text = given if isinstance(given, str) else " ".join(given)
            words = [os.environ.get("SHELL", "/bin/sh"), "-c", text]
        else:
            words = given.split() if isinstance(given, str) else list(given)
        kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}
        return self._popen([*kwargs.pop("mncmd", ()), *words], **kwargs)

    def cleanup(self) -> None:
        if self.shell_state == "running":
            super().cleanup()
        self.shell_state = "over"

    def terminate(self) -> None:
        if self.shell_state == "running":
            super().terminate()
        self.shell_state = "over"
        ended(self)
        self.namespace.close()

    def __repr__(self) -> str:
        """As stock (``dump``), but it starts no shell: ``pid=0`` says that the node has none yet."""
        ports = ",".join(f"{port.name}:{port.IP()}" for port in self.intfList())
        pid = self.pid if self.shell_state == "running" else 0
        return f"<{type(self).__name__} {self.name}: {ports} pid={pid}> "

    # Set-up

    @property
    def given(self) -> dict[str, Any]:
        """Its parameters, without the ``ip`` 10.x.x.x/8 that a stock Mininet gives to every host."""
        ip = self.params.get("ip")
        default = isinstance(ip, str) and ip.startswith("10.") and ip.endswith("/8") and not self.ip_is_its_own
        return {**self.params, "ip": None} if default else self.params

    def config(self, **_params: Any) -> dict[str, Any]:
        """Mininet calls this at start, when the links are there: plan the lab around this node, apply our share."""
        self.configured = True
        return {"records": len(configure(self).write)}

    def apply(self, wanted: frozenset[Record]) -> Difference:
        """As apply.apply. What a script or its user made in the node by commands stays when the lab changes."""
        self.applied |= wanted
        done = apply(wanted, self.namespace, self.name, self.applied)
        self.applied = wanted
        return done

    def addIntf(  # noqa: N802
        self, intf: Any, port: int | None = None, moveIntfFn: Callable[..., Any] | None = None  # noqa: N803
    ) -> None:
        """As stock; a port of ours is in its node from the beginning."""
        if isinstance(intf, LabIntf):
            super().addIntf(intf, port, lambda *_: None)
        else:
            super().addIntf(intf, port, moveIntfFn or moveIntf)

    def linkTo(self, node: Any, link: Any = MPLSLink) -> Any:  # noqa: N802
        return link(self, node)

    def IP(self, intf: Any = None) -> str | None:  # noqa: N802
        """The loopback's address where there is one, else the first port's that has one; or that of ``intf``."""
        if intf:
            return self.intf(intf).IP()  # type: ignore[no-any-return]
        loopbacks = self.loopbacks()
        if loopbacks:
            return loopbacks[0].split("/")[0]
        return next((port.IP() for port in self.intfList() if port.IP()), None)

    def loopbacks(self) -> tuple[str, ...]:
        planned = lab_of(self).node(self.name).loopbacks if self.intfs else ()
        return tuple(address for address in planned if address != NO_LOOPBACK)


class MPLSRouter(LabNode):
    """An LSR: forwards labelled packets (RFC 3031), has no customers."""

    role = "p"


class PERouter(LabNode):
    """A provider edge router: an LSR with VRFs (RFC 4364)."""

    role = "pe"


class CEHost(LabNode):
    """A customer edge: routes between its site and the PE, knows nothing of labels."""

    role = "ce"


class LabHost(LabNode):
    """An end host with a default gateway."""

    role = "host"


class LANBridge(LabNode):
    """A LAN: a bridge in a namespace of its own, without a process. For ``addHost``, and for ``addSwitch`` or
    ``Mininet(switch=LANBridge)`` where a topology has switches."""

    role = "bridge"

    def start(self, _controllers: Any) -> None:
        """``switch s1 start`` at the prompt; a net that starts has set it up already."""
        if self.off:
            switching.start(self)

    def stop(self, deleteIntfs: bool = True) -> None:  # noqa: N803
        """``switch s1 stop`` at the prompt keeps its ports, and turns it off; a net that ends takes all with it."""
        if not deleteIntfs:
            switching.stop(self)

    def connected(self) -> bool:
        """There is no controller that it could wait for."""
        return True

    def dpctl(self, *_words: str) -> str:
        """Raises CheckFailed."""
        raise CheckFailed(f"{self.name} is a LAN, and no OpenFlow switch: `{self.name} bridge link` shows its ports")


ROLE_CLASSES = {cls.role: cls for cls in (MPLSRouter, PERouter, CEHost, LabHost, LANBridge)}


