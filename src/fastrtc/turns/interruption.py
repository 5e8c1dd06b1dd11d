"""What tells an interruption from a "mm-hm": the interface of the filter that a held reply is resumed by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fastrtc.audio import PCM

LIKELY = 0.5
CERTAIN = 0.95


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound over a reply that has been silent since its beginning.

    Attributes:
        rate_hz: Sample rate of ``pcm``.
        pcm: The sound from its onset to now, with a little of what was before; ``int16``, shape ``(n,)``.
        speech_s: How much of it the detector took for speech.
        ended: Whether the user is silent again; if not, there will be another question, when he is at the latest.
    """

    rate_hz: int
    pcm: PCM
    speech_s: float
    ended: bool


@runtime_checkable
class InterruptionFilter(Protocol):
    """Judges sounds over a reply. Write one to use a rule or a recogniser of your own; it is called off the clock."""

    def weigh(self, sound: Sound) -> float | None:
        """Probability that the user wants the floor.

        Returns:
            In [0, 1]: a sound that has ended interrupts from 0.5, one that goes on from 0.95. None: cannot say, so that
            its length decides: it interrupts. (Sounds shorter than ``interrupt_speech_s`` never do, and are not asked
            about.)
        """
        ...


@dataclass(frozen=True, slots=True)
class WeighSound:
    """Ask the filter about the sound from ``start`` to ``end``; answer with ``weighed``."""

    start: int
    end: int
    speech_samples: int
    ended: bool


def is_interruption(question: WeighSound, probability: float | None) -> bool:
    """Whether a sound ends the reply, given the filter's answer to the question about it."""
    return probability is None or probability >= (LIKELY if question.ended else CERTAIN)
