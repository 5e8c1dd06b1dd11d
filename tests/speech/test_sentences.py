"""Where text is cut for a voice: after sentences, never inside numbers or after titles, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.speech.sentences import FIRST_CHARS, LONGEST_CHARS, SentenceCutter, async_sentences_of, sentences_of


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        (
            "Dr. Smith met J. K. Rowling at 3.14 p.m. today. Yes.",
            ["Dr. Smith met J. K. Rowling at 3.14 p.m. today.", "Yes."],
        ),
        ("It is I. You are you.", ["It is I.", "You are you."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("Wait... what? e.g. this", ["Wait... what?", "e.g. this"]),
        ("1. Milk\n2. Bread", ["1. Milk", "2. Bread"]),
        ("A line\nand another", ["A line", "and another"]),
        (
            "\u4eca\u65e5\u306f\u3002\u5143\u6c17\uff1f\u306f\u3044",
            ["\u4eca\u65e5\u306f\u3002", "\u5143\u6c17\uff1f", "\u306f\u3044"],
        ),
        ("  ... !  ", []),
        ("", []),
        ("See fastrtc.org for 1,000 more.", ["See fastrtc.org for 1,000 more."]),
    ],
)
def test_sentences(text: str, pieces: list[str]) -> None:
    assert list(sentences_of(text)) == pieces


def test_a_long_first_sentence_is_heard_after_its_first_clause() -> None:
    text = "When the sun had gone down behind the hills, the old man closed his book, put out the lamp and went to bed."
    first, rest = sentences_of(text)
    assert first == "When the sun had gone down behind the hills, the old man closed his book,"
    assert rest == "put out the lamp and went to bed."
    assert list(sentences_of(f"Yes. {text}")) == ["Yes.", text]


def test_a_sentence_without_clauses_is_cut_between_words() -> None:
    pieces = list(sentences_of("word " * 100))
    assert [len(piece) <= LONGEST_CHARS for piece in pieces] == [True] * 3
    assert " ".join(pieces) == ("word " * 100).strip()
    assert [len(piece) for piece in sentences_of("x" * 500)] == [240, 240, 20]


def test_what_comes_in_parts_is_given_as_soon_as_it_is_complete() -> None:
    cutter = SentenceCutter()
    assert cutter.add("Hello there! How ") == ["Hello there!"]
    assert cutter.add("are you") == []
    assert cutter.add("?") == []
    assert cutter.add(" Fine.") == ["How are you?"]
    assert cutter.add(" ") == [], "a small letter may follow"
    assert cutter.add("I am") == ["Fine."]
    assert cutter.rest() == ["I am"]
    assert cutter.rest() == []


@given(st.text(alphabet="abc AB.,!?;\n13\u3002", max_size=700), st.lists(st.integers(1, 40), max_size=30))
def test_no_word_is_lost_and_no_piece_is_too_long_however_the_text_comes(text: str, cuts: list[int]) -> None:
    parts, left = [], text
    for cut in cuts:
        parts.append(left[:cut])
        left = left[cut:]
    pieces = list(sentences_of([*parts, left]))
    kept = [char for char in "".join(pieces) if char.isalnum()]
    assert kept == [char for char in text if char.isalnum()]
    assert all(len(piece) <= LONGEST_CHARS and any(map(str.isalnum, piece)) for piece in pieces)


@given(st.text(alphabet="abc AB.!?\n", max_size=FIRST_CHARS))
def test_short_texts_are_cut_alike_in_parts_and_at_once(text: str) -> None:
    assert list(sentences_of(list(text))) == list(sentences_of(text))


def test_asynchronous_text() -> None:
    async def tokens() -> AsyncIterator[str]:
        for part in ("Good ", "morning. ", "How are", " you?"):
            yield part

    async def collect(text: object) -> list[str]:
        return [piece async for piece in async_sentences_of(text)]  # type: ignore[arg-type]

    assert asyncio.run(collect(tokens())) == ["Good morning.", "How are you?"]
    assert asyncio.run(collect("One. Two.")) == ["One.", "Two."]
    assert asyncio.run(collect(iter(["One. ", "Two."]))) == ["One.", "Two."]
