"""One user's turn: each row of its table, pauses, the detector's answers, endings on request."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest

from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.options import AlgoOptions, TurnSettings, turn_settings
from fastrtc.turns.patience import EndpointPolicy, FixedPatience, Pause
from fastrtc.turns.user_turn import (
    REMEMBERED_PAUSES,
    AskDetector,
    Discarded,
    Ended,
    Paused,
    Started,
    UserOutput,
    UserState,
    UserTurn,
)

SIZE = 512  # 32 ms at 16 kHz
SETTINGS = turn_settings(
    AlgoOptions(), rate_hz=16_000, threshold=0.5, min_speech_ms=64, speech_pad_ms=400, can_interrupt=True
)


@dataclass
class Sure:
    """Ends the turn at once when the detector is sure, late otherwise."""

    asks_ms: tuple[float, ...] = (96.0, 192.0)

    def required_silence_ms(self, pause: Pause) -> float:
        return 100.0 if (pause.probability or 0.0) > 0.5 else 1000.0


class User:
    """A ``UserTurn`` that is fed window by window; ``lag`` samples pass between a window and its judgement."""

    def __init__(self, policy: EndpointPolicy | None = None, settings: TurnSettings = SETTINGS, lag: int = 0) -> None:
        self.turn = UserTurn(settings, policy or FixedPatience(300.0))
        self.lag = lag
        self.windows = 0

    @property
    def at(self) -> int:
        return self.windows * SIZE + self.lag

    def hear(self, *probabilities: float, may_end: bool = True) -> list[UserOutput]:
        outputs: list[UserOutput] = []
        for probability in probabilities:
            window = SpeechWindow(self.windows * SIZE, (self.windows + 1) * SIZE, probability)
            self.windows += 1
            outputs += self.turn.step(window, self.at, may_end=may_end)
        return outputs


def test_silent_enough_speech_starts() -> None:
    user = User()
    assert user.hear(0, 0, 1) == []
    assert user.turn.state is UserState.SILENT
    assert user.turn.start is None
    assert user.hear(1) == [Started(2 * SIZE)]
    assert user.turn.state is UserState.SPEAKING
    assert user.turn.start == 2 * SIZE


def test_silent_too_little_speech_does_not_start() -> None:
    user = User()
    assert user.hear(*[1, *[0] * 30] * 5) == []
    assert user.turn.state is UserState.SILENT


def test_speaking_window_without_speech_pauses() -> None:
    user = User()
    user.hear(1, 1, 1)
    assert user.hear(0) == [Paused(3 * SIZE)]
    assert user.turn.state is UserState.PAUSED


def test_speaking_longer_than_the_maximum_ends() -> None:
    user = User(settings=replace(SETTINGS, max_speech_samples=10 * SIZE))
    assert user.hear(*[1] * 9) == [Started(0)]
    assert user.hear(1) == [Ended(0, 10 * SIZE, 10 * SIZE, "max_speech", None)]
    assert user.turn.state is UserState.SILENT


def test_paused_window_with_speech_goes_on() -> None:
    user = User()
    user.hear(1, 1, 0)
    assert user.hear(1) == []
    assert user.turn.state is UserState.SPEAKING
    assert user.turn.start == 0


def test_paused_silence_at_each_asking_point_asks() -> None:
    user = User(Sure())
    user.hear(0, 1, 1)
    outputs = user.hear(*[0] * 9)
    assert outputs == [
        Paused(3 * SIZE),
        AskDetector(SIZE, 6 * SIZE, 96.0),
        AskDetector(SIZE, 9 * SIZE, 192.0),
    ]
    assert user.turn.state is UserState.PAUSED


def test_paused_long_enough_ends_with_silence() -> None:
    user = User()
    user.hear(0, 1, 1)
    outputs = user.hear(*[0] * 10)
    assert outputs == [Paused(3 * SIZE), Ended(SIZE, 3 * SIZE, 13 * SIZE, "silence", None)]
    assert user.turn.state is UserState.SILENT


def test_paused_with_too_little_speech_for_a_turn_is_forgotten() -> None:
    user = User(settings=replace(SETTINGS, min_turn_samples=4 * SIZE))
    assert user.hear(1, 1, 1, *[0] * 20) == [Started(0), Paused(3 * SIZE), Discarded("too_short")]
    assert user.turn.state is UserState.SILENT
    later = user.hear(1, 1, 1, 1, *[0] * 20)
    assert [type(output) for output in later] == [Started, Paused, Ended]


def test_paused_ends_as_complete_after_an_answer() -> None:
    user = User(Sure())
    user.hear(1, 1, 0, 0)
    (ask,) = [output for output in user.hear(0) if isinstance(output, AskDetector)]
    user.turn.answered(ask, 0.9)
    assert user.hear(0) == [Ended(0, 2 * SIZE, 6 * SIZE, "complete", 0.9)]


def test_an_answer_may_end_the_turn_between_windows() -> None:
    user = User(Sure(), lag=100)
    user.hear(1, 1, 0, 0)
    (ask,) = [output for output in user.hear(0) if isinstance(output, AskDetector)]
    assert user.turn.decide(user.at) is None
    user.turn.answered(ask, 0.9)
    assert user.turn.decide(user.at) == Ended(0, 2 * SIZE, user.at, "complete", 0.9)
    assert user.turn.decide(user.at) is None


def test_an_answer_about_an_earlier_pause_is_ignored() -> None:
    user = User(Sure())
    user.hear(1, 1, 0, 0)
    (ask,) = [output for output in user.hear(0) if isinstance(output, AskDetector)]
    user.hear(1, 1)
    user.turn.answered(ask, 0.9)
    assert user.turn.pause(user.at).probability is None
    user.hear(0)
    user.turn.answered(ask, 0.9)
    assert user.turn.pause(user.at).probability is None, "the detector judged the pause before this one"
    assert not [output for output in user.hear(0, 0) if isinstance(output, Ended)]


def test_an_answer_about_an_earlier_turn_is_ignored() -> None:
    user = User(Sure())
    user.hear(1, 1, 0, 0)
    (ask,) = [output for output in user.hear(0) if isinstance(output, AskDetector)]
    user.turn.discard()
    user.turn.answered(ask, 0.9)
    user.hear(1, 1, 0)
    user.turn.answered(ask, 0.9)
    assert user.turn.pause(user.at).answers == ()


@pytest.mark.parametrize("probabilities", [(1,), (1, 1), (1, 1, 0), (1, 1, 0, 0, 1)])
def test_discard_from_any_state(probabilities: tuple[float, ...]) -> None:
    user = User()
    user.hear(*probabilities)
    user.turn.discard()
    assert user.turn.state is UserState.SILENT
    assert user.turn.start is None
    assert user.hear(1) == [], "speech from before counts no more"
    assert user.hear(1) == [Started((len(probabilities)) * SIZE)]


def test_may_not_end_while_somebody_else_decides() -> None:
    user = User(settings=replace(SETTINGS, max_speech_samples=20 * SIZE))
    assert user.hear(*[1] * 30, may_end=False) == [Started(0)]
    assert user.hear(*[0] * 60, may_end=False) == [Paused(30 * SIZE)]
    assert [type(output) for output in user.hear(0)] == [Ended]


def test_pauses_are_remembered_up_to_a_number() -> None:
    user = User(FixedPatience(math.inf))
    for _ in range(REMEMBERED_PAUSES + 3):
        user.hear(1, 1, 0, 0, 0, 0)
    user.hear(1)
    pause = user.turn.pause(user.at)
    assert len(pause.earlier_ms) == REMEMBERED_PAUSES
    assert set(pause.earlier_ms) == {160.0}


def test_a_pause_knows_its_length_and_the_speech_before() -> None:
    user = User(FixedPatience(math.inf), lag=160)
    user.hear(1, 1, 1, 0, 1, 0, 0)
    pause = user.turn.pause(user.at)
    assert pause.silence_ms == 2 * 32 + 10
    assert pause.speech_ms == 4 * 32


def test_speech_of_one_turn_does_not_count_in_the_next() -> None:
    user = User()
    user.hear(*[1] * 20, *[0] * 11)
    user.hear(*[0] * 30, 1, 1, 0)
    assert user.turn.pause(user.at).speech_ms == 64


def test_end_now_while_speaking() -> None:
    user = User(lag=160)
    user.hear(0, 1, 1, 1)
    assert user.turn.end_now(user.at, "trigger") == Ended(SIZE, 4 * SIZE, user.at, "trigger", None)
    assert user.turn.state is UserState.SILENT


def test_end_now_in_silence_spans_nothing() -> None:
    user = User()
    user.hear(*[0] * 7)
    assert user.turn.end_now(user.at, "trigger") == Ended(7 * SIZE, 7 * SIZE, 7 * SIZE, "trigger", None)


def test_end_now_in_silence_does_not_name_the_speech_of_an_earlier_turn() -> None:
    user = User()
    user.hear(1, 1, *[0] * 60)
    ended = user.turn.end_now(user.at, "text")
    assert ended.start == ended.speech_end == user.at


def test_end_now_takes_speech_that_was_too_short_for_a_start() -> None:
    user = User()
    user.hear(0, 0, 0, 1)
    assert user.turn.state is UserState.SILENT
    ended = user.turn.end_now(user.at, "trigger")
    assert (ended.start, ended.speech_end) == (3 * SIZE, 4 * SIZE)


def test_speech_end_is_never_after_what_was_received() -> None:
    user = User()
    user.hear(1, 1, 1)
    ended = user.turn.end_now(user.at - 100, "trigger")
    assert ended.speech_end == user.at - 100
