"""Patience: every row of the table, and what holds whatever the numbers are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.turns.endpointing import AdaptivePatience
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.options import AlgoOptions, turn_settings
from fastrtc.turns.patience import PHRASE_PAUSE_MS, FixedPatience, Pause
from fastrtc.turns.user_turn import AskDetector, Ended, UserTurn

PATIENCE = AdaptivePatience()
SURE, UNSURE = 0.99, 0.01
LONG, SHORT = PATIENCE.long_phrase_ms + 500, PATIENCE.short_phrase_ms - 100

probabilities = st.floats(0, 1)
lengths = st.floats(0, 20_000)
pauses = st.lists(st.floats(0, 5000), max_size=16).map(tuple)


def pause(p: float | None = None, phrase_ms: float = LONG, *, paused: bool = False, **more: object) -> Pause:
    answers = () if p is None else ((100.0, p),)
    return replace(Pause(100.0, max(phrase_ms, 1000.0), answers, phrase_ms=phrase_ms, paused=paused), **more)


@st.composite
def any_pause(draw: st.DrawFn) -> Pause:
    return Pause(
        silence_ms=draw(lengths),
        speech_ms=draw(lengths),
        answers=tuple((100.0, p) for p in draw(st.lists(probabilities, max_size=4))),
        earlier_ms=draw(pauses),
        phrase_ms=draw(st.none() | lengths),
        paused=draw(st.booleans()),
    )


def test_brief_speech_waits_for_what_may_follow() -> None:
    brief = replace(pause(SURE, 100.0), speech_ms=100.0)
    assert PATIENCE.required_silence_ms(brief) == PATIENCE.brief_silence_ms


def test_without_an_answer_it_waits_the_longest() -> None:
    assert PATIENCE.required_silence_ms(pause()) == PATIENCE.longest_ms


def test_short_phrase_that_sounds_finished_is_answered_soonest() -> None:
    assert PATIENCE.required_silence_ms(pause(SURE, SHORT)) == pytest.approx(PATIENCE.shortest_ms, abs=1)


def test_long_phrase_that_sounds_finished_takes_a_little_more() -> None:
    assert PATIENCE.required_silence_ms(pause(SURE)) == pytest.approx(PATIENCE.shortest_long_ms, abs=1)


def test_a_pause_in_the_turn_takes_more_again() -> None:
    paused = PATIENCE.required_silence_ms(pause(SURE, SHORT, paused=True))
    assert paused == pytest.approx(PATIENCE.shortest_paused_ms, abs=1)


@pytest.mark.parametrize("phrase_ms", [SHORT, LONG])
@pytest.mark.parametrize("paused", [False, True])
def test_speech_that_breaks_off_is_waited_for(phrase_ms: float, paused: bool) -> None:
    wait = PATIENCE.required_silence_ms(pause(UNSURE, phrase_ms, paused=paused))
    assert wait == pytest.approx(PATIENCE.longest_ms, abs=1)


def test_the_same_answer_is_enough_after_a_short_phrase_and_not_after_a_long_one() -> None:
    between = (PATIENCE.sure_short + PATIENCE.sure_long) / 2
    p = 1 / (1 + math.exp(-between))
    middle = (PATIENCE.shortest_ms + PATIENCE.longest_ms) / 2
    assert PATIENCE.required_silence_ms(pause(p, SHORT)) < middle < PATIENCE.required_silence_ms(pause(p, LONG))


def test_the_speech_of_the_turn_stands_for_an_unknown_phrase() -> None:
    known = pause(0.7, SHORT, speech_ms=SHORT)
    assert PATIENCE.required_silence_ms(replace(known, phrase_ms=None)) == PATIENCE.required_silence_ms(known)


def test_answers_are_averaged_as_log_odds() -> None:
    assert AdaptivePatience.log_odds(pause(answers=((96.0, 0.9), (192.0, 0.1)))) == pytest.approx(0.0)


def test_a_speaker_of_long_pauses_is_given_longer() -> None:
    slow = PATIENCE.speaker_longest_ms((2000.0,) * 16)
    assert PATIENCE.longest_ms < slow <= PATIENCE.longest_ms * PATIENCE.longest_factor


def test_a_speaker_of_short_pauses_is_given_less() -> None:
    quick = PATIENCE.speaker_longest_ms((250.0,) * 16)
    assert PATIENCE.longest_ms / PATIENCE.longest_factor <= quick < PATIENCE.longest_ms


def test_dips_inside_words_say_nothing_about_a_speaker() -> None:
    assert PATIENCE.speaker_longest_ms((32.0,) * 16) == PATIENCE.longest_ms


@given(any_pause())
def test_the_wait_stays_within_its_bounds(now: Pause) -> None:
    wait = PATIENCE.required_silence_ms(now)
    assert PATIENCE.shortest_ms <= wait <= PATIENCE.longest_ms * PATIENCE.longest_factor


@given(any_pause(), probabilities, probabilities)
def test_a_likelier_end_never_waits_longer(now: Pause, one: float, other: float) -> None:
    low, high = sorted((one, other))
    likely = replace(now, answers=((100.0, high),))
    unlikely = replace(now, answers=((100.0, low),))
    assert PATIENCE.required_silence_ms(likely) <= PATIENCE.required_silence_ms(unlikely) + 1e-6


@given(any_pause(), lengths, lengths)
def test_a_longer_phrase_never_waits_less(now: Pause, one: float, other: float) -> None:
    short, long = sorted((one, other))
    shorter = PATIENCE.required_silence_ms(replace(now, phrase_ms=short))
    assert shorter <= PATIENCE.required_silence_ms(replace(now, phrase_ms=long)) + 1e-6


@given(any_pause(), st.floats(PATIENCE.long_phrase_ms, 20_000))
def test_a_pause_before_a_long_phrase_never_waits_less(now: Pause, long: float) -> None:
    now = replace(now, phrase_ms=long)
    calm = PATIENCE.required_silence_ms(replace(now, paused=False))
    assert calm <= PATIENCE.required_silence_ms(replace(now, paused=True)) + 1e-6


def test_a_short_phrase_after_a_pause_need_not_sound_as_finished() -> None:
    doubtful = 1.0 / (1.0 + math.exp(-(PATIENCE.sure_short + PATIENCE.sure_completion) / 2.0))
    first = PATIENCE.required_silence_ms(pause(doubtful, SHORT))
    assert PATIENCE.required_silence_ms(pause(doubtful, SHORT, paused=True)) < first


@given(any_pause(), st.floats(0, 3000))
def test_the_wait_does_not_depend_on_the_silence_so_far(now: Pause, silence_ms: float) -> None:
    assert PATIENCE.required_silence_ms(now) == PATIENCE.required_silence_ms(replace(now, silence_ms=silence_ms))


@given(any_pause())
def test_silence_alone_never_asks_and_knows_one_wait(now: Pause) -> None:
    patience = FixedPatience(400.0)
    assert patience.asks_ms == ()
    assert patience.required_silence_ms(now) == 400.0


def test_ends_that_do_not_meet_are_a_step() -> None:
    step = replace(PATIENCE, short_phrase_ms=800.0, long_phrase_ms=800.0)
    assert step.required_silence_ms(pause(SURE, 799.0)) == pytest.approx(step.shortest_ms, abs=1)
    assert step.required_silence_ms(pause(SURE, 800.0)) == pytest.approx(step.shortest_long_ms, abs=1)


SIZE = 512
SETTINGS = turn_settings(
    AlgoOptions(), rate_hz=16_000, threshold=0.5, release=0.5, min_speech_ms=96, speech_pad_ms=400, can_interrupt=True
)


def spoken(windows: str, p: float) -> tuple[UserTurn, list[Ended]]:
    """A turn of windows with (`x`) and without (`.`) speech, each ask answered with ``p``."""
    turn, ended = UserTurn(SETTINGS, PATIENCE), []
    for number, window in enumerate(windows):
        end = (number + 1) * SIZE
        for output in turn.step(SpeechWindow(end - SIZE, end, float(window == "x")), end):
            if isinstance(output, AskDetector):
                turn.answered(output, p)
                found = turn.decide(end)
                ended += [found] if found else []
            elif isinstance(output, Ended):
                ended.append(output)
    return turn, ended


def test_the_turn_tells_phrases_apart_at_a_pause() -> None:
    turn, _ = spoken("x" * 40 + "." * 6 + "x" * 10 + ".", UNSURE)
    now = turn.pause(57 * SIZE)
    assert now.paused
    assert now.phrase_ms == 10 * 32
    assert now.speech_ms == 50 * 32
    assert now.earlier_ms[-1] >= PHRASE_PAUSE_MS


def test_a_dip_separates_no_phrases() -> None:
    turn, _ = spoken("x" * 40 + "." * 5 + "x" * 10 + ".", UNSURE)
    now = turn.pause(56 * SIZE)
    assert not now.paused
    assert now.phrase_ms == 55 * 32


def test_a_new_turn_knows_no_pause_of_the_last() -> None:
    turn, ended = spoken("x" * 20 + "." * 8 + "x" * 20 + "." * 60 + "x" * 20 + ".", UNSURE)
    assert len(ended) == 1
    now = turn.pause(129 * SIZE)
    assert not now.paused
    assert now.phrase_ms == 20 * 32


@pytest.mark.parametrize(("p", "latest_ms"), [(SURE, 192), (UNSURE, PATIENCE.longest_ms + 32)])
def test_a_word_is_answered_as_soon_as_the_detector_is_sure(p: float, latest_ms: float) -> None:
    _, ended = spoken("x" * 20 + "." * 60, p)
    (end,) = ended
    assert (end.at - end.speech_end) / 16 <= latest_ms
    assert end.probability == p
