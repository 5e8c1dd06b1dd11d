"""Finds delay that stays: audio that arrives at real-time pace and yet always waits."""

from __future__ import annotations

WINDOW_TICKS = 150
"""How long a queue is watched before it is judged: 3 s."""

STEADY_TICKS = 3
"""A source that follows real time lets the queue vary by no more; one that runs ahead of it fills and drains."""

KEEP_TICKS = 1
"""What may wait, for the unevenness of the next arrivals."""


class StandingDelay:
    """Watches how deep a queue is after each tick.

    A stall of the network or of a thread makes a live source late once; what it then delivers in a burst waits in
    front of everything that follows, for good. Sources that run ahead of real time (a synthesiser, a file) fill their
    queue on purpose: its depth rises and falls, and is none of our business.

    Args:
        tick_samples: Samples that leave the queue in a tick.
    """

    def __init__(self, tick_samples: int) -> None:
        self._tick_samples = tick_samples
        self._ticks = 0
        self._least = 0
        self._most = 0

    def note(self, queued_samples: int) -> int:
        """Take the depth after a tick; how many samples are too many, or 0 while nobody knows."""
        if not self._ticks:
            self._least = self._most = queued_samples
        self._least = min(self._least, queued_samples)
        self._most = max(self._most, queued_samples)
        self._ticks += 1
        if self._ticks < WINDOW_TICKS:
            return 0
        self._ticks = 0
        if self._most - self._least > STEADY_TICKS * self._tick_samples:
            return 0
        return max(0, self._least - KEEP_TICKS * self._tick_samples)

    def forget(self) -> None:
        """Start watching anew: the queue was changed by somebody else."""
        self._ticks = 0
