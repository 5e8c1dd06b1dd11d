"""The built-in end-of-turn model, which asks Smart Turn where it is in doubt itself.

On pauses after long phrases at which the built-in model is undecided, Smart Turn is the better judge; after short
phrases and single words it is the worse one, and it costs twenty times as much. So it is asked only about the former,
and its answer counts for a quarter. The numbers: ADR 007.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastrtc.speech.end_of_turn import RATE_HZ, EndOfTurnModel
from fastrtc.turns.detector import TurnDetector
from fastrtc.turns.odds import log_odds, logistic

Float = NDArray[np.float32]

SHORTEST_TURN_MS = 1100.0
"""Shorter turns are single words and greetings."""
UNDECIDED = (0.2, 2.2)
"""Log-odds of the built-in model around what it needs to be after a long phrase."""
WEIGHT = 0.25
SECOND_MIDDLE, OWN_MIDDLE, SOFTNESS = 2.95, 1.2, 2.0
"""Smart Turn is surer of everything: its middle over ends and pauses of other recordings, ours, and the scale."""
_EDGE = 1e-4


class SecondOpinion:
    """An end-of-turn detector (:class:`fastrtc.turns.detector.TurnDetector`) made of two.

    Args:
        second: Smart Turn, for instance ``SmartTurn(path)``.
        first: The model that is asked always; the one that comes with the package by default.
    """

    def __init__(self, second: TurnDetector, *, first: TurnDetector | None = None) -> None:
        self._first = first or EndOfTurnModel()
        self._second = second

    def probability(self, audio: Float, silence_ms: float) -> float:
        """Probability that the user is done; see :class:`fastrtc.turns.detector.TurnDetector`."""
        own = self._first.probability(audio, silence_ms)
        odds = log_odds(own, _EDGE)
        turn_ms = 1000.0 * audio.size / RATE_HZ - silence_ms
        if turn_ms < SHORTEST_TURN_MS or not UNDECIDED[0] < odds < UNDECIDED[1]:
            return own
        answer = log_odds(self._second.probability(audio, silence_ms), _EDGE)
        second = OWN_MIDDLE + (answer - SECOND_MIDDLE) / SOFTNESS
        return logistic((1.0 - WEIGHT) * odds + WEIGHT * second)
