"""What can be typed after ``mnmpls``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..kernels import GUESTS, KERNELS

GUEST_ABOUT = (
    "it sees this machine's files; the current folder is written through to the host, all else that is written is "
    "lost with the guest and named at its end. Its exit status is the command's, or 125 when the guest fails."
)
LIMIT_S = 120.0
EVENTS = ("port", "path", "node", "daemon")
"""Kinds of what `drill` lets fail (drill/events.py, which is slow to take in)."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options, and ``words``, all that was typed; what stands after ``--`` is ``command``. Ends the process when
    it cannot be understood."""
    words = list(argv)
    cut = words.index("--") if "--" in words else len(words)
    options = parser().parse_args(words[:cut])
    options.words = words
    if cut < len(words):
        options.command = [*getattr(options, "command", []), *words[cut + 1 :]]
    return options


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="mnmpls", description="MPLS and VRF labs on any Linux machine.")
    top.add_argument("--version", action=_Version, nargs=0, help="which one this is")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    _labs(verbs)
    _watching(verbs)
    _trying(verbs)
    _showing(verbs)
    _guest(verbs)
    _completion(verbs)
    return top


class _Version(argparse.Action):
    """Looked up only when asked for: it takes as long as all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import importlib.metadata

        try:
            version = importlib.metadata.version("mnmpls")
        except importlib.metadata.PackageNotFoundError:
            version = "that is not installed"
        print(f"mnmpls {version}")
        parser.exit()


def _labs(verbs: Any) -> None:
    up = _verb(verbs, "up", "start a lab and return when it works", json=True, limit=600)
    up.add_argument("file", metavar="FILE", help="the lab file")
    up.add_argument("--name", help="the lab's name while it runs (else the file's)")
    up.add_argument("--foreground", action="store_true", help="stay, and end the lab with Ctrl-C")
    up.add_argument(
        "--wait", type=_seconds, metavar="S",
        help="reachability may take S seconds (30, or 90 with routing daemons); 0: do not look",
    )
    up.add_argument("--allow-exec", action="store_true", help="run the exec: lines of the lab's nodes")
    up.add_argument("--netns", action="store_true", help="show the nodes to `ip netns`, as LAB-NODE")
    up.add_argument(
        "--runtime", choices=("docker",), help="each node a container, as Containerlab makes them"
    )
    up.add_argument("--kernel", choices=("auto", *KERNELS), help="where (else MNMPLS_KERNEL; auto: here if it can be)")
    down = _verb(verbs, "down", "end a lab and all that it had")
    down.add_argument("lab", metavar="LAB", nargs="*", help="the lab's name, or its file")
    down.add_argument("--all", action="store_true", help="every lab of mnmpls up that is not in docker")
    _verb(verbs, "list", "the labs that run here", json=True)
    run = _verb(verbs, "exec", "run a command in a node: mnmpls exec LAB NODE -- CMD …", limit=0)
    _lab(run)
    run.add_argument("node", metavar="NODE")
    run.add_argument("--vrf", default="", metavar="VRF", help="with all its IP sockets in this VRF of the node")
    run.add_argument("command", metavar="CMD", nargs="*", help="the command and its arguments, after --")
    vtysh = _verb(verbs, "vtysh", "the console of a node's routing daemons", limit=0)
    _lab(vtysh)
    vtysh.add_argument("node", metavar="NODE")
    vtysh.add_argument("-c", dest="commands", action="append", default=[], metavar="CMD", help="run this and end")
    for verb, text in (("stop", "turn nodes off, as by their switches"), ("start", "turn nodes on again")):
        switched = _verb(verbs, verb, text)
        _lab(switched)
        switched.add_argument("nodes", metavar="NODE", nargs="+")
    again = _verb(verbs, "apply", "make a running lab into what its file says now", json=True)
    _lab(again)
    again.add_argument("file", metavar="FILE", nargs="?", help="another file than the one it was started from")


