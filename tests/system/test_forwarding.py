"""Kernel tests in a guest are the host's own: their failures, their output, and the guest's death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.system

HEAD = """
import os
import pytest
pytestmark = pytest.mark.kernel
"""


def _pytest(folder: Path, body: str) -> subprocess.Popen[str]:
    """A pytest of its own over one file of kernel tests, forced into a UML guest."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = kernel: in a guest\n")
    (folder / "test_it.py").write_text(HEAD + body)
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "tests.forwarding", "-p", "no:cacheprovider", "-v", "--color=no"],
        cwd=folder, env={**kept, "PYTHONPATH": str(PROJECT), "MNMPLS_KERNEL": "uml"}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )


def test_a_failure_in_the_guest_is_the_hosts_own(tmp_path: Path) -> None:
    """Each test keeps its name; a failed one its assertion's text and output; one closing line counts all."""
    output, _ = (run := _pytest(tmp_path, """
def test_right():
    assert os.environ["MNMPLS_GUEST"] == "uml"

@pytest.mark.parametrize("label", [16, 17])
def test_wrong(label):
    print("label is", label)
    assert label == 16, "not the label of RFC 3032"
""")).communicate(timeout=120)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert "test_it.py::test_right PASSED" in output
    assert "test_it.py::test_wrong[16] PASSED" in output
    assert "test_it.py::test_wrong[17] FAILED" in output
    assert "AssertionError: not the label of RFC 3032" in output
    assert "label is 17" in output
    assert "3 of these ran in a guest (uml, Linux " in output
    assert "1 failed, 2 passed" in output.splitlines()[-1]


def test_a_panic_fails_every_test_it_took_away(tmp_path: Path) -> None:
    """The test that ran and those after it fail, each with the guest's last words; the one before it has passed."""
    output, _ = (run := _pytest(tmp_path, """
def test_before():
    pass

def test_panic():
    with open("/proc/sysrq-trigger", "w") as trigger:
        trigger.write("c")

def test_after():
    pass
""")).communicate(timeout=120)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert "2 failed, 1 passed" in output.splitlines()[-1]
    assert "while this test ran; its last output:" in output
    assert "before this test ran; its last output:" in output
    assert "panic" in output


def test_ctrl_c_ends_the_guest(tmp_path: Path) -> None:
    """An interrupted run leaves no guest behind, and no file."""
    run = _pytest(tmp_path, """
def test_long():
    import time
    open("running", "w").close()
    time.sleep(600)
""")
    limit = time.monotonic() + 60
    while not (tmp_path / "running").exists() and time.monotonic() < limit:
        time.sleep(0.1)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == pytest.ExitCode.INTERRUPTED, output
    assert children, output
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []
    assert list((tmp_path / ".pytest_cache" / "guest").iterdir()) == []


def test_a_test_that_the_guest_does_not_have_fails(tmp_path: Path) -> None:
    """A test whose name differs in the guest has not run there: that is a failure and says why."""
    output, _ = (run := _pytest(tmp_path, """
@pytest.mark.parametrize("where", [os.environ.get("MNMPLS_GUEST", "here")])
def test_named_by_its_place(where):
    pass
""")).communicate(timeout=120)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert "test_named_by_its_place[here] FAILED" in output
    assert "which it did not find" in output


@pytest.mark.parametrize(("ci", "status"), [("", pytest.ExitCode.OK), ("true", pytest.ExitCode.TESTS_FAILED)])
def test_a_skip_is_a_failure_in_ci(ci: str, status: pytest.ExitCode, tmp_path: Path) -> None:
    """What did not run is not proven: the summary says so here, and CI fails."""
    (tmp_path / "test_skip.py").write_text("import pytest\ndef test_skip():\n    pytest.skip('no such thing')\n")
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.skip('whole file', allow_module_level=True)\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-rs",
         "--continue-on-collection-errors", "."], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "CI": ci}, text=True, capture_output=True, check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("not proven: 2 of the tests" if not ci else "which CI counts as a failure") in done.stdout
    assert "no such thing" in done.stdout
    assert "whole file" in done.stdout
