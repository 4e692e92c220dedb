"""The ways to build the chain. Each is a generator: it gets ready, yields; builds, yields the path of every node's
namespace; and stops. Whoever runs it takes the time between the yields."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mnmpls.apply import apply, early
from mnmpls.kernel import Namespace, Wire, wires
from mnmpls.netns import RunningLab
from mnmpls.plan import complete, records
from tests.bench import chain

Paths = Sequence[str]
Variant = Callable[[int], Iterator[Paths]]
NAMED = Path("/run/netns")


def _of_process(pid: int, descriptors: Sequence[int]) -> Paths:
    return [f"/proc/{pid}/fd/{descriptor}" for descriptor in descriptors]


def floor(nodes: int, *queues: str) -> Iterator[Paths]:
    """The kernel's own work and nothing else: raw netlink in C. ``queues``: how many a wire is asked for with."""
    with TemporaryDirectory() as folder:
        program = f"{folder}/floor"
        source = Path(__file__).with_name("floor.c")
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
        words = [program, str(nodes), *queues]
        talk = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def say(line: str) -> str:
            assert talk.stdin and talk.stdout
            talk.stdin.write(line)
            talk.stdin.flush()
            return talk.stdout.readline()

        with talk:
            say("")
            yield ()
            yield _of_process(talk.pid, [int(fd) for fd in say("build\n").split()])
            say("stop\n")


def floor_of_one_queue(nodes: int) -> Iterator[Paths]:
    """The same with wires as ours are."""
    return floor(nodes, "1")


def ours(nodes: int) -> Iterator[Paths]:
    """mnmpls' own runtime, planning included."""
    lab = chain.lab(nodes)
    yield ()
    running = RunningLab(lab)
    yield _of_process(os.getpid(), [node.namespace.fd for node in running.values()])
    running.close()


def engine(nodes: int) -> Iterator[Paths]:
    """mnmpls' own runtime with the records planned before: namespaces, wires, observe and subtract."""
    lab = complete(chain.lab(nodes))
    planned = records(lab)
    yield ()
    made = {node.name: Namespace.create(early(planned[node.name])) for node in lab.nodes}
    wires([Wire(made[each.a.node], each.a.name, made[each.b.node], each.b.name) for each in lab.links])
    for name, namespace in made.items():
        apply(planned[name], namespace, name)
    yield _of_process(os.getpid(), [namespace.fd for namespace in made.values()])
    for namespace in made.values():
        namespace.close()


def mininet_ours(nodes: int) -> Iterator[Paths]:
    """mnmpls' classes under Mininet, planning included."""
    net, topo = import_module("mnmpls.mn.net"), import_module("mnmpls.mn.topo")
    ours = topo.LabTopo(chain.lab(nodes))
    yield ()
    running = net.Mininet(topo=ours)
    running.start()
    yield _of_process(os.getpid(), [host.namespace.fd for host in running.hosts])
    running.stop()


def mininet_stock(nodes: int) -> Iterator[Paths]:
    """Stock Mininet with the LinuxRouter class of its examples."""
    net = import_module("mininet.net")
    net.Mininet.inited = True  # It would change limits of the whole machine; that is not measured.
    router = _linux_router(import_module("mininet.node").Node)
    yield ()
    running = net.Mininet(controller=None)
    hosts = [running.addHost(chain.name(node), cls=router, ip=None, place=(node, nodes)) for node in range(nodes)]
    for number, (left, right) in enumerate(pairwise(hosts)):
        ends = {f"params{n}": {"ip": chain.with_length(2 * number + n - 1)[0]} for n in (1, 2)}
        running.addLink(left, right, intfName1="e1", intfName2="e0", **ends)
    running.build()
    running.start()
    yield [f"/proc/{host.pid}/ns/net" for host in hosts]
    running.stop()


def _linux_router(node_class: Any) -> Any:
    class LinuxRouter(node_class):  # type: ignore[misc]
        """As in mininet/examples/linuxrouter.py, with IPv6 and routes, all in as few commands as there can be."""

        def config(self, place: tuple[int, int], **params: Any) -> Any:
            done = super().config(**params)
            self.cmd("sysctl -q " + " ".join(f"{key}={value}" for key, value in chain.sysctls(*place)))
            ours = (line for line in _batch(*place) if not line.startswith("addr") or ":" in line or "lo" in line)
            self.cmd("; ".join(f"ip {line}" for line in ours))
            return done

        def terminate(self) -> None:
            self.cmd("sysctl net.ipv4.ip_forward=0")
            super().terminate()

    return LinuxRouter


