"""A simulated caller who talks, coughs and interrupts at chosen moments of a reply, and a referee who listens.

Everything happens in virtual time: a ``Rehearsal`` hears digital silence, and a scripted detector says when that is
speech. Each sample of a reply carries its turn and its position, so that the referee can tell what was played.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastrtc.clock import TICK_S
from fastrtc.events import (
    FirstAudio,
    PlaybackFinished,
    ReplyHeld,
    ReplyInterrupted,
    ReplyResumed,
    TurnCommitted,
    UserStartedSpeaking,
)
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.playout import FADE_MS
from fastrtc.testing.rehearsal import Rehearsal
from fastrtc.testing.script import ScriptedVad, Speech
from fastrtc.transports.memory import MemoryLink
from fastrtc.turns.options import AlgoOptions

IN_HZ, OUT_HZ = 16_000, 24_000
IN_TICK, OUT_TICK = IN_HZ // 50, OUT_HZ // 50
FADE = FADE_MS * OUT_HZ // 1000
SILENCE_S = 0.3
PRE_ROLL_S = 0.5
_PERIOD, _BASE = 1499, 1500

KINDS = ("frames", "chunks", "whole", "async", "returns", "thinks", "blocks", "raises")
PHASES = ("none", "thinking", "first", "middle", "end", "after")
SOUNDS = ("cough", "remark")


def samples(turn: int, start: int, count: int) -> np.ndarray[Any, Any]:
    """Audio that carries its turn and its position."""
    return (turn * _BASE + np.arange(start, start + count) % _PERIOD).astype(np.int16).reshape(1, -1)


@dataclass(frozen=True, slots=True)
class Blocked:
    """A simulated reply function is inside ``next()`` for so many ticks and cannot be stopped."""

    ticks: int


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """What the function does in one turn, and what the caller does meanwhile."""

    kind: str
    seconds: float
    think_ticks: int
    phase: str
    sound: str
    sound_s: float


@dataclass
class Books:
    """What the reply functions did."""

    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    spoken: dict[int, int] = field(default_factory=dict)


class BlockingRun:
    """Steps a reply like ``Rehearsal`` does, with functions that are deaf while they block."""

    def __init__(self, inner: Any, source: BlockingIterator, turn: int) -> None:
        self.inner = inner
        self._source = source
        self._turn = turn
        self._cancelled = False

    def pump(self) -> None:
        if not self._cancelled:
            self.inner.pump()
        elif self._source.still_blocked():
            return
        else:
            self._source.finish_step()
            self.inner.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        if not self._source.blocked:
            self.inner.cancel()


class BlockingIterator:
    """Turns ``Blocked`` values into ticks that pass inside ``next()``."""

    def __init__(self) -> None:
        self.values: Iterator[Any] | None = None
        self.blocked = 0

    def over(self, values: Iterator[Any]) -> BlockingIterator:
        self.values = values
        return self

    def still_blocked(self) -> bool:
        self.blocked = max(0, self.blocked - 1)
        return self.blocked > 0

    def finish_step(self) -> None:
        """The step that was going on when the reply was cancelled comes to its end; its value is nobody's."""
        if self.values is not None:
            next(self.values, None)

    def __iter__(self) -> BlockingIterator:
        return self

    def __next__(self) -> Any:
        assert self.values is not None
        if self.blocked:
            self.blocked -= 1
            if self.blocked:
                return None
        value = next(self.values)
        if isinstance(value, Blocked):
            self.blocked = value.ticks
            return None
        return value

    def close(self) -> None:
        if self.values is not None:
            self.values.close()  # type: ignore[attr-defined]


class Stage(Rehearsal):
    """A rehearsal in which functions may block."""

    def run_reply(self, call: Callable[[], Any], voice: Any, **how: Any) -> Any:
        source = BlockingIterator()

        def blocking_call() -> Any:
            result = call()
            return source.over(result) if isinstance(result, Iterator) else result

        run = BlockingRun(super().run_reply(blocking_call, voice, **how), source, voice.turn)
        self._runs[-1] = run  # type: ignore[call-overload]
        return run

    def ended(self, run: Any) -> None:
        self._runs = [one for one in self._runs if getattr(one, "inner", one) is not run]


class BufferingLink(MemoryLink):
    """A client that buffers what it is sent ahead of time, plays it tick by tick and can drop it."""

    def __init__(self, lead_ms: int) -> None:
        super().__init__(IN_HZ, OUT_HZ, lead_ms=lead_ms)
        self._buffer: list[Any] = []

    def write(self, pcm: Any) -> None:
        if pcm is not None:
            self._buffer.append(pcm)

    def flush(self) -> bool:
        self._buffer.clear()
        return True

    def take(self) -> Any:
        """What the client plays in one tick."""
        return self._buffer.pop(0) if self._buffer else np.zeros(0, np.int16)


