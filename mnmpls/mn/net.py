"""Mininet with labs in it: no controller, no switch, no process per node, no clean-up by name."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from copy import copy
from functools import partial
from itertools import permutations
from typing import Any
from weakref import WeakSet

import mininet.net as stock
from mininet.log import error, info, output, warn
from mininet.node import findController
from mininet.term import makeTerms

from ..checks import intent, reach
from ..checks.ready import await_reach
from ..errors import CheckFailed, LabError, MnmplsError, Problem
from ..kernel_choice import ensure_root
from ..live.serving import Door
from ..phases import mark, uncollected
from ..processes import run_lines
from . import iperf
from .graph import Planned, all_made, fit_daemons, let_go, plan_around, prepare, settle
from .links import MPLSLink, births, check_without, shape
from .nodes import PROCESSES
from .offer import offer

DAEMONS_S = 60.0
"""How long routing daemons may take until everybody reaches whom the lab means to."""

LIVE: WeakSet[Mininet] = WeakSet()
"""The nets of this process that were not stopped yet."""


class Mininet(stock.Mininet):  # type: ignore[misc]
    """Stock Mininet in every call; what differs is said in the methods below."""

    def __init__(self, topo: Any = None, **options: Any) -> None:
        self.terms: list[Any] = []
        self.offered: Door | None = None
        ensure_root()
        _raise_own_limits()
        stock.Mininet.inited = True
        topo = topo and classed(topo, options.get("host"), options.get("switch"))
        if topo and not _others(topo):
            options.update(controller=None, waitConnected=False)  # there is nobody to control or to wait for
        options.setdefault("controller", _installed)
        LIVE.add(self)
        try:
            super().__init__(topo=topo, **options)
        except BaseException:
            self.stop()
            raise

    # Making

    def build(self) -> None:
        """As stock; before a node exists, find the kernel that the Topo's lab needs."""
        with uncollected():
            if self.topo:
                shape(self.topo, self.link)
                prepare(self.topo)
            mark("Python and Mininet started, lab planned")
            try:
                super().build()
            finally:
                all_made()
        self._run_daemons()
        for node in self.lab_nodes():
            run_lines(node.name, node.params.get("exec", ()), node.popen)
        self.offered = offer(self)

    def _run_daemons(self) -> None:
        """Start them, and wait until everybody reaches whom the lab means to."""
        for plan in self.planned():
            services = fit_daemons(next(iter(plan.nodes.values())), lambda text: error(f"*** {text}\n"))
            if services:
                info("*** Waiting for the routing daemons\n")
                said = await_reach(plan.lab, plan.namespaces, plan.folders, DAEMONS_S, lambda text: info(f"{text}\n"))
                if said:
                    error(f"*** {plan.lab.name} is up, but {said}\n")

    def buildFromTopo(self, topo: Any = None) -> None:  # noqa: N802
        """As stock, without a word about switches and controllers where there are none but LANs of ours."""
        topo = classed(topo, self.host, self.switch) if topo else self.topo
        if _others(topo):
            super().buildFromTopo(topo)
            return
        info("*** Creating network\n*** Adding hosts:\n")
        for name in (*topo.hosts(), *topo.switches()):
            (self.addSwitch if topo.isSwitch(name) else self.addHost)(name, **topo.nodeInfo(name))
            info(f"{name} ")
        info("\n*** Adding links:\n")
        for a, b, params in topo.links(sort=True, withInfo=True):
            self.addLink(**params)
            info(f"({a}, {b}) ")
        info("\n")

    def addHost(self, name: str, cls: Any = None, **params: Any) -> Any:  # noqa: N802
        """As stock, but a node of ours gets no address out of 10.0.0.0/8."""
        check_node_name(name, self)
        cls, params = _spelt_out(cls or self.host, params)
        if not hasattr(cls, "role"):
            return super().addHost(name, cls, **params)
        node = self.nameToNode[name] = cls(name, **params)
        node.ip_is_its_own = True
        self.hosts.append(node)
        return node

    def addSwitch(self, name: str, cls: Any = None, **params: Any) -> Any:  # noqa: N802
        """As stock. Raises LabError for a node of ours that is no LAN."""
        check_node_name(name, self)
        cls, params = _spelt_out(cls or self.switch, params)
        if not hasattr(cls, "role"):
            return super().addSwitch(name, cls, **params)
        if cls.role != "bridge":
            text = f"{cls.__name__} is no switch: give LANBridge, or call addHost for a node of another role"
            raise LabError([Problem(f"nodes.{name}", text)])
        node = self.nameToNode[name] = cls(name, **params)
        node.portBase = 1  # as Switch has it, and Topo for what it calls one: s1-eth1 is the first
        self.switches.append(node)
        return node

    def addLink(  # noqa: N802
        self, node1: Any, node2: Any, port1: int | None = None, port2: int | None = None, cls: Any = None, **params: Any
    ) -> Any:
        """As stock; where a node of ours is at an end, the default class is MPLSLink."""
        ends = [self[node] if isinstance(node, str) else node for node in (node1, node2)]
        if cls is None and any(hasattr(node, "role") for node in ends):
            cls = MPLSLink
        elif any(hasattr(node, "role") for node in ends) and not issubclass(cls or self.link, MPLSLink):
            params.setdefault("fast", False)  # fast: a shell in one node names the other by its pid, unknown in there
        link = super().addLink(*ends, port1, port2, cls, **params)
        if not isinstance(link, MPLSLink):
            link.born = next(births)
            settle(*(node for node in ends if hasattr(node, "role")))
        return link

    def delNode(self, node: Any, nodes: Any = None) -> None:  # noqa: N802
        """As stock, its links with it: the lab around it goes on without them. Raises LabError where it could not, and
        nothing has changed."""
        links = [link for link in self.links if node in (link.intf1.node, link.intf2.node)]
        own = [link for link in links if isinstance(link, MPLSLink)]
        check_without(own, node)
        beside = [end.node for link in own for end in (link.intf1, link.intf2) if end.node is not node]
        for link in own:
            link.drop()
            self.links.remove(link)
        settle(*beside)
        for link in (link for link in links if link not in own):
            self.delLink(link)
        let_go(node)
        super().delNode(node, nodes)

    def configHosts(self) -> None:  # noqa: N802
        # Other people's nodes first: what they do is known then to the plan of ours.
        others = [host for host in self.hosts if not hasattr(host, "role")]
        for host in (*others, *self.lab_nodes()):
            info(host.name + " ")
            host.configDefault(**({} if host.defaultIntf() else {"ip": None, "mac": None}))
        info("\n")

    def staticArp(self) -> None:  # noqa: N802
        """``mn --arp``: as stock between other people's nodes. Ours go on asking for addresses: two VPNs may have the
        same one, and a bridge has none."""
        stock_nodes = [host for host in self.hosts if not hasattr(host, "role")]
        for src, dst in permutations(stock_nodes, 2):
            src.setARP(ip=dst.IP(), mac=dst.MAC())

    def configureControlNetwork(self) -> None:  # noqa: N802
        """``mn --innamespace``: only controllers need one."""
        if self.controllers:
            super().configureControlNetwork()

    def addNAT(self, name: str = "nat0", connect: Any = True, **params: Any) -> Any:  # noqa: N802
        """As stock. Raises LabError where there is no switch to connect it to."""
        if connect is True and not self.switches:
            text = "there is no switch that it could be connected to: leave --nat out"
            raise LabError([Problem(name, text)])
        return super().addNAT(name, connect, **params)

    def start(self) -> None:
        if self._has_others():
            super().start()
        elif not self.built:
            self.build()

    # Ending

    def stop(self) -> None:
        """Everything that was started here is gone afterwards; links go with their namespaces."""
        if self not in LIVE:
            return
        LIVE.discard(self)
        if self.offered:
            self.offered.close()
        for node in self.values():
            let_go(node)
        for services in {node.daemons for node in self.lab_nodes() if node.daemons}:
            services.close()
        if self._has_others():
            super().stop()
        else:
            nodes = (*self.hosts, *self.switches)
            if nodes:
                info(f"*** Stopping {len(nodes)} nodes\n")
            self.stopXterms()
            for node in nodes:
                node.terminate()
        if not LIVE:
            PROCESSES.end()

    def startTerms(self) -> None:  # noqa: N802
        """A terminal for each node (``mn -x``)."""
        self.openTerms((*self.hosts, *self.switches))

    def openTerms(self, nodes: Iterable[Any], term: str = "xterm") -> None:  # noqa: N802
        """A window on the user's display for each of these nodes. Raises CheckFailed where there is no display."""
        display = os.environ.get("DISPLAY", "")
        if not display:
            raise CheckFailed("there is no display: DISPLAY is not set")
        for node in nodes:
            if term == "xterm" and display.rpartition(":")[0] in ("", "unix"):  # its socket is a file: no tunnel
                window = ["xterm", "-title", f"{node.name}", "-display", display, "-e", "env", "TERM=ansi", "bash"]
                self.terms.append(node.popen(window))
            else:
                self.terms += makeTerms([node], term=term)

    def stopXterms(self) -> None:  # noqa: N802
        """Our own terminals only; stock Mininet goes on to kill processes by name."""
        for term in self.terms:
            term.kill()
            term.wait()
        self.terms = []

    # Looking

    def lab_nodes(self) -> list[Any]:
        """Those of our classes."""
        return [node for node in (*self.hosts, *self.switches) if hasattr(node, "role")]

    def _has_others(self) -> bool:
        """Whether it has switches that are not ours, or controllers."""
        return bool(self.controllers) or any(not hasattr(switch, "role") for switch in self.switches)

    def planned(self) -> tuple[Planned, ...]:
        """The labs in this net: one for each set of connected nodes."""
        found = {id(plan): plan for node in self.lab_nodes() for plan in [plan_around(node)]}
        return tuple(found.values())

    def results(self, only: Iterable[Any] = ()) -> tuple[reach.Result, ...]:
        """Who reaches whom, by real packets: see mnmpls.checks.reach. ``only``: between these nodes."""
        wanted = {node.name for node in only}
        every = (result for plan in self.planned() for result in reach.probe(plan.lab, plan.namespaces))
        return tuple(each for each in every if not wanted or {each.src, each.dst} <= wanted)

    def ping(self, hosts: list[Any] | None = None, timeout: Any = None) -> float:
        """Between CEs and hosts, all at once. Returns the share of pairs (0 to 100) that are not as intended: what
        must not be reachable counts as wrong when it answers, and an answer counts only from the right node."""
        if not any(hasattr(host, "role") for host in hosts or self.hosts):
            return float(super().ping(hosts, timeout))
        if not hosts:
            output("*** Ping: testing ping reachability\n")
        results = self.results(hosts or ())
        output(reach.matrix(results) + "\n")
        wrong = [each for each in results if not each.ok]
        share = 100.0 * len(wrong) / len(results) if results else 0.0
        # "N% dropped" is what programs that read mn's output look for
        output(f"*** Results: {share:.0f}% dropped ({len(results) - len(wrong)}/{len(results)} as intended)\n")
        return share

    def pingFull(self, hosts: list[Any] | None = None, timeout: Any = None) -> Any:  # noqa: N802
        """The same with round-trip times; the value is stock Mininet's: (node, dest, (sent, received, rtt …))."""
        if not any(hasattr(host, "role") for host in hosts or self.hosts):
            return super().pingFull(hosts, timeout)
        outputs = []
        for each in self.results(hosts or ()):
            rtt = each.rtt_ms or 0.0
            outputs.append((self[each.src], self[each.dst], (1, int(each.rtt_ms is not None), rtt, rtt, rtt, 0.0)))
            who = f"{each.who} answered in {rtt:.3f} ms" if each.who else "nobody answered"
            output(f" {each.src}->{each.dst}: {who}{'' if each.ok else '  (not as intended)'}\n")
        return outputs

    def pingPair(self) -> float:  # noqa: N802
        """Between the first two end hosts."""
        hosts = [node for node in self.hosts if getattr(node, "role", "host") == "host"] or self.hosts
        return self.ping(hosts=hosts[:2])

    def iperf(
        self,
        hosts: list[Any] | None = None,
        l4Type: str = "TCP",  # noqa: N803
        udpBw: str = "10M",  # noqa: N803
        fmt: str | None = None,
        seconds: float = 5,
        port: int = 5001,
    ) -> list[str]:
        """iperf between two nodes (by default the first end host and the last one of its customer): [server's,
        client's] figures, with the wanted bandwidth before them for UDP. Raises CheckFailed when it cannot be."""
        client, server = hosts or self._first_pair()
        output(f"*** Iperf: testing {l4Type} bandwidth between {client} and {server}\n")
        udp = l4Type == "UDP"
        options = [*(["-u"] if udp else []), *(["-f", fmt] if fmt else [])]
        figures = iperf.measure(client, server, options, ["-b", udpBw] if udp else [], seconds, port)
        result = [*([udpBw] if udp else []), *figures]
        output(f"*** Results: {result}\n")
        return result

    def _first_pair(self) -> tuple[Any, Any]:
        ends = [node for node in self.hosts if getattr(node, "role", "host") == "host"]
        for plan in self.planned():
            wanted = intent.intended(plan.lab)
            pairs = [(a, b) for a in ends[:1] for b in reversed(ends) if (a.name, b.name) in wanted]
            for a, b in pairs:
                if wanted[a.name, b.name].reaches:
                    return a, b
        raise CheckFailed("iperf: there are no two hosts in this net that are meant to reach each other")


