"""The ear for streaming detectors: windows come as soon as they are whole, and nothing is resampled before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrtc.handlers import listening
from fastrtc.handlers.listening import Listener, judge_all
from fastrtc.testing import ScriptedVad
from fastrtc.turns.gate import SpeechWindow

RATES_HZ = (8_000, 16_000, 24_000, 44_100, 48_000)


def never(error: BaseException) -> None:
    raise error


@settings(max_examples=40, deadline=None)
@given(rate_hz=st.sampled_from(RATES_HZ), sizes=st.lists(st.integers(1, 4_000), min_size=1, max_size=12))
def test_a_window_is_judged_as_soon_as_it_is_whole(rate_hz: int, sizes: list[int]) -> None:
    windows: list[SpeechWindow] = []
    listener = Listener(ScriptedVad(), rate_hz, windows.append, never)
    heard = 0
    for size in sizes:
        listener.hear(np.zeros(size, np.int16))
        heard += size
        judge_all([listener])
        assert len(windows) == -(-heard * 16_000 // rate_hz) // 512


@settings(max_examples=40, deadline=None)
@given(rate_hz=st.sampled_from(RATES_HZ), sizes=st.lists(st.integers(1, 4_000), min_size=1, max_size=12))
def test_windows_follow_each_other_without_gaps(rate_hz: int, sizes: list[int]) -> None:
    windows: list[SpeechWindow] = []
    listener = Listener(ScriptedVad(), rate_hz, windows.append, never)
    for size in sizes:
        listener.hear(np.zeros(size, np.int16))
        judge_all([listener])
    assert [one.start for one in windows] == [0, *(one.end for one in windows)][: len(windows)]


def test_a_frame_that_completes_no_window_is_not_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    resample = listening.process_many

    def noted(resamplers: Any, frames: Any) -> Any:
        batches.append(frames[0].size)
        return resample(resamplers, frames)

    monkeypatch.setattr(listening, "process_many", noted)
    listener = Listener(ScriptedVad(), 48_000, lambda _window: None, never)
    for _ in range(8):
        listener.hear(np.zeros(960, np.int16))
        judge_all([listener])
    assert batches == [1536] * 5
