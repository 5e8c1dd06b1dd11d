"""Stop words in recognised text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import ConfigurationError
from fastrtc.speech.stop_words import Match, StopWords


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("computer", ""),
        ("Computer.", ""),
        ("Well -- COMPUTER, what's the time?", "what's the time"),
        ("computer computer", "computer"),
        ("OK,\n computer!", ""),
    ],
)
def test_case_punctuation_and_what_is_around_do_not_count(text: str, rest: str) -> None:
    assert StopWords(["computer"]).find(text) == Match("computer", rest)


@pytest.mark.parametrize("text", ["", "...", "computers", "supercomputer", "commuter", "compute", "come here"])
def test_whole_words_count(text: str) -> None:
    assert StopWords(["computer"]).find(text) is None


def test_phrases_are_words_in_a_row() -> None:
    words = StopWords(["Hello, Iris"])
    assert words.find("oh hello   iris how are you") == Match("Hello, Iris", "how are you")
    assert words.find("hello dear iris") is None
    assert words.find("iris hello") is None


def test_the_first_is_found_and_of_several_there_the_longest() -> None:
    words = StopWords(["hey", "computer", "hey siri"])
    assert words.find("hey siri computer") == Match("hey siri", "computer")
    assert words.find("computer hey") == Match("computer", "hey")


def test_letters_of_other_alphabets_and_apostrophes() -> None:
    assert StopWords(["Straße"]).find("STRASSE frei") == Match("Straße", "frei")
    assert StopWords(["что"]).find("ЧТО?") == Match("что", "")
    assert StopWords(["don't"]).find("Don\u2019t go") == Match("don't", "go")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [([], "at least one"), ("computer", "must be a list"), (["", "ok"], "''"), (["?!"], "no letter")],
)
def test_what_cannot_be_heard_is_refused(wrong: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        StopWords(wrong)


word = st.text("abcdefg", min_size=1, max_size=4)


@given(before=st.lists(word, max_size=4), stop=st.lists(word, min_size=1, max_size=3), after=st.lists(word, max_size=4))
def test_a_phrase_is_found_wherever_it_is(before: list[str], stop: list[str], after: list[str]) -> None:
    found = StopWords([" ".join(stop)]).find(", ".join([*before, *stop, *after]).upper())
    assert found is not None
    assert len(found.rest.split()) >= len(after)
    assert found.rest.endswith(" ".join(after))


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("llama", "hey lamma, come here"),
        ("computer", "a com puter"),
        ("computer", "compiuter"),
        ("jarvis", "Jervis?"),
        ("alexa", "a lexa"),
        ("snowboy", "Snow boy."),
        ("hey siri", "hey, Siry"),
        ("view glass", "viewglass"),
    ],
)
def test_what_sounds_the_same_is_the_same(phrase: str, text: str) -> None:
    found = StopWords([phrase]).find(text)
    assert found is not None
    assert found.phrase == phrase
    assert StopWords([phrase], 0.0).find(text) is None


def test_what_is_spelled_as_it_should_be_goes_first() -> None:
    assert StopWords(["lama", "llama"]).find("llama") == Match("llama", "")
    assert StopWords(["llama", "lama"]).find("lama") == Match("lama", "")
