"""The kernels a lab can run on, how one is chosen, and how a command runs in one.

``host`` is this machine's own; the others are guest kernels that see this machine's files through an overlay.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mnmpls.errors import GuestFailed, MissingFeature
from mnmpls.guests import host, qemu, terminal, uml
from mnmpls.guests.detached import READY
from mnmpls.guests.detached import start as start_detached
from mnmpls.guests.environment import WHY, guest_environment, inside
from mnmpls.guests.machine import Backend, HostPort
from mnmpls.guests.runner import NotUp, Wish
from mnmpls.guests.runner import run as run_in
from mnmpls.guests.session import Command
from mnmpls.guests.visit import run_in_lab
from mnmpls.guests.visitors import Offer
from mnmpls.kernels import KERNELS

__all__ = [
    "GUESTS", "READY", "WHY", "Choice", "HostPort", "Offer", "choose", "choose_guest", "inside", "run", "run_in_lab",
    "start",
]  # fmt: skip

GUESTS: dict[str, Backend] = {"uml": uml.BACKEND, "qemu": qemu.BACKEND}
"""In the order of mnmpls.kernels.GUESTS."""
_AMONG_OTHERS = 3
"""So much longer a guest with ports may take: its neighbours start on the same processors at the same time."""

def setting(name: str, otherwise: int) -> int:
    """A whole number from the environment, such as MNMPLS_MEMORY_MIB or MNMPLS_HANG_S."""
    given = os.environ.get(name, "")
    if given and not given.isdigit():
        raise GuestFailed(f"{name}={given}: a whole number is wanted")
    return int(given) if given else otherwise


@dataclass(frozen=True)
class Choice:
    """``guests`` in the order in which they are tried, none for this machine's own kernel; ``why`` is a sentence for
    the user."""

    guests: tuple[str, ...]
    why: str

    @property
    def name(self) -> str:
        """One of KERNELS: the first choice."""
        return self.guests[0] if self.guests else "host"


def choose(kernel: str, features: Iterable[str]) -> Choice:
    """Where a lab with these needs runs. ``kernel`` is auto or one of KERNELS: auto is this machine's own if a trial
    shows all features, else the guests that have them. Raises MissingFeature, naming all that is missing."""
    wanted = frozenset(features)
    if kernel not in ("auto", *KERNELS):
        raise MissingFeature(f"there is no kernel {kernel!r}: choose one of auto, {', '.join(KERNELS)}")
    if kernel in GUESTS:
        return choose_guest(kernel, wanted)
    lacking = host.missing(wanted)
    if not lacking:
        return Choice((), "this kernel has all that is needed")
    why = host.describe(lacking)
    if kernel == "host":
        raise MissingFeature(
            f"kernel host was asked for, but {why}{host.explain(lacking)}\n  what to do: `mnmpls doctor` says how to "
            "get it on this system; or leave the choice to MNMPLS_KERNEL=auto, which takes a guest kernel"
        )
    return Choice(fit(why, wanted), why)


def choose_guest(kernel: str, wanted: frozenset[str] = frozenset()) -> Choice:
    """The same among the guests alone. One that is named is the only one."""
    if kernel == "auto":
        why = "a guest was asked for"
        return Choice(fit(why, wanted), why)
    problem = unfit(GUESTS[kernel], wanted)
    if problem:
        raise MissingFeature(f"kernel {kernel} was asked for, but {problem}")
    return Choice((kernel,), f"kernel {kernel} was asked for")


def fit(why: str, wanted: frozenset[str]) -> tuple[str, ...]:
    problems = {name: unfit(backend, wanted) for name, backend in GUESTS.items()}
    if all(problems.values()):
        reasons = "".join(f"\n  {problem}" for problem in problems.values())
        raise MissingFeature(f"{why}, and no guest kernel can start:{reasons}")
    return tuple(name for name, problem in problems.items() if not problem)


def unfit(backend: Backend, wanted: frozenset[str]) -> str:
    """Why this guest is no place for a lab with these needs; empty if it is one."""
    lacking = wanted - backend.features
    if lacking:
        spoken = ", ".join(host.FEATURES[feature].spoken for feature in sorted(lacking))
        return f"the {backend.title} guest has no {spoken}"
    problem = backend.problem()
    return f"{backend.title} guest: {problem}" if problem else ""


def run(
    choice: Choice, argv: Sequence[str], env: Mapping[str, str] | None = None, writable: Sequence[str] | None = None,
    offer: Offer | None = None, lasting: bool = False, ports: Sequence[HostPort] = (),
) -> int:
    """Run a command in the first guest of the choice that comes up; gives its exit status. Standard streams and
    terminal are as on the host. ``env`` is added to our own environment. ``writable`` are the folders it writes
    through, the current one unless given. ``offer``: other processes may come for sessions of their own, until this
    one ends. ``lasting``: it goes on when nobody takes its output any more. ``ports``: interfaces here
    that a UML guest has as well, as vec0 and so on. Raises GuestFailed when no guest comes up or one
    does not live."""
    folders = tuple(dict.fromkeys(map(folder, [os.getcwd()] if writable is None else writable)))

    def run_one(name: str) -> int:
        memory_mib = setting("MNMPLS_MEMORY_MIB", GUESTS[name].memory_mib)
        guest = Wish(GUESTS[name], folders, memory_mib, lasting, tuple(ports))
        patience = _AMONG_OTHERS if ports else 1
        hang_s = setting("MNMPLS_HANG_S", patience * int(guest.backend.hang_s))
        boot_s = patience * guest.backend.boot_s
        guest = replace(guest, backend=replace(guest.backend, hang_s=hang_s, boot_s=boot_s))
        return run_in(guest, command(name, argv, {**os.environ, **(env or {})}), offer)

    for name, following in zip(choice.guests, choice.guests[1:], strict=False):
        try:
            return run_one(name)
        except NotUp as error:
            print(f"mnmpls: {error}\nmnmpls: trying {GUESTS[following].title}", file=sys.stderr, flush=True)
    return run_one(choice.guests[-1])


def command(name: str, argv: Sequence[str], env: Mapping[str, str]) -> Command:
    window = terminal.size() if terminal.is_terminal() else None
    return Command(tuple(argv), guest_environment(name, env), os.getcwd(), window, not os.isatty(2))


def start(
    choice: Choice, argv: Sequence[str], offer: Offer, env: Mapping[str, str] | None = None,
    writable: Sequence[str] | None = None,
) -> tuple[int, int]:
    """The same in a process of its own that stays; gives its id, and the status behind READY, as soon as the command
    has written that line. What it writes before that is written here. A command that ends before it is ready ends us
    too, with its status (SystemExit): what there was to say has been said."""
    return start_detached(lambda: run(choice, argv, env, writable, offer, lasting=True))


def folder(path: str) -> str:
    """Its one true path. Raises GuestFailed if it is no folder."""
    if not os.path.isdir(path):
        raise GuestFailed(f"{path}: no such folder on the host, so the guest cannot write through it")
    return os.path.realpath(path)
