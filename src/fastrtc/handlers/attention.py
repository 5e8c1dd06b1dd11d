"""Whether a session waits for a stop word or for what follows it, and where that begins."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from fastrtc.errors import ConfigurationError
from fastrtc.handlers.wake import Heard, RestOfWord
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.machine import StartReply
from fastrtc.turns.options import TurnSettings

LEAD_S = 0.05  # of audio before the first sound of what follows


@dataclass(frozen=True, slots=True)
class StopWordOptions:
    """What a stop word is good for.

    Attributes:
        include_stop_word: Whether the function gets the stop word and what was said just before it, too.
        timeout_s: After a stop word, speech is waited for this long.
        follow_up_s: After a reply, speech needs no stop word for this long.

    Raises:
        ConfigurationError: A time that is no time.
    """

    include_stop_word: bool = False
    timeout_s: float = math.inf
    follow_up_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ConfigurationError(f"timeout_s must be a positive number of seconds or None, got {self.timeout_s!r}")
        if not self.follow_up_s >= 0:
            raise ConfigurationError(
                f"follow_up_s must be zero or a positive number of seconds, got {self.follow_up_s!r}"
            )


class Attention:
    """Follows one session; times are samples.

    ========  ===============================================  ========
    state     input                                            next
    ========  ===============================================  ========
    asleep    ``wake``: a stop word was heard                  awake
    asleep    ``stay``: a reply is over, with a follow-up      awake
    awake     ``sleep``: a turn was taken, or the microphone   asleep
              is off
    awake     ``given_up``: nobody has spoken in time          asleep
    ========  ===============================================  ========

    Args:
        settings: Of the turn: rate, and what counts as speech.
        options: What the handler was given.

    Attributes:
        awake: Whether what is said now is for the reply function.
        after: Nothing before this is for it.
    """

    def __init__(self, settings: TurnSettings, options: StopWordOptions) -> None:
        self.awake = False
        self.after = 0
        self._settings = settings
        self._options = options
        self._rest: RestOfWord | None = None
        self._onset: int | None = None
        self._until = math.inf

    def wake(self, heard: Heard) -> None:
        """A stop word was heard."""
        self.awake = True
        self.after = heard.start if self._options.include_stop_word else heard.end
        self._rest = RestOfWord(heard.end, heard.rest, self._settings)
        self._onset = heard.start if self._options.include_stop_word else None
        self._until = heard.end + self._options.timeout_s * self._settings.rate_hz

    def stay(self, at: int) -> bool:
        """A reply is over; whether what is said next needs no stop word."""
        if self._options.follow_up_s == 0.0:
            return False
        self.awake = True
        self.after = at
        self._rest = self._onset = None
        self._until = at + self._options.follow_up_s * self._settings.rate_hz
        return True

    def sleep(self) -> None:
        """A stop word is needed again."""
        self.awake = False

    def given_up(self, at: int, speaking: bool) -> bool:
        """Whether the time is over, and nobody is speaking; it sleeps then."""
        if self.awake and not speaking and at >= self._until:
            self.awake = False
            return True
        return False

    def take(self, window: SpeechWindow) -> list[SpeechWindow]:
        """The windows that are to be heard, now that this one is judged; those of the stop word itself never are."""
        windows = [window] if self._rest is None else self._rest.take(window)
        if self._rest is not None and not self._options.include_stop_word:
            self.after = max(self.after, self._rest.end)
        for one in windows:
            if one.probability >= self._settings.gate.threshold and self._onset is None:
                self._onset = one.start
        return windows

    def shaped(self, start: StartReply) -> StartReply:
        """The turn without the stop word (or with it), and without the silence between it and the first sound."""
        first = max(start.start, self.after)
        if self._onset is not None:
            lead = round(LEAD_S * self._settings.rate_hz)
            first = self.after if self._options.include_stop_word else max(first, self._onset - lead)
        return replace(start, start=min(first, start.end))
