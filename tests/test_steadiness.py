"""The rule that a test that keeps time is run again where the machine stood still, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A process of another group stops and continues the one that runs the test, with everything in it.
STOPS = """
import os, signal, subprocess, sys
STOP = "import os, signal, time; os.killpg({0}, signal.SIGSTOP); time.sleep(0.3); os.killpg({0}, signal.SIGCONT)"

def stand_still():
    subprocess.run([sys.executable, "-c", STOP.format(os.getpgrp())], start_new_session=True, check=True)
"""
TEST = """
import pathlib, pytest
runs = pathlib.Path(__file__).with_name("runs")

@pytest.fixture
def count():
    runs.write_text(str(int(runs.read_text() if runs.exists() else 0) + 1))
    return int(runs.read_text())

{marker}
def test_that_listens(count):
    {stop}
    assert count > {failures}
"""


@pytest.mark.parametrize(
    ("stops", "marked", "failures", "runs", "passes"),
    [
        (True, True, 0, 1, True),
        (True, True, 1, 2, True),
        (True, True, 2, 3, True),
        (True, True, 3, 3, False),
        (False, True, 1, 1, False),
        (True, False, 1, 1, False),
    ],
)
@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["one", "two"])
def test_a_test_is_run_again_where_the_machine_stood_still(
    tmp_path: Path, root: Path, stops: bool, marked: bool, failures: int, runs: int, passes: bool, processes: list[str]
) -> None:
    source = TEST.format(
        marker="@pytest.mark.keeps_time" if marked else "",
        stop="stand_still()" if stops else "pass",
        failures=failures,
    )
    (tmp_path / "test_example.py").write_text(STOPS + source, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = keeps_time\n", encoding="ascii")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.steadiness", *processes, str(tmp_path)]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
        start_new_session=True,
    )
    assert done.returncode == (0 if passes else 1), done.stdout + done.stderr
    assert int((tmp_path / "runs").read_text("ascii")) == runs
    voids = runs if marked and stops and not passes else runs - 1
    assert done.stdout.count("the machine stood still for") == voids
