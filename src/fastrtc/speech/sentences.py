"""Cuts text into what a voice speaks at once: sentences, and pieces of sentences that are too long for one breath."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

LONGEST_CHARS = 240  # about 16 s of speech
FIRST_CHARS = 100  # of the first piece: the sooner it ends, the sooner it is heard

_CLOSING = re.escape("\"'\u201d\u2019\u00bb)]")
_END = re.compile(rf"[.!?\u2026]+[{_CLOSING}]*(?=\s)|[\u3002\uff01\uff1f]+[{_CLOSING}]*|\n")
_CLAUSE = re.compile(r"[,;:\u2014](?=\s)|[\uff0c\u3001]|\s\u2013(?=\s)")
_TITLES = {"mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "rev", "gen", "col", "sgt", "lt", "capt"}
_NEVER_LAST = _TITLES | {"vs", "e.g", "i.e", "cf", "approx", "no", "fig", "vol"}


class SentenceCutter:
    """Takes text as it comes, for example from a language model, and gives the pieces that are complete.

    A period ends no sentence after a title, an initial or a list's number, nor before a small letter; so what follows
    a period must have begun before that is decided.

    Args:
        longest_chars: Of a piece; a longer sentence is cut after its last clause that fits, else between words.
        first_chars: Of the first piece, where one of its clauses ends in time.
    """

    def __init__(self, longest_chars: int = LONGEST_CHARS, first_chars: int = FIRST_CHARS) -> None:
        self._longest = longest_chars
        self._first: int | None = first_chars
        self._text = ""

    def add(self, text: str) -> list[str]:
        """The pieces that are complete now."""
        self._text += text
        pieces: list[str] = []
        while (end := _sentence_end(self._text)) is not None:
            self._give(self._text[:end], pieces)
            self._text = self._text[end:]
        self._text = self._cut(self._text, pieces)
        return pieces

    def rest(self) -> list[str]:
        """The text is over: what is left of it."""
        pieces: list[str] = []
        self._give(self._text, pieces)
        self._text = ""
        return pieces

    def _give(self, sentence: str, pieces: list[str]) -> None:
        self._append(self._cut(sentence, pieces), pieces)

    def _cut(self, sentence: str, pieces: list[str]) -> str:
        """Move over as many pieces as the sentence is too long for, and give what is left of it."""
        while (at := self._cut_point(sentence)) is not None:
            self._append(sentence[:at], pieces)
            sentence = sentence[at:]
        return sentence

    def _cut_point(self, sentence: str) -> int | None:
        for limit in (self._first, self._longest):
            if limit is not None and len(sentence) > limit:
                clauses = [match.end() for match in _CLAUSE.finditer(sentence, limit // 4, limit)]
                if clauses:
                    return clauses[-1]
        if len(sentence) <= self._longest:
            return None
        space = sentence.rfind(" ", self._longest // 2, self._longest)
        return space if space > 0 else self._longest

    def _append(self, text: str, pieces: list[str]) -> None:
        piece = " ".join(text.split())
        if any(char.isalnum() for char in piece):
            pieces.append(piece)
            self._first = None


def _sentence_end(text: str) -> int | None:
    for match in _END.finditer(text):
        if match.group()[0] != ".":
            return match.end()
        after = text[match.end() :].lstrip(" \t")
        if not after:
            return None  # It depends on what comes.
        if not after[0].islower() and not _goes_on(text[: match.start()]):
            return match.end()
    return None


def _goes_on(sentence: str) -> bool:
    """Whether the period after this is part of a word."""
    words = sentence.split()
    word = words[-1].lstrip("(\"'\u201c\u2018") if words else ""
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    is_number_of_list = len(words) == 1 and word.isdigit()
    return is_initial or is_number_of_list or word.casefold() in _NEVER_LAST


def sentences_of(text: str | Iterable[str]) -> Iterator[str]:
    """The pieces of a text, or of text that comes in parts; each as soon as it is complete."""
    cutter = SentenceCutter()
    for part in [text] if isinstance(text, str) else text:
        yield from cutter.add(part)
    yield from cutter.rest()


async def async_sentences_of(text: str | Iterable[str] | AsyncIterable[str]) -> AsyncIterator[str]:
    """The same as :func:`sentences_of`, also for an asynchronous iterator."""
    if not isinstance(text, AsyncIterable):
        for sentence in sentences_of(text):
            yield sentence
        return
    cutter = SentenceCutter()
    async for part in text:
        for sentence in cutter.add(part):
            yield sentence
    for sentence in cutter.rest():
        yield sentence
