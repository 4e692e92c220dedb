"""A container whose kernel cannot do what its node needs brings its own: a UML guest in it, whose ports are the
container's. The node is set up in there by the same Keeper; what is run in the container (``docker exec``) is run in
there (docker/inside), and links that the runtime makes anew are opened anew.

The guest's ports have MAC addresses of their own, so that the container's kernel, which sees every frame too, takes
none of them for its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .. import guests, registry
from ..daemons import services
from ..errors import KernelRefused, LabError, MnmplsError, Problem
from ..export.containerlab import READY_FILE
from ..guests import host
from ..kernel import Namespace
from ..kernel.refusals import CAP_NET_ADMIN, CAP_NET_RAW, may
from ..model import Lab
from ..plan import records
from ..state import Port
from .node import Keeper
from .ports import follow
from .space import wires_of

LAB = "container"
"""What the guest is called, among the labs of the container's network namespace."""
FOLDER = Path("/run/mnmpls")
INSIDE = FOLDER / "guest"
"""There while commands of the container are to be run in the guest."""
_READY = FOLDER / "ready"
_PYTHON = (sys.executable, "-m", "mnmpls.containers.own_kernel")


def forget() -> None:
    """What an earlier run of the container has left: a restart keeps its files."""
    for file in (INSIDE, _READY, Path(READY_FILE)):
        file.unlink(missing_ok=True)


def choice(lab: Lab, name: str) -> guests.Choice | None:
    """The guest that the node has to run in; None where the container's own kernel can do all. Raises
    MissingFeature, and LabError for a container that has too few rights."""
    wanted = host.features({name: records(lab)[name]})
    if not may(CAP_NET_ADMIN):  # which all that is tried takes
        return _unprivileged(lab, name, wanted)
    if _may_make_namespaces():
        found = guests.choose("auto", wanted)
        return found if found.guests else None
    if services(lab).get(name):
        return guests.Choice(("uml",), "routing daemons need more rights than this container has")
    lacking = host.missing_here(wanted - host.ALWAYS)
    return guests.Choice(("uml",), host.describe(lacking)) if lacking else None


def _unprivileged(lab: Lab, name: str, wanted: frozenset[str]) -> guests.Choice:
    """A kernel of its own takes no rights but to the frames of its ports, which the runtime has set up."""
    problem = guests.unfit(guests.GUESTS["uml"], wanted)
    if not may(CAP_NET_RAW):
        problem = "CAP_NET_RAW, by which such a kernel has its ports, is taken away"
    if problem:
        text = "it may not set up its network: give it cap-add: [NET_ADMIN], or leave privileged: false out"
        text = f"{text}; nor can it bring a kernel of its own: {problem}"
        raise LabError([Problem(f"nodes.{name}", text, lab.place(f"nodes.{name}"))])
    return guests.Choice(("uml",), "this container may not set up its network")


def _may_make_namespaces() -> bool:
    try:
        Namespace.create().close()
    except KernelRefused:
        return False
    return True


def hold(lab: Lab, name: str, chosen: guests.Choice, say: Callable[[str], None]) -> int:
    """Run the node in a guest, for as long as that lives. Raises MnmplsError."""
    FOLDER.mkdir(exist_ok=True)
    Path(READY_FILE).symlink_to(_READY.relative_to(Path(READY_FILE).parent))
    INSIDE.touch()
    listener = registry.claim(LAB)
    listener.listen()
    if os.fork() == 0:
        listener.close()
        os._exit(follow(wires_of(lab, name), LAB, say))
    ports = [guests.HostPort(each.name, _mac(name, each.name), each.mtu_bytes) for each in _ports(lab, name)]
    os.chdir("/")
    say(f"{chosen.why}: {name} runs on a kernel of its own, in this container")
    try:
        return guests.run(
            guests.Choice(("uml",), chosen.why), [*_PYTHON, *(port.name for port in ports)],
            writable=[str(FOLDER)], offer=guests.Offer(listener, {}), lasting=True, ports=ports,
        )  # fmt: skip
    finally:
        INSIDE.unlink(missing_ok=True)
        _READY.unlink(missing_ok=True)


def _ports(lab: Lab, name: str) -> list[Port]:
    wires = wires_of(lab, name)
    return [record for record in records(lab)[name] if isinstance(record, Port) and record.name in wires]


def _mac(node: str, port: str) -> str:
    """One for always: neighbours keep it over a restart. Locally administered (IEEE 802, U/L bit)."""
    found = hashlib.sha256(f"{node} {port}".encode()).digest()[:5]
    return ":".join(f"{byte:02x}" for byte in (0x02, *found))


# Inside of the guest.


def main() -> int:
    from .entry import given, say

    for number, port in enumerate(sys.argv[1:]):
        subprocess.run(["ip", "link", "set", f"vec{number}", "name", port], check=True)
    try:
        lab, name = given()
        Keeper(lab, name, say, str(_READY), up=True).keep()
    except MnmplsError as error:
        say(str(error))
    return 1


if __name__ == "__main__":
    sys.exit(main())
