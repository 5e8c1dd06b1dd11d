"""A rehearsal behaves like a session, without threads or time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from fastrtc.context import WebRTCError, get_current_context
from fastrtc.errors import ConfigurationError
from fastrtc.events import event_name
from fastrtc.handlers.base import StreamHandler
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.outputs import AdditionalOutputs, CloseStream
from fastrtc.testing import Rehearsal, ScriptedVad, replay
from fastrtc.turns.options import AlgoOptions

RATE = 16_000
QUICK = AlgoOptions(shortest_silence_s=0.3, longest_silence_s=0.3, pre_roll_s=0.5)


def handler(fn: Any, *speech: tuple[float, float], **options: Any) -> ReplyOnPause:
    model = options.pop("model", ScriptedVad(speech))
    return ReplyOnPause(
        fn, algo_options=QUICK, model=model, input_sample_rate=RATE, output_sample_rate=24_000, **options
    )


def tone(ticks: int = 1, value: int = 9) -> tuple[int, Any]:
    return 24_000, np.full((1, ticks * 480), value, np.int16)


def names(rehearsal: Rehearsal) -> list[str]:
    return [event_name(event) for event in rehearsal.events]


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_replay_gives_positions_and_audio(rate: int) -> None:
    pcm = (np.arange(4 * rate) % 1000).astype(np.int16)
    calls = replay(handler(lambda audio: tone(), (0.5, 1.5), (2.2, 3.0)), pcm, rate)
    assert [position / rate for position, _ in calls] == pytest.approx([1.84, 3.34], abs=0.05)
    for (_, audio), (start_s, end_s) in zip(calls, [(0.0, 1.84), (1.7, 3.34)], strict=True):
        assert audio.shape[0] == 1
        assert audio.dtype == np.int16
        assert audio.size / RATE == pytest.approx(end_s - start_s, abs=0.06)


def test_the_same_twice() -> None:
    pcm = np.zeros(4 * RATE, np.int16)
    first, second = (replay(handler(lambda audio: tone(), (0.5, 1.5)), pcm, RATE) for _ in range(2))
    assert [position for position, _ in first] == [position for position, _ in second]


def test_only_what_takes_turns_can_be_rehearsed() -> None:
    class Other(StreamHandler):
        def receive(self, frame: Any) -> None: ...

        def emit(self) -> Any: ...

        def copy(self) -> StreamHandler:
            return self

    class Overriding(ReplyOnPause):
        def receive(self, frame: Any) -> None: ...

    for wrong in (Other(), Overriding(lambda audio: None)):
        with pytest.raises(ConfigurationError, match="ReplyOnPause"):
            Rehearsal(wrong, RATE)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_reply_that_thinks_takes_time(is_async: bool) -> None:
    def thinking(audio: Any) -> Iterator[Any]:
        for _ in range(10):
            yield None
        yield tone()

    async def async_thinking(audio: Any) -> AsyncIterator[Any]:
        for value in thinking(audio):
            yield value

    rehearsal = Rehearsal(handler(async_thinking if is_async else thinking, (0.5, 1.5)), RATE)
    rehearsal.silence(3.0)
    times = {event_name(event): event.at_s for event in rehearsal.events}
    assert times["first_audio"] - times["turn_committed"] == pytest.approx(0.2, abs=0.021)
    rehearsal.close()


def test_a_reply_that_thinks_for_ever_does_not_stop_time() -> None:
    def thinking(audio: Any) -> Iterator[Any]:
        while True:
            yield None

    rehearsal = Rehearsal(handler(thinking, (0.5, 1.5)), RATE)
    rehearsal.silence(5.0)
    assert names(rehearsal)[-1] == "reply_started"
    rehearsal.close()


@pytest.mark.parametrize("where", ["first", "later", "close"])
def test_errors_are_kept_and_the_call_goes_on(where: str) -> None:
    turns: list[int] = []

    def reply(audio: Any) -> Iterator[Any]:
        turns.append(1)
        if len(turns) > 1:
            yield tone()
            return
        try:
            if where == "first":
                raise ValueError(where)
            yield tone()
            if where == "later":
                raise ValueError(where)
            yield "no audio"
        finally:
            if where == "close":
                raise ValueError(where)

    rehearsal = Rehearsal(handler(reply, (0.5, 1.0), (2.5, 3.0)), RATE)
    rehearsal.silence(5.0)
    rehearsal.close()
    assert str(rehearsal.errors[-1]) == where
    assert names(rehearsal).count("playback_finished") == 2


def test_a_detector_that_raises_is_reported() -> None:
    class Broken:
        def vad(self, audio: Any, options: Any) -> Any:
            raise RuntimeError("no ears")

        def warmup(self) -> None: ...

    rehearsal = Rehearsal(handler(lambda audio: tone(), model=Broken()), RATE)
    rehearsal.silence(2.0)
    rehearsal.close()
    assert {str(error) for error in rehearsal.errors} == {"no ears"}
    assert rehearsal.calls == []


def test_a_generator_is_closed_at_the_end() -> None:
    closed: list[str] = []

    def reply(audio: Any) -> Iterator[Any]:
        try:
            while True:
                yield tone()
        finally:
            closed.append("sync")

    async def async_reply(audio: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield tone()
        finally:
            closed.append("async")

    for fn in (reply, async_reply):
        rehearsal = Rehearsal(handler(fn, (0.5, 1.0)), RATE)
        rehearsal.silence(2.0)
        rehearsal.close()
    assert closed == ["sync", "async"]


def test_outputs_and_the_end_are_kept() -> None:
    def reply(audio: Any) -> Iterator[Any]:
        yield AdditionalOutputs(1)
        yield CloseStream("bye")
        raise AssertionError("nothing is asked for after CloseStream")

    rehearsal = Rehearsal(handler(reply, (0.5, 1.0)), RATE)
    rehearsal.silence(2.0)
    rehearsal.close()
    assert [one.args for one in rehearsal.outputs] == [(1,)]
    assert rehearsal.hung_up == "bye"
    assert rehearsal.errors == []


def test_code_knows_its_session_and_its_channel() -> None:
    got: list[str] = []

    def reply(audio: Any) -> Any:
        got.append(get_current_context().webrtc_id)
        raise WebRTCError("to the client")

    rehearsal = Rehearsal(handler(reply, (0.5, 1.0)), RATE)
    rehearsal.silence(2.0)
    rehearsal.close()
    assert got == ["rehearsal"]
    assert {"type": "error", "message": "to the client"} in rehearsal.link.parsed_messages()


def test_a_greeting_is_played() -> None:
    rehearsal = Rehearsal(handler(lambda audio: tone(), startup_fn=lambda: tone(3, 5)), RATE)
    rehearsal.silence(1.0)
    rehearsal.close()
    assert rehearsal.link.take().tolist() == [5] * 1440


def test_backpressure_holds_for_replies_in_virtual_time() -> None:
    yielded = 0

    def reply(audio: Any) -> Iterator[Any]:
        nonlocal yielded
        while True:
            yielded += 1
            yield tone()

    rehearsal = Rehearsal(handler(reply, (0.5, 1.0)), RATE, reply_ahead_ms=100)
    rehearsal.silence(2.0)
    played = rehearsal.link.take().size // 480
    assert played <= yielded <= played + 7
    rehearsal.close()


def test_a_client_that_sends_nothing_is_silent() -> None:
    rehearsal = Rehearsal(handler(lambda audio: iter((tone(),)), (0.5, 1.5)), RATE)
    rehearsal.silence(1.2)
    assert names(rehearsal) == ["user_started_speaking"]
    rehearsal.nothing(3.0)
    assert names(rehearsal)[1:4] == ["user_stopped_speaking", "turn_committed", "reply_started"]
    assert len(rehearsal.calls) == 1


def test_a_client_that_sends_nothing_times_out() -> None:
    options = AlgoOptions(idle_timeout_s=3.0)
    quiet = ReplyOnPause(lambda audio: None, algo_options=options, model=ScriptedVad())
    rehearsal = Rehearsal(quiet, 48_000)
    rehearsal.nothing(3.0)
    assert rehearsal.hung_up is None
    rehearsal.nothing(1.1)
    assert rehearsal.hung_up == "idle_timeout"
