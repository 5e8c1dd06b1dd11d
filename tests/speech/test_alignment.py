"""Where words lie: the pure parts on what is known exactly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrtc.speech import alignment
from fastrtc.speech.alignment import HEADS, STEP_MS, beginnings, in_order, loudness, spans

RATE = 16_000
LEAD_S, TAIL_S = 0.1, 0.2


def tone(seconds: float, level: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * 300 * t)).astype(np.float32)


def looking_at(*places_s: float, seconds: float) -> np.ndarray:
    """Attention of which the known heads look at one place for each token, the others at the first state."""
    states = round((seconds + LEAD_S + TAIL_S) / 0.024)
    state_s = (seconds + LEAD_S + TAIL_S) / states
    found = np.zeros((6, 8, len(places_s), states), np.float32)
    found[..., 0] = 1.0
    for layer, head, late_s in HEADS:
        for row, place_s in enumerate(places_s):
            found[layer, head, row] = 0.0
            found[layer, head, row, int((place_s + late_s + LEAD_S) / state_s)] = 1.0
    return found


def test_it_is_where_the_heads_look() -> None:
    places_s = (0.3, 0.9, 1.5)
    scores = beginnings(looking_at(*places_s, seconds=2.0), tone(2.0, 0.1), LEAD_S, TAIL_S)
    assert scores.shape == (3, 2000 // STEP_MS)
    assert scores.argmax(axis=1) * STEP_MS / 1000 == pytest.approx(places_s, abs=0.03)


def test_a_weak_place_nearby_is_preferred() -> None:
    sound = np.concatenate([tone(0.96, 0.1), tone(0.03, 0.001), tone(1.01, 0.1)])
    scores = beginnings(looking_at(1.0, seconds=2.0), sound, LEAD_S, TAIL_S)
    assert scores[0].argmax() * STEP_MS / 1000 == pytest.approx(0.975, abs=0.015)


def test_words_end_where_silence_begins() -> None:
    sound = np.concatenate([tone(0.5, 0.1), tone(0.4, 0.0001), tone(0.6, 0.1), tone(0.5, 0.0001)])
    scores = beginnings(looking_at(0.0, 0.8, 1.7, seconds=2.0), sound, LEAD_S, TAIL_S)
    assert np.array(spans(scores, sound)).ravel() == pytest.approx([0.0, 0.5, 0.9, 1.5], abs=0.03)


def test_loudness_of_a_tone_does_not_depend_on_the_rate_of_its_steps() -> None:
    assert loudness(tone(1.0, 0.1)).shape == (200,)
    assert np.ptp(loudness(tone(1.0, 0.1))[10:-10]) < 1.0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_in_order_is_the_best_of_all_that_are_in_order(rows: int, places: int, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(0, 1, (rows, places))
    found = in_order(scores)
    assert found == sorted(found)
    best = max(
        sum(scores[row, place] for row, place in enumerate(one))
        for one in itertools.product(range(places), repeat=rows)
        if list(one) == sorted(one)
    )
    assert sum(scores[row, place] for row, place in enumerate(found)) == pytest.approx(best)


@pytest.mark.parametrize("size", [1, 100, 1600])
def test_a_moment_has_places(size: int) -> None:
    sound = np.zeros(size, np.float32)
    scores = beginnings(looking_at(0.0, 0.0, seconds=size / RATE), sound, LEAD_S, TAIL_S)
    assert scores.shape[1] == alignment.loudness(sound).size
    assert len(spans(scores, sound)) == 1
