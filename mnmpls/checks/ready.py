"""Waiting for a lab to do what it is meant to do, by what kernels and daemons tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from ..kernel.notices import Notices
from ..model import Lab
from ..processes import Folders
from ..services import agree_again, awaited, missing, refused
from .bindings import bindings
from .equal_ways import equal_ways
from .findings import Finding
from .intent import Expectation, Intent, expectations
from .learned import with_learned
from .predict import Hop, ways
from .reach import Result, probe
from .sampling import in_turn
from .views import World
from .vpn import Call
from .why import Reasons

if TYPE_CHECKING:
    from ..kernel import Namespace

_SOON_S, _LATE_S = 0.02, 0.32
"""What no kernel tells of, such as a BFD session, is asked for at growing intervals after the last news."""
_AGREE_S = 8.0
"""Keys are agreed on within a second or two; who lacks them for so long asks again."""
_TABLES_S = 5.0
_FOLLOWED = 100
"""Pairs whose ways are looked at in the kernels' tables: those of a large lab take seconds."""
_SHOWN = 10

Tell = Callable[[str], None]


def await_reach(
    lab: Lab,
    namespaces: Mapping[str, Namespace],
    folders: Mapping[str, Folders],
    limit_s: float,
    tell: Tell = lambda _: None,
) -> str:
    """Until everybody answers who should and nobody else: nothing then; after ``limit_s``, what is wrong and the likely
    reason. With a limit of 0 nobody is asked. ``tell`` hears which lines of own configurations nobody understood, and
    what is still awaited, whenever that changes."""
    for _, _, problems in refused(lab, folders):
        for one in problems:
            tell(str(one))
    if limit_s <= 0:
        return ""
    routing = [namespaces[name] for name in folders]
    with closing(Notices(routing or namespaces.values())) as notices:
        awaiting = _Awaiting(lab, namespaces, folders, time.monotonic() + limit_s, tell, notices)
        problem = awaiting.sessions()
        if not problem:
            awaiting.tables()
            problem = awaiting.answers()
    return f"not as intended after {limit_s:g} s:{problem}" if problem else ""


class _Awaiting:
    def __init__(
        self, lab: Lab, namespaces: Mapping[str, Namespace], folders: Mapping[str, Folders], until: float, tell: Tell,
        notices: Notices,
    ) -> None:  # fmt: skip
        self._lab, self._namespaces, self._folders, self._until = lab, namespaces, folders, until
        self._told, self._tell, self._notices = "", tell, notices
        self._pause_s = _SOON_S

    def _say(self, text: str) -> None:
        if text != self._told:
            self._tell(text)
        self._told = text

    def _wait(self) -> bool:
        """For news; False when there was none for a while."""
        heard = self._notices.wait(self._pause_s)
        self._pause_s = _SOON_S if heard else min(2 * self._pause_s, _LATE_S)
        return heard or self._pause_s < _LATE_S

    @property
    def _is_over(self) -> bool:
        return time.monotonic() > self._until

    def sessions(self) -> str:
        """Those that are missing in the end."""
        again = time.monotonic() + _AGREE_S
        while lacking := missing(self._lab, self._folders):
            if time.monotonic() > again:
                agree_again(self._lab, self._folders, lacking)
                again += _AGREE_S
            if self._is_over:
                why = Reasons(self._lab, self._namespaces, self._folders, lacking)
                return _listed(f"{one.node} ({one.daemon}) has no {one.text}{why.of(one)}" for one in lacking)
            self._say(awaited(lacking))
            self._wait()
        return ""

    def tables(self) -> None:
        """LDP's labels and the second of equal ways are in the kernels a moment after the sessions are up. For that
        moment only: what never comes is what check tells of."""
        until = min(self._until, time.monotonic() + _TABLES_S)
        while not all(one.ok for one in self._known_soon()):
            if time.monotonic() > until:
                return
            self._wait()

    def _known_soon(self) -> Iterator[Finding]:
        yield from bindings(self._lab, self._namespaces, self._folders, ())
        yield from equal_ways(self._lab, self._namespaces, self._folders, (), patience_s=0)

    def answers(self) -> str:
        """The pairs that are wrong in the end. While the tables have no way, no packet is sent."""
        intent = Intent(self._lab)
        while True:
            if self._folders:
                self._until_led(intent)
            wrong = [each for each in probe(self._lab, self._namespaces) if not each.ok]
            if not wrong:
                return ""
            if self._is_over:
                return _listed(self._why(each, intent) for each in wrong)
            self._wait()

    def _until_led(self, intent: Intent) -> None:
        """Until the kernels' tables lead from everybody to whom they should, or nothing has changed for a while."""
        while lost := list(self._lost(intent, expectations(intent, hosts_only=False))):
            self._say(_fib(lost))
            if not self._wait() or self._is_over:
                return

    def _lost(self, intent: Intent, wanted: Iterable[Expectation]) -> Iterator[tuple[Expectation, Hop]]:
        """Those whose packets would not arrive, and the hop at which they end."""
        world = World(self._lab, with_learned(self._lab, intent.world.records, self._namespaces))
        for one in in_turn([each for each in wanted if each.taker])[:_FOLLOWED]:
            end = next(iter(ways(world, Call(one.src, one.address))))[-1]
            if end.operation == "drop":
                yield one, end

    def _why(self, result: Result, intent: Intent) -> str:
        ends = [hop for _, hop in self._lost(intent, [result.expected])] if self._folders else []
        return result.why + "".join(f" (at {hop.node}: {hop.reason})" for hop in ends)


def _fib(lost: Sequence[tuple[Expectation, Hop]]) -> str:
    """`waiting for FIB: pe1 (to 10.2.0.1, 10.3.0.1), pe2 (to 10.1.0.1)`"""
    at: dict[str, dict[str, None]] = {}
    for one, hop in lost:
        at.setdefault(hop.node, {})[one.address] = None
    told = [f"{node} (to {_few(list(found))})" for node, found in at.items()]
    return f"waiting for FIB: {_few(told)}"


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])


def _listed(lines: Iterable[str]) -> str:
    every = list(lines)
    shown = "".join(f"\n  {line}" for line in every[:_SHOWN])
    return shown + (f"\n  and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")


