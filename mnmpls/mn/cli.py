"""The ``mininet>`` prompt: stock commands as they were, and ``vrf``, ``lfib``, ``trace`` and ``check`` beside them."""

from __future__ import annotations

import atexit
import os
import readline
import shlex
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mininet.cli as stock
from mininet.log import error, output
from mininet.util import quietRun

from .. import checks
from ..checks import intent, trace
from ..checks.vpn import Vpns
from ..errors import CheckFailed, MnmplsError, nearest
from ..plan.graph import ROUTERS
from ..state import LabelRoute, NextHop
from ..vrf import in_vrf, mute
from ..wording import label_words
from . import switching
from .graph import Planned, plan_around
from .net import report

_DIALOGUES = {
    "vtysh": ("env", f"VTYSH_HISTFILE={os.devnull}", "vtysh"),
    "birdc": ("birdc", "-s", "/run/frr/bird.ctl"),
}
"""Programs that talk with a person, by what is said after the node's name."""


class CLI(stock.CLI):  # type: ignore[misc]
    """Stock CLI with our commands; an error of ours is told at the prompt and does not end it."""

    helpStr = stock.CLI.helpStr + (  # noqa: N815
        "Labs know more:\n"
        "  mininet> vrf              VRFs, their tables, route targets and ports\n"
        "  mininet> pe1 vrf red CMD  a command with its sockets in a VRF\n"
        "  mininet> pe1 vtysh        FRR's prompt of a router with daemons, until exit; birdc likewise\n"
        "  mininet> lfib p           what a router does with each label, as its kernel has it\n"
        "  mininet> trace c1h1 c1h3  one packet's way, as captured on the wire\n"
        "  mininet> check            does the lab do what it should?\n"
        "  mininet> stop pe1         turn a node off; start pe1 turns it on again\n\n"
    )

    def onecmd(self, line: str) -> Any:
        try:
            return super().onecmd(line)
        except MnmplsError as problem:
            report(problem)
        except FileNotFoundError as problem:
            error(f"*** {problem.filename}: this program is not installed\n")
        return None

    def do_vrf(self, line: str) -> None:
        """Show the VRFs. Usage: vrf [PE]"""
        wanted = self._named(line, "pe")
        rows = [
            (
                *(node.name, vrf.name, str(vrf.table), vrf.rd or "-", ",".join(vrf.imports), ",".join(vrf.exports)),
                " ".join(port.name for port in plan.lab.ports(node.name) if port.vrf == vrf.name),
            )
            for plan in self.mn.planned()
            for node in plan.lab.nodes
            for vrf in node.vrfs
            if node.name in wanted
        ]
        output(_table(("PE", "VRF", "table", "RD", "import", "export", "ports"), rows))

    def do_lfib(self, line: str) -> None:
        """Show label forwarding as the kernel has it now. Usage: lfib [ROUTER]"""
        rows = []
        wanted = self._named(line, "p", "pe")
        for plan in self.mn.planned():
            for name, namespace in plan.namespaces.items():
                if name in wanted:
                    found = sorted(each for each in namespace.observe() if isinstance(each, LabelRoute))
                    rows += [(name, str(each.label), *_operation(hop)) for each in found for hop in each.hops]
        output(_table(("router", "label in", "operation", "port", "next hop"), rows))

    def do_trace(self, line: str) -> None:
        """Send one packet and show its way, with the label operation at each hop as captured on the wire.
        Usage: trace SRC DST"""
        if len(line.split()) != 2:
            error("usage: trace SRC DST\n")
            return
        src, dst = self._named(line)
        plan = plan_around(self.mn[src])
        self._warn_if_ambiguous(self.mn[src], self.mn[dst])
        output(trace.trace(plan.lab, plan.records, plan.namespaces, src, dst).text() + "\n")

    def do_check(self, _line: str) -> None:
        """Check reachability, isolation, labels on the wire and the kernels' state against the lab."""
        for plan in self.mn.planned():
            report = checks.check(plan.lab, plan.records, plan.namespaces, folders=plan.folders, off=plan.off)
            output(report.text() + "\n")

    def do_stop(self, line: str) -> None:
        """Turn nodes off, as by their switches. Usage: stop NODE..."""
        self._switch(line, "stop", switching.stop)

    def do_start(self, line: str) -> None:
        """Turn nodes on again. Usage: start NODE..."""
        self._switch(line, "start", switching.start)

    def _switch(self, line: str, verb: str, change: Callable[[Any], None]) -> None:
        if not line.split():
            error(f"usage: {verb} NODE...\n")
        else:
            for name in self._named(line):
                change(self.mn[name])

    def do_source(self, line: str) -> None:
        """Read commands from a file, which may ``source`` others. Usage: source FILE"""
        names = line.split()
        if len(names) != 1:
            error("usage: source FILE\n")
            return
        try:
            commands = Path(names[0]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as problem:
            raise CheckFailed(f"cannot read {names[0]}: {getattr(problem, 'strerror', 'not a text')}") from problem
        for command in commands:
            self.onecmd(command)

    def do_xterm(self, line: str, term: str = "xterm") -> None:
        """Open a terminal in a window of your display for each node. Usage: xterm NODE..."""
        if not line.split():
            error(f"usage: {term} NODE...\n")
            return
        self.mn.openTerms([self.mn[name] for name in self._named(line)], term)

    def do_x(self, line: str) -> None:
        """Run an X11 program in a node through a tunnel. Usage: x NODE [COMMAND]"""
        self._named(" ".join(line.split()[:1]))
        super().do_x(line)

    def do_iperf(self, line: str) -> None:
        """TCP throughput between two nodes. Usage: iperf [NODE1 NODE2]"""
        super().do_iperf(line)

    def default(self, line: str) -> None:
        """As stock: ``NODE COMMAND``, with node names replaced by addresses, routers' by those that they have where the
        node is; says so where an address is not only that node's. ``NODE vrf VRF COMMAND`` runs it in a VRF."""
        first, args, _ = self.parseline(line)
        if first not in self.mn or not args or not hasattr(self.mn[first], "role"):
            super().default(line)
            return
        node = self.mn[first]
        if args.strip() in _DIALOGUES:
            self._converse(node, args.strip())
            return
        head, words = _vrf_named(node, args.split(" "))
        for word in words:
            if word in self.mn:
                self._warn_if_ambiguous(node, self.mn[word])
        vrf = args.split()[1] if head else None
        told = ((_address(node, self.mn[word], vrf) or word) if word in self.mn else word for word in words)
        node.sendCmd(head + " ".join(told))
        self.waitForNode(node)

    def _converse(self, node: Any, program: str) -> None:
        """With the terminal itself: passed on by us key by key, as stock does, Enter would arrive as a line feed, which
        ends no line in programs that read keys. Ctrl-C is theirs."""
        if not self.isatty():
            raise CheckFailed(f"{node.name}: {program} alone needs a terminal; here give it a command as well")
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            quietRun("stty sane")
            node.popen(_DIALOGUES[program], stdin=None, stdout=None, stderr=None, start_new_session=False).wait()
        finally:
            signal.signal(signal.SIGINT, before)

    def waitForNode(self, node: Any) -> None:  # noqa: N802
        """As stock at a terminal, whose keys go to the command. In a pipe or file, the next line is the next command:
        stock would hand it to the node's shell."""
        if self.isatty():
            super().waitForNode(node)
            return
        while node.waiting:
            try:
                output(node.monitor())
            except KeyboardInterrupt:
                node.sendInt()

    def _warn_if_ambiguous(self, node: Any, meant: Any) -> None:
        plan = plan_around(node)
        if getattr(meant, "role", "") in ROUTERS:
            return
        reached = _who_has(plan, meant.IP(), node.name)
        if reached and meant.name not in reached:
            others = ", ".join(reached)
            output(
                f"*** {meant.name} stands for {meant.IP()}, which for {node.name} is {others}'s address: "
                f"{meant.name} is in another VPN\n"
            )

    def _named(self, line: str, *roles: str) -> list[str]:
        """The nodes that ``line`` names; of those with one of these roles, if any are given: then nothing said means
        all. Raises CheckFailed for a node that is not there or not one of them."""
        known = [name for name in self.mn if not roles or getattr(self.mn[name], "role", "") in roles]
        for name in line.split():
            if name not in self.mn:
                raise CheckFailed(f"there is no node {name!r}: {nearest(name, known)}")
            if name not in known:
                raise CheckFailed(f"{name} has none: this is for {', '.join(known) or 'routers, and there is none'}")
        return line.split() or known

    def _complete_nodes(self, text: str, *_: Any) -> list[str]:
        return [name for name in self.mn if name.startswith(text)]

    complete_vrf = complete_lfib = complete_trace = complete_stop = complete_start = _complete_nodes
    complete_xterm = complete_x = complete_link = complete_iperf = _complete_nodes

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        """Commands, and nodes to send one to."""
        return list(super().completenames(text, *ignored)) + self._complete_nodes(text)

    @classmethod
    def initReadline(cls) -> None:  # noqa: N802
        """History as in stock Mininet for whoever has that file; for others none is made, so that nothing is left."""
        history = Path(os.path.expanduser("~/.mininet_history"))
        if cls.readlineInited or not history.is_file():
            return
        cls.readlineInited = True
        readline.read_history_file(history)
        readline.set_history_length(1000)
        atexit.register(_write_history, history)


def _address(node: Any, meant: Any, vrf: str | None) -> str | None:
    """By which ``node``, from this VRF of its own if one is given, reaches ``meant``: of a router, which is in several
    VRFs and outside of these, the one where the two meet."""
    plan = plan_around(node)
    if getattr(meant, "role", "") not in ROUTERS or meant is node or meant.name not in plan.nodes or not meant.IP():
        return meant.IP()  # type: ignore[no-any-return]
    return Vpns(plan.lab).call(node.name, meant.name, vrf=vrf).address


def _vrf_named(node: Any, words: list[str]) -> tuple[str, list[str]]:
    """What the node's shell is to be given first, and the words after ``vrf VRF``; all of them without that. Raises
    LabError for a VRF that the node does not have, CheckFailed for half a line."""
    if words[0] != "vrf":
        return "", words
    given = " ".join(words[1:]).split(maxsplit=1)
    if len(given) < 2:
        raise CheckFailed(f"usage: {node.name} vrf VRF COMMAND")
    command = shlex.join(in_vrf(node.name, node.namespace, given[0], []))
    if text := mute(node.name, node.namespace, given[0]):
        output(f"*** {text}\n")
    return f"{command} ", given[1].split(" ")


def _write_history(history: Path) -> None:
    try:
        readline.write_history_file(history)
    except OSError as problem:
        error(f"*** {history}: {problem.strerror}\n")


def _operation(hop: NextHop) -> tuple[str, str, str]:
    if hop.labels:
        return "swap " + label_words(hop.labels), hop.port, hop.via or "-"
    return ("pop, forward", hop.port, hop.via) if hop.via else ("pop, look up", hop.port, "-")


def _who_has(plan: Planned, address: str | None, seen_from: str) -> list[str]:
    """Nodes that ``seen_from`` may reach and that have ``address``: one name, as a rule."""
    wanted = intent.intended(plan.lab).values()
    return sorted({each.answer for each in wanted if (each.src, each.address) == (seen_from, address) and each.answer})


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(heads), *map(tuple, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)
