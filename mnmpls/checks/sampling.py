"""Some of many, spread evenly and the same ones each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_GOLDEN = 0.6180339887498949
"""Its multiples, modulo 1, fill the unit interval more evenly than those of any other number."""


def some(total: int, most: int) -> list[int]:
    """All numbers below ``total``, or about ``most`` of them, in ascending order."""
    if total <= most:
        return list(range(total))
    return sorted({int(i * _GOLDEN % 1 * total) for i in range(most)})


def in_turn(things: Sequence[T]) -> list[T]:
    """All of them, in an order in which every beginning is spread over the whole."""
    return [things[i] for i in sorted(range(len(things)), key=lambda i: i * _GOLDEN % 1)]
