"""What no sequence of inputs may do to the turn machine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.machine import CancelReply, Decision, Floor, HoldReply, ResumeReply, StartReply, TurnMachine
from fastrtc.turns.options import AlgoOptions, TurnSettings, turn_settings
from fastrtc.turns.patience import FixedPatience, Pause
from fastrtc.turns.user_turn import AskDetector, Discarded, Paused, Started, UserState

SIZE = 512
BASE = turn_settings(
    AlgoOptions(pre_roll_s=0.1),
    rate_hz=16_000,
    threshold=0.5,
    min_speech_ms=64,
    speech_pad_ms=400,
    can_interrupt=True,
)


class Doubting:
    """Asks a detector and believes it."""

    asks_ms = (64.0, 160.0, 256.0, 352.0, 448.0)

    def required_silence_ms(self, pause: Pause) -> float:
        return 100.0 if (pause.probability or 0.0) > 0.5 else 500.0


@dataclass
class Referee:
    """Feeds a machine and checks every decision against what may be decided then."""

    machine: TurnMachine
    settings: TurnSettings
    lag: int
    heard: int = 0
    muted: bool = False
    running: int | None = None
    held: bool = False
    speaking: bool = False
    last_turn: int = 0
    onset: int | None = None
    promised: int = 0
    questions: list[AskDetector] = field(default_factory=list)
    unanswered: int | None = None

    @property
    def at(self) -> int:
        return self.heard + self.lag

    def window(self, probability: float, *, beginning: bool = False) -> None:
        start, self.heard = self.heard, self.heard + SIZE
        decisions = self.machine.hear(SpeechWindow(start, self.heard, probability, beginning=beginning), self.at)
        if self.muted:
            assert decisions == []
        if self.running is not None and not self.settings.can_interrupt:
            assert decisions == []
        self.take(decisions)

    def take(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            self._check(decision)
        speaking = self.machine.user_state is not UserState.SILENT
        if self.speaking and not speaking:
            assert any(isinstance(one, StartReply | Discarded | ResumeReply) for one in decisions), "left hanging"
        self.speaking = speaking
        needed = self.machine.needed_from
        self.promised = max(self.promised, self.heard - self.settings.pre_roll_samples if needed is None else needed)
        assert (self.machine.floor is Floor.FREE) == (self.running is None)
        assert (self.machine.floor is Floor.HELD) == self.held
        assert self.machine.busy or (self.running is None and self.machine.user_state is UserState.SILENT)

    def _check(self, decision: Decision) -> None:
        match decision:
            case Started(onset):
                assert self.promised - self.settings.pre_roll_samples <= onset < self.heard
                self.onset = onset
            case Paused(end):
                assert self.onset is not None
                assert self.onset < end <= self.heard
            case AskDetector(start, end):
                assert self.promised <= start < end <= self.at
                self.questions.append(decision)
            case StartReply():
                assert self.running is None, "one reply at a time"
                assert decision.turn == self.last_turn + 1
                assert max(0, self.promised) <= decision.start <= decision.end == self.at
                assert decision.start <= decision.speech_end <= decision.end
                if decision.reason in ("silence", "complete", "max_speech"):
                    assert not self.settings.manual
                    assert self.onset is not None
                    assert decision.start <= max(0, self.onset - self.settings.pre_roll_samples)
                self.running = self.last_turn = decision.turn
            case HoldReply(turn):
                assert turn == self.running
                assert not self.held
                assert not self.muted
                self.held = True
            case ResumeReply(turn):
                assert turn == self.running
                assert self.held
                self.held = False
            case CancelReply(turn, reason):
                assert turn == self.running
                if reason == "user":
                    assert self.machine.user_state is not UserState.SILENT, "somebody must get an answer"
                self.running = None
                self.held = False

    def audible(self) -> None:
        self.machine.reply_audible(self.last_turn)
        self.take([])

    def finished(self) -> None:
        self.machine.reply_finished(self.last_turn)
        self.running, self.held = None, False
        self.take([])

    def stale_reports(self) -> None:
        floor = self.machine.floor
        self.machine.reply_audible(self.last_turn - 1)
        self.machine.reply_finished(self.last_turn - 1)
        assert self.machine.floor is floor
        self.take([])

    def mute(self, muted: bool) -> None:
        decisions = self.machine.mute(muted)
        self.muted = muted
        self.take(decisions)

    def answer(self, which: int, probability: float) -> None:
        if self.questions:
            ask = self.questions[which % len(self.questions)]
            decisions = self.machine.answered(ask, probability, self.at)
            assert all(one.end == self.at for one in decisions if isinstance(one, StartReply))
            self.take(decisions)


INPUTS = st.one_of(
    st.tuples(st.just("speech"), st.integers(1, 14)),
    st.tuples(st.just("silence"), st.integers(1, 24)),
    st.tuples(st.just("doubt"), st.floats(0, 1)),
    st.tuples(st.just("hiss"), st.integers(1, 4)),
    st.tuples(st.just("audible")),
    st.tuples(st.just("finished")),
    st.tuples(st.just("stale")),
    st.tuples(st.just("trigger"), st.sampled_from(["trigger", "text"])),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("greet")),
    st.tuples(st.just("mute"), st.booleans()),
    st.tuples(st.just("answer"), st.integers(0, 5), st.floats(0, 1)),
)


def give(referee: Referee, step: tuple[Any, ...]) -> None:
    match step:
        case ("speech", int(times)):
            for _ in range(times):
                referee.window(1.0)
        case ("silence", int(times)):
            for _ in range(times):
                referee.window(0.0)
        case ("doubt", float(probability)):
            referee.window(probability)
        case ("hiss", int(times)):
            for _ in range(times):
                referee.window(0.2, beginning=True)
        case ("audible",):
            referee.audible()
        case ("finished",):
            referee.finished()
        case ("stale",):
            referee.stale_reports()
        case ("trigger", str(reason)):
            referee.take(referee.machine.trigger(referee.at, reason))
        case ("cancel",):
            referee.take(referee.machine.cancel("client"))
        case ("greet",):
            referee.take(referee.machine.greet(referee.at))
        case ("mute", bool(muted)):
            referee.mute(muted)
        case ("answer", int(which), float(probability)):
            referee.answer(which, probability)
        case _:
            raise AssertionError(step)


@settings(max_examples=400, deadline=None)
@given(
    steps=st.lists(INPUTS, max_size=60),
    can_interrupt=st.booleans(),
    interruption=st.sampled_from(["hold", "cancel"]),
    manual=st.booleans(),
    carries=st.booleans(),
    min_windows=st.sampled_from([1, 2, 8]),
    max_speech=st.sampled_from([20 * SIZE, float("inf")]),
    asks=st.booleans(),
    lag=st.sampled_from([0, 33, 320]),
)
def test_no_sequence_breaks_the_rules(
    steps: list[tuple[Any, ...]],
    can_interrupt: bool,
    interruption: Any,
    manual: bool,
    carries: bool,
    min_windows: int,
    max_speech: float,
    asks: bool,
    lag: int,
) -> None:
    configured = replace(
        BASE,
        can_interrupt=can_interrupt,
        interruption=interruption,
        manual=manual,
        continue_unheard=carries,
        max_speech_samples=max_speech,
        gate=replace(BASE.gate, min_speech_samples=min_windows * SIZE),
    )
    machine = TurnMachine(configured, Doubting() if asks else FixedPatience(300.0))
    referee = Referee(machine, configured, lag)
    for step in steps:
        give(referee, step)


@settings(max_examples=200, deadline=None)
@given(speech=st.lists(st.tuples(st.integers(3, 40), st.integers(11, 60)), min_size=1, max_size=8))
def test_every_utterance_is_answered_whole(speech: list[tuple[int, int]]) -> None:
    machine = TurnMachine(BASE, FixedPatience(300.0))
    heard = 0
    wanted, given_spans = [], []
    for talks, pauses in speech:
        wanted.append((heard, heard + talks * SIZE))
        for probability in (*[1.0] * talks, *[0.0] * pauses):
            heard += SIZE
            for decision in machine.hear(SpeechWindow(heard - SIZE, heard, probability), heard):
                if isinstance(decision, StartReply):
                    given_spans.append((decision.start, decision.end))
                    machine.reply_audible(decision.turn)
                    machine.reply_finished(decision.turn)
    assert len(given_spans) == len(wanted)
    for (start, end), (first, last) in zip(wanted, given_spans, strict=True):
        assert first <= max(0, start - BASE.pre_roll_samples)
        assert last >= end


@settings(max_examples=200, deadline=None)
@given(
    talks=st.integers(1, 60),
    after=st.integers(0, 30),
    audible=st.booleans(),
    interruption=st.sampled_from(["hold", "cancel"]),
    min_windows=st.sampled_from([2, 8]),
)
def test_speech_over_a_reply_is_answered_or_the_reply_goes_on(
    talks: int, after: int, audible: bool, interruption: Any, min_windows: int
) -> None:
    configured = replace(
        BASE, interruption=interruption, gate=replace(BASE.gate, min_speech_samples=min_windows * SIZE)
    )
    machine = TurnMachine(configured, FixedPatience(300.0))
    heard = 0
    machine.trigger(0)
    if audible:
        machine.reply_audible(1)
    starts = []
    for probability in (*[0.0] * after, *[1.0] * talks, *[0.0] * 60):
        heard += SIZE
        decisions = machine.hear(SpeechWindow(heard - SIZE, heard, probability), heard)
        starts += [one for one in decisions if isinstance(one, StartReply)]
    assert machine.floor is not Floor.HELD
    assert machine.floor is not Floor.FREE
    assert machine.turn == 1 + len(starts)
