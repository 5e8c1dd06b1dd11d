"""``ReplyOnPause`` in a session: every kind of function, inputs, errors, greetings, text, mute."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.handlers.kit import IN_HZ, LOUD, OUT_HZ, QUICK, TIMEOUT_S, VAD, Host, LoudVad, replier, tone

from fastrtc.context import WebRTCError, get_current_context
from fastrtc.errors import ConfigurationError
from fastrtc.handlers.reply_on_pause import ReplyOnPause, is_async_function, takes_more_than_audio
from fastrtc.outputs import AdditionalOutputs, CloseStream, WebRTCData
from fastrtc.session import SessionSettings
from fastrtc.turns.options import AlgoOptions

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_thread_left")]


# ---- kinds of functions ---------------------------------------------------------------------------------------


def generator(audio: Any) -> Iterator[Any]:
    yield tone(2)
    yield tone(1)


def plain(audio: Any) -> Any:
    return tone(3)


async def async_generator(audio: Any) -> AsyncIterator[Any]:
    yield tone(2)
    await asyncio.sleep(0)
    yield tone(1)


async def coroutine(audio: Any) -> Any:
    await asyncio.sleep(0)
    return tone(3)


class CallableObject:
    def __call__(self, audio: Any) -> Iterator[Any]:
        yield tone(3)


class AsyncCallableObject:
    async def __call__(self, audio: Any) -> AsyncIterator[Any]:
        yield tone(3)


class Methods:
    def sync(self, audio: Any) -> Iterator[Any]:
        yield tone(3)

    async def asynchronous(self, audio: Any) -> AsyncIterator[Any]:
        yield tone(3)


def with_options(value: int, audio: Any) -> Iterator[Any]:
    yield tone(3, value)


async def async_with_options(value: int, audio: Any) -> AsyncIterator[Any]:
    yield tone(3, value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "generator": generator,
    "function": plain,
    "async generator": async_generator,
    "coroutine": coroutine,
    "callable object": CallableObject(),
    "async callable object": AsyncCallableObject(),
    "method": Methods().sync,
    "async method": Methods().asynchronous,
    "partial": partial(with_options, 1000),
    "async partial": partial(async_with_options, 1000),
    "partial of a partial": partial(partial(async_with_options), 1000),
    "lambda": lambda audio: tone(3),
    "iterator": lambda audio: iter([tone(1), tone(2)]),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
async def test_every_kind_of_function_is_heard_twice(kind: str) -> None:
    async with Host(replier(FUNCTIONS[kind])) as host:
        for turn in (1, 2):
            host.speak()
            await host.event("playback_finished", turn=turn)
        assert host.link.heard.size == 2 * 3 * 480
        assert set(host.link.heard.tolist()) == {1000}
        assert host.messages("error") == []


@pytest.mark.parametrize(
    ("kind", "is_async"),
    [(kind, "async" in kind or kind in ("coroutine", "partial of a partial")) for kind in FUNCTIONS],
)
async def test_where_a_function_runs_is_seen_from_outside(kind: str, is_async: bool) -> None:
    assert is_async_function(FUNCTIONS[kind]) is is_async


async def test_async_functions_run_on_the_loop_and_others_do_not() -> None:
    where: list[threading.Thread] = []

    async def on_loop(audio: Any) -> AsyncIterator[Any]:
        where.append(threading.current_thread())
        yield tone(1)

    def elsewhere(audio: Any) -> Iterator[Any]:
        where.append(threading.current_thread())
        yield tone(1)

    for fn in (on_loop, elsewhere):
        async with Host(replier(fn)) as host:
            host.speak()
            await host.event("playback_finished", turn=1)
    assert where[0] is threading.current_thread()
    assert where[1] is not threading.current_thread()
    assert "clock" not in where[1].name


# ---- what the function gets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000, 48_000])
async def test_the_function_gets_the_whole_utterance(rate_hz: int) -> None:
    got: list[Any] = []

    def reply(audio: Any) -> Any:
        got.append(audio)
        return tone(1)

    async with Host(replier(reply, input_sample_rate=rate_hz), rate_in_hz=rate_hz) as host:
        host.hear(np.zeros(rate_hz, np.int16))
        host.speak(1.0)
        await host.event("playback_finished", turn=1)
    ((rate, samples),) = got
    assert rate == rate_hz
    assert samples.dtype == np.int16
    assert samples.ndim == 2
    assert samples.shape[0] == 1
    assert np.count_nonzero(samples == LOUD) == rate_hz
    first = int(np.flatnonzero(samples[0])[0])
    assert 0.05 * rate_hz < first < 0.2 * rate_hz, "the pre-roll"


async def test_user_code_knows_its_session() -> None:
    got: list[Any] = []

    def sync(audio: Any) -> Any:
        got.append(get_current_context().webrtc_id)
        return tone(1)

    async def asynchronous(audio: Any) -> AsyncIterator[Any]:
        got.append(get_current_context().webrtc_id)
        yield tone(1)

    for fn in (sync, asynchronous):
        async with Host(replier(fn)) as host:
            host.speak()
            await host.event("playback_finished", turn=1)
    assert got == ["test", "test"]


# ---- inputs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
async def test_inputs_are_asked_for_before_each_reply(is_async: bool) -> None:
    got: list[Any] = []

    def sync(audio: Any, name: str, number: int) -> Any:
        got.append((name, number))
        return tone(1)

    async def asynchronous(audio: Any, name: str, number: int) -> Any:
        return sync(audio, name, number)

    async with Host(replier(asynchronous if is_async else sync)) as host:
        for turn in (1, 2):
            host.speak()
            await host.until(lambda turn=turn: len(host.messages("send_input")) == turn)
            host.session.set_args([f"name {turn}", turn])
            await host.event("playback_finished", turn=turn)
    assert got == [("name 1", 1), ("name 2", 2)]


async def test_inputs_that_are_there_already_are_used() -> None:
    got: list[Any] = []

    def reply(audio: Any, name: str) -> Any:
        got.append(name)
        return tone(1)

    async with Host(replier(reply)) as host:
        host.session.set_args(["early"])
        host.speak()
        await host.event("playback_finished", turn=1)
    assert got == ["early"]


async def test_inputs_over_the_data_channel() -> None:
    got: list[Any] = []

    def reply(audio: Any, name: str) -> Any:
        got.append(name)
        return tone(1)

    async with Host(replier(reply)) as host:
        host.speak()
        await host.until(lambda: host.messages("send_input"))
        host.session.receive_message(json.dumps({"type": "input", "data": ["from the page"]}))
        await host.event("playback_finished", turn=1)
    assert got == ["from the page"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_session_may_end_while_its_code_waits_for_inputs(is_async: bool) -> None:
    calls: list[Any] = []

    def sync(audio: Any, name: str) -> Any:
        calls.append(name)

    async def asynchronous(audio: Any, name: str) -> Any:
        calls.append(name)

    async with Host(replier(asynchronous if is_async else sync)) as host:
        host.speak()
        await host.until(lambda: host.messages("send_input"))
    assert calls == []
    assert host.messages("error") == []
    assert "handler_failed" not in host.names()


async def test_an_interrupted_reply_that_ends_late_does_not_forget_the_next_ones_inputs() -> None:
    release = threading.Event()
    got: list[Any] = []

    def reply(audio: Any, number: int) -> Iterator[Any]:
        got.append(number)
        yield tone(50, number)
        if number == 1:
            release.wait(TIMEOUT_S)
            yield tone(1, number)

    async with Host(replier(reply), settings=SessionSettings(reply_ahead_ms=60_000)) as host:
        host.speak()
        await host.until(lambda: host.messages("send_input"))
        host.session.set_args([1])
        await host.event("first_audio", turn=1)
        host.speak(1.0)
        await host.event("reply_interrupted", turn=1)
        await host.until(lambda: len(host.messages("send_input")) == 2)
        assert got == [1], "the second reply must not use the inputs of the first"
        host.session.set_args([2])
        release.set()
        await host.event("first_audio", turn=2)
    assert got == [1, 2]


async def test_a_reply_that_is_cancelled_while_it_waits_for_inputs_is_never_called() -> None:
    got: list[Any] = []

    def reply(audio: Any, name: str) -> Any:
        got.append((np.count_nonzero(audio[1]), name))
        return tone(1)

    async with Host(replier(reply)) as host:
        host.speak(0.5)
        await host.until(lambda: len(host.messages("send_input")) == 1)
        host.speak(1.0)
        await host.event("reply_interrupted", turn=1)
        await host.until(lambda: len(host.messages("send_input")) == 2)
        host.session.set_args(["name"])
        await host.event("playback_finished", turn=2)
    assert got == [(1.5 * IN_HZ, "name")], "one call, with both halves of what was said"


async def test_on_the_telephone_outputs_are_the_next_inputs() -> None:
    got: list[Any] = []

    def reply(audio: Any, history: list[int] | None = None) -> Iterator[Any]:
        got.append(history)
        yield tone(1)
        yield AdditionalOutputs([*(history or []), len(got)])

    handler = replier(reply)
    handler.phone_mode = True
    async with Host(handler) as host:
        for turn in (1, 2, 3):
            host.speak()
            await host.event("playback_finished", turn=turn)
    assert got == [None, [1], [1, 2]]
    assert host.messages("send_input") == []


async def test_the_webrtc_component_gives_its_own_kind_of_audio() -> None:
    got: list[Any] = []

    def reply(data: WebRTCData, name: str) -> Any:
        got.append((data, name))
        return tone(1)

    async with Host(replier(reply)) as host:
        host.session.set_args([WebRTCData(webrtc_id="test", textbox="hi"), "name"])
        host.speak()
        await host.event("playback_finished", turn=1)
    ((data, name),) = got
    assert (data.webrtc_id, data.textbox, name) == ("test", "hi", "name")
    rate, samples = data
    assert (rate, samples.shape[0]) == (IN_HZ, 1)


async def test_typed_text_is_a_turn_and_does_not_stay() -> None:
    got: list[Any] = []

    def reply(audio: Any) -> Any:
        got.append(audio)
        return tone(1)

    async with Host(replier(reply)) as host:
        host.session.receive_message(json.dumps({"type": "text", "data": "good evening"}))
        await host.event("playback_finished", turn=1)
        host.speak()
        await host.event("playback_finished", turn=2)
    typed, spoken = got
    assert isinstance(typed, WebRTCData)
    assert typed.textbox == "good evening"
    assert [event["reason"] for event in host.events if event["name"] == "turn_committed"] == ["text", "silence"]
    assert isinstance(spoken, tuple), "a turn of speech is no turn of text"


# ---- outputs and endings --------------------------------------------------------------------------------------


async def test_additional_outputs_reach_the_app_in_order() -> None:
    def reply(audio: Any) -> Iterator[Any]:
        yield AdditionalOutputs("first")
        yield tone(1), AdditionalOutputs("second", 2)
        yield None, AdditionalOutputs("third")

    async with Host(replier(reply)) as host:
        host.speak()
        await host.event("playback_finished", turn=1)
        assert [one.args for one in host.outputs] == [("first",), ("second", 2), ("third",)]
        assert len(host.messages("fetch_output")) == 3


async def test_close_stream_ends_the_session_after_the_audio() -> None:
    closed = threading.Event()

    def reply(audio: Any) -> Iterator[Any]:
        try:
            yield tone(5)
            yield CloseStream("goodbye")
            yield tone(5)
        finally:
            closed.set()

    async with Host(replier(reply)) as host:
        host.speak()
        await host.until(lambda: host.closed)
        assert host.link.heard.size == 5 * 480
        assert host.messages("end_stream") == ["goodbye"]
        assert host.events[-1]["name"] == "session_closed"
        assert host.events[-1]["reason"] == "goodbye"
        assert host.link.closed
    assert closed.is_set()


# ---- errors ---------------------------------------------------------------------------------------------------


def failing(audio: Any) -> Iterator[Any]:
    yield tone(1)
    raise ValueError("the model is gone")


async def async_failing(audio: Any) -> AsyncIterator[Any]:
    yield tone(1)
    raise ValueError("the model is gone")


def failing_at_once(audio: Any) -> Any:
    raise ValueError("the model is gone")


async def async_failing_at_once(audio: Any) -> Any:
    raise ValueError("the model is gone")


def failing_when_closed(audio: Any) -> Iterator[Any]:
    try:
        yield 24_000, "no array"
    finally:
        raise ValueError("the model is gone")


@pytest.mark.parametrize("fn", [failing, async_failing, failing_at_once, async_failing_at_once, failing_when_closed])
async def test_an_exception_is_reported_and_the_session_goes_on(fn: Any, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def sync(audio: Any) -> Any:
        calls.append(1)
        return fn(audio) if len(calls) == 1 else tone(2, 7)

    async def asynchronous(audio: Any) -> AsyncIterator[Any]:
        calls.append(1)
        if len(calls) > 1:
            yield tone(2, 7)
        elif fn is async_failing:
            async for value in fn(audio):
                yield value
        else:
            await fn(audio)

    async with Host(replier(asynchronous if is_async_function(fn) else sync)) as host:
        host.speak()
        failed = await host.event("handler_failed")
        assert failed["turn"] == 1
        assert "the model is gone" in failed["message"]
        await host.event("playback_finished", turn=1)
        host.speak()
        await host.event("playback_finished", turn=2)
        assert any("the model is gone" in str(message) for message in host.messages("error"))
        assert np.count_nonzero(host.link.heard == 7) == 2 * 480
    assert any("the model is gone" in str(record.exc_info) for record in caplog.records if record.exc_info)


async def test_each_failing_turn_is_reported() -> None:
    def reply(audio: Any) -> Any:
        raise ValueError("again")

    async with Host(replier(reply)) as host:
        for turn in (1, 2, 3):
            host.speak()
            await host.event("handler_failed", turn=turn)
            await host.event("playback_finished", turn=turn)


async def test_a_webrtc_error_is_shown_once() -> None:
    def reply(audio: Any) -> Any:
        raise WebRTCError("please speak up")

    async with Host(replier(reply)) as host:
        host.speak()
        await host.event("playback_finished", turn=1)
        assert host.messages("error") == ["please speak up"]


WRONG: dict[str, tuple[Any, str]] = {
    "dtype": ((OUT_HZ, np.zeros((1, 480), np.int32)), "int32"),
    "shape": ((OUT_HZ, np.zeros((3, 480), np.int16)), r"\(3, 480\)"),
    "dimensions": ((OUT_HZ, np.zeros((1, 1, 480), np.int16)), r"\(1, 1, 480\)"),
    "rate": ((0, np.zeros((1, 480), np.int16)), "sample rate"),
    "rate of text": (("24000", np.zeros((1, 480), np.int16)), "24000"),
    "rate of True": ((True, np.zeros((1, 480), np.int16)), "sample rate"),
    "list": ((OUT_HZ, [0] * 480), "tuple of"),
    "array alone": (np.zeros(480, np.int16), "ndarray"),
    "text": ("hello", "str"),
    "layout": ((OUT_HZ, np.zeros((1, 480), np.int16), "5.1"), "5.1"),
    "four": ((OUT_HZ, np.zeros((1, 480), np.int16), "mono", 1), "tuple of"),
    "number": (3, "int"),
    "bytes": (b"abc", "bytes"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_value_says_what_is_wrong_and_the_next_turn_works(what: str) -> None:
    value, message = WRONG[what]
    turns: list[int] = []

    def reply(audio: Any) -> Iterator[Any]:
        turns.append(1)
        yield tone(1) if len(turns) > 1 else value

    async with Host(replier(reply)) as host:
        host.speak()
        failed = await host.event("handler_failed", turn=1)
        await host.event("playback_finished", turn=1)
        host.speak()
        await host.event("playback_finished", turn=2)
        assert host.link.heard.size == 480
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(failed["message"])


def gives_text(audio: Any) -> Iterator[Any]:
    yield "hello"


async def gives_text_asynchronously(audio: Any) -> AsyncIterator[Any]:
    yield "hello"


def returns_text(audio: Any) -> Any:
    return "hello"


@pytest.mark.parametrize(
    ("fn", "place"),
    [
        (gives_text, "gives_text (test_reply_on_pause.py, line "),
        (gives_text_asynchronously, "gives_text_asynchronously (test_reply_on_pause.py, line "),
        (returns_text, "the reply function gave "),
    ],
)
async def test_the_log_says_in_one_line_who_gave_what_cannot_be_played(
    fn: Any, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Host(replier(fn)) as host:
        host.speak()
        failed = await host.event("handler_failed")
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert place in record.getMessage()
    assert "get_tts_model() makes speech of text" in record.getMessage()
    assert record.exc_info is None
    assert "test_reply_on_pause.py" not in failed["message"], "clients are not told about files"


RIGHT: dict[str, Any] = {
    "one dimension": (OUT_HZ, np.full(480, 500, np.int16)),
    "a column": (OUT_HZ, np.full((480, 1), 500, np.int16)),
    "stereo": (OUT_HZ, np.full((2, 480), 500, np.int16)),
    "packed stereo": (OUT_HZ, np.full((1, 960), 500, np.int16), "stereo"),
    "float32": (OUT_HZ, np.full((1, 480), 500 / 32767, np.float32)),
    "float64": (OUT_HZ, np.full((1, 480), 500 / 32767, np.float64)),
    "numpy rate": (np.int64(OUT_HZ), np.full((1, 480), 500, np.int16)),
    "big endian view": (OUT_HZ, np.full((1, 960), 500, np.int16)[:, ::2]),
}


@pytest.mark.parametrize("what", RIGHT)
async def test_every_shape_that_can_be_played_is(what: str) -> None:
    async with Host(replier(lambda audio: RIGHT[what])) as host:
        host.speak()
        await host.event("playback_finished", turn=1)
        assert host.messages("error") == []
        np.testing.assert_allclose(host.link.heard, 500, atol=1)
        assert host.link.heard.size == 480


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 48_000])
async def test_any_rate_comes_out_whole(rate_hz: int) -> None:
    def reply(audio: Any) -> Iterator[Any]:
        for _ in range(10):
            yield rate_hz, np.full((1, rate_hz // 50), 1000, np.int16)

    async with Host(replier(reply)) as host:
        host.speak()
        await host.event("playback_finished", turn=1)
        assert abs(np.count_nonzero(host.link.heard > 500) - 4800) <= 48


async def test_a_reply_of_nothing_is_over_at_once() -> None:
    async with Host(replier(lambda audio: None)) as host:
        for turn in (1, 2):
            host.speak()
            finished = await host.event("playback_finished", turn=turn)
            assert finished["heard_s"] == 0.0
        assert host.link.heard.size == 0


class RaisingVad(LoudVad):
    def judge(self, streams: Any, windows: Any) -> Any:
        raise RuntimeError("no ears")


class ShortVad(LoudVad):
    def judge(self, streams: Any, windows: Any) -> Any:
        return np.zeros(0, np.float32)


class StrangeVad(LoudVad):
    def judge(self, streams: Any, windows: Any) -> Any:
        return ["loud"] * len(streams)


class PieceVad:
    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def vad(self, audio: Any, options: Any) -> Any:
        if self.fails:
            raise RuntimeError("no ears")
        return VAD.vad(audio, options)

    def warmup(self) -> None:
        """Nothing to do."""


@pytest.mark.parametrize("model", [RaisingVad(), ShortVad(), StrangeVad(), PieceVad(fails=True)])
async def test_a_detector_that_fails_is_reported_and_the_session_goes_on(model: Any) -> None:
    async with Host(replier(lambda audio: tone(1), model=model)) as host:
        host.speak(1.0)
        await host.event("handler_failed")
        assert "turn_committed" not in host.names(), "no speech for ever"
        host.session.trigger_response()
        await host.event("playback_finished", turn=1)
        assert host.link.heard.size == 480


async def test_a_detector_of_pieces_works() -> None:
    got: list[Any] = []

    def reply(audio: Any) -> Any:
        got.append(audio)
        return tone(1)

    async with Host(replier(reply, model=PieceVad())) as host:
        tick = IN_HZ // 50
        loud, quiet = np.full(tick, LOUD, np.int16), np.zeros(tick, np.int16)
        for _ in range(75):
            host.hear(loud)
            await host.ticks(1)
        for _ in range(200):
            if "turn_committed" in host.names():
                break
            host.hear(quiet)
            await host.ticks(1)
        await host.event("playback_finished", turn=1)
    assert np.count_nonzero(got[0][1] == LOUD) == 75 * tick


# ---- turns on request -----------------------------------------------------------------------------------------


async def test_trigger_in_silence_calls_with_nothing() -> None:
    got: list[Any] = []

    def reply(audio: Any) -> Any:
        got.append(audio)
        return tone(1)

    async with Host(replier(reply)) as host:
        host.session.trigger_response()
        committed = await host.event("turn_committed", reason="trigger")
        assert committed["start_s"] == committed["end_s"]
        await host.event("playback_finished", turn=1)
    assert got[0][1].shape == (1, 0)


async def test_trigger_while_speaking_calls_with_what_was_said() -> None:
    got: list[Any] = []

    def reply(audio: Any) -> Any:
        got.append(audio)
        return tone(1)

    handler = replier(reply)
    async with Host(handler) as host:
        host.speak(1.0, pause=0.0)
        await host.event("user_started_speaking")
        handler.trigger_response()
        await host.event("playback_finished", turn=1)
    assert np.count_nonzero(got[0][1]) == IN_HZ


async def test_trigger_over_a_reply_begins_another() -> None:
    begun: list[int] = []
    closed: list[int] = []

    def reply(audio: Any) -> Iterator[Any]:
        turn = len(begun) + 1
        begun.append(turn)
        try:
            for _ in range(1000 if turn == 1 else 2):
                yield tone(1, turn)
        finally:
            closed.append(turn)

    async with Host(replier(reply)) as host:
        host.session.trigger_response()
        await host.event("first_audio", turn=1)
        host.session.receive_message(json.dumps({"type": "trigger_response"}))
        interrupted = await host.event("reply_interrupted", turn=1)
        assert interrupted["reason"] == "trigger"
        await host.event("playback_finished", turn=2)
        await host.until(lambda: sorted(closed) == [1, 2])
    after = host.link.heard.tolist()
    assert 1 not in after[after.index(2) :]


async def test_the_client_may_stop_a_reply() -> None:
    closed = threading.Event()

    def reply(audio: Any) -> Iterator[Any]:
        try:
            while True:
                yield tone(1)
        finally:
            closed.set()

    async with Host(replier(reply)) as host:
        host.speak()
        await host.event("first_audio", turn=1)
        host.session.receive_message(json.dumps({"type": "stop_reply"}))
        assert (await host.event("reply_interrupted", turn=1))["reason"] == "client"
        await host.until(closed.is_set)


async def test_muted_hears_nothing() -> None:
    async with Host(replier(lambda audio: tone(1))) as host:
        host.session.receive_message(json.dumps({"type": "mute", "data": True}))
        await host.ticks(2)
        host.speak()
        await host.ticks(3)
        assert "user_started_speaking" not in host.names()
        host.session.receive_message(json.dumps({"type": "mute", "data": False}))
        await host.ticks(2)
        host.speak()
        await host.event("playback_finished", turn=1)


# ---- greetings ------------------------------------------------------------------------------------------------


def greeting() -> Iterator[Any]:
    yield tone(2, 11)


async def async_greeting() -> AsyncIterator[Any]:
    yield tone(2, 11)


@pytest.mark.parametrize("startup_fn", [greeting, async_greeting, lambda: tone(2, 11)])
async def test_a_greeting_comes_first(startup_fn: Any) -> None:
    async with Host(replier(lambda audio: tone(1, 12), startup_fn=startup_fn)) as host:
        await host.event("playback_finished", turn=1)
        host.speak()
        await host.event("playback_finished", turn=2)
        assert host.link.heard.tolist() == [11] * 960 + [12] * 480


async def test_a_greeting_may_be_interrupted() -> None:
    def long_greeting() -> Iterator[Any]:
        while True:
            yield tone(1, 11)

    async with Host(replier(lambda audio: tone(1, 12), startup_fn=long_greeting)) as host:
        await host.event("first_audio", turn=1)
        host.speak(1.0)
        await host.event("reply_interrupted", turn=1)
        await host.event("playback_finished", turn=2)
        heard = host.link.heard.tolist()
        assert heard[-480:] == [12] * 480


async def test_a_greeting_that_fails_is_reported() -> None:
    def broken() -> Any:
        raise ValueError("no words")

    async with Host(replier(lambda audio: tone(1, 12), startup_fn=broken)) as host:
        assert (await host.event("handler_failed"))["message"] == "no words"
        await host.event("playback_finished", turn=1)
        host.speak()
        await host.event("playback_finished", turn=2)


# ---- interruptions --------------------------------------------------------------------------------------------


async def test_an_interrupted_generator_is_closed_where_it_stands() -> None:
    seen: list[str] = []

    def reply(audio: Any) -> Iterator[Any]:
        try:
            while True:
                yield tone(1, 5)
        except GeneratorExit:
            seen.append("GeneratorExit")
            raise
        finally:
            seen.append("finally")

    async with Host(replier(reply)) as host:
        host.speak()
        await host.event("first_audio", turn=1)
        host.speak(1.0, pause=0.0)
        await host.event("reply_interrupted", turn=1)
        await host.until(lambda: seen == ["GeneratorExit", "finally"])


async def test_an_interrupted_async_generator_is_cancelled_where_it_waits() -> None:
    seen: list[str] = []

    async def reply(audio: Any) -> AsyncIterator[Any]:
        try:
            yield tone(50, 5)
            await asyncio.sleep(3600)
            yield tone(1, 5)
        except asyncio.CancelledError:
            seen.append("CancelledError")
            raise
        finally:
            seen.append("finally")

    async with Host(replier(reply), settings=SessionSettings(reply_ahead_ms=60_000)) as host:
        host.speak()
        await host.event("first_audio", turn=1)
        host.speak(1.0, pause=0.0)
        await host.event("reply_interrupted", turn=1)
        await host.until(lambda: seen == ["CancelledError", "finally"])


async def test_an_interrupted_async_generator_is_closed_by_the_task_that_ran_it() -> None:
    tasks: list[Any] = []

    async def reply(audio: Any) -> AsyncIterator[Any]:
        tasks.append(asyncio.current_task())
        try:
            while True:
                yield tone(1, 5)
        finally:
            tasks.append(asyncio.current_task())

    async with Host(replier(reply)) as host:
        host.speak()
        await host.event("first_audio", turn=1)
        host.speak(1.0, pause=0.0)
        await host.event("reply_interrupted", turn=1)
        await host.until(lambda: len(tasks) == 2)
    assert tasks[0] is tasks[1]


async def test_a_generator_that_blocks_is_left_behind_and_closed_later() -> None:
    release, closed = threading.Event(), threading.Event()
    turns: list[int] = []

    def reply(audio: Any) -> Iterator[Any]:
        turns.append(1)
        turn = len(turns)
        try:
            yield tone(50, turn)
            if turn == 1:
                release.wait(TIMEOUT_S)
                yield tone(50, turn)
        finally:
            if turn == 1:
                closed.set()

    async with Host(replier(reply), settings=SessionSettings(reply_ahead_ms=60_000)) as host:
        host.speak()
        await host.event("first_audio", turn=1)
        host.speak(1.0)
        await host.event("first_audio", turn=2)
        assert not closed.is_set()
        release.set()
        await host.event("playback_finished", turn=2)
        await host.until(closed.is_set)
        heard = host.link.heard.tolist()
        assert 1 not in heard[heard.index(2) :], "stale audio"


async def test_a_session_may_end_in_the_middle_of_a_reply() -> None:
    closed = threading.Event()

    def reply(audio: Any) -> Iterator[Any]:
        try:
            while True:
                yield tone(10)
        finally:
            closed.set()

    async with Host(replier(reply)) as host:
        host.speak()
        await host.event("first_audio", turn=1)
    assert closed.wait(TIMEOUT_S)


async def test_events_come_in_their_order() -> None:
    async with Host(replier(lambda audio: tone(2))) as host:
        host.speak()
        await host.event("playback_finished", turn=1)
    assert host.names() == [
        "session_started",
        "user_started_speaking",
        "user_stopped_speaking",
        "turn_committed",
        "reply_started",
        "first_audio",
        "playback_started",
        "playback_finished",
        "session_closed",
    ]
    times = [event["at_s"] for event in host.events[1:-1]]
    assert times == sorted(times)


async def test_a_reply_waits_when_it_is_far_ahead() -> None:
    yielded = 0

    def reply(audio: Any) -> Iterator[Any]:
        nonlocal yielded
        while True:
            yielded += 1
            yield tone(1)

    async with Host(replier(reply), settings=SessionSettings(reply_ahead_ms=200)) as host:
        host.speak()
        await host.until(lambda: len(host.link.played) >= 5)
        played = len(host.link.played)
        assert yielded <= played + 10 + 3


# ---- the class itself -----------------------------------------------------------------------------------------


async def test_a_copy_has_the_same_settings() -> None:
    handler = ReplyOnPause(
        generator,
        startup_fn=greeting,
        algo_options=AlgoOptions(pre_roll_s=0.2),
        model_options="options",
        can_interrupt=False,
        output_sample_rate=16_000,
        input_sample_rate=8000,
        model=VAD,
        needs_args=True,
        on_interrupt=print,
        idle_fn=greeting,
    )
    twin = handler.copy()
    names = set(vars(handler)) - {"args_set", "channel_set", "_making_alone"}
    assert {name: getattr(twin, name) for name in names} == {name: getattr(handler, name) for name in names}
    assert twin.args_set is not handler.args_set


async def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="str"):
        ReplyOnPause("function")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fn", "more"),
    [
        (lambda audio: None, False),
        (lambda audio, name: None, True),
        (lambda audio, name=None: None, True),
        (lambda *args: None, False),
        (partial(lambda value, audio: None, 1), False),
        (Methods().sync, False),
        (max, False),
    ],
)
async def test_who_needs_inputs(fn: Any, more: bool) -> None:
    assert takes_more_than_audio(fn) is more


async def test_idle_time_calls_the_idle_function() -> None:
    options = AlgoOptions(shortest_silence_s=0.2, longest_silence_s=0.2, idle_timeout_s=3.0)
    handler = replier(lambda audio: tone(1), algo_options=options, idle_fn=lambda: tone(1, 77))
    async with Host(handler) as host:
        host.hear(np.zeros(3 * IN_HZ, np.int16))
        await host.event("playback_finished", turn=1)
        assert set(host.link.heard.tolist()) == {77}


async def test_idle_time_ends_the_session_without_an_idle_function() -> None:
    options = AlgoOptions(idle_timeout_s=3.0)
    async with Host(replier(lambda audio: tone(1), algo_options=options)) as host:
        host.hear(np.zeros(3 * IN_HZ, np.int16))
        await host.until(lambda: host.closed)
        assert host.events[-1]["reason"] == "idle_timeout"


async def test_an_interruption_is_told_with_what_was_heard() -> None:
    told: list[Any] = []

    def reply(audio: Any) -> Iterator[Any]:
        while True:
            yield tone(1)

    async with Host(replier(reply, on_interrupt=told.append)) as host:
        host.speak()
        await host.until(lambda: len(host.link.played) >= 10)
        host.speak(1.0, pause=0.0)
        interrupted = await host.event("reply_interrupted", turn=1)
        await host.until(lambda: told)
        assert told[0].interrupted
        assert told[0].heard_seconds == pytest.approx(interrupted["heard_s"])
        assert interrupted["heard_s"] >= 0.18


async def test_an_interruption_callback_that_fails_is_reported() -> None:
    def reply(audio: Any) -> Iterator[Any]:
        while True:
            yield tone(1)

    def broken(reply: Any) -> None:
        raise ValueError("callback")

    async with Host(replier(reply, on_interrupt=broken, algo_options=QUICK)) as host:
        host.speak()
        await host.event("first_audio", turn=1)
        host.speak(1.0, pause=0.0)
        await host.event("handler_failed", message="callback")
