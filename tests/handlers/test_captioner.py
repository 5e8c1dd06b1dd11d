"""Live captions: which questions the recogniser is asked, what is told, and what a session's client gets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tests.handlers.kit import IN_HZ, LOUD, QUICK, VAD, Host

from fastrtc.audio import PCM
from fastrtc.errors import ConfigurationError, SessionEndedError
from fastrtc.events import UserTranscript
from fastrtc.handlers.captioner import SHARE, STEP_S, Captioner
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.media.ring import AudioRing
from fastrtc.replies import Reply, get_current_reply
from fastrtc.turns.interruption import Sound
from fastrtc.turns.machine import StartReply
from fastrtc.turns.options import AlgoOptions
from fastrtc.turns.user_turn import Paused, Started, UserState
from fastrtc.wire.messages import TranscriptMessage, parse_server_message

RATE_HZ = 1000
PRE_ROLL = 100
SPEAKING, PAUSED, SILENT = UserState.SPEAKING, UserState.PAUSED, UserState.SILENT


class Words:
    """Hears the value of the loudest sample and how much there is: ``7x0.5``."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.error: Exception | None = None

    def stt(self, audio: tuple[int, Any]) -> str:
        rate_hz, samples = audio
        assert samples.ndim == 2
        self.asked.append(samples.size / rate_hz)
        if self.error is not None:
            raise self.error
        return f" {int(samples.max(initial=0))}x{samples.size / rate_hz:.1f} "


@dataclass
class Later:
    """Recognises when the test says so."""

    waiting: list[Callable[[], None]] = field(default_factory=list)

    def recognise(
        self, key: str, work: Callable[[], Any], then: Callable[[Any], None], failed: Callable[[Any], None]
    ) -> None:
        def run() -> None:
            try:
                result = work()
            except Exception as error:
                failed(error)
            else:
                then(result)

        self.waiting.append(run)

    def run(self) -> None:
        """Everything that waits, and what that asks for."""
        while self.waiting:
            self.waiting.pop(0)()


