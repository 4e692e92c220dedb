"""Scenes for the tests of the kernel's side, and a docker daemon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from mnmpls.kernel import Namespace, wire
from tests.boxes import daemon_in_memory, make_image
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


@pytest.fixture(scope="module")
def dockerd() -> Iterator[str]:
    with daemon_in_memory() as address:
        make_image(frr=True)
        yield address
