"""How alike words sound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.speech.sounds import distance, sounds_of

WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz '", max_size=14)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("llama", "lamma"),
        ("night", "knite"),
        ("phone", "fone"),
        ("quick", "kwik"),
        ("Siri", "siry"),
        ("write", "right"),
    ],
)
def test_spellings_of_one_sound_are_close(one: str, two: str) -> None:
    assert distance(one, two) <= 0.1


@pytest.mark.parametrize(
    ("word", "close", "far"),
    [
        ("computer", "conputer", "commuter"),
        ("jarvis", "jervis", "service"),
        ("alexa", "alexia", "electra"),
        ("mirror", "mirra", "murder"),
        ("pat", "bat", "rat"),
    ],
)
def test_like_sounds_are_closer_than_unlike_ones(word: str, close: str, far: str) -> None:
    assert distance(word, close) < distance(word, far)


@given(WORDS, WORDS)
def test_it_is_a_distance(one: str, two: str) -> None:
    assert distance(one, one) == 0.0
    assert distance(one, two) == pytest.approx(distance(two, one))
    assert 0.0 <= distance(one, two) <= 1.0


@given(WORDS)
def test_case_and_spaces_do_not_count(text: str) -> None:
    assert sounds_of(text.upper()) == sounds_of(text)
    assert " " not in sounds_of(text)


def test_what_has_no_letters_has_no_sound() -> None:
    assert sounds_of("... 42 ?") == ""
    assert distance("42", "!") == 0.0
    assert distance("42", "go") > 0.5
