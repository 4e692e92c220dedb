"""Rules of every test run: a test that did not run proves nothing, and CI says so with a failure, unless it wanted what
the project cannot bring along (absent.py).

Tests marked ``kernel`` run where labs can (mnmpls.pytest_plugin). They come last, so that all others, which wait for
other things, run while guests run these.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from _pytest.terminal import TerminalReporter

from tests.absent import WORD

pytest_plugins = ("mnmpls.pytest_plugin",)

IN_CI = os.environ.get("CI", "") not in ("", "0", "false")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI, turns a skip (an expected failure too) into a failure that keeps its reason."""
    if not (IN_CI and report.skipped) or (reason := _reason(report)).startswith(WORD):
        return
    report.outcome = "failed"
    report.longrepr = f"did not run, which CI counts as a failure: {reason}"
    if hasattr(report, "wasxfail"):
        del report.wasxfail


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Of a skip, without pytest's word for it."""
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return str(told).removeprefix("Skipped: ")


def pytest_configure() -> None:
    """A script's shell starts what it leaves in the background deaf to Ctrl-C, and so would be all that tests start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("kernel"):
            item.add_marker("lab_kernel")
    markers = ("kernel", "system")
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in markers])


# Wrappers come before pytest's own counting of failures, which decides the exit status.
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> Iterator[None]:
    _refuse_skip(report)
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_collectreport(report: pytest.CollectReport) -> Iterator[None]:
    _refuse_skip(report)
    yield


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    unproven = len(skipped) + len(terminalreporter.stats.get("xfailed", []))
    if unproven:
        terminalreporter.write_line(f"not proven: {unproven} of the tests did not run here", yellow=True)
    absent = Counter(reason for each in skipped if (reason := _reason(each)).startswith(WORD))
    for reason, count in absent.items():
        terminalreporter.write_line(f"  {count} because of what is {reason}", yellow=True)