class Bench:
    """A captioner whose audio, decisions and recogniser the test gives."""

    def __init__(self) -> None:
        self.words = Words()
        self.later = Later()
        self.ring = AudioRing(RATE_HZ)
        self.earliest = 0
        self.told: list[UserTranscript] = []
        self.errors: list[BaseException] = []
        self.captioner = Captioner(
            self.words,
            self.ring,
            RATE_HZ,
            PRE_ROLL,
            lambda: self.earliest,
            self.later,
            self.told.append,
            self.errors.append,
        )

    def hear(self, seconds: float, value: int, state: UserState) -> None:
        for _ in range(round(seconds * 50)):
            self.ring.append(np.full(RATE_HZ // 50, value, np.int16))
            self.captioner.tick(state)

    @property
    def texts(self) -> list[tuple[str, bool, int | None]]:
        return [(one.text, one.final, one.turn) for one in self.told]


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.hear(1.0, 0, SILENT)
    return made


def test_partials_grow_and_the_last_becomes_final(bench: Bench) -> None:
    bench.captioner.follow(Started(1000))
    bench.hear(0.5, 7, SPEAKING)
    bench.later.run()
    bench.hear(0.5, 7, SPEAKING)
    bench.later.run()
    bench.hear(0.1, 0, SPEAKING)
    bench.captioner.follow(Paused(2000))
    bench.later.run()
    bench.hear(0.2, 0, PAUSED)
    bench.captioner.follow(StartReply(1, 900, 2000, 2000, "silence"))
    assert bench.texts == [("7x0.5", False, None), ("7x0.9", False, None), ("7x1.2", False, None), ("7x1.2", True, 1)]
    assert [one.start_s for one in bench.told] == [0.9] * 4
    assert bench.told[-1].end_s == 2.0
    assert len(bench.words.asked) == 3, "the last partial held all the speech: it is not asked again"


def test_speech_that_ends_while_it_is_recognised_is_asked_once_more(bench: Bench) -> None:
    bench.captioner.follow(Started(1000))
    bench.hear(0.42, 7, SPEAKING)
    bench.hear(0.6, 7, SPEAKING)
    bench.captioner.follow(StartReply(1, 900, 2020, 2020, "max_speech"))
    assert len(bench.later.waiting) == 1, "one question at a time"
    bench.later.run()
    assert bench.texts == [("7x1.1", True, 1)]


def test_a_new_utterance_may_begin_before_the_last_is_final(bench: Bench) -> None:
    bench.captioner.follow(Started(1000))
    bench.hear(0.3, 7, SPEAKING)
    bench.captioner.follow(StartReply(1, 900, 1300, 1300, "silence"))
    bench.captioner.follow(Started(1300))
    bench.hear(0.3, 8, SPEAKING)
    bench.captioner.follow(StartReply(2, 1300, 1600, 1600, "silence"))
    bench.later.run()
    assert bench.texts == [("7x0.4", True, 1), ("8x0.3", True, 2)]


def test_what_comes_to_nothing_is_taken_back_if_it_was_told(bench: Bench) -> None:
    bench.captioner.follow(Started(1000))
    bench.hear(0.1, 7, SPEAKING)
    bench.hear(0.1, 0, SILENT)
    assert bench.told == []
    bench.captioner.follow(Started(1200))
    bench.hear(0.5, 7, SPEAKING)
    bench.later.run()
    bench.hear(0.1, 0, SILENT)
    assert bench.texts == [("7x0.5", False, None), ("", True, None)]
    bench.later.run()
    assert len(bench.told) == 2


def test_a_turn_without_speech_has_no_transcript(bench: Bench) -> None:
    for turn, reason in enumerate(("greeting", "text", "idle")):
        bench.captioner.follow(StartReply(turn, 0, 1000, 1000, reason))
    bench.captioner.follow(StartReply(4, 1000, 1000, 1000, "trigger"))
    assert bench.later.waiting == []
    bench.captioner.follow(StartReply(5, 500, 1000, 1000, "trigger"))
    bench.later.run()
    assert bench.texts == [("0x0.5", True, 5)]


def test_a_turn_without_the_silence_before_it_needs_no_further_question(bench: Bench) -> None:
    bench.captioner.follow(Started(1000))
    bench.hear(0.5, 7, SPEAKING)
    bench.later.run()
    bench.captioner.follow(Paused(1500))
    bench.later.run()
    bench.captioner.follow(StartReply(1, 990, 1500, 1500, "silence"))
    assert bench.later.waiting == []
    assert bench.texts[-1] == ("7x0.6", True, 1)


def test_what_was_heard_before_the_turn_is_not_in_its_transcript(bench: Bench) -> None:
    bench.captioner.follow(Started(1000))
    bench.hear(0.5, 7, SPEAKING)
    bench.captioner.follow(Paused(1500))
    bench.later.run()
    bench.captioner.follow(StartReply(1, 1200, 1500, 1500, "silence"))
    bench.later.run()
    assert bench.texts[-1] == ("7x0.3", True, 1)


def test_an_utterance_begins_where_a_turn_may(bench: Bench) -> None:
    bench.earliest = 980
    bench.captioner.follow(Started(1000))
    bench.hear(0.5, 7, SPEAKING)
    bench.later.run()
    assert bench.told[0].start_s == 0.98


def test_what_waits_for_a_transcript_is_let_go_at_the_end(bench: Bench) -> None:
    bench.captioner.follow(StartReply(1, 500, 1000, 1000, "silence"))
    reply = Reply(1, lambda: 0.0, bench.captioner.transcript)
    bench.captioner.close()
    with pytest.raises(SessionEndedError):
        reply.wait_for_transcript_sync()
    bench.later.run()
    assert bench.told == []


def test_a_slow_recogniser_is_asked_less_often(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastrtc.handlers import captioner

    clock = iter(range(1000))
    monkeypatch.setattr(captioner.time, "perf_counter", lambda: float(next(clock)))
    bench.captioner.follow(Started(1000))
    bench.hear(0.5, 7, SPEAKING)
    bench.later.run()
    bench.hear(1.0 / SHARE - STEP_S, 7, SPEAKING)
    assert bench.later.waiting == []
    bench.hear(STEP_S, 7, SPEAKING)
    assert len(bench.later.waiting) == 1


def test_a_recogniser_that_fails_is_reported_and_ends_nothing(bench: Bench) -> None:
    bench.words.error = RuntimeError("no words")
    bench.captioner.follow(Started(1000))
    bench.hear(0.5, 7, SPEAKING)
    bench.later.run()
    bench.captioner.follow(StartReply(1, 900, 1500, 1500, "silence"))
    bench.later.run()
    assert [str(error) for error in bench.errors] == ["no words"] * 2
    assert bench.texts == [("", True, 1)]
    bench.words.error = None
    bench.captioner.follow(Started(1500))
    bench.hear(0.5, 7, SPEAKING)
    bench.later.run()
    assert bench.texts[-1] == ("7x0.5", False, None)


# ---------------------------------------------------------------- in a session


def test_a_session_tells_events_and_messages() -> None:
    words = Words()

    async def scenario() -> tuple[list[dict[str, Any]], list[Any]]:
        async with Host(
            ReplyOnPause(lambda audio: None, algo_options=QUICK, model=VAD, input_sample_rate=IN_HZ, captions=words)
        ) as host:
            host.speak(1.0, 0.5)
            await host.event("user_transcript", final=True)
            events = [event for event in host.events if event["name"] == "user_transcript"]
            messages = [
                parse_server_message(text) for text in host.link.messages if json.loads(text)["type"] == "transcript"
            ]
            return events, messages

    events, messages = asyncio.run(scenario())
    assert events[-1]["turn"] == 1
    assert events[-1]["text"].startswith("8000x1.")
    assert {key: events[-1][key] for key in ("text", "final", "turn")} == {
        "text": messages[-1].text,
        "final": True,
        "turn": 1,
    }
    assert all(isinstance(message, TranscriptMessage) for message in messages)


def test_recognition_is_away_from_the_clock_and_the_loop() -> None:
    threads: set[str] = set()

    class Named(Words):
        def stt(self, audio: tuple[int, PCM]) -> str:
            threads.add(threading.current_thread().name)
            return super().stt(audio)

    async def scenario() -> None:
        async with Host(
            ReplyOnPause(lambda audio: None, algo_options=QUICK, model=VAD, input_sample_rate=IN_HZ, captions=Named())
        ) as host:
            host.speak(1.0, 0.5)
            await host.event("user_transcript", final=True)

    asyncio.run(scenario())
    assert threads
    assert all(name.startswith("fastrtc-recognition") for name in threads)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_reply_function_gets_the_transcript(kind: str) -> None:
    got: list[str] = []

    def reply(audio: Any) -> None:
        got.append(get_current_reply().wait_for_transcript_sync())

    async def areply(audio: Any) -> None:
        got.append(await get_current_reply().wait_for_transcript())

    def greet() -> None:
        got.append(get_current_reply().wait_for_transcript_sync())

    async def scenario() -> None:
        fn = reply if kind == "sync" else areply
        handler = ReplyOnPause(
            fn, startup_fn=greet, algo_options=QUICK, model=VAD, input_sample_rate=IN_HZ, captions=Words()
        )
        async with Host(handler) as host:
            await host.event("reply_started")
            host.speak(1.0, 0.5)
            await host.event("user_transcript", final=True)
            await host.until(lambda: len(got) == 2)

    asyncio.run(scenario())
    assert got[0] == ""
    assert got[1].split("x")[0] == str(LOUD)


def test_its_recogniser_counts_the_words_over_a_reply() -> None:
    words = Words()
    handler = ReplyOnPause(lambda audio: None, captions=words, algo_options=AlgoOptions(interrupt_words=2))
    sound = Sound(IN_HZ, np.zeros(IN_HZ, np.int16), 1.0, ended=False)
    assert handler.copy().interruption_filter.weigh(sound) == 1.0
    assert words.asked


def test_without_captions_there_is_no_transcript() -> None:
    with pytest.raises(RuntimeError, match="captions=True"):
        Reply(1, lambda: 0.0).wait_for_transcript_sync()


def test_the_argument() -> None:
    words = Words()
    handler = ReplyOnPause(lambda audio: None, captions=words)
    assert handler.copy().captions is words
    assert ReplyOnPause(lambda audio: None).copy().captions is None
    stop_words = ReplyOnStopWords(lambda audio: None, ["computer"], stt_model=words, captions=True)
    assert stop_words.captions is words
    assert stop_words.copy().captions is words
    with pytest.raises(ConfigurationError, match=r"captions must be True, False or a recogniser .*got str"):
        ReplyOnPause(lambda audio: None, captions="moonshine")  # type: ignore[arg-type]


def test_turns_that_a_subclass_decides_have_no_captions() -> None:
    class Own(ReplyOnPause):
        def determine_pause(self, audio: PCM, sampling_rate: int, state: Any) -> bool:
            return False

    assert Own(lambda audio: None).captions is None
    with pytest.raises(ConfigurationError, match="which Own replaces by overriding"):
        Own(lambda audio: None, captions=Words())


def test_true_means_the_default_recogniser() -> None:
    from fastrtc.speech.moonshine_weights import carried_weights
    from fastrtc.speech.recogniser import get_stt_model

    if carried_weights() is None:
        pytest.skip("the default recogniser is not installed (extra stt)")
    captions = ReplyOnPause(lambda audio: None, captions=True).captions
    assert type(captions) is type(get_stt_model())
