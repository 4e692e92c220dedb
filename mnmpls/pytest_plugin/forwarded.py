"""The pytests in the guests: each started with the same arguments as the one here, each taking the next file of tests
that no other has taken. What they report comes as lines of JSON into a folder that is writable through them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from . import FORWARDED, GUESTS, LIMIT

WELL = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
LOOK_S = 0.05


class Guest:
    """One pytest in a guest, with a folder of its own below the shared one."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self.folder = folder
        self.kernel = ""
        self.rest = ""
        folder.mkdir()
        (folder / "reports").touch()
        with (folder / "log").open("wb") as out:
            self.process = subprocess.Popen(
                _command(config, folder), cwd=config.invocation_params.dir, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.lines = (folder / "reports").open(encoding="utf-8")

    def news(self) -> Iterator[tuple[str, Any]]:
        """Every line that it has written completely since the last time."""
        *whole, self.rest = (self.rest + self.lines.read()).split("\n")
        for line in whole:
            yield from json.loads(line).items()

    def last_words(self) -> str:
        return "\n".join(f"    {line}" for line in (self.folder / "log").read_text(errors="replace").splitlines()[-25:])

    def close(self) -> None:
        """Waits for the end that it was told of already."""
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.lines.close()


def _command(config: pytest.Config, folder: Path) -> list[str]:
    """One for every user: the same `mnmpls guest run` that the README shows."""
    params = config.invocation_params
    writable = dict.fromkeys(map(str, (params.dir, config.rootpath, folder.parent)))
    folders = [word for path in writable for word in ("-w", path)]
    # What is captured comes with the reports, so -s is for the pytest here; so is the cache.
    ours = ["-p", "mnmpls.pytest_plugin", f"{FORWARDED}={folder}", "--capture=fd"]
    has_cache = config.pluginmanager.hasplugin("cacheprovider")
    cache = ["-o", f"cache_dir={folder / 'cache'}"] if has_cache else []
    argv = [sys.executable, "-m", "pytest", *map(str, params.args), *ours, *cache]
    dies_with_us = ("setpriv", "--pdeathsig", "TERM", "--")  # the session of its own keeps other signals from it
    return [*dies_with_us, sys.executable, "-m", "mnmpls", "guest", "run", *folders, "--", *argv]


class Guests:
    """As many as were asked for, but no more than there are files, and what they have reported so far. Their folder
    and their processes end with close()."""

    def __init__(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self.config = config
        self.limit_s = float(config.getoption(LIMIT)) or float("inf")
        self.started: set[str] = set()
        self.finished: set[str] = set()
        self.kept: dict[str, list[Any]] = {}
        self.taken: dict[str, Guest] = {}
        self.blamed: list[Guest] = []
        self.folder = Path(tempfile.mkdtemp(prefix="mnmpls-pytest-"))
        files: dict[str, list[str]] = {}
        for item in items:
            files.setdefault(str(item.path), []).append(item.nodeid)
        (self.folder / "selected").write_text(json.dumps(files), encoding="utf-8")
        (self.folder / "taken").mkdir()
        self.begun = time.monotonic()
        self.wanted = max(1, min(config.getoption(GUESTS), len(files)))
        self.all: list[Guest] = []

    def start(self) -> None:
        for number in range(self.wanted):
            self.all.append(Guest(self.config, self.folder / str(number)))

    def __str__(self) -> str:
        kernels = [guest.kernel for guest in self.all if guest.kernel]
        known = f" ({' and '.join(dict.fromkeys(kernels))})" if kernels else ""
        return (f"{len(kernels)} guests" if len(kernels) > 1 else "a guest") + known

    def reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        """The reports of one test, as they come in; one that failed, with the reason, if its guest is gone."""
        while True:
            able = self._able(item)  # asked before reading: what a dead guest had written is all read then
            self._read()
            yield from (self._report(data) for data in self.kept.pop(item.nodeid, []))
            if item.nodeid in self.finished:
                return
            if not able:
                where = "while this test ran" if item.nodeid in self.started else "before this test ran"
                yield self._lost(item, self.taken.get(str(item.path), (*self._ill(), *self.all)[0]), where)
                return
            time.sleep(LOOK_S)

    def end(self, last: pytest.Item) -> Iterator[pytest.TestReport]:
        """An error at the last test for each guest whose pytest ended otherwise than well, if no other test told so;
        none for one that has done nothing, for lack of memory say, as long as others did all."""
        while self._alive(self.all):
            time.sleep(LOOK_S)
        for guest in [each for each in self._ill() if each in self.taken.values() and each not in self.blamed]:
            yield self._lost(last, guest, "after its last test", when="teardown")

    def _ill(self) -> list[Guest]:
        return [guest for guest in self.all if guest.process.poll() not in WELL]

    def _able(self, item: pytest.Item) -> bool:
        """Whether a guest is there that this test may still come from."""
        owner = self.taken.get(str(item.path))
        return self._alive([owner] if owner else self.all)

    def _alive(self, guests: Iterable[Guest]) -> bool:
        return any(guest.process.poll() is None for guest in guests) and time.monotonic() - self.begun < self.limit_s

    def _read(self) -> None:
        for guest in self.all:
            for kind, value in guest.news():
                self._take(guest, kind, value)

    def _take(self, guest: Guest, kind: str, value: Any) -> None:
        take: dict[str, Callable[[Any], object]] = {
            "guest": lambda text: setattr(guest, "kernel", text),
            "took": lambda file: self.taken.setdefault(file, guest),
            "started": self.started.add,
            "finished": self.finished.add,
            "report": lambda data: self.kept.setdefault(data["nodeid"], []).append(data),
        }
        take[kind](value)

    def _report(self, data: dict[str, Any]) -> pytest.TestReport:
        report = self.config.hook.pytest_report_from_serializable(config=self.config, data=data)
        assert isinstance(report, pytest.TestReport)
        if isinstance(data["longrepr"], list):  # a skip: JSON knows no tuples
            path, line, reason = data["longrepr"]
            report.longrepr = (path, line, reason)
        return report

    def _lost(
        self, item: pytest.Item, guest: Guest, where: str, when: Literal["call", "teardown"] = "call"
    ) -> pytest.TestReport:
        self.blamed.append(guest)
        status = guest.process.poll()
        if status in WELL and item.nodeid not in self.started:
            where += ", which it did not find (files that changed meanwhile, or a parameter that differs there)"
        how = f"had not finished after {self.limit_s:.0f} s" if status is None else f"ended with status {status}"
        return pytest.TestReport(
            nodeid=item.nodeid, location=item.location, keywords=dict.fromkeys(item.keywords, 1), outcome="failed",
            when=when, longrepr=f"the guest {how} {where}; its last output:\n{guest.last_words()}",
        )  # fmt: skip

    def close(self) -> None:
        """Ends those that still run (Ctrl-C, -x, the limit) and removes the folder. Harmless when done before."""
        for guest in self.all:
            guest.process.terminate()
        for guest in self.all:
            guest.close()
        shutil.rmtree(self.folder, ignore_errors=True)
