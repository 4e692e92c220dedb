"""Room for descriptors, seen in a process that has little."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = """
import resource, sys
from mnmpls.processes import make_room
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
make_room(int(sys.argv[1]))
soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
print("usual" if soft == 1024 else "all" if soft == hard else soft)
"""


@pytest.mark.parametrize(("places", "limit"), [(100, "usual"), (634, "all")])
def test_large_labs_get_room_for_their_descriptors(places: int, limit: str) -> None:
    """A small one leaves the limit, which what is started would have, too."""
    done = subprocess.run([sys.executable, "-c", ASKED, str(places)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == limit
