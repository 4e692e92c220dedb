"""A lab as a drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import LabError, Problem
from ..model import Lab
from ..state import Record
from .dot import dot
from .mermaid import mermaid
from .picture import Picture, picture
from .svg import svg

FORMATS: Mapping[str, Callable[[Picture, Lab], str]] = {
    "dot": dot,
    "mermaid": lambda shown, _: mermaid(shown),
    "svg": lambda shown, _: svg(shown),
}


def graph(lab: Lab, form: str, records: Mapping[str, frozenset[Record]] | None = None) -> str:
    """A completed ``lab`` drawn in one of FORMATS; with ``records`` its label switched paths too. Raises LabError for
    a format that is not known."""
    if form not in FORMATS:
        raise LabError([Problem("format", f"{form!r} is not known: there are {', '.join(FORMATS)}")])
    return FORMATS[form](picture(lab, records), lab)