def _watching(verbs: Any) -> None:
    check = _verb(verbs, "check", "prove a lab: reachability, isolation, labels, MTU, drift", json=True)
    _lab(check)
    check.add_argument("--junit", action="store_true", help="as JUnit XML")
    _lab(_verb(verbs, "drift", "what in the nodes' kernels differs from the plan", json=True))
    trace = _verb(verbs, "trace", "follow one packet and its labels on the wire", json=True)
    _lab(trace)
    trace.add_argument("src", metavar="SRC")
    trace.add_argument("dst", metavar="DST", help="a node or an address")
    logs = _verb(verbs, "logs", "what a node's routing daemons have logged", limit=None)
    _lab(logs)
    logs.add_argument("node", metavar="NODE")
    logs.add_argument("daemon", metavar="DAEMON", nargs="?", help="this one only, such as bgpd")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what is logged from now on, until Ctrl-C")
    capture = _verb(verbs, "capture", "packets of one port, as pcap: … | wireshark -k -i -", limit=None)
    _lab(capture)
    capture.add_argument("node", metavar="NODE")
    capture.add_argument("port", metavar="PORT")
    capture.add_argument("-w", dest="file", metavar="FILE", help="into a file (else to the standard output)")
    capture.add_argument("-c", dest="count", type=int, default=0, metavar="N", help="end after N packets")
    capture.add_argument("--timeout", dest="seconds", type=_seconds, default=0, metavar="S", help="end after S seconds")


def _trying(verbs: Any) -> None:
    drill = _verb(verbs, "drill", "make failures on a working lab, undo them, and tell what each cost", True, limit=0)
    _lab(drill)
    drill.add_argument("--junit", action="store_true", help="as JUnit XML")
    for option, called, text in (
        ("--event", "KIND", f"this kind only, of {', '.join(EVENTS)}"),
        ("--node", "NODE", "at this node (else all routers, the links between them, the daemons of one of them)"),
        ("--daemon", "DAEMON", "this daemon only, such as ospfd"),
        ("--between", "NODE", "packets between this end point and the others named so"),
    ):
        chosen = EVENTS if called == "KIND" else None
        drill.add_argument(option, action="append", default=[], choices=chosen, metavar=called,
                           help=f"{text}; may be given again")  # fmt: skip
    drill.add_argument("--repeat", type=int, default=1, metavar="N", help="all of it so many times (1)")
    drill.add_argument("--interval", type=_seconds, default=0, metavar="MS", help="from packet to packet (10)")
    drill.add_argument("--hold", type=_seconds, metavar="S", help="a failure lasts S seconds at least (2; a path's 6)")
    drill.add_argument("--limit", type=_seconds, default=60, metavar="S", help="healing may take S seconds (60)")
    drill.add_argument(
        "--within", type=_within, action="append", default=[], metavar="[KIND=]MS", help="a longer gap is a failure"
    )


    perf = _verb(verbs, "perf", "throughput and latency, beside plain IP and each encapsulation", True, limit=0)
    _lab(perf)
    perf.add_argument("src", metavar="SRC")
    perf.add_argument("dst", metavar="DST")
    perf.add_argument("--seconds", type=int, default=2, metavar="S", help="for each of three runs of iperf3 (2)")


def _within(text: str) -> tuple[tuple[str, ...], float]:
    kind, sign, number = text.rpartition("=")
    if sign and kind not in EVENTS:
        raise argparse.ArgumentTypeError(f"there is no kind {kind!r}; there are {', '.join(EVENTS)}")
    return (kind,) if sign else EVENTS, _seconds(number)


