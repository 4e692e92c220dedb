"""Runs the tests whose labs this machine's kernel cannot have in one guest.

A second pytest in the guest, started with the same arguments, writes its reports, as pytest serialises them, into a
folder that is writable through the guest. The pytest here replays them under the tests' own names and in their order:
one count, one closing line, and each failure with its text and captured output. A guest that ends early fails every
test it did not finish. The tests before the first of these run while the guest boots, those after the last one when it
is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from _pytest.terminal import TerminalReporter

from .. import guests
from ..guests import host
from . import FORWARDED, LIMIT, wishes

WELL = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
LOOK_S = 0.05
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
    """The run on this machine: its own tests, and the guest's reports at the place of the others."""

    def __init__(self, session: pytest.Session, forwarded: list[pytest.Item], why: str) -> None:
        self.session, self.forwarded = session, forwarded
        self.summary = f"{len(forwarded)} of these ran in a guest, because {why}"

    def loop(self) -> None:
        """As pytest's own, with its pauses for -x and the like."""
        elsewhere, last = set(self.forwarded), self.forwarded[-1]
        here = [item for item in self.session.items if item not in elsewhere]
        following = dict(zip(here, here[1:], strict=False))
        guest = Guest(self.session.config, self.forwarded)
        try:
            for item in self.session.items:
                if item in elsewhere:
                    self.replay(item, guest, item is last)
                else:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following.get(item))
                if item is last:
                    guest.close()
                _stop_if_asked(self.session)
        finally:
            guest.close()

    def replay(self, item: pytest.Item, guest: Guest, last: bool) -> None:
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in guest.reports(item):
            self.tell(item, report)
        for report in guest.end(item) if last else ():
            self.tell(item, report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if guest.kernel:
            self.summary = self.summary.replace("a guest,", f"a guest ({guest.kernel}),")

    def tell(self, item: pytest.Item, report: pytest.TestReport) -> None:
        if self.session.config.option.capture == "no" and report.when == "teardown":  # it has all that was captured
            sys.stdout.write(report.capstdout)
            sys.stderr.write(report.capstderr)
        item.ihook.pytest_runtest_logreport(report=report)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        terminalreporter.write_line(self.summary)


def _stop_if_asked(session: pytest.Session) -> None:
    """As pytest's own loop does after each test: ``-x`` and the like."""
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


class Guest:
    """The pytest in the guest, and what it has written so far. Its folder and its process end with close()."""

    def __init__(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self.config = config
        self.limit_s = float(config.getoption(LIMIT)) or float("inf")
        self.folder = Path(tempfile.mkdtemp(prefix="mnmpls-pytest-"))
        self.kernel = ""
        self.started: set[str] = set()
        self.finished: set[str] = set()
        self.kept: dict[str, list[Any]] = {}
        self.rest = ""
        selected = {"tests": [item.nodeid for item in items], "files": sorted({str(item.path) for item in items})}
        (self.folder / "selected").write_text(json.dumps(selected), encoding="utf-8")
        (self.folder / "reports").touch()
        self.log = self.folder / "log"
        self.begun = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self._command(), cwd=config.invocation_params.dir, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.lines = (self.folder / "reports").open(encoding="utf-8")

    def _command(self) -> list[str]:
        """One for every user: the same `mnmpls guest run` that the README shows."""
        params = self.config.invocation_params
        writable = dict.fromkeys(map(str, (params.dir, self.config.rootpath, self.folder)))
        folders = [word for folder in writable for word in ("-w", folder)]
        # What is captured comes with the reports, so -s is for the pytest here; so is the cache.
        ours = ["-p", "mnmpls.pytest_plugin", f"{FORWARDED}={self.folder}", "--capture=fd"]
        has_cache = self.config.pluginmanager.hasplugin("cacheprovider")
        cache = ["-o", f"cache_dir={self.folder / 'cache'}"] if has_cache else []
        argv = [sys.executable, "-m", "pytest", *map(str, params.args), *ours, *cache]
        return [sys.executable, "-m", "mnmpls", "guest", "run", *folders, "--", *argv]

    def reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        """The reports of one test, as they come in; one that failed, with the reason, if the guest is gone."""
        while True:
            alive = self._alive()  # asked before reading: what a dead guest had written is all read then
            self._read()
            yield from (self._report(data) for data in self.kept.pop(item.nodeid, []))
            if item.nodeid in self.finished:
                return
            if not alive:
                yield self._lost(item, "while this test ran" if item.nodeid in self.started else "before this test ran")
                return
            time.sleep(LOOK_S)

    def end(self, last: pytest.Item) -> Iterator[pytest.TestReport]:
        """Nothing when the guest's pytest ended well, if with failed tests; else an error at the last test."""
        while self._alive():
            time.sleep(LOOK_S)
        if last.nodeid in self.finished and self.process.poll() not in WELL:
            yield self._lost(last, "after the last test", when="teardown")

    def _alive(self) -> bool:
        return self.process.poll() is None and time.monotonic() - self.begun < self.limit_s

    def _read(self) -> None:
        """Takes in every line written completely so far."""
        *whole, self.rest = (self.rest + self.lines.read()).split("\n")
        take: dict[str, Callable[[Any], object]] = {
            "guest": lambda text: setattr(self, "kernel", text),
            "started": self.started.add,
            "finished": self.finished.add,
            "report": lambda data: self.kept.setdefault(data["nodeid"], []).append(data),
        }
        for line in whole:
            for kind, value in json.loads(line).items():
                take[kind](value)

    def _report(self, data: dict[str, Any]) -> pytest.TestReport:
        report = self.config.hook.pytest_report_from_serializable(config=self.config, data=data)
        assert isinstance(report, pytest.TestReport)
        if isinstance(data["longrepr"], list):  # a skip: JSON knows no tuples
            path, line, reason = data["longrepr"]
            report.longrepr = (path, line, reason)
        return report

    def _lost(self, item: pytest.Item, where: str, when: Literal["call", "teardown"] = "call") -> pytest.TestReport:
        status = self.process.poll()
        if status in WELL and item.nodeid not in self.started:
            where += ", which it did not find (files that changed meanwhile, or a parameter that differs there)"
        how = f"had not finished after {self.limit_s:.0f} s" if status is None else f"ended with status {status}"
        last = "\n".join(f"    {line}" for line in self.log.read_text(errors="replace").splitlines()[-25:])
        return pytest.TestReport(
            nodeid=item.nodeid, location=item.location, keywords=dict.fromkeys(item.keywords, 1),
            outcome="failed", when=when, longrepr=f"the guest {how} {where}; its last output:\n{last}",
        )

    def close(self) -> None:
        """Ends the guest if it still runs (Ctrl-C, -x, the limit) and removes the folder. Harmless when done before."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.lines.close()
        shutil.rmtree(self.folder, ignore_errors=True)
