"""Runs the tests marked ``kernel`` inside one guest where this machine's kernel lacks what they need.

A second pytest in the guest writes its reports, as pytest serialises them, into a file in the current folder, which
is writable through the guest. The pytest on the host replays them under the tests' own names: one count, one closing
line, and each failure with its text and captured output. A guest that ends early fails every test it did not finish.

Order: the tests that need no kernel run while the guest boots and works; those marked ``system``, which look at what
is left on the machine, wait until the guest is gone.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TextIO

import pytest
from _pytest.terminal import TerminalReporter

from mnmpls import guests
from mnmpls.guests import host

FEATURES = frozenset({"netns", "veth", "bridge", "vrf", "mpls", "mpls-encap"})
GUEST_LIMIT_S = 15 * 60
WELL = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
PROJECT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guest")
    group.addoption("--forwarded", metavar="FOLDER", help="internal: run in a guest what FOLDER/selected lists")
    group.addoption("--guest-limit", metavar="S", type=float, default=GUEST_LIMIT_S,
                    help="seconds after which the kernel tests' guest is ended (default: %(default)s)")


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--forwarded")
    plugin = Inside(config, Path(folder)) if folder else Outside(config)
    config.pluginmanager.register(plugin, "mnmpls-forwarding")


class Inside:
    """In the guest: keeps the selected tests only and writes what becomes of them, a JSON object a line."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self.config = config
        self.selected = (folder / "selected").read_text().splitlines()
        self.out: TextIO = (folder / "reports").open("a", encoding="utf-8")
        self._write("guest", f"{os.environ.get('MNMPLS_GUEST', '?')}, Linux {platform.release()}")

    def _write(self, kind: str, value: object) -> None:
        self.out.write(json.dumps({kind: value}, default=str) + "\n")
        self.out.flush()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        rank = {name: number for number, name in enumerate(self.selected)}
        items[:] = sorted((item for item in items if item.nodeid in rank), key=lambda item: rank[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write("started", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self._write("report", data)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write("finished", nodeid)


class Outside:
    """On the host: hands kernel tests to a guest when they cannot run here, and everything else to pytest."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.summary = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """pytest's own loop, in three parts; None (pytest's loop as it is) where nothing is to be forwarded."""
        why = "" if self.config.option.collectonly else _why_guest(session.items)
        if not why or (session.testsfailed and not self.config.option.continue_on_collection_errors):
            return None
        forwarded = [item for item in session.items if item.get_closest_marker("kernel")]
        here = [item for item in session.items if not item.get_closest_marker("kernel")]
        here.sort(key=lambda item: item.get_closest_marker("system") is not None)
        beside = sum(item.get_closest_marker("system") is None for item in here)
        self.summary = f"{len(forwarded)} of these ran in a guest, because {why}"
        guest = Guest(self.config, forwarded)
        try:
            _run(session, here, range(beside))
            self._replay(session, forwarded, guest)
        finally:
            guest.close()
        _run(session, here, range(beside, len(here)))
        return True

    def _replay(self, session: pytest.Session, items: list[pytest.Item], guest: Guest) -> None:
        for item in items:
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for report in guest.reports(item):
                item.ihook.pytest_runtest_logreport(report=report)
            if item is items[-1]:
                for report in guest.end(item):
                    item.ihook.pytest_runtest_logreport(report=report)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            _stop_if_asked(session)
        self.summary = self.summary.replace("a guest", f"a guest ({guest.kernel})") if guest.kernel else self.summary

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self.summary:
            terminalreporter.write_line(self.summary)


def _why_guest(items: list[pytest.Item]) -> str:
    """Why kernel tests cannot run in this kernel; empty when they can, or when there are none."""
    wanted = os.environ.get("MNMPLS_KERNEL", "auto")
    if guests.inside() or wanted == "host" or not any(item.get_closest_marker("kernel") for item in items):
        return ""
    if wanted != "auto":
        return f"MNMPLS_KERNEL={wanted} asks for it"
    lacking = host.missing(FEATURES)
    return "this kernel lacks " + ", ".join(sorted(lacking)) if lacking else ""


def _run(session: pytest.Session, items: list[pytest.Item], part: range) -> None:
    for number in part:
        following = items[number + 1] if number + 1 < len(items) else None
        items[number].config.hook.pytest_runtest_protocol(item=items[number], nextitem=following)
        _stop_if_asked(session)


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
        self.limit_s = float(config.getoption("--guest-limit"))
        self.folder = Path(tempfile.mkdtemp(prefix="guest-", dir=_cache(config)))
        self.kernel = ""
        self.started: set[str] = set()
        self.finished: set[str] = set()
        self.kept: dict[str, list[Any]] = {}
        self.rest = ""
        (self.folder / "selected").write_text("".join(f"{item.nodeid}\n" for item in items))
        (self.folder / "reports").touch()
        self.log = self.folder / "log"
        self.begun = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(self._command(items), cwd=config.rootpath, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self.lines = (self.folder / "reports").open(encoding="utf-8")

    def _command(self, items: list[pytest.Item]) -> list[str]:
        """One for every user: the same `mnmpls guest run` that the README shows."""
        option = self.config.option
        files = sorted({str(item.path) for item in items})
        inner = [sys.executable, "-m", "pytest", "-p", "tests.forwarding", f"--forwarded={self.folder}",
                 f"--rootdir={self.config.rootpath}", "-p", "no:cacheprovider", f"--tb={option.tbstyle}",
                 *(["--showlocals"] if option.showlocals else []), *["-v"] * option.verbose, *files]
        # The project's folder is named, because the tests' rootdir need not be it.
        return [sys.executable, "-m", "mnmpls", "guest", "run", "--", "/usr/bin/env", f"PYTHONPATH={PROJECT}", *inner]

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
            time.sleep(0.05)

    def end(self, last: pytest.Item) -> Iterator[pytest.TestReport]:
        """Nothing when the guest's pytest ended well, if with failed tests; else an error at the last test."""
        while self._alive():
            time.sleep(0.05)
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
        if report.skipped and data["longrepr"]:
            path, line, reason = data["longrepr"]  # JSON knows no tuples
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
        """Ends the guest if it still runs (Ctrl-C, -x, the limit) and removes the folder."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.lines.close()
        shutil.rmtree(self.folder)


def _cache(config: pytest.Config) -> Path:
    """A folder below the current one: only that is writable through the guest."""
    folder = config.rootpath / ".pytest_cache" / "guest"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