def _batch(node: int, nodes: int) -> Iterator[str]:
    """What `ip` is to do in one node."""
    yield "link set lo up"
    for port, number in chain.ports(node, nodes):
        yield f"link set {port} up"
        yield from (f"addr add {cidr} dev {port}{_at_once(cidr)}" for cidr in chain.with_length(number))
    yield from (f"addr add {address} dev lo{_at_once(address)}" for address in chain.loopbacks(node, nodes))
    for dst, via, port in chain.routes(node, nodes):
        yield f"route add {dst} via {via} dev {port} proto {chain.PROTOCOL}"


def _at_once(address: str) -> str:
    return " nodad" if ":" in address else ""


def _ip(lines: Iterator[str], *options: str) -> None:
    text = "".join(f"{line}\n" for line in lines)
    subprocess.run(["ip", *options, "-batch", "-"], input=text, text=True, check=True)


def ip_batch(nodes: int) -> Iterator[Paths]:
    """`ip -batch`: one for all namespaces, one for all wires, one for each node; sysctl once for all."""
    yield ()
    names = [chain.name(node) for node in range(nodes)]
    _ip(f"netns add {name}" for name in names)
    wires = (f"link add e1 netns {a} type veth peer name e0 netns {b}" for a, b in pairwise(names))
    _ip(wires)
    everywhere = [f"{key}={value}" for key, value in chain.sysctls(1, 3)]
    subprocess.run(["ip", "-all", "netns", "exec", "sysctl", "-qew", *everywhere], capture_output=True, check=True)
    for node in range(nodes):
        _ip(_batch(node, nodes), "-n", names[node])
    yield [str(NAMED / name) for name in names]
    _ip(f"netns del {name}" for name in names)


def pyroute2(nodes: int) -> Iterator[Paths]:
    """pyroute2 as its documentation shows it: a NetNS per node, a call per setting."""
    library = import_module("pyroute2")
    names = [chain.name(node) for node in range(nodes)]
    yield ()
    spaces = []
    for name in names:
        library.netns.create(name)
        spaces.append(library.NetNS(name))
    for node in range(nodes - 1):
        spaces[node].link("add", ifname="e1", kind="veth", peer={"ifname": "e0", "net_ns_fd": names[node + 1]})
    for node, space in enumerate(spaces):
        _with_pyroute2(library, space, node, nodes)
    yield [str(NAMED / name) for name in names]
    for space in spaces:
        space.close()
    for name in names:
        library.netns.remove(name)


def _with_pyroute2(library: Any, space: Any, node: int, nodes: int) -> None:
    loopback = space.link_lookup(ifname="lo")[0]
    space.link("set", index=loopback, state="up")
    index = {port: space.link_lookup(ifname=port)[0] for port, _ in chain.ports(node, nodes)}
    for port, _ in chain.ports(node, nodes):
        space.link("set", index=index[port], state="up")
    library.netns.pushns(chain.name(node))
    for key, value in chain.sysctls(node, nodes):
        Path("/proc/sys", *key.split(".")).write_text(value)
    library.netns.popns()
    for port, number in chain.ports(node, nodes):
        for cidr in chain.with_length(number):
            address, length = cidr.split("/")
            space.addr("add", index=index[port], address=address, prefixlen=int(length), **_flags(address))
    for address in chain.loopbacks(node, nodes):
        space.addr("add", index=loopback, address=address, prefixlen=128 if ":" in address else 32, **_flags(address))
    for dst, via, port in chain.routes(node, nodes):
        family = {"family": 10} if ":" in dst else {}
        space.route("add", dst=dst, gateway=via, oif=index[port], proto=chain.PROTOCOL, **family)


def _flags(address: str) -> dict[str, int]:
    return {"family": 10, "flags": 2} if ":" in address else {}  # IFA_F_NODAD


_ALL: dict[str, Variant] = {
    "floor in C": floor,
    "floor in C, wires of one queue": floor_of_one_queue,
    "mnmpls": ours,
    "mnmpls, planned before": engine,
    "mnmpls under Mininet": mininet_ours,
    "ip -batch": ip_batch,
    "pyroute2, plainly": pyroute2,
    "Mininet, stock": mininet_stock,
}

_LIBRARIES = {"pyroute2, plainly": "pyroute2", "mnmpls under Mininet": "mininet", "Mininet, stock": "mininet"}

VARIANTS = {name: variant for name, variant in _ALL.items() if find_spec(_LIBRARIES.get(name, "mnmpls"))}
"""Those whose library is installed here."""
