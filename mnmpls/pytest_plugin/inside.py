"""The pytest in the guest: it writes what becomes of the tests that the pytest outside asked it for."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import TextIO

import pytest


class Inside:
    """Keeps the selected tests only and writes a JSON object a line."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self.config = config
        self.selected = json.loads((folder / "selected").read_text(encoding="utf-8"))
        self.out: TextIO = (folder / "reports").open("a", encoding="utf-8")
        self._write("guest", f"{os.environ.get('MNMPLS_GUEST', '?')}, Linux {platform.release()}")

    def _write(self, kind: str, value: object) -> None:
        self.out.write(json.dumps({kind: value}, default=str) + "\n")
        self.out.flush()

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """What has no selected test is not even imported: an emulated kernel's time is dear."""
        wanted = collection_path.is_dir() or str(collection_path) in self.selected["files"]
        return None if wanted else True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        rank = {name: number for number, name in enumerate(self.selected["tests"])}
        items[:] = sorted((item for item in items if item.nodeid in rank), key=lambda item: rank[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write("started", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self._write("report", data)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write("finished", nodeid)

    def pytest_unconfigure(self) -> None:
        self.out.close()