def _installed(name: str, **params: Any) -> Any:
    """The default controller, where there is one: LANs and Linux bridges need none, and scripts ask for it."""
    found = findController()
    if found is None:
        warn(f"*** {name}: no OpenFlow controller is installed, so none is started\n")
    return found(name, **params) if found else None


def _spelt_out(cls: Any, params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """``partial(CLS, KEY=VALUE)`` as Mininet's users write it: a class, and what its nodes are given."""
    if not (isinstance(cls, partial) and hasattr(cls.func, "role")):
        return cls, params
    return cls.func, {**cls.keywords, **params}


def classed(topo: Any, host: Any, switch: Any) -> Any:
    """The same Topo, each of whose nodes names its class where that is one of ours: that which the net was given for
    all hosts or all switches, unless the node has its own."""
    made, made.g = copy(topo), copy(topo.g)
    made.g.node = {}
    for name, told in topo.g.node.items():
        cls, params = _spelt_out(told.get("cls") or (switch if topo.isSwitch(name) else host), told)
        made.g.node[name] = {**params, "cls": cls} if hasattr(cls, "role") else told
    return made


def _others(topo: Any) -> bool:
    """Whether it has switches that are not ours."""
    return any(not hasattr(topo.nodeInfo(name).get("cls"), "role") for name in topo.switches(sort=False))


def check_node_name(name: str, net: Any) -> None:
    """Raises LabError for a name that is taken, or too long for interfaces to be named after it."""
    if name in net.nameToNode:
        raise LabError([Problem(f"nodes.{name}", "there is a node of this name already")])
    if len(name.encode()) > 15:
        raise LabError([Problem(f"nodes.{name}", f"node name {name!r} has more than 15 bytes")])


def _raise_own_limits() -> None:
    """Room for a descriptor or three per node, in this process only: stock Mininet changes sysctls of the machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def report(problem: MnmplsError) -> None:
    """Print an error of ours for the person at the prompt."""
    error(f"*** {problem}\n")
