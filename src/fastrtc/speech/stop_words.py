"""Finds a word or a phrase in recognised text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastrtc.errors import ConfigurationError

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


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
        phrases: ``"computer"``, ``"hello iris"``...; spellings that a recogniser may give instead go beside them.

    Raises:
        ConfigurationError: There is none, or one has no letter in it.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        if isinstance(phrases, str):
            raise ConfigurationError(f"stop_words must be a list: stop_words=[{phrases!r}]")
        self._phrases = [(phrase, words_of(phrase)) for phrase in phrases]
        if not self._phrases:
            raise ConfigurationError("stop_words must name at least one word")
        for phrase, words in self._phrases:
            if not words:
                raise ConfigurationError(f"the stop word {phrase!r} has no letter that could be heard")

    def find(self, text: str) -> Match | None:
        """The stop word that begins first in ``text`` (of several there, the longest), or None."""
        heard = words_of(text)
        for place in range(len(heard)):
            here = [
                (len(words), phrase) for phrase, words in self._phrases if heard[place : place + len(words)] == words
            ]
            if here:
                length, phrase = max(here)
                return Match(phrase, " ".join(heard[place + length :]))
        return None


def words_of(text: str) -> list[str]:
    """The words of a text, folded, without punctuation."""
    return [word.replace("\u2019", "'") for word in _WORD.findall(text.casefold())]
