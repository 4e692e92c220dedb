"""A lab as the text of a file that reads back as an equal lab."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..model import Lab
from ..plan import complete
from ..sources.to_yaml import to_yaml
from .dot import dot
from .picture import picture


def to_dot(lab: Lab) -> str:
    """Drawn as it will be, told as it is: what is open stays open. Raises LabError for a lab that is wrong."""
    return dot(picture(complete(lab)), lab)


WRITERS: Mapping[str, Callable[[Lab], str]] = {".yml": to_yaml, ".yaml": to_yaml, ".dot": to_dot, ".gv": to_dot}
"""By the file's ending. Comments of the file that the lab was read from are lost."""
