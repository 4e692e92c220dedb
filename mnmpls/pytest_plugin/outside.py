"""Runs the tests whose labs this machine's kernel cannot have in a guest, or in several.

The pytests in the guests (forwarded.py) write their reports, as pytest serialises them. The pytest here replays them
under the tests' own names and in their order: one count, one closing line, and each failure with its text and captured
output. A guest that ends early fails every test that it had taken and did not finish. The tests of this machine's own
run in their place too, while the guests go on: those before the first of a guest's at the same time as all of them.
"""

from __future__ import annotations

import os
import sys

import pytest
from _pytest.terminal import TerminalReporter

from .. import guests
from ..guests import host
from . import stop_if_asked, wishes
from .forwarded import Guests

_SPOKEN = 3
"""Features of a kernel that are told by name in the last line of a run."""


def run(session: pytest.Session, asking: list[pytest.Item]) -> bool | None:
    """The loop over all tests, if any of ``asking`` has to run in a guest."""
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        return None  # pytest's own loop says that nothing is run
    forwarded, why = _chosen(asking)
    if not forwarded:
        return None
    if hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Refusing(forwarded, why), "mnmpls-refusing")
        return None
    replay = Replay(session, forwarded, why)
    session.config.pluginmanager.register(replay, "mnmpls-replay")
    replay.loop()
    return True


def _chosen(asking: list[pytest.Item]) -> tuple[list[pytest.Item], str]:
    """Those of these tests that have to run in a guest, and why."""
    wanted = os.environ.get("MNMPLS_KERNEL", "auto")
    if guests.inside() or wanted == "host":
        return [], ""
    if wanted != "auto":
        return asking, f"MNMPLS_KERNEL={wanted} asks for it"
    needs = {item: wishes.features(item) for item in asking}
    lacking = host.missing(frozenset[str]().union(*needs.values()))
    return [item for item in asking if needs[item] & lacking.keys()], host.describe(lacking, _SPOKEN) if lacking else ""


class Refusing:
    """In a worker of pytest-xdist: as many guests as workers would be too many, so none is started."""

    def __init__(self, items: list[pytest.Item], why: str) -> None:
        self.names = {item.nodeid for item in items}
        self.text = f"{why}, so this test has to run in a guest, which it cannot under pytest-xdist: run it with -n0"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.nodeid in self.names:
            pytest.fail(self.text, pytrace=False)


class Replay:
    """The run on this machine: its own tests, and the guests' reports at the place of the others."""

    def __init__(self, session: pytest.Session, forwarded: list[pytest.Item], why: str) -> None:
        self.session, self.forwarded, self.why = session, forwarded, why
        self.guests = Guests(session.config, forwarded)

    def loop(self) -> None:
        """As pytest's own, with its pauses for -x and the like."""
        elsewhere, last = set(self.forwarded), self.forwarded[-1]
        here = [item for item in self.session.items if item not in elsewhere]
        following = dict(zip(here, here[1:], strict=False))
        try:
            self.guests.start()
            for item in self.session.items:
                if item in elsewhere:
                    self.replay(item, item is last)
                else:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following.get(item))
                if item is last:
                    self.guests.close()
                stop_if_asked(self.session)
        finally:
            self.guests.close()

    def replay(self, item: pytest.Item, last: bool) -> None:
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self.guests.reports(item):
            self.tell(item, report)
        for report in self.guests.end(item) if last else ():
            self.tell(item, report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def tell(self, item: pytest.Item, report: pytest.TestReport) -> None:
        if self.session.config.option.capture == "no" and report.when == "teardown":  # it has all that was captured
            sys.stdout.write(report.capstdout)
            sys.stderr.write(report.capstderr)
        item.ihook.pytest_runtest_logreport(report=report)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        terminalreporter.write_line(f"{len(self.forwarded)} of these ran in {self.guests}, because {self.why}")
