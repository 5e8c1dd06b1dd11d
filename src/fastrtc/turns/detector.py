"""The interface of what judges by the sound whether a user who has fallen silent is done."""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Float: TypeAlias = NDArray[np.float32]


@runtime_checkable
class TurnDetector(Protocol):
    """Says how likely a user who has fallen silent is done. Called on a worker, one ask at a time per session."""

    def probability(self, audio: Float, silence_ms: float) -> float:
        """Probability that the turn is over.

        Args:
            audio: The last eight seconds of the turn, or less, with the silence at its end: 16 kHz, mono, shape
                ``(n,)``, in [-1, 1].
            silence_ms: Length of that silence.

        Returns:
            From 0 (will go on) to 1 (is done).
        """
        ...
