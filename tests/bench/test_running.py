"""Small shares of the benches of running, so that what they prove is proved at every commit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("real-time")


def run(root: Path, bench: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(root / "bench" / f"{bench}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def test_nothing_stays_of_clients_that_come_and_go(root: Path) -> None:
    figures = run(root, "churn", "--cycles", "14", "--warm-up", "7", "--at-once", "7")
    assert figures["failed"] == {}
    assert figures["without_shutdown"] == figures["shutdown_twice"] == 0
    after = figures["after"]
    assert after["opened"] == 21
    assert after["sessions"] == 0
    assert figures["growth"]["tasks"] <= 0
    assert figures["growth"]["descriptors"] <= 0
    # What fewer than ten megabytes of pages hide: a connection that stays is one, in the engine alone.
    assert (figures["growth"].get("allocated_mb") or 0.0) < 2.0


@pytest.mark.speech
@pytest.mark.usefixtures("speech")
def test_conversations_go_on(root: Path) -> None:
    figures = run(root, "soak", "--minutes", "0.12", "--sessions", "2")
    assert figures["utterances"] >= 2
    assert figures["gone"] == 0
    assert figures["failed"] == []
    # A machine that is busy with other tests may stall for longer than a word; the bench alone counts every turn.
    assert figures["lost"] <= figures["utterances"] // 2
