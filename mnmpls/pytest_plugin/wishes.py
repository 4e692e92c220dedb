"""Which lab a test asks for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from ..errors import LabError, MnmplsError, Problem, UsageError
from ..guests import host
from ..live.owned import run
from ..model import Lab
from ..netns import RunningLab
from ..plan import complete, records
from ..sources import load
from . import fixtures

Source = Lab | Callable[[], Lab] | str


@dataclass(frozen=True)
class Wish:
    """``source`` is a Lab, a function that gives one, or a lab file's whole path."""

    source: Source
    wait_s: float = 30.0
    allow_exec: bool = False


def wish(node: pytest.Item | pytest.Collector, param: Any = None) -> Wish:
    """What the marker at a test or module says; ``param``, from an indirect parametrize, stands for its source.
    Raises UsageError, and LabError for a file that is not there."""
    marker = node.get_closest_marker("lab")
    args, options = (marker.args, dict(marker.kwargs)) if marker else ((), {})
    given = param if param is not None else args[0] if args else options.pop("source", None)
    wrong = [*map(repr, args[1:]), *(name for name in options if name not in ("wait_s", "allow_exec"))]
    if wrong:
        raise UsageError(f"the marker lab takes a source, wait_s and allow_exec, not {', '.join(wrong)}")
    if given is None:
        at = "its module (pytestmark)" if isinstance(node, pytest.Module) else "the test"
        raise UsageError(f'which lab? Say it with a marker at {at}: pytest.mark.lab("lab.yml")')
    return Wish(_source(given, node), **options)


def _source(given: object, node: pytest.Item | pytest.Collector) -> Source:
    if isinstance(given, Lab) or callable(given):
        return given
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(f"a lab is a file's path, a Lab or a function that gives one, not {given!r}")
    folders = (node.path.parent, node.config.rootpath)
    for folder in folders:
        if (folder / given).exists():
            return str(folder / given)
    text = f"no such lab file: looked in {' and in '.join(dict.fromkeys(map(str, folders)))}"
    raise LabError([Problem("", text, os.fspath(given))])


def start(what: Wish) -> RunningLab:
    """Raises what mnmpls.run raises."""
    if isinstance(what.source, str):
        lab, file = load(what.source), what.source
    else:
        lab, file = what.source if isinstance(what.source, Lab) else what.source(), ""
    return run(lab, wait_s=what.wait_s, allow_exec=what.allow_exec, file=file)


def features(item: pytest.Item) -> frozenset[str]:
    """What the kernel has to have for this test. Nothing is asked of it for a wrong lab: the test says so itself."""
    if item.get_closest_marker("lab_kernel"):
        return host.BASICS
    return frozenset[str]().union(*(_needs(item, fixture) for fixture in fixtures(item)))


def _needs(item: pytest.Item, fixture: str) -> frozenset[str]:
    node = item.getparent(pytest.Module) if fixture == "module_lab" else item
    params = item.callspec.params if hasattr(item, "callspec") else {}
    try:
        source = wish(node or item, params.get(fixture)).source
        return _of_file(source) if isinstance(source, str) else _of(source) if isinstance(source, Lab) else host.BASICS
    except MnmplsError:
        return frozenset()


@cache
def _of_file(path: str) -> frozenset[str]:
    return _of(load(path))


def _of(lab: Lab) -> frozenset[str]:
    return host.features(records(complete(lab)))
