"""Tables for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """``note`` stands beneath it."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def text(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        lines = [self._line(row, widths) for row in (self.heads, *self.rows)]
        return "\n".join([*lines, *([self.note] if self.note else [])])

    @staticmethod
    def _line(row: Sequence[str], widths: Sequence[int]) -> str:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        return "  ".join([first.strip().ljust(widths[0]), *rest])

    def markdown(self) -> str:
        rule = ["---", *["---:"] * (len(self.heads) - 1)]
        lines = ["| " + " | ".join(row) + " |" for row in (self.heads, rule, *self.rows)]
        return "\n".join([*lines, *(["", self.note] if self.note else [])])