def _showing(verbs: Any) -> None:
    plan = _verb(verbs, "plan", "what is set up in each node", json=True)
    plan.add_argument("lab", metavar="LAB", help="a lab file, or the name of a running lab")
    plan.add_argument("nodes", metavar="NODE", nargs="*", help="these nodes only")
    plan.add_argument("--ip", action="store_true", help="as the ip and sysctl commands that a person would type")
    plan.add_argument("--configs", metavar="DIR", help="write the routing daemons' files, DIR/NODE/DAEMON.conf")
    graph = _verb(verbs, "graph", "a picture of the lab")
    graph.add_argument("lab", metavar="LAB", help="a lab file, or the name of a running lab")
    graph.add_argument("--format", default="dot", metavar="FORMAT", help="dot (the default), mermaid or svg")
    graph.add_argument("--lsps", action="store_true", help="with the label switched paths")
    convert = _verb(verbs, "convert", "write a lab file in another form: YAML or DOT, by the file's ending")
    convert.add_argument("file", metavar="FROM", help="a lab file")
    convert.add_argument("to", metavar="TO", help="the file to write; comments are not kept")
    convert.add_argument("--force", action="store_true", help="overwrite it")
    export = _verb(verbs, "export", "write a lab for Containerlab, or for Kubernetes with clabernetes")
    export.add_argument("form", metavar="FORM", choices=("containerlab", "clabernetes"), help="which of the two")
    export.add_argument("file", metavar="FILE", help="the lab file")
    export.add_argument("folder", metavar="DIR", help="where to; one folder for each lab")
    export.add_argument("--image", default="mnmpls", help="of the nodes (mnmpls, as `make image` calls it)")
    export.add_argument(
        "--host", dest="hosts", action="append", default=[], metavar="NAME,ADDRESS,NODE,...",
        help="for several hosts, each given so: a folder with the topology of its nodes, joined to the others by VXLAN",
    )
    export.add_argument(
        "--underlay-mtu", type=int, metavar="BYTES",
        help="of the network between the hosts (1500), or between the pods (1450), which carries wires in VXLAN",
    )
    export.add_argument("--force", action="store_true", help="overwrite what is there")
    imported = _verb(verbs, "import", "a Containerlab topology as a lab file, to the standard output")
    imported.add_argument("file", metavar="FILE", help="the topology, such as lab.clab.yml")
    doctor = _verb(verbs, "doctor", "what a lab needs, and whether this machine has it", json=True)
    doctor.add_argument("lab", metavar="FILE", nargs="?", help="the lab file; left out: everything that mnmpls knows")
    doctor.add_argument("--boot", action="store_true", help="boot each guest kernel, too")
    _verb(verbs, "schema", "the JSON schema of lab files, for editors")


def _guest(verbs: Any) -> None:
    guest = verbs.add_parser("guest", help="run something in a guest kernel that has MPLS and VRFs")
    actions = guest.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, text in (("run", "run a command"), ("shell", "open a shell")):
        one = actions.add_parser(action, help=text, description=f"{text.capitalize()} in a guest kernel: {GUEST_ABOUT}")
        kernels = ("auto", *GUESTS)
        asked = os.environ.get("MNMPLS_KERNEL", "")
        one.add_argument(
            "--kernel", default=asked if asked in GUESTS else "auto", choices=kernels,
            help="which guest (auto: the first that starts); MNMPLS_KERNEL if that names one",
        )
        one.add_argument(
            "-w", dest="writable", action="append", default=[], metavar="DIR", help="one more folder to write into"
        )
        if action == "run":
            one.add_argument("command", nargs="*", metavar="CMD", help="the command and its arguments, after --")


def _completion(verbs: Any) -> None:
    shell = verbs.add_parser("completion", help="what your shell needs to complete the words of this command")
    shells = ("bash", "zsh", "fish", "words")
    shell.add_argument("shell", choices=shells, help="let it evaluate what this prints (words: what it asks then)")


def _verb(
    verbs: Any, name: str, text: str, json: bool = False, limit: float | None = LIMIT_S
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    if json:
        verb.add_argument("--json", action="store_true", help="for programs")
    if limit is not None:
        usual = f"{limit:g}" if limit else "none"
        verb.add_argument("--timeout", type=_seconds, default=limit, metavar="S", help=f"end after S seconds ({usual})")
    return verb


def _lab(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("lab", metavar="LAB", help="the lab's name, or its file")


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 1e6:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 1000000")
