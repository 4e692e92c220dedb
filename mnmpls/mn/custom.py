"""What ``mn`` takes in the place of its own names, by one line in a --custom file:

    from mnmpls.mn.custom import *

With it nothing asks for a controller or a switch, a failed ``--test`` or an error ends with a status other than 0,
and mn's clean-up, which kills other programs by their names, never runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import mininet.util
from mininet.node import NullController

from ..errors import CheckFailed, LabError, Problem, nearest
from .cli import CLI
from .net import LIVE, Mininet
from .nodes import CEHost, LabHost, LANBridge
from .proof import check, prove

__all__ = ["CLI", "Mininet", "buildTopo", "cleanup", "findController", "hosts", "switches", "tests", "validate"]

hosts = {"lab": LabHost, "ce": CEHost}
switches = {"lan": LANBridge}
"""For stock topologies: ``mn --custom … --topo tree,2 --host lab --switch lan``."""

_INTERRUPTED = 130  # 128 + SIGINT, as a shell says it


def findController() -> type[NullController]:  # noqa: N802
    """mn asks for a default controller before it looks at the topology."""
    return NullController  # type: ignore[no-any-return]


def buildTopo(topos: dict[str, Callable[..., Any]], wanted: str) -> Any:  # noqa: N802
    """As stock. Raises LabError for a topology that is not there."""
    _refuse_unknown("--topo", wanted, topos)
    return mininet.util.buildTopo(topos, wanted)


def validate(options: Any) -> None:
    """mn calls this before anything is made. Raises LabError for a test that is not there; a test is in mn's table, or
    a method of the net."""
    known = getattr(sys.modules["__main__"], "TESTS", tests)
    for wanted in (test for option in options.test for test in option.split("+")):
        name = wanted.split(",")[0]
        if not (name.lower() in known or hasattr(Mininet, name)):
            _refuse_unknown("--test", name, known)


def _refuse_unknown(option: str, wanted: str, known: Iterable[str]) -> None:
    name = wanted.split(",")[0]
    if name not in known:
        raise LabError([Problem(option, f"there is no {name!r}: {nearest(name, known)}")])


def cleanup() -> None:
    """mn calls this when something was raised, and for ``mn -c``: stop what this process started, nothing else.

    Raises SystemExit with the status that the error asks for.
    """
    problem = sys.exc_info()[1]
    for net in tuple(LIVE):
        net.stop()
    if problem is not None:
        status = _INTERRUPTED if isinstance(problem, KeyboardInterrupt) else getattr(problem, "exit_code", 1)
        raise SystemExit(status)


def _wrong_share(name: str) -> Callable[..., None]:
    def test(net: Any, *args: Any, **kwargs: Any) -> None:
        share = getattr(net, name)(*args, **kwargs)
        if share:
            raise CheckFailed(f"{name}: {share:.0f}% of the pairs are not as intended")

    return test


def _full(net: Any) -> None:
    for test in ("pingAll", "iperf"):
        tests[test](net)


tests: dict[str, Callable[..., Any]] = {
    "pingAll": _wrong_share("pingAll"),
    "pingPair": _wrong_share("pingPair"),
    "iperf": lambda net, *args, **kwargs: net.iperf(*args, **kwargs),
    "iperfUdp": lambda net, *args, **kwargs: net.iperf(*args, l4Type="UDP", **kwargs),
    "all": _full,
    "check": check,
    "prove": prove,
}
