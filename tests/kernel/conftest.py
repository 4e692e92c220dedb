"""Scenes for the tests of the kernel's side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from mnmpls.kernel import Namespace, wire
from tests.kernel.scene import Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Two namespaces with two wires between them; nothing is set yet."""
    with closing(Namespace.create()) as here, closing(Namespace.create()) as far:
        wire(here, "left.1", far, "right")
        wire(here, "spare", far, "spare")
        for port in ("right", "spare"):
            far.set_up(port, True)
        yield Scene(here, far)
