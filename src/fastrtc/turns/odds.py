"""Probabilities as log-odds, which can be added and weighed."""

from __future__ import annotations

import math

_MOST = 60.0


def log_odds(probability: float, edge: float) -> float:
    """Natural logarithm of ``p / (1 - p)``, for ``p`` kept ``edge`` away from 0 and 1."""
    kept = min(max(probability, edge), 1.0 - edge)
    return math.log(kept / (1.0 - kept))


def logistic(odds: float) -> float:
    """The probability that has these log-odds."""
    return 1.0 / (1.0 + math.exp(-min(max(odds, -_MOST), _MOST)))
