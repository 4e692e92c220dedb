"""What the README shows can be typed as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
FILES = {name: text for text, name in re.findall(r"```(?:python|yaml)\n(# (\S+)\n.*?)```", README, re.S)}
pytestmark = pytest.mark.system


def test_the_readme_shows_files() -> None:
    """Scripts, a lab file and a test are there to be tried."""
    assert sorted(FILES) == ["small.py", "small.yml", "test_vpn.py", "vpn.clab.yml", "vpn.py"]


def test_the_readmes_topology_is_a_lab(tmp_path: Path) -> None:
    """The one for Containerlab runs without it as well, and everybody reaches everybody."""
    file = tmp_path / "vpn.clab.yml"
    file.write_text(FILES[file.name], encoding="utf-8")
    run = ["/usr/bin/python3", "-m", "mnmpls"]
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    words = [*run, "up", str(file), "--name", "readme-vpn"]
    up = subprocess.run(words, env=env, text=True, capture_output=True, check=False, timeout=300)
    try:
        assert up.returncode == 0 and "everybody reaches whom the lab means to" in up.stdout, up.stderr
    finally:
        subprocess.run([*run, "down", "readme-vpn"], env=env, capture_output=True, check=True)


@pytest.mark.parametrize("script", ["small.py", "vpn.py"])
def test_the_readmes_script_runs(script: str, tmp_path: Path) -> None:
    """Saved and started as an ordinary script, it brings its lab up, everyone reaches everyone, the labels are the
    planned ones, and its status is 0."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["/usr/bin/python3", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT)}, timeout=300,
        input="pingall\ncheck\nexit\n", text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "*** Results: 0% " in done.stdout, done.stdout
    asked, held = re.search(r"^(\d+) of (\d+) findings as intended", done.stdout, re.M).groups()  # type: ignore[union-attr]
    assert asked == held, done.stdout


def test_the_readmes_test_passes(tmp_path: Path) -> None:
    """Saved beside the lab file, it is found by pytest and passes."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-p", "mnmpls.pytest_plugin"], cwd=tmp_path, timeout=300,
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("verb", re.findall(r"^make (\w+)", README, re.M))
def test_the_readmes_verbs_exist(verb: str) -> None:
    """Each `make` line is one that the Makefile knows."""
    assert subprocess.run(["make", "--dry-run", verb], cwd=PROJECT, capture_output=True, check=False).returncode == 0
