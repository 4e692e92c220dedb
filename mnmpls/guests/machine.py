"""What a guest kernel's backend tells the runner, which knows no machine (runner.py).

How a backend fits
    ``uml.py`` and ``qemu.py`` each offer one ``BACKEND``. The runner asks ``BACKEND.problem()`` (empty: may start
    here), then calls ``BACKEND.machine(boot)`` for the command and starts it in namespaces of its own with

    * stdin /dev/null, stdout and stderr a pipe: the kernel's console goes there (the runner keeps the last lines
      for error messages and looks for "Kernel panic" in them),
    * ``boot.line_fd`` inherited under that number: a connected AF_UNIX stream socket, the only way between host and
      guest. UML: ``ssl0=fd:N``. QEMU: ``-chardev socket,id=line,fd=N`` behind a ``virtserialport``,
    * a private tmpfs at ``boot.scratch`` (TMPDIR too), which is gone with the guest. Nothing else is writable for us.

How the guest finds its things
    The kernel's command line ends in ``init=/usr/bin/python3 -- -I -S GUESTS/agent.py`` (or an initramfs ends in that
    command, on a root that is the host's tree, read-only). Two words become its environment: ``LINE=/dev/ttyS0``, and
    ``MODULES=FOLDER`` with a folder that holds a tree of modules named like the kernel's release. The agent makes the
    overlay root (boot.py) and says READY; the runner answers with SETUP (the ``doors`` to mount) and opens sessions.
    No clean power-off is needed: the runner has the guest write everything back, then kills it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

SPOOL = "/run/mnmpls-host"
"""Where the guest sees ``boot.scratch``, see ``Backend.spools``."""


LOWEST_FD = 80
"""Descriptors that a kernel inherits are at least this, out of the way of those that the cage's shell uses."""


@dataclass(frozen=True)
class HostPort:
    """An interface here that the guest is to have as well: what comes in here it gets, what it sends goes out here. In
    there it has this MAC address, and for good this MTU."""

    name: str
    mac: str
    mtu_bytes: int


@dataclass(frozen=True)
class Boot:
    """One start, as the runner wants it: see the module's text for ``line_fd`` and ``scratch``. ``writable`` are
    absolute paths of the host's folders that the guest writes through. In the guest ``ports`` are called vec0, vec1 and
    so on."""

    line_fd: int
    scratch: str
    memory_mib: int
    writable: tuple[str, ...] = ()
    ports: tuple[HostPort, ...] = ()


@dataclass(frozen=True)
class Door:
    """A folder of the host that the guest writes through: the words of mount(2), done by the agent at ``path``."""

    path: str
    fstype: str
    source: str
    options: str = ""


@dataclass(frozen=True)
class Machine:
    """A guest kernel about to be started: ``env`` is its whole environment, ``pass_fds`` what it inherits beside
    ``boot.line_fd``. ``doors`` are in the order of ``boot.writable``."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    doors: tuple[Door, ...] = ()
    pass_fds: tuple[int, ...] = field(default=())


@dataclass(frozen=True)
class Backend:
    """``title`` as in "running in a UML guest"; ``problem()``: why it cannot start here, or empty; ``boot_s`` until
    READY and ``hang_s`` without any answer are what is called a hang; ``features`` as in ``mnmpls.guests.host``;
    ``line_bytes``: how much may be on the line towards the guest at most;
    ``spools``: the line is slow towards the guest, so ``boot.scratch`` is the last of ``boot.writable`` (with its door
    at SPOOL, by the runner) and bulk input goes through files there;
    ``explain(console)`` turns the console's last lines into a cause that a person can act on, or empty."""

    name: str
    title: str
    problem: Callable[[], str]
    machine: Callable[[Boot], Machine]
    features: frozenset[str]
    memory_mib: int = 1024
    boot_s: float = 60
    hang_s: float = 30
    line_bytes: int = 1 << 20
    spools: bool = False
    explain: Callable[[str], str] = lambda console: ""
