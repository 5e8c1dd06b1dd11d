"""How much microphone audio goes into one message (the same as ``packetizer.js`` of the browser client)."""

from __future__ import annotations

import math

import numpy as np

from fastrtc.audio import PCM

TICKS_PER_QUIET_PACKET = 10
HANGOVER_TICKS = 100
ABOVE_BACKGROUND = 3.0
LEAST_LEVEL = 1e-4 * 32768
RISE_PER_TICK = 1.01


class Packetizer:
    """Puts ten ticks (200 ms) into a packet while nobody makes a sound, one as long as somebody does.

    What a message costs its server hardly depends on its length. The first louder tick (9.5 dB above the background,
    which follows a quieter tick at once and a louder one by 4 dB a second) takes everything that waits along, and for
    two seconds after the last one each tick goes out alone, so that no word starts late and no turn ends late.
    """

    def __init__(self) -> None:
        self._waiting: list[PCM] = []
        self._background = math.inf
        self._hangover = HANGOVER_TICKS

    def push(self, tick: PCM) -> PCM | None:
        """Take a tick of microphone audio; the packet that is due now, if one is."""
        self._weigh(tick)
        self._waiting.append(tick)
        if not self._hangover and len(self._waiting) < TICKS_PER_QUIET_PACKET:
            return None
        packet = np.concatenate(self._waiting)
        self._waiting = []
        return packet

    def _weigh(self, tick: PCM) -> None:
        samples = tick.astype(np.float32)
        level = math.sqrt(float(np.dot(samples, samples)) / max(1, tick.size))
        self._background = min(level, self._background * RISE_PER_TICK)
        if level > max(LEAST_LEVEL, ABOVE_BACKGROUND * self._background):
            self._hangover = HANGOVER_TICKS
        else:
            self._hangover = max(0, self._hangover - 1)
