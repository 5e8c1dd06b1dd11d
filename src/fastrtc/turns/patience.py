"""How long a pause may grow before it ends the turn: the interface, and silence alone as the simplest answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

PHRASE_PAUSE_MS = 192.0
"""Silence that separates two phrases of a turn; a shorter one is part of a word."""


@dataclass(frozen=True, slots=True)
class Pause:
    """What is known about the pause that is going on.

    Attributes:
        silence_ms: Its length so far.
        speech_ms: Speech in this turn before it.
        answers: What the end-of-turn detector said during this pause: ``(silence_ms when asked, probability)``.
        earlier_ms: The pauses inside this speaker's turns so far that turned out not to be the end.
        phrase_ms: From the last pause of at least ``PHRASE_PAUSE_MS``, or the turn's start, to where this pause began;
            None: the same as ``speech_ms``.
        paused: Whether the turn has had such a pause before.
    """

    silence_ms: float
    speech_ms: float
    answers: tuple[tuple[float, float], ...] = ()
    earlier_ms: tuple[float, ...] = ()
    phrase_ms: float | None = None
    paused: bool = False

    @property
    def probability(self) -> float | None:
        """The newest answer of the detector."""
        return self.answers[-1][1] if self.answers else None


class EndpointPolicy(Protocol):
    """Decides how much silence ends the turn."""

    @property
    def asks_ms(self) -> tuple[float, ...]:
        """Silences at which the detector is asked, rising; empty asks none."""
        ...

    def required_silence_ms(self, pause: Pause) -> float:
        """The silence after which the turn is over, given what is known now."""
        ...


@dataclass(frozen=True, slots=True)
class FixedPatience:
    """A turn is over after the same silence every time."""

    silence_ms: float
    asks_ms: tuple[float, ...] = ()

    def required_silence_ms(self, pause: Pause) -> float:
        return self.silence_ms
