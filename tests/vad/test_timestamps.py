"""Stretches of speech from probabilities: a row per rule, then what holds for any input."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrtc.vad.options import SileroVadOptions
from fastrtc.vad.timestamps import find_speech

WINDOW = 512  # 32 ms at 16 kHz


def spans(parts: list[tuple[float, int]], short: int = 0, **options: float) -> list[tuple[int, int]]:
    """Stretches, in windows, of ``parts`` (probability, windows); pads of 0 and pauses of 100 ms unless told."""
    probabilities = [probability for probability, windows in parts for _ in range(windows)]
    chosen = SileroVadOptions(**{"speech_pad_ms": 0, "min_silence_duration_ms": 100, **options})  # type: ignore[arg-type]
    chunks = find_speech(
        probabilities,
        chosen,
        window_samples=WINDOW,
        total_samples=len(probabilities) * WINDOW - short,
        rate_hz=16_000,
    )
    return [(chunk["start"], chunk["end"]) for chunk in chunks]


def windows(*pairs: tuple[int, int]) -> list[tuple[int, int]]:
    return [(start * WINDOW, end * WINDOW) for start, end in pairs]


def test_nothing_in_nothing() -> None:
    assert spans([]) == []
    assert spans([(0.1, 50)]) == []


def test_speech_between_silences() -> None:
    assert spans([(0.1, 10), (0.9, 20), (0.1, 20)]) == windows((10, 30))


def test_speech_begins_at_the_threshold() -> None:
    assert spans([(0.1, 10), (0.5, 20), (0.1, 20)]) == windows((10, 30))
    assert spans([(0.1, 10), (0.499, 20), (0.1, 20)]) == []


def test_speech_ends_only_0_15_below_the_threshold() -> None:
    assert spans([(0.9, 20), (0.36, 20), (0.1, 20)]) == windows((0, 40))
    assert spans([(0.9, 20), (0.34, 20), (0.1, 20)]) == windows((0, 20))


@pytest.mark.parametrize(("min_speech_duration_ms", "found"), [(319, 1), (320, 0), (321, 0)])
def test_short_speech_is_dropped(min_speech_duration_ms: int, found: int) -> None:
    assert len(spans([(0.9, 10), (0.1, 20)], min_speech_duration_ms=min_speech_duration_ms)) == found


def test_speech_up_to_the_end_of_the_audio_is_kept_and_ends_there() -> None:
    assert spans([(0.1, 10), (0.9, 20)], short=100) == [(10 * WINDOW, 30 * WINDOW - 100)]
    assert spans([(0.1, 10), (0.9, 5)]) == []


@pytest.mark.parametrize(("pause", "found"), [(4, 1), (5, 2)])
def test_a_pause_separates_once_it_is_long_enough(pause: int, found: int) -> None:
    # Its last window must begin 100 ms after its first: the fifth one.
    assert len(spans([(0.9, 20), (0.1, pause), (0.9, 20), (0.1, 20)])) == found


def test_padding_reaches_as_far_as_the_audio() -> None:
    assert spans([(0.1, 10), (0.9, 20), (0.1, 30)], speech_pad_ms=64) == windows((8, 32))
    assert spans([(0.1, 1), (0.9, 20), (0.1, 30)], speech_pad_ms=64, short=31 * WINDOW) == [(0, 20 * WINDOW)]


def test_neighbours_share_a_gap_that_is_too_short_for_both_pads() -> None:
    assert spans([(0.9, 20), (0.1, 10), (0.9, 20), (0.1, 20)], speech_pad_ms=320) == windows((0, 25), (25, 60))


def test_long_speech_without_a_pause_is_cut_hard() -> None:
    found = spans([(0.9, 70), (0.1, 20)], max_speech_duration_s=1.0)
    # 16000 samples less a window: the first window that begins later than 15488 samples after the start is the 31st.
    assert found == windows((0, 31), (32, 63))


def test_long_speech_is_cut_at_its_last_pause_of_98_ms() -> None:
    found = spans([(0.9, 10), (0.1, 6), (0.9, 50), (0.1, 80)], max_speech_duration_s=1.5, min_silence_duration_ms=1000)
    assert found == windows((0, 10), (16, 62))


def test_a_shorter_pause_is_no_place_to_cut() -> None:
    # The fourth silent window is the last one before 98 ms.
    cut, uncut = (
        spans([(0.9, 10), (0.1, pause), (0.9, 100)], max_speech_duration_s=1.5, min_silence_duration_ms=1000)
        for pause in (5, 4)
    )
    assert cut[0] == (0, 10 * WINDOW)
    assert uncut[0] == (0, 46 * WINDOW)


def test_long_speech_is_cut_at_the_latest_of_several_pauses() -> None:
    found = spans(
        [(0.9, 10), (0.1, 6), (0.9, 10), (0.1, 6), (0.9, 30), (0.1, 80)],
        max_speech_duration_s=1.5,
        min_silence_duration_ms=1000,
    )
    assert found == windows((0, 26), (32, 62))


def test_long_speech_that_has_paused_again_ends_at_the_pause() -> None:
    found = spans([(0.9, 40), (0.1, 100)], max_speech_duration_s=1.5, min_silence_duration_ms=2000)
    assert found == windows((0, 40))


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.36, 0.5, 0.7, 1.0]), st.integers(1, 40)), max_size=20),
    options=st.builds(
        SileroVadOptions,
        threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
        min_speech_duration_ms=st.integers(0, 500),
        max_speech_duration_s=st.sampled_from([0.1, 1.0, 3.0, math.inf]),
        min_silence_duration_ms=st.integers(0, 3000),
        speech_pad_ms=st.integers(0, 600),
    ),
    short=st.integers(0, WINDOW - 1),
)
def test_stretches_are_in_order_apart_and_inside(
    parts: list[tuple[float, int]], options: SileroVadOptions, short: int
) -> None:
    probabilities = [probability for probability, count in parts for _ in range(count)]
    total = max(0, len(probabilities) * WINDOW - short)
    chunks = find_speech(probabilities, options, window_samples=WINDOW, total_samples=total, rate_hz=16_000)
    edges = [edge for chunk in chunks for edge in (chunk["start"], chunk["end"])]
    assert edges == sorted(edges)
    assert all(0 <= edge <= total for edge in edges)
    assert all(type(edge) is int for edge in edges)
    if not any(probability >= options.threshold for probability in probabilities):
        assert chunks == []


def test_the_answer_scales_with_the_sample_rate() -> None:
    options = SileroVadOptions(speech_pad_ms=50, min_silence_duration_ms=200)
    probabilities = [0.1] * 10 + [0.9] * 20 + [0.1] * 30
    at_16, at_8 = (
        find_speech(probabilities, options, window_samples=32 * khz, total_samples=60 * 32 * khz, rate_hz=khz * 1000)
        for khz in (16, 8)
    )
    assert at_16 == [{"start": chunk["start"] * 2, "end": chunk["end"] * 2} for chunk in at_8]
    assert at_8 == [{"start": 10 * 256 - 400, "end": 30 * 256 + 400}]
