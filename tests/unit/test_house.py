"""The rules of the house, held by reading the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "mnmpls"
FILES = sorted(PACKAGE.rglob("*.py"))

# Which rooms a room may import from, besides itself.
VOCABULARY = {"errors", "foreign", "model", "state"}
BELOW_RUNTIMES = {
    *("sources", "plan", "kernel", "apply", "checks", "guests"),
    *("processes", "services", "phases", "kernel_choice"),
}
BELOW = {
    "errors": set[str](),
    "state": {"errors"},
    "foreign": set[str](),
    "model": {"errors", "foreign"},
    "sources": VOCABULARY,
    "plan": VOCABULARY,
    "commands": VOCABULARY,
    "wording": VOCABULARY | {"commands"},
    "kernel": VOCABULARY | {"wording"},
    "apply": VOCABULARY | {"kernel"},
    "export": VOCABULARY | {"asking", "daemons", "commands", "wording", "sources", "plan", "apply"},
    "checks": VOCABULARY
    | {"asking", "daemons", "services", "processes", "wording", "plan", "kernel", "apply", "export"},
    "guests": VOCABULARY | {"kernels", "processes", "kernel", "apply", "registry"},
    "processes": {"errors"},
    "daemons": VOCABULARY | {"plan", "asking"},
    "vici": set[str](),
    "asking": {"processes", "vici"},
    "homes": {"asking", "daemons", "processes"},
    "services": VOCABULARY | {"asking", "daemons", "homes", "kernel", "processes", "programs", "vici"},
    "programs": VOCABULARY,
    "phases": set[str](),
    "kernel_choice": VOCABULARY | {"plan", "guests", "phases", "programs", "registry"},
    "vrf_sockets": set[str](),
    "vrf": VOCABULARY | {"kernel", "vrf_sockets"},
    "power": VOCABULARY | {"kernel", "apply", "processes"},
    "netns": VOCABULARY | {"plan", "kernel", "apply", "checks", "phases", "power", "processes", "services", "node"},
    "containers": VOCABULARY
    | {"daemons", "sources", "plan", "export", "kernel", "apply", "processes", "services", "wording", "guests", "live"}
    | {"asking", "registry", "netns", "node", "vrf", "homes", "checks"},
    "registry": VOCABULARY,
    "kernels": set[str](),
    "node": VOCABULARY | {"kernel", "processes", "vrf"},
    "live": VOCABULARY
    | {"wording", "sources", "plan", "kernel", "processes", "node", "netns", "registry", "kernel_choice"},
    "drill": VOCABULARY
    | {"asking", "wording", "plan", "kernel", "apply", "checks", "daemons", "services", "processes", "node", "netns"}
    | {"registry"},
    "perf": VOCABULARY | {"sources", "checks", "node", "netns", "programs", "export"},
    "doctor": VOCABULARY | {"guests", "live", "plan", "programs"},
    "mn": VOCABULARY | BELOW_RUNTIMES | {"power", "wording", "programs", "registry", "live", "vrf"},
    "cli": VOCABULARY
    | BELOW_RUNTIMES
    | {"asking", "daemons", "kernels", "registry", "node", "netns", "live", "export", "doctor", "drill", "perf"}
    | {"containers"},
    "pytest_plugin": VOCABULARY | BELOW_RUNTIMES | {"netns", "live"},
    "__main__": {"cli"},
    "__init__": {"sources", "live"},
}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """Rooms of this package that a file imports from."""
    folder = ["mnmpls", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) + 1 - node.level] if node.level else []
            module = [*above, *(node.module or "").split(".")] if node.module else above
            if module[0] == "mnmpls":
                yield from module[1:2] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mnmpls."))


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines, docstring not counted, of every function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            text = ast.get_docstring(node, clean=False)
            told = (first.end_lineno or 0) - first.lineno + 1 if text is not None else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - told


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    """A room imports from the rooms beneath it, as the README's picture shows."""
    room = _room(path)
    assert room in BELOW, f"{room} is a new room: say in BELOW what it stands on"
    assert set(_imports(path)) <= BELOW[room] | {room}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_and_files_stay_readable(path: Path) -> None:
    """No function has more than 60 lines, no file more than 450."""
    assert [(name, lines) for name, lines in _functions(path) if lines > 60] == []
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450
