"""Finds stop words in speech: by the text of any recogniser, or by how probable Moonshine holds them to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM, audio_to_float32
from fastrtc.speech import alignment
from fastrtc.speech.moonshine import MoonshineSTT, samples_of
from fastrtc.speech.moonshine_net import RATE_HZ, Writing
from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.stop_words import StopWords, words_of

Float = NDArray[np.float32]

SHARE = 0.7  # of a stop word's surprise that may be left at the highest sensitivity
NEVER = -100.0
MARGIN = 1.0  # two spellings together are at most this much more probable than the better one of them
SHORTEST_S = 0.1  # of audio that can hold a word
SURE = 0.4  # of the surprise that may be left: with less of it, once is enough
SHIFT_S = 0.1  # of its beginning that a piece is heard without the second time

EARLY = 2.0  # of a logarithm against an end where the stop word was not yet found
ATTENTION_REST_S, CUT_REST_S = 0.1, 0.25  # that an end may be too early

# Where a stop word ends, by cutting. Chosen on "computer", "jarvis", "view glass" and "smart mirror".
CUT_S = 0.06  # between two places where the audio is cut off to see whether it still holds the word
SURER, SURER_SHARE = 1.0, 0.2  # of a logarithm that may still be gained when a word is as good as complete
AROUND_MS = 250
PAUSE_MS, PAUSE_DB = 120, 25.0  # A pause; the closure of a "t" is shorter.
LAST_MS, LAST_SPREAD_MS, LONGEST_LAST_MS = 130, 60, 300
FAR_DB = 4.0
SILENCE_DB = -80.0


class Spotter(Protocol):
    """Looks for stop words in pieces of speech; called away from the media clock, one call at a time.

    Attributes:
        rest_s: How much earlier than the stop word's last sound :meth:`end_of` may be, in seconds.
    """

    rest_s: float

    def spot(self, rate_hz: int, audio: PCM) -> str | None:
        """The stop word in the newest seconds of what is being said, as the app wrote it; None if there is none."""
        ...

    def end_of(self, rate_hz: int, audio: PCM, phrase: str, known: int) -> int:
        """The sample at which a stop word ends that :meth:`spot` has found.

        Args:
            rate_hz: Of the audio.
            audio: What it was found in, and some tenths of a second more.
            phrase: What was found.
            known: It was not yet found in the audio up to this sample.
        """
        ...


class TextSpotter:
    """Looks for stop words in what a recogniser writes.

    Args:
        recogniser: Any one.
        wanted: The stop words.
        detected: Whether a text holds one; None: by ``wanted``.
    """

    rest_s = CUT_REST_S

    def __init__(
        self, recogniser: SpeechToText, wanted: StopWords, detected: Callable[[str], bool] | None = None
    ) -> None:
        self._recogniser = recogniser
        self._wanted = wanted
        self._detected = detected

    def spot(self, rate_hz: int, audio: PCM) -> str | None:
        text = self._recogniser.stt((rate_hz, audio.reshape(1, -1)))
        match = self._wanted.find(text)
        if self._detected is not None and not self._detected(text):
            return None
        return match.phrase if match is not None else "" if self._detected is not None else None

    def end_of(self, rate_hz: int, audio: PCM, phrase: str, known: int) -> int:
        """From where the recogniser knows it, on to where its last sound ends."""
        step = round(CUT_S * rate_hz)
        cuts = range(known + step, len(audio), step)
        cut = _first_of_two(cuts, lambda at: self.spot(rate_hz, audio[:at]) is not None, min(known + step, len(audio)))
        return _end_of_sound(audio_to_float32(audio), rate_hz, cut)


class MoonshineSpotter:
    """Asks Moonshine's decoder, at each place of what it writes, how probable a stop word would have been there.

    Names and words that a speaker says in a way of their own are often not the model's first choice ("Javez" for
    "Jarvis"), yet are much more probable than they would be by chance. A stop word counts as heard when its probability
    is at least ``prior ** (SHARE * sensitivity)``, where ``prior`` is its probability with nothing to be heard: one in
    ten thousand for "computer", one in a hundred million for "view glass". That is the likelihood ratio of keyword
    spotting (Rose and Paul, 1990) with a threshold that leaves a longer word more room. One that is only just probable
    enough is heard once more, from a little later on, and has to be so in the mean: by chance a word seldom is twice.

    Args:
        model: The recogniser.
        wanted: The stop words; what they find in the text counts as well.
        sensitivity: From 0 to 1.
    """

    def __init__(self, model: MoonshineSTT, wanted: StopWords, sensitivity: float) -> None:
        self.rest_s = ATTENTION_REST_S if model.tells_times else CUT_REST_S
        self._model = model
        self._wanted = wanted
        nothing = model.write(np.zeros(RATE_HZ, np.float32))
        self._phrases: dict[str, tuple[list[tuple[int, ...]], float]] = {}
        for phrase in wanted.phrases:
            spellings = sorted({model.net.vocabulary.tokens(one) for one in _spellings(words_of(phrase))}, key=len)
            prior = _log_of(nothing, spellings, 0, NEVER)
            self._phrases[phrase] = (spellings, SHARE * sensitivity * prior)

    def spot(self, rate_hz: int, audio: PCM) -> str | None:
        samples = samples_of((rate_hz, audio))
        writing = self._write(samples)
        if writing is None:
            return None
        match = self._wanted.find(self._model.net.vocabulary.text(writing.tokens))
        if match is not None:
            return match.phrase
        for phrase, (spellings, least) in self._phrases.items():
            found = _best_log_of(writing, spellings, least - MARGIN)
            if found >= SURE * least or (found >= least and self._is_there_again(samples, phrase, found)):
                return phrase
        return None

    def _is_there_again(self, samples: Float, phrase: str, found: float) -> bool:
        _, least = self._phrases[phrase]
        return (found + self._best(samples[round(SHIFT_S * RATE_HZ) :], phrase)) / 2 >= least

    def end_of(self, rate_hz: int, audio: PCM, phrase: str, known: int) -> int:
        """Where the decoder looks for what follows, when it is made to write the stop word where it fits best."""
        samples = samples_of((rate_hz, audio))
        scale = rate_hz / RATE_HZ
        writing = self._write(samples)
        if writing is None:
            return len(audio)
        if not self._model.tells_times:
            return min(len(audio), round(self._end_by_cutting(samples, phrase, round(known / scale)) * scale))
        spellings, _ = self._phrases[phrase]
        _, place, tokens = max(
            (writing.log_of(tokens, place, NEVER), place, tokens) for place in writing.starts for tokens in spellings
        )
        scores = self._model.beginnings(samples, writing, [*writing.tokens[:place], *tokens])[-1]
        scores[: round(known / scale) // alignment.STEP] -= EARLY
        return min(len(audio), round(int(scores.argmax()) * alignment.STEP * scale))

    def _end_by_cutting(self, samples: Float, phrase: str, known: int) -> int:
        """From where its probability is nearly what it is in the end, on to where its last sound ends."""
        step = round(CUT_S * RATE_HZ)
        whole = self._best(samples, phrase)
        least = whole - SURER - SURER_SHARE * abs(whole)

        def holds(at: int) -> bool:
            return self._best(samples[:at], phrase) >= least

        first = known + step
        if first < samples.size and holds(first):
            first = step  # It was there before it was found.
        cut = _first_of_two(range(first, samples.size, step), holds, min(first, samples.size))
        return _end_of_sound(samples, RATE_HZ, cut)

    def _best(self, samples: Float, phrase: str) -> float:
        writing = self._write(samples)
        if writing is None:
            return NEVER
        spellings, _ = self._phrases[phrase]
        return _best_log_of(writing, spellings, NEVER)

    def _write(self, samples: Float) -> Writing | None:
        return self._model.write(samples) if samples.size >= SHORTEST_S * RATE_HZ else None


def _log_of(writing: Writing, spellings: Sequence[Sequence[int]], place: int, worst: float) -> float:
    """The logarithm of the probability that one of the spellings stands at a place."""
    return float(np.logaddexp.reduce([writing.log_of(tokens, place, worst) for tokens in spellings]))


def _best_log_of(writing: Writing, spellings: Sequence[Sequence[int]], worst: float) -> float:
    """The same, at the best place."""
    return max(_log_of(writing, spellings, place, worst) for place in writing.starts)


def _spellings(words: list[str]) -> set[str]:
    text = " ".join(words)
    return {text, text.capitalize(), " ".join(word.capitalize() for word in words)}


def spotter_for(
    recogniser: SpeechToText, wanted: StopWords, detected: Callable[[str], bool] | None, sensitivity: float
) -> Spotter:
    """What suits a recogniser.

    Args:
        recogniser: Any one; Moonshine is asked for probabilities.
        wanted: The stop words.
        detected: Compares in a way of its own; None: by ``wanted``.
        sensitivity: From 0 to 1.
    """
    if detected is None and isinstance(recogniser, MoonshineSTT):
        return MoonshineSpotter(recogniser, wanted, sensitivity)
    return TextSpotter(recogniser, wanted, detected)


def _first_of_two(cuts: Sequence[int], holds: Callable[[int], bool], otherwise: int) -> int:
    """The first of two neighbours in ``cuts`` for which ``holds`` is true; one alone may be chance, but is next best.

    Where there is none, ``otherwise``.
    """
    single: int | None = None
    before: int | None = None
    for cut in cuts:
        if not holds(cut):
            before = None
            continue
        if before is not None:
            return before
        before = cut
        single = cut if single is None else single
    return otherwise if single is None else single


def _end_of_sound(samples: Float, rate_hz: int, cut: int) -> int:
    """Where the sound ends in whose midst a recogniser knew a word.

    At the next pause, if there is one; else at the weakest place near ``LAST_MS`` later, which is how long the end of a
    word takes after it has been recognised.
    """
    hop = rate_hz * alignment.STEP_MS // 1000
    level = alignment.loudness(samples, rate_hz)
    at = min(cut // hop, level.size - 1)
    reach = min(level.size, at + LONGEST_LAST_MS // alignment.STEP_MS)
    loudest = level[max(0, at - AROUND_MS // alignment.STEP_MS) : at + 10].max()
    low = level < max(loudest - PAUSE_DB, SILENCE_DB)
    pause = PAUSE_MS // alignment.STEP_MS
    for first in range(max(0, at - 6), reach):
        if first + pause <= low.size and low[first : first + pause].all():
            return first * hop
    places = np.arange(at, reach)
    late = ((places - at) * alignment.STEP_MS - LAST_MS) / LAST_SPREAD_MS
    smooth = np.convolve(level, np.ones(6) / 6, "same")[places]
    return int(places[(smooth + FAR_DB * late**2).argmin()]) * hop
