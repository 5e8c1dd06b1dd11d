"""Two detectors in one: who is asked when, and how much each counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.speech.end_of_turn import EndOfTurnModel
from fastrtc.speech.second_opinion import OWN_MIDDLE, SHORTEST_TURN_MS, UNDECIDED, SecondOpinion
from fastrtc.turns.detector import Float, TurnDetector

SILENCE_MS = 96.0
LONG, SHORT = SHORTEST_TURN_MS + 500, SHORTEST_TURN_MS - 100
DOUBT = sum(UNDECIDED) / 2


class Fixed:
    """Gives the same log-odds always, and counts."""

    def __init__(self, odds: float) -> None:
        self.odds = odds
        self.heard: list[int] = []

    def probability(self, audio: Float, silence_ms: float) -> float:
        assert silence_ms == SILENCE_MS
        self.heard.append(audio.size)
        return 1.0 / (1.0 + math.exp(-self.odds))


def odds(own: float, second: float, turn_ms: float) -> tuple[float, Fixed]:
    """The log-odds of both together, and the second."""
    other = Fixed(second)
    audio = np.zeros(round(16 * (turn_ms + SILENCE_MS)), np.float32)
    p = SecondOpinion(other, first=Fixed(own)).probability(audio, SILENCE_MS)
    return math.log(p / (1.0 - p)), other


@pytest.mark.parametrize(("own", "turn_ms"), [(UNDECIDED[0] - 0.1, LONG), (UNDECIDED[1] + 0.1, LONG), (DOUBT, SHORT)])
def test_where_the_first_knows_better_the_second_is_not_asked(own: float, turn_ms: float) -> None:
    found, second = odds(own, 9.0, turn_ms)
    assert found == pytest.approx(own)
    assert second.heard == []


def test_in_doubt_after_a_long_turn_the_second_counts_for_a_quarter() -> None:
    sure, second = odds(DOUBT, 5.0, LONG)
    unsure, _ = odds(DOUBT, -5.0, LONG)
    assert second.heard == [round(16 * (LONG + SILENCE_MS))]
    assert unsure < DOUBT < sure
    assert sure - unsure == pytest.approx(0.25 * 10.0 / 2.0)


def test_a_second_that_says_what_it_usually_says_changes_nothing_at_the_first_ones_middle() -> None:
    found, _ = odds(OWN_MIDDLE, 2.95, LONG)
    assert found == pytest.approx(OWN_MIDDLE)


@given(st.floats(-6, 6), st.floats(0, 1), st.floats(200, 8000))
def test_the_answer_is_always_a_probability(own: float, second: float, turn_ms: float) -> None:
    class Other:
        def probability(self, audio: Float, silence_ms: float) -> float:
            return second

    audio = np.zeros(round(16 * (turn_ms + SILENCE_MS)), np.float32)
    assert 0.0 < SecondOpinion(Other(), first=Fixed(own)).probability(audio, SILENCE_MS) < 1.0


def test_by_default_the_first_is_the_model_of_the_package() -> None:
    detector = SecondOpinion(Fixed(0.0))
    assert isinstance(detector, TurnDetector)
    audio = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.01
    assert detector.probability(audio, SILENCE_MS) == EndOfTurnModel().probability(audio, SILENCE_MS)
