"""The bench of endpointing: its parts on speech that is made, and one small corpus end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_one_corpus_goes_through_every_family(root: Path, speech: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    command = [sys.executable, str(root / "bench" / "endpointing.py"), "--data", str(speech)]
    command += ["--corpora", "pocketsphinx", "--out", str(tmp_path / "figures")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    report = json.loads((tmp_path / "figures.json").read_text())
    families = report["corpora"]["pocketsphinx"]
    assert families["default"]["clips"] >= 10
    assert families["default"]["missed"] == 0
    waits = [point["mean_s"] for point in families["silence"].values()]
    assert waits == sorted(waits)
    assert waits[0] < families["default"]["mean_s"] < waits[-1]
    assert report["heard in training"] == ["pocketsphinx"]
    assert report["meetings"]["default"]["same speaker goes on"] > 0
    assert (tmp_path / "figures.png").stat().st_size > 10_000
