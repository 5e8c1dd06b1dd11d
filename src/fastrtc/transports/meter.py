"""How much has been used of what refills at a steady rate (a token bucket)."""

from __future__ import annotations

import time
from collections.abc import Callable


class Meter:
    """One thread only.

    Args:
        per_s: What comes back in a second.
        burst: The most that there ever is.
        now_s: The time.
    """

    __slots__ = ("_at_s", "_burst", "_left", "_now_s", "_per_s")

    def __init__(self, per_s: float, burst: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left = float(burst)
        self._now_s = now_s
        self._at_s = now_s()

    def take(self, amount: float = 1.0) -> bool:
        """Use some; False where there is not enough, and nothing is used."""
        self._refill()
        if amount > self._left:
            return False
        self._left -= amount
        return True

    def owe(self, amount: float) -> float:
        """Use some whether or not it is there.

        Returns:
            Seconds until the debt is paid; 0 without one.
        """
        self._refill()
        self._left -= amount
        return max(0.0, -self._left / self._per_s)

    def _refill(self) -> None:
        now_s = self._now_s()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
