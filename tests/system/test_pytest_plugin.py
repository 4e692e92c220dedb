"""The pytest plugin in test suites outside this repository: labs as fixtures, and tests forwarded into a guest.

Each test starts a pytest of its own, in a folder that knows nothing of this project.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.watching import alive, children, until

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.system

LAB = """
nodes: {h1: host, h2: host, r: ce}
links:
  - [h1: 10.1.1.1/24, r: 10.1.1.254/24]
  - [r: 10.2.2.254/24, h2: 10.2.2.1/24]
"""
"""Needs neither MPLS nor VRFs: runs on every kernel."""

KERNEL = """
import os
import pytest
pytestmark = pytest.mark.lab_kernel
"""
HERE = {"MNMPLS_KERNEL": "host"}
GUEST = {"MNMPLS_KERNEL": "uml"}


def start(
    folder: Path, *words: str, cwd: Path | None = None, env: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[str]:
    """A pytest of its own over ``folder``; warnings are errors."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS", "MNMPLS_KERNEL")}
    argv = [sys.executable, "-m", "pytest", "-p", "mnmpls.pytest_plugin", "-W", "error", "-v",
            "--color=no", "--strict-markers", *words]  # fmt: skip
    return subprocess.Popen(
        argv, cwd=cwd or folder, env={**kept, "PYTHONPATH": str(PROJECT), **env}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def run(
    folder: Path, *words: str, cwd: Path | None = None, env: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, str]:
    """Its status, and what it said."""
    started = start(folder, *words, cwd=cwd, env=env)
    output, _ = started.communicate(timeout=600)
    return started.returncode, output


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A test suite's folder with a lab file in it."""
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "lab.yml").write_text(LAB)
    return folder


def test_a_lab_for_each_test(suite: Path) -> None:
    """Each test has a lab of its own: what one did to it the next does not see."""
    (suite / "test_it.py").write_text('''
import pytest

@pytest.mark.lab("lab.yml")
@pytest.mark.parametrize("number", [1, 2])
def test_lab(lab, number):
    assert lab["h1"].run(["ping", "-c1", "-W10", "10.2.2.1"]).returncode == 0
    lab["h1"].run(["ip", "route", "del", "default"], check=True)
    assert not lab.check().ok
''')
    status, output = run(suite, env=HERE)
    assert status == 0 and "2 passed" in output, output


def test_a_lab_for_a_module(suite: Path) -> None:
    """One for all tests of a file, which is gone before the next file has its own."""
    name = f"t{os.getpid()}-module"
    (suite / "lab.yml").write_text(f"name: {name}\n{LAB}")
    for number in (1, 2):
        (suite / f"test_it{number}.py").write_text(f'''
import pytest
from mnmpls import registry
pytestmark = pytest.mark.lab("lab.yml")

def test_changes_it(module_lab):
    module_lab["h1"].run(["ip", "route", "del", "default"], check=True)
    assert [found for found in registry.names() if found.startswith("{name}")] == ["{name}"]

def test_sees_the_change(module_lab):
    assert module_lab["h1"].run(["ip", "route", "show", "default"]).stdout == ""
''')
    status, output = run(suite, env=HERE)
    assert status == 0 and "4 passed" in output, output


def test_where_a_lab_comes_from(suite: Path, tmp_path: Path) -> None:
    """A path from the test's folder or from rootdir, a whole path, a Lab, a function, an indirect parameter, a marker
    at a class, a fixture of one's own on top; the current folder does not matter."""
    (suite / "deep").mkdir()
    (suite / "deep" / "near.yml").write_text(LAB)
    (suite / "deep" / "test_it.py").write_text(f'''
import pytest
from mnmpls import load

def made():
    return load({str(suite / "lab.yml")!r})

@pytest.fixture
def nodes(lab):
    return set(lab)

@pytest.mark.parametrize("_", [
    pytest.param(source, marks=pytest.mark.lab(source=source))
    for source in ("lab.yml", "near.yml", {str(suite / "lab.yml")!r}, made(), made)
])
def test_source(nodes, _):
    assert nodes == {{"h1", "h2", "r"}}

@pytest.mark.parametrize("lab", ["lab.yml", made], indirect=True)
def test_parameter(lab):
    assert len(lab) == 3

@pytest.mark.lab(source="lab.yml", wait_s=0)
class TestClass:
    def test_class(self, lab):
        assert len(lab) == 3
''')
    status, output = run(suite, str(suite), cwd=tmp_path, env=HERE)
    assert status == 0 and "8 passed" in output, output


