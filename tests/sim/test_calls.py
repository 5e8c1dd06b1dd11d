"""Whole calls replayed from text files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fastrtc.testing import Script

CALLS = sorted(Path(__file__).with_name("calls").glob("*.txt"))
MAX_PYTHON_CALLS_PER_TICK = 100


@pytest.mark.parametrize("path", CALLS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_call(path: Path, rate_hz: int) -> None:
    performance = Script.load(path).check(rate_hz)
    assert len(performance.calls) == len(performance.closed)


def test_there_are_calls() -> None:
    assert len(CALLS) >= 11


def test_half_a_minute_takes_few_steps() -> None:
    """A dialogue of 30 s replays in less than 50 ms (bench/dialogue_replay.py); machines differ, steps do not."""
    script = Script.parse(
        """
        reply * after=0.2 lasts=2.5
        0.5 speech 1.5
        5.0 speech 1.5
        7.6 speech 0.13
        11.0 speech 1
        17.5 speech 1.5
        26 speech 1
        30.0 end
        """
    )
    script.play()
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        performance = script.play()
    finally:
        sys.setprofile(before)
    assert len(performance.calls) >= 4
    assert calls < MAX_PYTHON_CALLS_PER_TICK * 1500
