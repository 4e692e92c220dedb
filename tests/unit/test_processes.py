"""Room for descriptors, seen in a process that has little; children that end with their parent."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.watching import LIMIT_S

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


LATE = """
import os, sys, time
from mnmpls.processes import dying_with_us
with dying_with_us(int(sys.argv[1])) as die_with_us:
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            time.sleep(0.01)
        die_with_us()
        print("still there")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent_even_if_that_ended_first(number: signal.Signals) -> None:
    """Between its start and its wish to end with it, it may be long on a busy machine."""
    words = [sys.executable, "-c", LATE, str(int(number))]
    assert subprocess.run(words, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True).stdout == b""