class Bot:
    """The reply functions of a conversation."""

    def __init__(self, plans: list[TurnPlan]) -> None:
        self._plans = plans
        self.books = Books()

    def plan(self, turn: int) -> TurnPlan:
        return self._plans[(turn - 1) % len(self._plans)]

    def reply(self, audio: Any) -> Any:
        turn = len(self.books.begun) + 1
        self.books.begun.append(turn)
        plan = self.plan(turn)
        count = round(plan.seconds * OUT_HZ)
        if plan.kind == "returns":
            self.books.ended.append(turn)
            self.books.spoken[turn] = count
            return OUT_HZ, samples(turn, 0, count)
        if plan.kind == "async":
            return self._speak_async(turn, count)
        return self._speak(turn, plan, count)

    def _speak(self, turn: int, plan: TurnPlan, count: int) -> Iterator[Any]:
        step = {"frames": OUT_TICK, "chunks": 4700, "whole": count}.get(plan.kind, 960)
        try:
            for _ in range(plan.think_ticks if plan.kind == "thinks" else 0):
                yield None
            for at in range(0, count, step):
                if plan.kind == "blocks" and at // step % 5 == 0:
                    yield Blocked(1 + plan.think_ticks)
                if plan.kind == "raises" and at >= count // 2:
                    raise ValueError(f"turn {turn} fails")
                size = min(step, count - at)
                self.books.spoken[turn] = at + size
                yield OUT_HZ, samples(turn, at, size)
        finally:
            self.books.ended.append(turn)

    async def _speak_async(self, turn: int, count: int) -> AsyncIterator[Any]:
        try:
            for at in range(0, count, OUT_TICK):
                size = min(OUT_TICK, count - at)
                self.books.spoken[turn] = at + size
                yield OUT_HZ, samples(turn, at, size)
        finally:
            self.books.ended.append(turn)


class Conversation:
    """One seeded call; :meth:`run` plays and checks it."""

    def __init__(
        self, plans: list[TurnPlan], *, can_interrupt: bool = True, interruption: Any = "hold", lead_ms: int = 0
    ) -> None:
        self.bot = Bot(plans)
        self.vad = ScriptedVad()
        self.utterances: list[Speech] = []
        self.turns = len(plans)
        self._talks_until_s = 0.0
        self._planned: dict[int, str] = {}
        self.stage = Stage(
            ReplyOnPause(
                self.bot.reply,
                algo_options=AlgoOptions(
                    shortest_silence_s=SILENCE_S,
                    longest_silence_s=SILENCE_S,
                    pre_roll_s=PRE_ROLL_S,
                    interruption=interruption,
                ),
                can_interrupt=can_interrupt,
                model=self.vad,
                input_sample_rate=IN_HZ,
                output_sample_rate=OUT_HZ,
            ),
            IN_HZ,
            link=BufferingLink(lead_ms) if lead_ms else None,
        )
        self.now_s = 0.0
        self._seen = 0
        self.referee = Referee(self)

    @classmethod
    def seeded(cls, seed: int, **options: Any) -> Conversation:
        """A conversation of a few turns in which everything is left to chance."""
        chance = random.Random(seed)
        plans = [
            TurnPlan(
                kind=chance.choice(KINDS),
                seconds=chance.choice([0.05, 0.5, 1.0, 2.3]) + chance.random() * 0.1,
                think_ticks=chance.randrange(1, 40),
                phase=chance.choice(PHASES),
                sound=chance.choice(SOUNDS),
                sound_s=chance.uniform(0.1, 0.2) if chance.random() < 0.5 else chance.uniform(0.5, 1.5),
            )
            for _ in range(chance.randrange(2, 6))
        ]
        return cls(plans, **options)

    def run(self) -> Referee:
        """Play until everybody is silent, then check the whole."""
        self.say(0.4, 0.8)
        last_s = 0.0
        while self.now_s < 120.0:
            before = self._seen
            self.tick()
            if self._seen > before or self._talks_until_s > self.now_s or self.stage.driver._machine.busy:
                last_s = self.now_s
            if self.now_s - last_s > 1.2:
                break
        self.stage.close()
        self.referee.check_the_whole()
        return self.referee

    def say(self, after_s: float, seconds: float) -> None:
        """Let the caller speak."""
        start_s = max(self.now_s + after_s, self._talks_until_s + 0.05)
        self._talks_until_s = start_s + seconds
        part = Speech(start_s, start_s + seconds)
        self.utterances.append(part)
        self.vad.speech.append(part)

    def tick(self) -> None:
        self.stage.hear(np.zeros(IN_TICK, np.int16))
        self.now_s += TICK_S
        new = self.stage.events[self._seen :]
        self._seen = len(self.stage.events)
        self.referee.listen(new, self.stage.link.take())
        for event in new:
            self._react(event)

    def _react(self, event: Any) -> None:
        turn = getattr(event, "turn", None)
        if turn is None or turn > self.turns:
            return
        plan = self.bot.plan(turn)
        length_s = plan.seconds
        if isinstance(event, TurnCommitted):
            if plan.phase == "thinking":
                self.say(0.02 * (turn % 7), plan.sound_s)
        elif isinstance(event, FirstAudio):
            delays = {"first": 0.0, "middle": length_s / 2, "end": max(0.0, length_s - 0.05)}
            if plan.phase in delays:
                self.say(delays[plan.phase], plan.sound_s)
        elif isinstance(event, PlaybackFinished):
            if plan.phase == "after":
                self.say(0.0, plan.sound_s)
            elif turn < self.turns and self._talks_until_s < self.now_s:
                self.say(0.3, 0.7)


