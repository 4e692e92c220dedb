"""Why a daemon may lack a session: what can be seen from outside, the nearest cause first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..asking import answers, log_lines
from ..daemons import ZEBRA, Session, daemon_at, services
from ..model import Lab
from ..plan import records
from ..processes import Folders
from ..services import why_missing
from ..state import MAIN_TABLE
from ..wording import vrf_names
from .causes import cause_of
from .drift import drifts
from .learned import learned
from .views import View

if TYPE_CHECKING:
    from ..kernel import Namespace


class Reasons:
    """Of one lab, for all sessions that are ``lacking``."""

    def __init__(
        self, lab: Lab, namespaces: Mapping[str, Namespace], folders: Mapping[str, Folders], lacking: Sequence[Session]
    ) -> None:
        self._lab, self._namespaces, self._folders, self._lacking = lab, namespaces, folders, lacking
        self._records = records(lab)
        self._running = {node: {one.name for one in some} for node, some in services(lab).items()}

    def of(self, session: Session) -> str:
        """A clause with a colon before it; empty where nothing is to be seen."""
        found = next(self._seen(session), "")
        return f": {found}" if found else ""

    def _seen(self, session: Session) -> Iterator[str]:
        for node in (session.node, session.peer_node):
            if node not in self._folders:
                yield f"no daemon runs at {node}, is it turned off?"
            elif not answers(self._folders[node], daemon := daemon_at(session.daemon, self._running[node])):
                yield f"{daemon} of {node} does not run"
        if said := why_missing(self._lab, session, self._folders):
            yield said
        for node in (session.node, session.peer_node):
            for one in drifts(node, self._records[node], self._namespaces[node])[:1]:
                yield f"{node}: {one.text(vrf_names(self._records[node]))}"
        if session.daemon == ZEBRA:  # which no line of a log is about
            return
        if said := cause_of(self._lab, session, self._folders):
            yield said
        if session.port:
            before = self._before(session)
            yield from (f"first it needs its {one.text}" for one in before[:1])
        elif not session.vrf:
            yield from self._no_way(session)
        for node in (session.node, session.peer_node):
            daemon = daemon_at(session.daemon, self._running[node])
            others = {port.name for port in self._lab.ports(node)} - {session.port}
            lines = log_lines(self._folders[node], daemon)
            for line in [line for line in lines if not any(other in line for other in others)][-1:]:
                yield f"{daemon} of {node} said last: {line}"

    def _before(self, session: Session) -> list[Session]:
        """BFD watches who is a neighbour already."""
        mine = [one for one in self._lacking if (one.node, one.port) == (session.node, session.port)]
        return [one for one in mine if one.daemon != "bfdd"] if session.daemon == "bfdd" else []

    def _no_way(self, session: Session) -> Iterator[str]:
        namespace = self._namespaces[session.node]
        view = View(session.node, self._records[session.node] | learned(self._lab, session.node, namespace))
        if view.route(MAIN_TABLE, session.peer) is None:
            yield f"{session.node} has no route to {session.peer}"
