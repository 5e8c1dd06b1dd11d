"""Who has the floor: each row of the table, and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.machine import (
    CancelReply,
    Decision,
    Floor,
    HoldReply,
    ResumeReply,
    StartReply,
    TurnMachine,
)
from fastrtc.turns.options import AlgoOptions, Interruption, TurnSettings, turn_settings
from fastrtc.turns.patience import FixedPatience
from fastrtc.turns.user_turn import AskDetector, Discarded, Paused, Started, UserState

SIZE = 512  # 32 ms at 16 kHz
PRE_ROLL = 14_400
SETTINGS = turn_settings(
    AlgoOptions(hold_speech_s=0.09, interrupt_speech_s=0.3, resume_silence_s=0.5),
    rate_hz=16_000,
    threshold=0.5,
    min_speech_ms=64,
    speech_pad_ms=400,
    can_interrupt=True,
)
HOLDS_AFTER, INTERRUPTS_AFTER, RESUMES_AFTER = 3, 10, 16  # windows


class Call:
    """A machine that hears windows, with all its decisions."""

    def __init__(self, settings: TurnSettings = SETTINGS) -> None:
        self.machine = TurnMachine(settings, FixedPatience(300.0))
        self.windows = 0

    @property
    def at(self) -> int:
        return self.windows * SIZE

    def hear(
        self, probability: float, times: int = 1, *, doubtful: bool = False, beginning: bool = False
    ) -> list[Decision]:
        decisions: list[Decision] = []
        for _ in range(times):
            window = SpeechWindow(self.windows * SIZE, (self.windows + 1) * SIZE, probability, doubtful, beginning)
            self.windows += 1
            decisions += self.machine.hear(window, self.at)
        return decisions

    def ask(self) -> Call:
        """Say something and fall silent until the machine wants a reply."""
        self.hear(0, 30)
        self.hear(1, 20)
        decisions = self.hear(0, 10)
        assert isinstance(decisions[-1], StartReply)
        return self

    def replying(self) -> Call:
        self.ask()
        self.machine.reply_audible(self.machine.turn)
        return self

    def held(self, *, audible: bool = True) -> Call:
        if audible:
            self.replying()
        else:
            self.ask()
        assert HoldReply(self.machine.turn) in self.hear(1, HOLDS_AFTER)
        return self


def controls(decisions: list[Decision]) -> list[Decision]:
    """What concerns replies."""
    return [one for one in decisions if not isinstance(one, Started | Paused | AskDetector | Discarded)]


# ---- the table ------------------------------------------------------------------------------------------------


def test_free_the_users_turn_ended_starts_a_reply() -> None:
    call = Call()
    call.hear(0, 30)
    assert call.hear(1, 20) == [Started(30 * SIZE)]
    assert call.machine.floor is Floor.FREE
    speech_end = 50 * SIZE
    decisions = call.hear(0, 10)
    assert decisions == [
        Paused(speech_end),
        StartReply(1, 30 * SIZE - PRE_ROLL, 60 * SIZE, speech_end, "silence", None),
    ]
    assert call.machine.floor is Floor.THINKING


def test_thinking_audible_replies() -> None:
    call = Call().ask()
    call.machine.reply_audible(1)
    assert call.machine.floor is Floor.REPLYING


@pytest.mark.parametrize("audible", [False, True], ids=["thinking", "replying"])
def test_speech_over_a_reply_holds_it(audible: bool) -> None:
    call = Call().replying() if audible else Call().ask()
    assert controls(call.hear(1, HOLDS_AFTER - 1)) == []
    assert controls(call.hear(1)) == [HoldReply(1)]
    assert call.machine.floor is Floor.HELD


@pytest.mark.parametrize("audible", [False, True], ids=["thinking", "replying"])
def test_speech_over_a_reply_cancels_it_where_that_is_wanted(audible: bool) -> None:
    settings = replace(SETTINGS, interruption="cancel")
    call = Call(settings).replying() if audible else Call(settings).ask()
    assert controls(call.hear(1, HOLDS_AFTER - 1)) == []
    assert controls(call.hear(1)) == [CancelReply(1, "user")]
    assert call.machine.floor is Floor.FREE


@pytest.mark.parametrize("audible", [False, True])
def test_held_speech_interrupts(audible: bool) -> None:
    call = Call().held(audible=audible)
    assert controls(call.hear(1, INTERRUPTS_AFTER - HOLDS_AFTER - 1)) == []
    assert controls(call.hear(1)) == [CancelReply(1, "user")]
    assert call.machine.floor is Floor.FREE


@pytest.mark.parametrize(("audible", "before"), [(False, Floor.THINKING), (True, Floor.REPLYING)])
def test_held_silence_resumes(audible: bool, before: Floor) -> None:
    call = Call().held(audible=audible)
    assert controls(call.hear(0, RESUMES_AFTER - 1)) == []
    assert controls(call.hear(0)) == [ResumeReply(1)]
    assert call.machine.floor is before


@pytest.mark.parametrize("state", ["ask", "replying", "held"])
def test_reply_finished_frees_the_floor(state: str) -> None:
    call: Call = getattr(Call(), state)()
    call.machine.reply_finished(1)
    assert call.machine.floor is Floor.FREE


@pytest.mark.parametrize("state", ["ask", "replying", "held"])
def test_trigger_over_a_reply_cancels_and_starts(state: str) -> None:
    call: Call = getattr(Call(), state)()
    decisions = controls(call.machine.trigger(call.at))
    assert decisions[0] == CancelReply(1, "trigger")
    assert isinstance(decisions[1], StartReply)
    assert (decisions[1].turn, decisions[1].reason, decisions[1].end) == (2, "trigger", call.at)
    assert len(decisions) == 2
    assert call.machine.floor is Floor.THINKING


@pytest.mark.parametrize("state", ["ask", "replying", "held"])
def test_cancel_frees_the_floor(state: str) -> None:
    call: Call = getattr(Call(), state)()
    assert call.machine.cancel("client") == [CancelReply(1, "client")]
    assert call.machine.floor is Floor.FREE
    assert call.machine.cancel("client") == []


# ---- what follows ---------------------------------------------------------------------------------------------


def test_speech_over_a_reply_ends_no_turn_before_it_has_interrupted() -> None:
    call = Call(replace(SETTINGS, resume_samples=100 * SIZE)).replying()
    assert [type(one) for one in call.hear(1, HOLDS_AFTER) + call.hear(0, 60)] == [Started, HoldReply, Paused]


def test_the_turn_that_interrupted_is_answered() -> None:
    call = Call().replying()
    onset = call.at
    call.hear(1, 20)
    decisions = call.hear(0, 10)
    assert decisions[-1] == StartReply(2, onset - PRE_ROLL, call.at, call.at - 10 * SIZE, "silence", None)


@pytest.mark.parametrize("interruption", ["hold", "cancel"])
@pytest.mark.parametrize("weigh", [False, True])
def test_doubtful_speech_holds_and_never_ends_a_reply(interruption: Interruption, weigh: bool) -> None:
    call = Call(replace(SETTINGS, interruption=interruption, weigh=weigh)).replying()
    assert controls(call.hear(1, 60, doubtful=True)) == [HoldReply(1)]
    assert controls(call.hear(0, 9)) == []
    assert call.hear(0) == [ResumeReply(1)], "after 0.3 s"
    assert call.machine.user_state is UserState.SILENT


def test_doubtful_speech_that_turns_out_to_be_the_users_ends_the_reply_at_once() -> None:
    call = Call().replying()
    onset = call.at
    call.hear(1, 20, doubtful=True)
    assert controls(call.hear(1)) == [CancelReply(1, "user")]
    answer = call.hear(0, 10)[-1]
    assert isinstance(answer, StartReply)
    assert answer.start == onset - PRE_ROLL


def test_doubtful_speech_is_not_heard_while_there_is_no_reply() -> None:
    call = Call()
    assert call.hear(1, 60, doubtful=True) == []


def test_coughs_that_come_seldom_never_interrupt() -> None:
    call = Call().replying()
    decisions = [one for _ in range(20) for one in controls(call.hear(1, HOLDS_AFTER) + call.hear(0, RESUMES_AFTER))]
    assert decisions == [HoldReply(1), ResumeReply(1)] * 20


EAGER = replace(SETTINGS, hold_samples=480)
DOUBTED_FOR = 10  # windows


@pytest.mark.parametrize("audible", [False, True], ids=["thinking", "replying"])
def test_a_word_that_may_begin_holds_until_its_voice_is_heard(audible: bool) -> None:
    call = Call(EAGER).replying() if audible else Call(EAGER).ask()
    assert call.hear(0.2, 2, beginning=True) == [HoldReply(1)]
    assert call.hear(0.2, 4) == []
    assert controls(call.hear(1, INTERRUPTS_AFTER - 1)) == []
    assert controls(call.hear(1)) == [CancelReply(1, "user")]


@pytest.mark.parametrize("audible", [False, True], ids=["thinking", "replying"])
def test_a_word_that_does_not_come_resumes_soon(audible: bool) -> None:
    call = Call(EAGER).replying() if audible else Call(EAGER).ask()
    before = call.machine.floor
    assert call.hear(0.2, beginning=True) == [HoldReply(1)]
    assert call.hear(0, DOUBTED_FOR - 1) == []
    assert call.hear(0) == [ResumeReply(1)]
    assert call.machine.floor is before


def test_speech_after_a_beginning_is_waited_for_like_any_other() -> None:
    call = Call(EAGER).replying()
    call.hear(0.2, beginning=True)
    call.hear(1, 2)
    assert controls(call.hear(0, RESUMES_AFTER - 1)) == []
    assert controls(call.hear(0)) == [ResumeReply(1)]


@pytest.mark.parametrize("settings", [SETTINGS, replace(EAGER, interruption="cancel")], ids=["patient", "cancel"])
def test_a_word_that_may_begin_holds_nothing_where_speech_would_not_at_once(settings: TurnSettings) -> None:
    call = Call(settings).replying()
    assert call.hear(0.2, 20, beginning=True) == []


def test_a_word_that_may_begin_is_no_speech_without_a_reply() -> None:
    assert Call(EAGER).hear(0.2, 60, beginning=True) == []


def test_clicks_shorter_than_a_hold_change_nothing() -> None:
    call = Call().replying()
    assert controls([one for _ in range(20) for one in call.hear(1, 2) + call.hear(0, RESUMES_AFTER)]) == []
    assert call.machine.floor is Floor.REPLYING


def test_a_cough_is_not_the_beginning_of_the_next_turn() -> None:
    call = Call().replying()
    call.hear(1, HOLDS_AFTER)
    call.hear(0, RESUMES_AFTER)
    call.machine.reply_finished(1)
    assert call.hear(0, 60) == []
    onset = call.at
    assert call.hear(1, 5) == [Started(onset)]


def test_without_can_interrupt_speech_over_a_reply_is_not_heard() -> None:
    call = Call(replace(SETTINGS, can_interrupt=False)).replying()
    assert call.hear(1, 100) == []
    assert call.machine.user_state is UserState.SILENT
    call.machine.reply_finished(1)
    onset = call.at
    assert call.hear(1, 2) == [Started(onset)], "what was said over the reply is no part of the next turn"


def test_an_unheard_reply_that_is_interrupted_carries_its_question_on() -> None:
    call = Call().ask()
    first_onset = 30 * SIZE
    call.hear(1, 30)
    decisions = call.hear(0, 10)
    assert isinstance(decisions[-1], StartReply)
    assert decisions[-1].start == first_onset - PRE_ROLL
    call.machine.reply_audible(2)
    call.hear(1, 30)
    decisions = call.hear(0, 10)
    assert isinstance(decisions[-1], StartReply)
    assert decisions[-1].start > first_onset, "once something was heard, the next turn stands alone"


def test_an_unheard_reply_carries_nothing_where_that_is_not_wanted() -> None:
    call = Call(replace(SETTINGS, continue_unheard=False)).ask()
    onset = call.at
    call.hear(1, 30)
    start = call.hear(0, 10)[-1]
    assert isinstance(start, StartReply)
    assert start.start == onset - PRE_ROLL


def test_a_held_reply_that_becomes_audible_resumes_as_replying() -> None:
    call = Call().held(audible=False)
    call.machine.reply_audible(1)
    assert call.machine.floor is Floor.HELD
    call.hear(0, RESUMES_AFTER)
    assert call.machine.floor is Floor.REPLYING


@pytest.mark.parametrize("report", ["reply_audible", "reply_finished"])
def test_reports_about_an_old_turn_change_nothing(report: str) -> None:
    call = Call().replying()
    call.machine.trigger(call.at)
    assert call.machine.floor is Floor.THINKING
    getattr(call.machine, report)(1)
    assert call.machine.floor is Floor.THINKING


def test_muted_hears_nothing() -> None:
    call = Call()
    call.machine.mute(True)
    assert call.hear(1, 100) == []
    call.machine.mute(False)
    onset = call.at
    assert call.hear(1, 2) == [Started(onset)]


def test_muting_forgets_what_was_said_before() -> None:
    call = Call()
    call.hear(1, 20)
    assert call.machine.mute(True) == [Discarded("muted")]
    assert call.hear(0, 100) == []
    assert not call.machine.busy


def test_speech_that_ends_before_it_holds_a_reply_is_discarded_aloud() -> None:
    call = Call(replace(SETTINGS, hold_samples=10 * SIZE)).replying()
    onset = call.at
    assert call.hear(1, 5) == [Started(onset)]
    assert call.hear(0, RESUMES_AFTER) == [Paused(onset + 5 * SIZE), Discarded("too_short")]
    assert call.machine.floor is Floor.REPLYING


def test_what_is_taken_back_is_told_once() -> None:
    call = Call()
    call.hear(1, 20)
    assert call.machine.discard() == [Discarded("requested")]
    assert call.machine.discard() == []


def test_muting_while_a_reply_is_held_lets_it_go_on() -> None:
    call = Call().held()
    assert call.machine.mute(True) == [Discarded("muted"), ResumeReply(1)]
    assert call.machine.floor is Floor.REPLYING
    assert call.hear(1, 100) == []
    assert call.machine.floor is Floor.REPLYING


def test_greeting_takes_the_floor_once() -> None:
    call = Call()
    assert call.machine.greet(0) == [StartReply(1, 0, 0, 0, "greeting", None)]
    assert call.machine.floor is Floor.THINKING
    assert call.machine.greet(0) == []


def test_nobody_is_greeted_while_speaking() -> None:
    call = Call()
    call.hear(1, 5)
    assert call.machine.greet(call.at, "idle") == []


def test_a_greeting_that_is_interrupted_unheard_carries_no_silence_on() -> None:
    call = Call()
    call.machine.greet(0)
    call.hear(0, 100)
    onset = call.at
    call.hear(1, 30)
    start = call.hear(0, 10)[-1]
    assert isinstance(start, StartReply)
    assert start.start == onset - PRE_ROLL, "nobody said anything before"


def test_trigger_in_silence_spans_nothing() -> None:
    call = Call()
    call.hear(0, 7)
    assert call.machine.trigger(call.at) == [StartReply(1, call.at, call.at, call.at, "trigger", None)]


def test_trigger_while_speaking_takes_what_was_said() -> None:
    call = Call()
    call.hear(0, 40)
    call.hear(1, 20)
    assert call.machine.trigger(call.at) == [
        StartReply(1, 40 * SIZE - PRE_ROLL, call.at, call.at, "trigger", None),
    ]
    assert call.machine.user_state is UserState.SILENT


def test_manual_turns_end_on_trigger_only() -> None:
    call = Call(replace(SETTINGS, manual=True, max_speech_samples=30 * SIZE))
    assert [type(one) for one in call.hear(1, 50) + call.hear(0, 100)] == [Started, Paused]
    (start,) = call.machine.trigger(call.at)
    assert isinstance(start, StartReply)
    assert start.start == 0


def test_the_pre_roll_does_not_reach_before_the_call() -> None:
    call = Call()
    call.hear(0, 2)
    call.hear(1, 10)
    start = call.hear(0, 10)[-1]
    assert isinstance(start, StartReply)
    assert start.start == 0


def test_whoever_interrupts_gets_an_answer_even_with_short_sounds() -> None:
    """A detector of 250 ms (FastRTC's default) hears less speech in its window than speech over the reply in all."""
    gate = replace(SETTINGS.gate, min_speech_samples=8 * SIZE)
    call = Call(replace(SETTINGS, gate=gate)).replying()
    cancelled = False
    for _ in range(30):
        decisions = controls(call.hear(1, 2) + call.hear(0, 12))
        cancelled = cancelled or any(isinstance(one, CancelReply) for one in decisions)
    assert not (cancelled and call.machine.turn == 1 and call.machine.user_state is UserState.SILENT), (
        "the reply was ended, and nothing came instead"
    )


def test_a_reply_cancelled_unheard_by_a_click_is_not_lost() -> None:
    """With "cancel", a click while the bot thinks: the question must still be answered."""
    gate = replace(SETTINGS.gate, min_speech_samples=8 * SIZE)
    call = Call(replace(SETTINGS, gate=gate, interruption="cancel")).ask()
    call.hear(1, HOLDS_AFTER)
    call.hear(0, 100)
    assert call.machine.floor is Floor.THINKING


@pytest.mark.parametrize("state", ["ask", "held"])
def test_what_may_still_be_needed_is_named(state: str) -> None:
    call: Call = getattr(Call(), state)()
    needed = call.machine.needed_from
    if state == "ask":
        assert needed == 30 * SIZE - PRE_ROLL
    else:
        assert needed is not None
        assert needed <= call.at - PRE_ROLL


def test_nothing_is_needed_when_nobody_speaks() -> None:
    call = Call()
    call.hear(0, 10)
    assert call.machine.needed_from is None
    assert not call.machine.busy