@pytest.mark.parametrize(("marker", "says"), [
    ('@pytest.mark.lab("wrong.yml")', "wrong.yml:1: nodes.h1.role: "),
    ('@pytest.mark.lab("none.yml")', "none.yml: no such lab file: looked in "),
    ('@pytest.mark.lab("exec.yml")', "allow_exec=True"),
    ('@pytest.mark.lab("unlike.yml", wait_s=0.2)', "not as intended after 0.2 s"),
    ('@pytest.mark.lab("lab.yml", wait=3)', "takes a source, wait_s and allow_exec, not wait"),
    ("@pytest.mark.lab(7)", "not 7"),
    ("", "which lab?"),
])
def test_a_wrong_lab_is_an_error_of_one_text(suite: Path, marker: str, says: str) -> None:
    """The test is an error that says what is wrong with the lab and nothing of how it was found; the next one runs."""
    (suite / "wrong.yml").write_text("nodes: {h1: hots}\nlinks: []\n")
    (suite / "exec.yml").write_text(LAB.replace("h1: host", "h1: {role: host, exec: [true]}"))
    (suite / "unlike.yml").write_text(LAB.replace("h1: host", "h1: {role: host, gateway: 10.1.1.9}"))
    (suite / "test_it.py").write_text(f'''
import pytest

{marker}
def test_wrong(lab):
    pass

@pytest.mark.lab("exec.yml", allow_exec=True)
def test_right(lab):
    pass
''')
    status, output = run(suite, env=HERE)
    assert status == pytest.ExitCode.TESTS_FAILED and "1 passed, 1 error" in output, output
    assert says in output and "Traceback" not in output and "During handling" not in output, output


def test_what_a_lab_needs_decides(suite: Path) -> None:
    """A lab that this machine's kernel can have runs here; --collect-only and a wrong lab start no guest."""
    (suite / "lab.yml").write_text("nodes: {h1: host, h2: host}\nlinks: [[h1, h2]]\n")
    (suite / "test_it.py").write_text('''
import os
import pytest

@pytest.mark.lab("lab.yml")
def test_here(lab):
    assert "MNMPLS_GUEST" not in os.environ

@pytest.mark.lab("none.yml")
def test_wrong(lab):
    pass

@pytest.mark.lab_kernel
def test_kernel():
    pass
''')
    status, output = run(suite, "-k", "here or wrong")
    assert status == pytest.ExitCode.TESTS_FAILED and "1 passed, 1 deselected, 1 error" in output, output
    assert "in a guest" not in output
    status, output = run(suite, "--collect-only", env=GUEST)
    assert status == 0 and "3 tests collected" in output and "in a guest" not in output, output


def test_an_mpls_lab_runs_in_a_guest(suite: Path, tmp_path: Path) -> None:
    """Labs that need MPLS run wherever they can, unasked, in the order of the tests, whatever the current folder is;
    options, conftest and own fixtures are the same there, and files below rootdir stay."""
    l3vpn = str(PROJECT / "topos" / "l3vpn.yml")
    (suite / "conftest.py").write_text('''
def pytest_addoption(parser):
    parser.addoption("--host")
''')
    (suite / "test_it.py").write_text(f'''
import pathlib
import pytest
pytestmark = pytest.mark.lab({l3vpn!r})

def test_host_first():
    pass

@pytest.mark.parametrize("pe", ["pe1", "pe2"])
def test_ping(module_lab, pe, request):
    host = request.config.getoption("--host")
    assert module_lab["c1h1"].run(["ping", "-c1", "-W5", host]).returncode == 0
    assert "mpls" in module_lab[pe].run(["ip", "-f", "mpls", "route"]).stdout or module_lab.trace("c1h1", "c1h3").ok

def test_between(tmp_path):
    pass

def test_check(lab):
    print("the labels are proven")
    assert lab.check().ok
    pathlib.Path(__file__).with_name("mark").write_text(lab.lab.name)
    assert not lab
''')
    status, output = run(suite, str(suite), "--host", "88.2.1.3", cwd=tmp_path)
    assert status == pytest.ExitCode.TESTS_FAILED and "1 failed, 4 passed" in output, output
    ran = [line.split()[0].partition("::")[2] for line in output.splitlines() if "PASSED" in line or "FAILED" in line]
    assert ran[:5] == ["test_host_first", "test_ping[pe1]", "test_ping[pe2]", "test_between", "test_check"], output
    assert "assert not" in output and "the labels are proven" in output
    assert (suite / "mark").exists()


