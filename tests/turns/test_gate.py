"""The speech gate: each row of its table, and its memory of one sliding window."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.turns.gate import SpeechGate, SpeechWindow
from fastrtc.turns.options import GateSettings

SIZE = 512
SETTINGS = GateSettings(threshold=0.5, release=0.35, window_samples=10 * SIZE, min_speech_samples=2 * SIZE)


def feed(gate: SpeechGate, *probabilities: float, start: int = 0) -> SpeechGate:
    for number, probability in enumerate(probabilities, start):
        gate.step(SpeechWindow(number * SIZE, (number + 1) * SIZE, probability))
    return gate


@pytest.mark.parametrize(
    ("before", "probability", "after"),
    [
        pytest.param(False, 0.5, True, id="silence, at the threshold: speech"),
        pytest.param(False, 1.0, True, id="silence, above: speech"),
        pytest.param(False, 0.49, False, id="silence, below: silence"),
        pytest.param(False, 0.35, False, id="silence, at the release: silence"),
        pytest.param(True, 0.35, True, id="speech, at the release: speech"),
        pytest.param(True, 0.34, False, id="speech, below: silence"),
        pytest.param(True, 0.0, False, id="speech, far below: silence"),
        pytest.param(False, math.nan, False, id="a detector that gives NaN hears nothing"),
        pytest.param(True, math.nan, False, id="NaN ends speech"),
    ],
)
def test_table(before: bool, probability: float, after: bool) -> None:
    gate = SpeechGate(SETTINGS)
    if before:
        feed(gate, 0.9)
    assert gate.speech is before
    feed(gate, probability, start=1)
    assert gate.speech is after


def test_counts_speech_in_the_window_only() -> None:
    gate = feed(SpeechGate(SETTINGS), 1, 1, 0, 0, 1)
    assert gate.recent_speech_samples == 3 * SIZE
    assert gate.recent_onset == 0
    feed(gate, *[0.0] * 7, start=5)
    assert gate.recent_speech_samples == SIZE
    assert gate.recent_onset == 4 * SIZE
    feed(gate, *[0.0] * 3, start=12)
    assert gate.recent_speech_samples == 0
    assert gate.recent_onset is None


def test_a_span_that_began_before_the_window_counts_whole() -> None:
    gate = feed(SpeechGate(SETTINGS), *[1.0] * 30)
    assert gate.recent_speech_samples == 30 * SIZE
    assert gate.recent_onset == 0


def test_started_needs_enough_speech_and_speech_now() -> None:
    gate = feed(SpeechGate(SETTINGS), 1)
    assert not gate.started
    feed(gate, 1, start=1)
    assert gate.started
    feed(gate, 0, start=2)
    assert not gate.started
    feed(gate, 1, start=3)
    assert gate.started
    assert gate.recent_onset == 0


def test_last_speech_end_outlives_the_silence() -> None:
    assert feed(SpeechGate(SETTINGS), 0, 1, 0, 0).last_speech_end == 2 * SIZE


def test_forget() -> None:
    gate = feed(SpeechGate(SETTINGS), 1, 1)
    gate.forget()
    assert not gate.speech
    assert not gate.started
    assert gate.recent_onset is None
    feed(gate, 0.4, start=2)
    assert not gate.speech, "after forgetting, speech must reach the threshold again"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=80))
def test_agrees_with_a_plain_count(probabilities: list[float]) -> None:
    gate = feed(SpeechGate(SETTINGS), *probabilities)
    heard = []
    for probability in probabilities:
        heard.append(probability >= (0.35 if heard and heard[-1] else 0.5))
    assert gate.speech == heard[-1]
    horizon = len(heard) - 10
    first = max(horizon, 0)
    while first > 0 and heard[first] and heard[first - 1]:
        first -= 1
    assert gate.recent_speech_samples == sum(heard[first:]) * SIZE
