"""A pytest in a guest: it takes files of tests, one after the other, and writes what becomes of them."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from . import stop_if_asked


class Inside:
    """Runs the selected tests only, of the files that no other guest has taken, and writes a JSON object a line."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self.config = config
        self.shared = folder.parent
        self.selected: dict[str, list[str]] = json.loads((self.shared / "selected").read_text(encoding="utf-8"))
        self.out: TextIO = (folder / "reports").open("a", encoding="utf-8")
        self._write("guest", f"{os.environ.get('MNMPLS_GUEST', '?')}, Linux {platform.release()}")

    def _write(self, kind: str, value: object) -> None:
        self.out.write(json.dumps({kind: value}, default=str) + "\n")
        self.out.flush()

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """What has no selected test is not even imported: an emulated kernel's time is dear."""
        wanted = collection_path.is_dir() or str(collection_path) in self.selected
        return None if wanted else True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        names = {name for names in self.selected.values() for name in names}
        items[:] = [item for item in items if item.nodeid in names]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """As pytest's own (which, given None, says that nothing is run). The next test decides which fixtures stay, so
        a file is taken when the last test of the one before begins."""
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            return None
        taken = self._take({item.nodeid: item for item in session.items})
        item = next(taken, None)
        while item:
            following = next(taken, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            stop_if_asked(session)
            item = following
        return True

    def _take(self, found: dict[str, pytest.Item]) -> Iterator[pytest.Item]:
        for number, (file, names) in enumerate(self.selected.items()):
            try:
                (self.shared / "taken" / str(number)).mkdir()
            except FileExistsError:
                continue
            self._write("took", file)
            yield from (found[name] for name in names if name in found)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write("started", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self._write("report", data)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write("finished", nodeid)

    def pytest_unconfigure(self) -> None:
        self.out.close()