class Referee:
    """Follows a conversation tick by tick and stops it at the first broken rule."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.turn = 0
        self.over = True
        self.held = False
        self.fades = False
        self.positions: dict[int, int] = {}
        self.interrupted: dict[int, float] = {}
        self.finished: dict[int, float] = {}
        self.committed: list[TurnCommitted] = []
        self.holds = 0
        self.resumes = 0
        self.stale_ticks = 0

    def listen(self, events: list[Any], played: np.ndarray[Any, Any]) -> None:
        """One tick: what happened, and what the caller heard."""
        cut = False
        finished: list[Any] = []
        for event in events:
            if isinstance(event, PlaybackFinished):
                finished.append(event)
            else:
                cut = self._note(event) or cut
        assert played.size in (0, OUT_TICK)
        if played.size:
            if cut:
                assert not played[FADE:].any(), "a cut may fade for 5 ms, no longer"
                self.fades = False
            else:
                self._hear(played)
        for event in finished:
            self._finish(event)

    def _note(self, event: Any) -> bool:
        match event:
            case TurnCommitted():
                assert self.over, "a reply began before the last one was over"
                assert event.turn == self.turn + 1
                assert event.start_s <= event.end_s <= event.at_s
                self.turn, self.over, self.held = event.turn, False, False
                self.committed.append(event)
            case FirstAudio():
                assert event.turn == self.turn
                assert not self.over
            case ReplyHeld():
                assert event.turn == self.turn
                assert not self.held
                assert not self.over
                self.held = True
                self.holds += 1
                return True
            case ReplyResumed():
                assert event.turn == self.turn
                assert self.held
                self.held, self.fades = False, True
                self.resumes += 1
            case ReplyInterrupted():
                assert event.turn == self.turn
                assert not self.over
                heard_s = self.positions.get(event.turn, 0) / OUT_HZ
                assert abs(event.heard_s - heard_s) <= 0.041, (event.heard_s, heard_s)
                self.interrupted[event.turn] = event.at_s
                self.over, self.held = True, False
                return True
        return False

    def _hear(self, played: np.ndarray[Any, Any]) -> None:
        assert not self.held, "the reply is held and speaks"
        assert not self.over, "nobody has the floor and somebody speaks"
        position = self.positions.get(self.turn, 0)
        left = self._conversation.bot.books.spoken[self.turn] - position
        assert left > 0, "more is heard than was said"
        first = FADE if self.fades else 0
        self.fades = False
        sounding = played[: min(left, OUT_TICK)].astype(int)
        assert not played[sounding.size :].any()
        turns = set((sounding[first:] // _BASE).tolist())
        if turns - {self.turn}:
            self.stale_ticks += 1
        assert turns <= {self.turn}, f"turn {self.turn} speaks with the voice of {turns}"
        wanted = (position + np.arange(first, sounding.size)) % _PERIOD
        np.testing.assert_array_equal(sounding[first:] % _BASE, wanted)
        self.positions[self.turn] = position + sounding.size

    def _finish(self, event: Any) -> None:
        assert event.turn == self.turn
        assert not self.over
        self.finished[event.turn] = event.at_s
        self.over, self.held = True, False

    def check_the_whole(self) -> None:
        """What must hold when everybody has gone."""
        conversation, books = self._conversation, self._conversation.bot.books
        assert self.over, "a reply never came to its end"
        assert not conversation.stage.driver._machine.busy
        assert sorted(books.ended) == books.begun, "each function ends exactly once"
        assert len(self.committed) == len(conversation.stage.calls)
        assert set(self.finished) | set(self.interrupted) == set(range(1, self.turn + 1))
        for turn in self.finished:
            if turn in books.spoken:
                assert self.positions.get(turn, 0) == books.spoken[turn], "a reply that ended was heard whole"
        for error in conversation.stage.errors:
            assert "fails" in str(error)

    def check_nothing_was_lost(self) -> None:
        """Every remark is inside the audio of some turn, with its onset."""
        spans = [(one.start_s, one.at_s) for one in self.committed]
        for said in self._conversation.utterances:
            if said.end_s - said.start_s < 0.45:
                continue
            begins_s = max(0.0, said.start_s - PRE_ROLL_S + 0.05)
            assert any(start_s <= begins_s and said.end_s - 0.05 <= end_s for start_s, end_s in spans), (said, spans)

    def started_speaking(self) -> int:
        """How often the session noticed the caller."""
        return sum(isinstance(event, UserStartedSpeaking) for event in self._conversation.stage.events)
