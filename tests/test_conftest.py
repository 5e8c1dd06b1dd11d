"""The rule that a run in which no test was executed fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPED = "import pytest\n\n@pytest.mark.skip(reason='an example')\ndef test_nothing(): ...\n"
PASSING = "def test_something():\n    assert True\n"
FAILING = "def test_something():\n    assert False\n"


@pytest.mark.parametrize(
    ("source", "options", "status"),
    [
        (SKIPPED, ["--require-tests"], pytest.ExitCode.NO_TESTS_COLLECTED),
        (PASSING, ["--require-tests", "-k", "unknown"], pytest.ExitCode.NO_TESTS_COLLECTED),
        (SKIPPED, [], pytest.ExitCode.OK),
        (SKIPPED + PASSING, ["--require-tests"], pytest.ExitCode.OK),
        (FAILING, ["--require-tests"], pytest.ExitCode.TESTS_FAILED),
    ],
)
def test_a_run_without_a_test_fails_where_that_is_asked(
    tmp_path: Path, root: Path, source: str, options: list[str], status: pytest.ExitCode
) -> None:
    shutil.copy(root / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_example.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(root)}  # conftest.py names a plugin of tests/
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == status, done.stdout
