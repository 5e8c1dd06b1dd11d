"""Finds stop words in speech: by the text of any recogniser, or by how probable Moonshine holds them to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM
from fastrtc.speech.moonshine import MoonshineSTT, samples_of
from fastrtc.speech.moonshine_net import RATE_HZ, Writing
from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.stop_words import StopWords, words_of

Float = NDArray[np.float32]

SHARE = 0.7  # of a stop word's surprise that may be left at the highest sensitivity
NEVER = -100.0
MARGIN = 1.0  # two spellings together are at most this much more probable than the better one of them
SHORTEST_S = 0.1  # of audio that can hold a word

CUT_S = 0.06  # precision of where a stop word ends


@dataclass(frozen=True, slots=True)
class Spotted:
    """A stop word in a piece of audio.

    Attributes:
        phrase: It, as the app wrote it; empty where only its place is known.
        end: The sample at which it ends.
    """

    phrase: str
    end: int


class Spotter(Protocol):
    """Looks for stop words in pieces of speech; called away from the media clock, one call at a time."""

    def spot(self, rate_hz: int, audio: PCM, known: int) -> Spotted | None:
        """The first stop word.

        Args:
            rate_hz: Of the audio.
            audio: The newest seconds of what is being said.
            known: There was none that ends before this sample.
        """
        ...


class TextSpotter:
    """Looks for stop words in what a recogniser writes.

    Args:
        recogniser: Any one.
        detected: Whether a text holds a stop word.
    """

    def __init__(self, recogniser: SpeechToText, detected: Callable[[str], bool]) -> None:
        self._recogniser = recogniser
        self._detected = detected

    def spot(self, rate_hz: int, audio: PCM, known: int) -> Spotted | None:
        """It ends where audio that is cut off there holds it, and audio that is a little shorter does not."""

        def holds(piece: PCM) -> bool:
            return self._detected(self._recogniser.stt((rate_hz, piece.reshape(1, -1))))

        if not holds(audio):
            return None
        return Spotted("", _first(lambda end: holds(audio[:end]), known, len(audio), round(CUT_S * rate_hz)))


class MoonshineSpotter:
    """Asks Moonshine's decoder, at each place of what it writes, how probable a stop word would have been there.

    Names and words that a speaker says in a way of their own are often not the model's first choice ("Javez" for
    "Jarvis"), yet are much more probable than they would be by chance. A stop word counts as heard when its probability
    is at least ``prior ** (SHARE * sensitivity)``, where ``prior`` is its probability with nothing to be heard: one in
    ten thousand for "computer", one in a hundred million for "view glass". That is the likelihood ratio of keyword
    spotting (Rose and Paul, 1990) with a threshold that leaves a longer word more room.

    Args:
        model: The recogniser.
        wanted: The stop words; what they find in the text counts as well.
        sensitivity: From 0 to 1.
    """

    def __init__(self, model: MoonshineSTT, wanted: StopWords, sensitivity: float) -> None:
        self._model = model
        self._wanted = wanted
        nothing = model.write(np.zeros(RATE_HZ, np.float32))
        self._phrases = []
        for phrase in wanted.phrases:
            spellings = sorted({model.net.vocabulary.tokens(one) for one in _spellings(words_of(phrase))}, key=len)
            prior = _log_of(nothing, spellings, 0, NEVER)
            self._phrases.append((phrase, spellings, SHARE * sensitivity * prior))

    def spot(self, rate_hz: int, audio: PCM, known: int) -> Spotted | None:
        """It ends where audio that is cut off there holds it, and audio that is a little shorter does not."""
        samples = samples_of((rate_hz, audio))
        phrase = self._find(samples)
        if phrase is None:
            return None
        scale = RATE_HZ / rate_hz
        end = _first(
            lambda at: self._find(samples[: round(at * scale)]) is not None, known, len(audio), round(CUT_S * rate_hz)
        )
        return Spotted(phrase, end)

    def _find(self, samples: Float) -> str | None:
        if samples.size < SHORTEST_S * RATE_HZ:
            return None
        writing = self._model.write(samples)
        match = self._wanted.find(self._model.net.vocabulary.text(writing.tokens))
        if match is not None:
            return match.phrase
        for phrase, spellings, least in self._phrases:
            if any(_log_of(writing, spellings, place, least - MARGIN) >= least for place in writing.starts):
                return phrase
        return None


def _log_of(writing: Writing, spellings: Sequence[Sequence[int]], place: int, worst: float) -> float:
    """The logarithm of the probability that one of the spellings stands at a place."""
    return float(np.logaddexp.reduce([writing.log_of(tokens, place, worst) for tokens in spellings]))


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
    if detected is not None:
        return TextSpotter(recogniser, detected)
    if isinstance(recogniser, MoonshineSTT):
        return MoonshineSpotter(recogniser, wanted, sensitivity)
    return TextSpotter(recogniser, lambda text: wanted.find(text) is not None)


def _first(holds: Callable[[int], bool], low: int, high: int, step: int) -> int:
    """The smallest number, within ``step``, from which on ``holds`` is true; it is at ``high``, and not at ``low``."""
    while high - low > step:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
