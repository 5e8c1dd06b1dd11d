"""Finds a word or a phrase in recognised text, as it is spelled or as it sounds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastrtc.errors import ConfigurationError
from fastrtc.speech.sounds import between, sounds_of

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
SAME_SOUND = 0.1
MORE_WORDS = 1  # that a phrase may be heard as: "Jarvis" as "jar vis"


@dataclass(frozen=True, slots=True)
class Match:
    """A stop word in a text.

    Attributes:
        phrase: It, as the app wrote it.
        rest: The words after it, in small letters, one space between them.
    """

    phrase: str
    rest: str


class StopWords:
    """Words and phrases to listen for; case, punctuation and spaces do not count, whole words do.

    Args:
        phrases: ``"computer"``, ``"hello iris"``...
        furthest: How far the sound of what was heard may be from that of a phrase, by
            :func:`fastrtc.speech.sounds.distance`; 0 asks for the spelling. At 0.1 "llama" hears "lamma" and
            "jarvis" hears "jervis", but "computer" hears neither "computers" (0.11) nor "commuter" (0.12).

    Raises:
        ConfigurationError: There is none, or one has no letter in it.
    """

    def __init__(self, phrases: Iterable[str], furthest: float = SAME_SOUND) -> None:
        if isinstance(phrases, str):
            raise ConfigurationError(f"stop_words must be a list: stop_words=[{phrases!r}]")
        self.phrases = tuple(phrases)
        self._furthest = furthest
        self._words = [(phrase, words_of(phrase), sounds_of(phrase)) for phrase in self.phrases]
        if not self._words:
            raise ConfigurationError("stop_words must name at least one word")
        for phrase, words, _ in self._words:
            if not words:
                raise ConfigurationError(f"the stop word {phrase!r} has no letter that could be heard")

    def find(self, text: str) -> Match | None:
        """The stop word that begins first in ``text``, None if there is none.

        Of several that begin there, one that is spelled as it should be, then the longest.
        """
        heard = words_of(text)
        for place in range(len(heard)):
            here = [
                (-away, length, phrase)
                for phrase, words, sounds in self._words
                for length in range(max(1, len(words) - MORE_WORDS), len(words) + MORE_WORDS + 1)
                if place + length <= len(heard)
                and (away := self._away(heard[place : place + length], words, sounds)) <= self._furthest
            ]
            if here:
                _, length, phrase = max(here)
                return Match(phrase, " ".join(heard[place + length :]))
        return None

    def _away(self, heard: list[str], words: list[str], sounds: str) -> float:
        if heard == words:
            return 0.0
        said = sounds_of(" ".join(heard)) if self._furthest and sounds else ""
        # What only sounds the same stands behind what is also spelled the same.
        return max(between(said, sounds), _LEAST) if said else 1.0


_LEAST = 1e-6


def words_of(text: str) -> list[str]:
    """The words of a text, folded, without punctuation."""
    return [word.replace("\u2019", "'") for word in _WORD.findall(text.casefold())]
