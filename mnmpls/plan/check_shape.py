"""What can be wrong with a lab's values before they mean anything: a text where a tuple belongs, a name for a VRF. A
reader makes them right; a person who writes a Lab in Python may not, and nothing else could look at it then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ..model import Lab

Fault = tuple[str, str]

NAMES = {str: "a text", int: "a whole number", bool: "True or False"}
LARGEST = 10**4000
"""Numbers of 4300 digits and more Python itself refuses to write out, in an error too."""
READERS = frozenset({"places", "faults"})
"""Fields that are the readers' own."""


def shape_faults(lab: Lab) -> Iterator[Fault]:
    """Every value of ``lab`` that is not of its field's type."""
    if not _test_of(Lab)(lab):
        yield from _of_fields(lab, "")


@cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, hint) for name, hint in get_type_hints(kind).items() if name not in READERS)


@cache
def _test_of(hint: Any) -> Callable[[Any], bool]:
    """Whether a value is of that type, quickly: nearly every one is."""
    if isinstance(hint, UnionType):
        inner = _test_of(get_args(hint)[0])
        return lambda value: value is None or inner(value)
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        tests = [_test_of(kind) for kind in kinds if kind is not Ellipsis]
        size = None if kinds[-1] is Ellipsis else len(kinds)
        return lambda value: type(value) is tuple and size in (None, len(value)) and all(map(tests[0], value))
    if is_dataclass(hint):
        kind: Any = hint
        names, hints = zip(*_hints(kind), strict=True)
        tests = [_test_of(each) for each in hints]
        if len(names) == 1:  # of which attrgetter gives the value itself
            return lambda value: type(value) is hint and tests[0](getattr(value, names[0]))
        fields = attrgetter(*names)
        return lambda value: type(value) is hint and all(test(v) for test, v in zip(tests, fields(value), strict=True))
    if hint is int:
        return lambda value: type(value) is int and -LARGEST < value < LARGEST  # True is no whole number here
    return lambda value: type(value) is hint


def _of_fields(value: Any, where: str) -> Iterator[Fault]:
    kind: Any = type(value)
    for name, hint in _hints(kind):
        yield from _of(getattr(value, name), hint, f"{where}.{name}" if where else name)


def _of(value: object, hint: Any, where: str) -> Iterator[Fault]:
    if isinstance(hint, UnionType):
        if value is not None:
            yield from _of(value, get_args(hint)[0], where)
    elif get_origin(hint) is tuple:
        yield from _of_tuple(value, get_args(hint), where)
    elif type(value) is not hint or (hint is int and not _test_of(int)(value)):
        yield where, f"expected {_told(hint)}, not {_shown(value)}"
    elif is_dataclass(hint):
        yield from _of_fields(value, where)


def _of_tuple(value: object, inner: tuple[Any, ...], where: str) -> Iterator[Fault]:
    if not isinstance(value, tuple):
        hint = f": write ({value!r},)" if type(value) is inner[0] is str and len(value) < 60 else ""
        yield where, f"expected a tuple, each of it {_told(inner[0])}, not {_shown(value)}{hint}"
    elif inner[-1] is not Ellipsis and len(value) != len(inner):
        yield where, f"expected {len(inner)} values, not {_shown(value)}"
    else:
        for i, entry in enumerate(value):
            yield from _of(entry, inner[0], _entry(where, i, entry))


def _entry(where: str, i: int, entry: object) -> str:
    """Nodes and VRFs have names; all else has numbers."""
    name = getattr(entry, "name", "")
    return f"{where}.{name}" if name and isinstance(name, str) else f"{where}[{i}]"


def _told(hint: Any) -> str:
    return NAMES.get(hint) or f"a {getattr(hint, '__name__', 'tuple')}"


def _shown(value: object) -> str:
    if type(value) is int and not -LARGEST < value < LARGEST:
        return f"one of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
