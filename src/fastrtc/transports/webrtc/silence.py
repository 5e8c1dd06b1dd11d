"""What is sent while nobody talks, decided per tick. Pure; ADR 002 has the measurements behind it."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from fastrtc.audio import PCM

SLEEP_AFTER_TICKS = 50  # 1 s of nothing to play
LOUD = 600  # peak of received int16 samples that says "somebody is speaking": about -35 dBFS


class Encoder(Enum):
    """State of the encoder of one connection.

    ========  ==============  ========================================================
    state     input           next state, action
    ========  ==============  ========================================================
    AWAKE     speech          AWAKE, encode it
    AWAKE     nothing, < 1 s  AWAKE, encode silence (DTX makes it almost no packets)
    AWAKE     nothing, >= 1 s ASLEEP, ``sleep``
    ASLEEP    nothing         ASLEEP, silence passes by and keeps the RTP clock running
    ASLEEP    speech          WAKING, ``wake``; the speech waits
    ASLEEP    heard a voice   WAKING, ``wake``
    WAKING    speech          WAKING, the speech waits, silence passes by
    WAKING    woke            AWAKE
    ========  ==============  ========================================================
    """

    AWAKE = auto()
    ASLEEP = auto()
    WAKING = auto()


class Order(Enum):
    """What :class:`SilenceGate` asks the engine to do beside writing the tick."""

    SLEEP = auto()
    WAKE = auto()


class SilenceGate:
    """Puts an encoder to sleep during silence and wakes it in time. Used by one thread at a time.

    Args:
        sleep_after_ticks: How many ticks of nothing make it sleep.
    """

    def __init__(self, sleep_after_ticks: int = SLEEP_AFTER_TICKS) -> None:
        self.state = Encoder.AWAKE
        self._sleep_after_ticks = sleep_after_ticks
        self._idle_ticks = 0
        self._waiting: deque[PCM] = deque()

    def tick(self, pcm: PCM | None) -> tuple[PCM | None, Order | None]:
        """One tick of 20 ms.

        Args:
            pcm: What to play, or None.

        Returns:
            What to hand to the encoder now (None: a tick of silence), and an order for the engine.
        """
        if pcm is not None:
            self._waiting.append(pcm)
            self._idle_ticks = 0
        else:
            self._idle_ticks += 1
        match self.state:
            case Encoder.WAKING:
                return None, None
            case Encoder.ASLEEP:
                return None, self._wake() if self._waiting else None
            case Encoder.AWAKE:
                if self._waiting:
                    self._idle_ticks = 0
                    return self._waiting.popleft(), None
                if self._idle_ticks >= self._sleep_after_ticks:
                    self.state = Encoder.ASLEEP
                    return None, Order.SLEEP
                return None, None

    def heard(self, loudest: int) -> Order | None:
        """Somebody speaks at the other end, so a reply may be due soon: be awake for it.

        Args:
            loudest: Peak of what was received in this tick, as an ``int16`` sample.
        """
        if loudest < LOUD:
            return None
        self._idle_ticks = 0
        return self._wake() if self.state is Encoder.ASLEEP else None

    def woke(self) -> None:
        """The encoder works again."""
        if self.state is Encoder.WAKING:
            self.state = Encoder.AWAKE

    def flush(self) -> None:
        """Forget speech that still waits."""
        self._waiting.clear()

    def _wake(self) -> Order:
        self.state = Encoder.WAKING
        return Order.WAKE
