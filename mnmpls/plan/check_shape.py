"""What can be wrong with a lab's values before they mean anything: a text where a tuple belongs, a name for a VRF. A
reader makes them right; a person who writes a Lab in Python may not, and nothing else could look at it then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..model import Lab

Fault = tuple[str, str]

NAMES = {str: "a text", int: "a whole number", type(None): "None"}
READERS = frozenset({"places", "faults"})
"""Fields that are the readers' own."""


def shape_faults(lab: Lab) -> Iterator[Fault]:
    """Every value of ``lab`` that is not of its field's type."""
    return _of_fields(lab, "")


def _of_fields(value: Any, where: str) -> Iterator[Fault]:
    kind: Any = type(value)
    for name, hint in _hints(kind):
        yield from _of(getattr(value, name), hint, f"{where}.{name}" if where else name)


@cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, hint) for name, hint in get_type_hints(kind).items() if name not in READERS)


def _of(value: object, hint: Any, where: str) -> Iterator[Fault]:
    if isinstance(hint, UnionType):
        if value is not None:
            yield from _of(value, get_args(hint)[0], where)
    elif get_origin(hint) is tuple:
        yield from _of_tuple(value, get_args(hint), where)
    elif type(value) is not hint:  # not isinstance: True is no whole number here
        yield where, f"expected {_told(hint)}, not {_shown(value)}"
    elif is_dataclass(hint):
        yield from _of_fields(value, where)


def _of_tuple(value: object, inner: tuple[Any, ...], where: str) -> Iterator[Fault]:
    kinds = inner[:1] if inner[-1] is Ellipsis else inner
    if not isinstance(value, tuple):
        hint = f": write ({value!r},)" if type(value) is kinds[0] is str and len(value) < 60 else ""
        yield where, f"expected a tuple, each of it {_told(kinds[0])}, not {_shown(value)}{hint}"
    elif len(kinds) > 1 and len(value) != len(kinds):
        yield where, f"expected {len(kinds)} values, not {_shown(value)}"
    else:
        for i, entry in enumerate(value):
            yield from _of(entry, kinds[i % len(kinds)], _entry(where, i, entry))


def _entry(where: str, i: int, entry: object) -> str:
    """Nodes and VRFs have names; all else has numbers."""
    name = getattr(entry, "name", "")
    return f"{where}.{name}" if name and isinstance(name, str) else f"{where}[{i}]"


def _told(hint: Any) -> str:
    return NAMES.get(hint) or f"a {getattr(hint, '__name__', 'tuple')}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