def test_x_ends_the_guest(suite: Path) -> None:
    """-x stops at the first failure in the guest, and nothing more is run."""
    (suite / "test_it.py").write_text(KERNEL + '''
def test_wrong():
    assert 0

def test_after():
    pass
''')
    status, output = run(suite, "-x", "--lf", env=GUEST)
    assert status == pytest.ExitCode.TESTS_FAILED and "1 failed in" in output, output
    assert "stopping after 1 failures" in output and "test_after" not in output


def test_s_shows_what_is_printed_there(suite: Path) -> None:
    """-s: the output of tests in the guest is seen, of those that pass too."""
    (suite / "test_it.py").write_text(KERNEL + '''
def test_prints():
    print("said in", os.environ["MNMPLS_GUEST"])

@pytest.mark.xfail(strict=True)
def test_fails():
    assert 0

@pytest.mark.skip("no reason")
def test_skips():
    pass
''')
    status, output = run(suite, "-s", "-rs", "-p", "no:cacheprovider", env=GUEST)
    assert status == 0 and "1 passed, 1 skipped, 1 xfailed" in output, output
    assert "said in uml" in output and "no reason" in output


def test_a_worker_of_xdist_says_what_to_do(suite: Path) -> None:
    """Under pytest-xdist a test that needs a guest is an error that says so; the others run."""
    (suite / "conftest.py").write_text("def pytest_configure(config):\n    config.workerinput = {}\n")
    (suite / "test_it.py").write_text('''
import pytest

@pytest.mark.lab_kernel
def test_kernel():
    pass

def test_other():
    pass
''')
    status, output = run(suite, env=GUEST)
    assert status == pytest.ExitCode.TESTS_FAILED and "1 passed, 1 error" in output, output
    assert "run it with -n0" in output and "Traceback" not in output


def test_a_test_that_starts_labs_itself_is_told_of_the_marker(suite: Path) -> None:
    """mnmpls.run in a test that runs where its lab cannot."""
    (suite / "test_it.py").write_text(f'''
from mnmpls import load, run

def test_run():
    run(load({str(PROJECT / "topos" / "l3vpn.yml")!r}))
''')
    status, output = run(suite, env=GUEST)
    assert status == pytest.ExitCode.TESTS_FAILED and "@pytest.mark.lab_kernel" in output, output


def test_others_markers_and_fixtures_are_theirs(suite: Path) -> None:
    """A suite's own fixture ``lab`` and own use of the marker start no guest."""
    (suite / "test_it.py").write_text('''
import pytest

@pytest.fixture
def lab():
    return 7

@pytest.mark.lab("in Berlin")
def test_theirs(lab):
    assert lab == 7
''')
    status, output = run(suite, env=GUEST)
    assert status == 0 and "1 passed" in output and "guest" not in output, output


def test_it_costs_others_nothing(suite: Path) -> None:
    """A run without labs imports none of mnmpls but the plugin's own module."""
    (suite / "test_it.py").write_text('''
import sys

def test_modules():
    assert sorted(name for name in sys.modules if name.startswith("mnmpls")) == ["mnmpls", "mnmpls.pytest_plugin"]
''')
    status, output = run(suite)
    assert status == 0, output


def test_a_failure_in_the_guest_is_the_hosts_own(suite: Path) -> None:
    """Each test keeps its name; a failed one its assertion's text and output; one closing line counts all. A test
    whose name differs in the guest has not run there: that is a failure and says why."""
    (suite / "test_it.py").write_text(KERNEL + '''
def test_right():
    assert os.environ["MNMPLS_GUEST"] == "uml"

@pytest.mark.parametrize("where", [os.environ.get("MNMPLS_GUEST", "here")])
def test_named_by_its_place(where):
    pass

@pytest.mark.parametrize("label", [16, 17])
def test_wrong(label):
    print("label is", label)
    assert label == 16, "not the label of RFC 3032"
''')
    status, output = run(suite, env=GUEST)
    assert status == pytest.ExitCode.TESTS_FAILED, output
    assert "test_it.py::test_right PASSED" in output
    assert "test_it.py::test_wrong[16] PASSED" in output
    assert "test_it.py::test_wrong[17] FAILED" in output
    assert "AssertionError: not the label of RFC 3032" in output
    assert "label is 17" in output
    assert "test_named_by_its_place[here] FAILED" in output and "which it did not find" in output
    assert "4 of these ran in a guest (uml, Linux " in output
    assert "2 failed, 2 passed" in output.splitlines()[-1]


