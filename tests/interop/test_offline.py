"""With the network switched off every default works: in a namespace of the kernel's that has no route anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ENTER = ("unshare", "--user", "--map-root-user", "--net")


def test_every_default_works_without_a_network(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("hibari", reason="the default voice is not installed (extra tts)")
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("there is no unshare, so the network cannot be switched off for one process")
    allowed = subprocess.run([*ENTER, "true"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"this machine lets nobody make a network namespace: {allowed.stderr.strip()}")
    # An empty home and cache: nothing that was downloaded before may help.
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [*ENTER, sys.executable, "-W", "error", "-m", "tests.interop.offline"],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["no_network"], "the namespace has a way out; the rest would show nothing"
    assert 0.8 < report["speech_s"] < 3.0
    for transport in ("websocket", "webrtc"):
        assert report[transport]["transcript"] == "What is twelve times seven?"
        assert "eighty four" in report[transport]["answer"].lower().replace("-", " ")
    assert report["computer"]["stop_words"] == 1
    assert "lights" in report["computer"]["transcript"]
    assert report["computer"]["answer"]
    assert not list(tmp_path.iterdir()), "something was downloaded, or keeps a record (ONNX Runtime's telemetry)"
