"""Labs for pytest: the fixtures ``lab`` and ``module_lab``, and a guest kernel for the tests that need one.

Every pytest run on the machine takes this module in, so it imports nothing of ours before a test asks for a lab.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mnmpls.netns import RunningLab

MARKERS = (
    "lab(source, *, wait_s=30, allow_exec=False): the lab of the fixtures lab (at a test) and module_lab (at its "
    "module): a lab file's path from the test's folder or rootdir, a Lab, or source=FUNCTION that gives one.",
    "lab_kernel: needs MPLS and VRFs in the kernel; runs in a guest where this machine's kernel lacks them.",
)
FORWARDED = "--mnmpls-forwarded"
GUESTS = "--mnmpls-guests"
LIMIT = "--mnmpls-limit"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mnmpls", "labs (mnmpls)")
    group.addoption(FORWARDED, metavar="FOLDER", help=argparse.SUPPRESS)
    text = "start up to N guests, which share the files with tests that need one (default: 1)"
    group.addoption(GUESTS, metavar="N", type=int, default=1, help=text)
    text = "end the guests in which tests with labs run after S seconds (0, the default: never)"
    group.addoption(LIMIT, metavar="S", type=float, default=0.0, help=text)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    folder = config.getoption(FORWARDED)
    if folder:
        from .inside import Inside

        config.pluginmanager.register(Inside(config, Path(folder)), "mnmpls-inside")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """pytest's own loop (None) unless there is something that this kernel cannot do."""
    asking = [item for item in session.items if asks_for_kernel(item)]
    if not asking or session.config.option.collectonly:
        return None
    from . import outside

    return outside.run(session, asking)


def stop_if_asked(session: pytest.Session) -> None:
    """As pytest's own loop does after each test: ``-x`` and the like."""
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def asks_for_kernel(item: pytest.Item) -> bool:
    return item.get_closest_marker("lab_kernel") is not None or bool(fixtures(item))


def fixtures(item: pytest.Item) -> list[str]:
    """Those of ours that a test uses, by itself or by another fixture: not one of its own that is called the same."""
    info = getattr(item, "_fixtureinfo", None)  # functions have it, doctests and others need not
    named = info.name2fixturedefs if info else {}
    return [name for name in ("lab", "module_lab") if name in named and named[name][-1].func.__module__ == __name__]


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    """The lab of the marker ``lab``, running and proven, for this test alone (mnmpls.netns.RunningLab)."""
    yield from _running(request)


@pytest.fixture(scope="module")
def module_lab(request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    """The lab of the module's marker ``lab``, one for all of its tests: what a test changes the next one sees."""
    yield from _running(request)


def _running(request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    from ..errors import MnmplsError
    from .wishes import start, wish

    problem = ""
    try:
        with start(wish(request.node, getattr(request, "param", None))) as running:
            yield running
    except MnmplsError as error:
        problem = str(error)
    if problem:  # here, or pytest would tell of the one error during the other
        pytest.fail(problem, pytrace=False)