TWO_GUESTS = {
    "conftest.py": '''
import time

def see(path):
    limit = time.monotonic() + 250
    while not path.exists() and time.monotonic() < limit:
        time.sleep(0.05)
    return path.exists()
''',
    "test_1.py": '''
from pathlib import Path
from conftest import see

def test_here():
    assert see(Path("first")) and see(Path("second"))
''',
    "test_2.py": KERNEL + '''
from pathlib import Path
from conftest import see

def test_first():
    Path("first").touch()
    assert see(Path("second"))

def test_stays():
    pass
''',
    "test_3.py": KERNEL + '''
from pathlib import Path
from conftest import see

def test_second():
    Path("second").touch()
    assert see(Path("first"))

def test_panic():
    with open("/proc/sysrq-trigger", "w") as trigger:
        trigger.write("c")

def test_after():
    pass
''',
    "test_4.py": KERNEL + '''

def test_left():
    pass
''',
}
"""Files of a suite: a test here and one in each of two guests wait for each other; then one of the guests panics."""


def test_two_guests_share_the_files(suite: Path) -> None:
    """Each takes the next file; the tests of this machine's own run meanwhile; all are told in their order. When one
    panics, the test that ran and those after it in the files that it had taken fail, each with the guest's last words.
    """
    for file, text in TWO_GUESTS.items():
        (suite / file).write_text(text)
    status, output = run(suite, "--mnmpls-guests=2", env=GUEST)
    assert status == pytest.ExitCode.TESTS_FAILED, output
    told = [line.split()[:2] for line in output.splitlines() if line.startswith("test_") and "::" in line]
    assert told == [
        ["test_1.py::test_here", "PASSED"],
        ["test_2.py::test_first", "PASSED"],
        ["test_2.py::test_stays", "PASSED"],
        ["test_3.py::test_second", "PASSED"],
        ["test_3.py::test_panic", "FAILED"],
        ["test_3.py::test_after", "FAILED"],
        ["test_4.py::test_left", "PASSED"],
    ], output
    assert "6 of these ran in 2 guests (uml, Linux " in output and "Kernel panic" in output, output
    assert "while this test ran; its last output:" in output
    assert "before this test ran; its last output:" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_its_end_is_the_guests(suite: Path, tmp_path: Path, number: signal.Signals) -> None:
    """A run that is interrupted leaves no guest behind, and no file; one that is killed no guest."""
    (suite / "test_it.py").write_text(KERNEL + '''
def test_long():
    import time
    open("running", "w").close()
    time.sleep(600)
''')
    started = start(suite, env={**GUEST, "TMPDIR": str(tmp_path)})
    until((suite / "running").exists)
    below = children(started.pid)
    started.send_signal(number)
    output, _ = started.communicate(timeout=180)
    assert started.returncode == (pytest.ExitCode.INTERRUPTED if number == signal.SIGINT else -number), output
    assert below, output
    until(lambda: not any(map(alive, below)), f"still there: {below}")
    if number == signal.SIGINT:
        assert [path for path in tmp_path.iterdir() if path != suite] == []


@pytest.mark.parametrize(("ci", "status"), [("", pytest.ExitCode.OK), ("true", pytest.ExitCode.TESTS_FAILED)])
def test_a_skip_is_a_failure_in_ci(ci: str, status: pytest.ExitCode, suite: Path) -> None:
    """What did not run is not proven: the summary says so here, and CI fails."""
    (suite / "test_skip.py").write_text("import pytest\ndef test_skip():\n    pytest.skip('no such thing')\n")
    (suite / "test_other.py").write_text("from tests import absent\ndef test_other():\n    absent._skip('a thing')\n")
    (suite / "test_whole.py").write_text("import pytest\npytest.skip('whole file', allow_module_level=True)\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-rs",
         "--continue-on-collection-errors", "."], cwd=suite,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "CI": ci}, text=True, capture_output=True, check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "  1 because of what is not here: a thing\n" in done.stdout
    assert ("not proven: 3 of the tests" if not ci else "which CI counts as a failure") in done.stdout
    assert "no such thing" in done.stdout
    assert "whole file" in done.stdout
