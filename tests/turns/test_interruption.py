"""Sounds over a held reply that a filter weighs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.interruption import WeighSound, is_interruption
from fastrtc.turns.machine import CancelReply, Decision, Floor, HoldReply, ResumeReply, StartReply, TurnMachine
from fastrtc.turns.options import AlgoOptions, TurnSettings, turn_settings
from fastrtc.turns.patience import FixedPatience

SIZE = 512


def settings(options: AlgoOptions) -> TurnSettings:
    return turn_settings(
        options,
        rate_hz=16_000,
        threshold=0.5,
        min_speech_ms=64,
        speech_pad_ms=400,
        can_interrupt=True,
        weigh=True,
    )


SETTINGS = settings(AlgoOptions())


class Call:
    """A reply that is being played, and windows of 32 ms over it."""

    def __init__(self, settings: TurnSettings = SETTINGS) -> None:
        self.machine = TurnMachine(settings, FixedPatience(300.0))
        self.windows = 0
        self.hear(1, 20)
        self.hear(0, 12)
        self.machine.reply_audible(1)
        self.hear(0, 30)

    @property
    def at(self) -> int:
        return self.windows * SIZE

    def hear(self, probability: float, times: int) -> list[Decision]:
        decisions: list[Decision] = []
        for _ in range(times):
            window = SpeechWindow(self.at, self.at + SIZE, probability)
            self.windows += 1
            decisions += self.machine.hear(window, self.at)
        return decisions

    def question(self, speech: int = 12) -> WeighSound:
        """Make a sound over the reply and wait until it has ended, letting the first question be answered "maybe"."""
        (first,) = questions(self.hear(1, speech))
        assert not first.ended
        assert self.machine.weighed(first, 0.7, self.at) == []
        (last,) = questions(self.hear(0, 6))
        return last


def questions(decisions: list[Decision]) -> list[WeighSound]:
    return [one for one in decisions if isinstance(one, WeighSound)]


@pytest.mark.parametrize(
    ("ended", "probability", "yes"),
    [(True, 0.5, True), (True, 0.49, False), (False, 0.94, False), (False, 0.95, True), (True, None, True)],
)
def test_answers(ended: bool, probability: float | None, yes: bool) -> None:
    assert is_interruption(WeighSound(0, 1, 5000, ended), probability) is yes


def test_a_backchannel_lets_the_reply_go_on() -> None:
    call = Call()
    question = call.question()
    assert question.ended
    assert question.speech_samples == 12 * SIZE
    assert call.machine.weighed(question, 0.1, call.at) == []
    assert call.machine.floor is Floor.HELD
    assert call.hear(0, 12) == [ResumeReply(1)]


def test_a_word_interrupts_and_is_answered_without_delay() -> None:
    call = Call()
    question = call.question()
    assert call.machine.weighed(question, 0.9, call.at) == [CancelReply(1, "user")]
    answer = call.hear(0, 5)[-1]
    assert isinstance(answer, StartReply)
    assert answer.end - question.end <= 0.2 * 16_000


def test_what_is_certain_interrupts_before_it_has_ended() -> None:
    call = Call()
    (question,) = questions(call.hear(1, 10))
    assert call.machine.weighed(question, 0.99, call.at) == [CancelReply(1, "user")]


def test_long_speech_needs_no_answer() -> None:
    call = Call()
    decisions = call.hear(1, 30)
    assert isinstance(decisions[0], HoldReply)
    assert decisions[-1] == CancelReply(1, "user")


def test_where_words_are_counted_long_speech_is_asked_about_again_and_again() -> None:
    call = Call(counting := settings(AlgoOptions(interrupt_words=2)))
    asked = []
    for _ in range(100):
        for question in questions(call.hear(1, 1)):
            asked.append(question.speech_samples)
            assert call.machine.weighed(question, 0.0, call.at) == []
    assert call.machine.floor is Floor.HELD
    assert asked[0] == pytest.approx(counting.interrupt_samples, abs=SIZE)
    apart = {later - earlier for earlier, later in pairwise(asked)}
    assert apart == {10 * SIZE}
    (question,) = questions(call.hear(1, 10))
    assert call.machine.weighed(question, 1.0, call.at) == [CancelReply(1, "user")]


def test_a_slow_answer_is_waited_for() -> None:
    call = Call()
    question = call.question()
    assert ResumeReply(1) not in call.hear(0, 60)
    assert CancelReply(1, "user") in call.machine.weighed(question, 0.9, call.at)


def test_an_answer_about_an_earlier_sound_is_ignored() -> None:
    call = Call()
    question = call.question()
    call.machine.weighed(question, 0.1, call.at)
    call.hear(0, 20)
    call.hear(1, 4)
    assert call.machine.weighed(question, 1.0, call.at) == []


def test_a_short_sound_is_not_asked_about() -> None:
    call = Call()
    assert questions(call.hear(1, 8) + call.hear(0, 20)) == []
    assert call.machine.floor is Floor.REPLYING


@pytest.mark.parametrize(("pause", "included"), [(20, True), (80, False)])
def test_what_was_let_pass_belongs_to_a_turn_that_follows(pause: int, included: bool) -> None:
    call = Call()
    began = call.at
    call.machine.weighed(call.question(), 0.0, call.at)
    call.hear(0, pause)
    assert (call.machine.needed_from is not None and call.machine.needed_from <= began) is included
    call.machine.reply_finished(1)
    call.hear(1, 20)
    answer = call.hear(0, 12)[-1]
    assert isinstance(answer, StartReply)
    assert (answer.start <= began) is included


def test_without_a_filter_length_decides() -> None:
    call = Call(replace(SETTINGS, weigh=False))
    decisions = call.hear(1, 10)
    assert questions(decisions) == []
    assert decisions[-1] == CancelReply(1, "user")
