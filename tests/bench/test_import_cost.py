"""The benchmark of importing runs, and the memory that it prints is within its target."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_importing_the_package_stays_within_its_memory(root: Path) -> None:
    command = [sys.executable, str(root / "bench" / "import_cost.py"), "--runs", "3", "--statement", "import fastrtc"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    cost = report["statements"]["import fastrtc"]
    assert cost["seconds"] > 0
    assert 0 < cost["resident_mb"] <= report["target"]["resident_mb"] == 60
