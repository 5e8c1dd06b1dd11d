"""When a pause ends the turn: patience that depends on how the speech sounded, on the phrase and on the speaker.

While the user is silent two things can be true: the turn is over (and every further millisecond is lost), or this is a
pause inside it (and an answer interrupts the user). Inside the range that matters here, from 0.2 to 1 s, the lengths of
pauses inside a turn fall off about exponentially, so the chance that the silence ends in the next moment hardly depends
on how long it has lasted: growing silence by itself says little until it is longer than nearly all of a speaker's
pauses. With a constant hazard the cheapest rule is to answer almost at once where the chance of interrupting is small
enough, and else to wait for the length that hardly any pause has. :class:`AdaptivePatience` is that rule with a soft
step between the two:

    wait = first + (last - first) * s((theta - z) / width),    s(x) = 1 / (1 + exp(-x)),    z = log(p / (1 - p))

``p`` is the end-of-turn detector's probability, ``theta`` how sure it has to be: surer after a long phrase, because who
runs on pauses more, surer again once the turn has had a pause. ``first`` and ``last`` are the shortest and the longest
silence; ``last`` moves towards the long end of this speaker's own pauses as they become known. How the numbers were
chosen, and what they give on every corpus: ``bench/endpointing.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastrtc.turns.odds import log_odds, logistic
from fastrtc.turns.patience import PHRASE_PAUSE_MS, Pause

_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class AdaptivePatience:
    """The rule of this module.

    ====================================  =====================================================
    what is known of the pause            silence that ends the turn
    ====================================  =====================================================
    less than ``brief_ms`` of speech      at least ``brief_silence_ms``
    no answer of the detector yet         ``longest_ms`` (for this speaker)
    short phrase, no pause before         from ``shortest_ms``, sure from ``sure_short``
    long phrase, no pause before          from ``shortest_long_ms``, sure from ``sure_long``
    short phrase after a pause            from ``shortest_paused_ms``, sure from ``sure_completion``
    long phrase after a pause             from ``shortest_paused_ms``, sure from ``sure_long + sure_paused``
    ====================================  =====================================================

    A silence of ``longest_ms`` (for this speaker) ends the turn in every row. The answer falls as the probability
    rises, and never leaves ``[shortest_ms, longest_factor * longest_ms]``.

    Attributes:
        shortest_ms: Never less silence than this.
        longest_ms: Silence that ends a turn whatever the detector says, while the speaker is unknown.
        shortest_long_ms: Least silence after a long phrase.
        shortest_paused_ms: Least silence in a turn that has had a pause.
        short_phrase_ms: Up to this length a phrase (speech since the last pause) is short.
        long_phrase_ms: From this length it is long; between the two, everything goes over gradually.
        sure_short: Log-odds of the detector that are enough after a short phrase.
        sure_completion: After a short phrase that follows a pause, as who completes a sentence says it: it only must
            not sound broken off.
        sure_long: After a long one.
        sure_paused: What a pause in the turn adds to ``sure_long``.
        width: Of the soft step, in log-odds.
        brief_ms: Less speech than this may be a click or the start of a word.
        brief_silence_ms: Least silence after it.
        longest_factor: How far ``longest_ms`` may move with the speaker, either way.
        known_pauses: Number of pauses at which the speaker's own count as much as ``longest_ms``.
        asks_ms: Silences at which the detector is asked. Once is enough for one that does not hear the silence.
    """

    shortest_ms: float = 120.0
    longest_ms: float = 1400.0
    shortest_long_ms: float = 178.0
    shortest_paused_ms: float = 272.0
    short_phrase_ms: float = 750.0
    long_phrase_ms: float = 900.0
    sure_short: float = -0.4
    sure_completion: float = -0.9
    sure_long: float = 1.2
    sure_paused: float = 1.0
    width: float = 0.1
    brief_ms: float = 256.0
    brief_silence_ms: float = 500.0
    longest_factor: float = 1.25
    known_pauses: float = 8.0
    asks_ms: tuple[float, ...] = (96.0,)

    def required_silence_ms(self, pause: Pause) -> float:
        """The silence after which the turn is over, given what is known now."""
        last = self.speaker_longest_ms(pause.earlier_ms)
        if not pause.answers:
            return last
        phrase_ms = pause.speech_ms if pause.phrase_ms is None else pause.phrase_ms
        run = _ramp(phrase_ms, self.short_phrase_ms, self.long_phrase_ms)
        short, long = self.sure_short, self.sure_long
        first = self.shortest_ms + run * (self.shortest_long_ms - self.shortest_ms)
        if pause.paused:
            short, long = self.sure_completion, long + self.sure_paused
            first = max(first, self.shortest_paused_ms)
        theta = short + run * (long - short)
        wait = first + max(0.0, last - first) * logistic((theta - self.log_odds(pause)) / self.width)
        if pause.speech_ms < self.brief_ms:
            wait = max(wait, self.brief_silence_ms)
        return min(max(wait, self.shortest_ms), max(last, self.shortest_ms))

    def speaker_longest_ms(self, earlier_ms: tuple[float, ...]) -> float:
        """``longest_ms`` for a speaker who paused that long inside turns so far.

        A quarter more than the 90th percentile of those pauses, weighed against ``longest_ms`` by their number.
        """
        pauses = sorted(length for length in earlier_ms if length >= PHRASE_PAUSE_MS)
        if not pauses:
            return self.longest_ms
        own = 1.25 * pauses[math.ceil(0.9 * len(pauses)) - 1]
        weight = len(pauses) / (len(pauses) + self.known_pauses)
        mixed = (1.0 - weight) * self.longest_ms + weight * own
        return min(max(mixed, self.longest_ms / self.longest_factor), self.longest_ms * self.longest_factor)

    @staticmethod
    def log_odds(pause: Pause) -> float:
        """The mean log-odds of the detector's answers during this pause (which has at least one)."""
        return sum(log_odds(p, _EDGE) for _, p in pause.answers) / len(pause.answers)


def _ramp(value: float, low: float, high: float) -> float:
    if high <= low:
        return 1.0 if value >= high else 0.0
    return min(max((value - low) / (high - low), 0.0), 1.0)
