"""What ``mn`` takes in the place of its own names, by one line in a --custom file:

    from mnmpls.mn.custom import CLI, Mininet, cleanup, findController, tests

With it nothing asks for a controller or a switch, a failed ``--test`` or an error ends with a status other than 0,
and mn's clean-up, which kills other programs by their names, never runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from mininet.node import NullController

from ..errors import CheckFailed
from .cli import CLI
from .net import LIVE, Mininet
from .proof import check, prove

__all__ = ["CLI", "Mininet", "cleanup", "findController", "tests"]

_INTERRUPTED = 130  # 128 + SIGINT, as a shell says it


def findController() -> type[NullController]:  # noqa: N802
    """mn asks for a default controller before it looks at the topology."""
    return NullController  # type: ignore[no-any-return]


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
