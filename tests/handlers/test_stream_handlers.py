"""``StreamHandler`` and ``AsyncStreamHandler`` in a session: frames in, values out, blocking, errors, endings."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from tests.handlers.kit import IN_HZ, OUT_HZ, TIMEOUT_S, Host, tone

from fastrtc.context import get_current_context
from fastrtc.errors import ConfigurationError, SessionEndedError
from fastrtc.handlers.base import AsyncStreamHandler, StreamHandler, StreamHandlerBase
from fastrtc.outputs import AdditionalOutputs, CloseStream
from fastrtc.session import Session, SessionSettings
from fastrtc.transports.memory import MemoryLink

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_thread_left")]

IN_TICK = IN_HZ // 50


class Sync(StreamHandler):
    """Counts; subclasses do the rest."""

    def __init__(self, **options: Any) -> None:
        super().__init__(input_sample_rate=IN_HZ, output_sample_rate=OUT_HZ, **options)
        self.calls: Counter[str] = Counter()
        self.threads: dict[str, str] = {}

    def receive(self, frame: Any) -> None:
        self.calls["receive"] += 1

    def emit(self) -> Any:
        self.calls["emit"] += 1
        return None

    def copy(self) -> Sync:
        return type(self)()

    def shutdown(self) -> None:
        self.calls["shutdown"] += 1


class Async(AsyncStreamHandler):
    def __init__(self, **options: Any) -> None:
        super().__init__(input_sample_rate=IN_HZ, output_sample_rate=OUT_HZ, **options)
        self.calls: Counter[str] = Counter()

    async def receive(self, frame: Any) -> None:
        self.calls["receive"] += 1

    async def emit(self) -> Any:
        self.calls["emit"] += 1
        return None

    def copy(self) -> Async:
        return type(self)()

    async def shutdown(self) -> None:
        self.calls["shutdown"] += 1


# ---- echoes ---------------------------------------------------------------------------------------------------


class BlockingEcho(Sync):
    """The guide's: ``return self.queue.get()``."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: queue.Queue[Any] = queue.Queue()

    def receive(self, frame: Any) -> None:
        rate, samples = frame
        self.queue.put((rate, samples))

    def emit(self) -> Any:
        return self.queue.get()


class PollingEcho(BlockingEcho):
    def emit(self) -> Any:
        self.calls["emit"] += 1
        try:
            return self.queue.get_nowait()
        except queue.Empty:
            return None


class AsyncEcho(Async):
    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    async def receive(self, frame: Any) -> None:
        await self.queue.put(frame)

    async def emit(self) -> Any:
        return await self.queue.get()


class AsyncPollingEcho(AsyncEcho):
    async def emit(self) -> Any:
        return None if self.queue.empty() else self.queue.get_nowait()


ECHOES = [BlockingEcho, PollingEcho, AsyncEcho, AsyncPollingEcho]


@pytest.mark.parametrize("kind", ECHOES)
async def test_an_echo_says_what_it_heard(kind: Any) -> None:
    async with Host(kind()) as host:
        host.hear(np.full(10 * IN_TICK, 3000, np.int16))
        await host.until(lambda: host.link.heard.size >= 9 * OUT_HZ // 50)
        assert np.median(host.link.heard) == pytest.approx(3000, abs=2)
        assert host.messages("error") == []


@pytest.mark.parametrize("kind", ECHOES)
async def test_an_echo_that_heard_nothing_leaves_no_thread(kind: Any) -> None:
    async with Host(kind()) as host:
        await host.ticks(3)


class ConditionEcho(Sync):
    """Waits in a loop that nothing wakes."""

    def __init__(self) -> None:
        super().__init__()
        self.condition = threading.Condition()

    def emit(self) -> Any:
        with self.condition:
            while True:
                self.condition.wait(0.05)


class SpinningEcho(Sync):
    def emit(self) -> Any:
        while True:
            time.sleep(0.001)


@pytest.mark.parametrize("kind", [ConditionEcho, SpinningEcho])
async def test_an_emit_without_an_end_leaves_no_thread(kind: Any) -> None:
    async with Host(kind()) as host:
        await host.ticks(3)


class DeafReceive(Sync):
    def receive(self, frame: Any) -> None:
        while True:
            time.sleep(0.001)


async def test_a_receive_without_an_end_leaves_no_thread() -> None:
    async with Host(DeafReceive()) as host:
        host.hear(np.zeros(IN_TICK, np.int16))
        await host.ticks(3)


# ---- frames ---------------------------------------------------------------------------------------------------


class Recorder(Sync):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.frames: list[Any] = []

    def receive(self, frame: Any) -> None:
        self.frames.append(frame)


class AsyncRecorder(Async):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.frames: list[Any] = []

    async def receive(self, frame: Any) -> None:
        self.frames.append(frame)


@pytest.mark.parametrize("kind", [Recorder, AsyncRecorder])
@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2)])
async def test_frames_are_20_ms_whatever_arrives(kind: Any, layout: Any, channels: int) -> None:
    handler = kind(expected_layout=layout)
    sent = np.arange(10 * IN_TICK + 7, dtype=np.int16)
    async with Host(handler) as host:
        for part in np.split(sent, [1, 100, 1000, 1001, 3000]):
            host.hear(part)
            await host.ticks(1)
        await host.until(lambda: len(handler.frames) == 10)
    assert {(rate, samples.shape, samples.dtype.name) for rate, samples in handler.frames} == {
        (IN_HZ, (channels, IN_TICK), "int16")
    }
    np.testing.assert_array_equal(np.concatenate([samples[0] for _, samples in handler.frames]), sent[: 10 * IN_TICK])


@pytest.mark.parametrize("kind", [Recorder, AsyncRecorder])
async def test_frames_come_at_the_handlers_rate(kind: Any) -> None:
    handler = kind()
    async with Host(handler, rate_in_hz=48_000) as host:
        for _ in range(20):
            host.hear(np.full(960, 500, np.int16))
        await host.until(lambda: len(handler.frames) >= 19)
    assert handler.frames[10][1].shape == (1, IN_TICK)
    np.testing.assert_allclose(handler.frames[10][1], 500, atol=1)


async def test_a_receive_that_cannot_keep_up_loses_the_oldest() -> None:
    release, entered = threading.Event(), threading.Event()

    class Slow(Recorder):
        def receive(self, frame: Any) -> None:
            super().receive(frame)
            entered.set()
            release.wait(TIMEOUT_S)

    handler = Slow()
    async with Host(handler) as host:
        host.hear(np.zeros(IN_TICK, np.int16))
        await host.until(entered.is_set)
        for number in range(300):
            host.hear(np.full(IN_TICK, number, np.int16))
        await host.ticks(2)
        release.set()
        await host.until(lambda: handler.frames[-1][1][0, 0] == 299)
    numbers = [int(samples[0, 0]) for _, samples in handler.frames[1:]]
    assert numbers == list(range(200, 300))


# ---- emit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Sync, Async])
async def test_an_emit_that_gives_nothing_is_not_polled_hot(kind: Any) -> None:
    handler = kind()
    async with Host(handler) as host:
        await host.ticks(5)
        before, ticks_before = handler.calls["emit"], host.link.ticks
        await host.ticks(25)
        calls, ticks = handler.calls["emit"] - before, host.link.ticks - ticks_before
    assert 0 < calls <= ticks + 2, "once a tick"


@pytest.mark.parametrize("kind", [Sync, Async])
async def test_nor_while_audio_arrives(kind: Any) -> None:
    handler = kind()
    async with Host(handler) as host:
        await host.ticks(5)
        before, ticks_before = handler.calls["emit"], host.link.ticks
        for _ in range(25):
            host.hear(np.zeros(IN_TICK, np.int16))
            await host.ticks(1)
        calls, ticks = handler.calls["emit"] - before, host.link.ticks - ticks_before
    assert handler.calls["receive"] >= 20
    assert 0 < calls <= 2 * ticks + 2


@pytest.mark.parametrize("base", [Sync, Async])
async def test_outputs_and_media(base: Any) -> None:
    values = [AdditionalOutputs(1), (tone(1, 5), AdditionalOutputs(2)), tone(1, 6)]
    handler = emitting(base, values)
    async with Host(handler) as host:
        await host.until(lambda: host.link.heard.size == 960)
        assert [one.args for one in host.outputs] == [(1,), (2,)]
        assert host.link.heard.tolist() == [5] * 480 + [6] * 480


def emitting(base: Any, values: list[Any], again: Any = None) -> Any:
    """A handler whose ``emit`` gives the values, raising those that are exceptions, and then ``again`` for ever."""

    def take() -> Any:
        value = values.pop(0) if values else again
        if isinstance(value, BaseException):
            raise value
        return value

    if base is Sync:

        class SyncEmitter(Sync):
            def emit(self) -> Any:
                self.calls["emit"] += 1
                return take()

        return SyncEmitter()

    class AsyncEmitter(Async):
        async def emit(self) -> Any:
            self.calls["emit"] += 1
            return take()

    return AsyncEmitter()


@pytest.mark.parametrize("base", [Sync, Async])
async def test_errors_of_emit_are_reported_and_it_is_asked_again(base: Any, caplog: pytest.LogCaptureFixture) -> None:
    handler = emitting(base, [ValueError("no voice"), (OUT_HZ, np.zeros((1, 480), np.int64)), tone(1, 9)])
    async with Host(handler) as host:
        await host.until(lambda: host.link.heard.size == 480)
        failed = await host.event("handler_failed")
        assert failed["message"] == "no voice"
        assert host.messages("error")[0] == "no voice"
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("base", [Sync, Async])
async def test_an_emit_that_always_raises_is_not_polled_hot(base: Any) -> None:
    handler = emitting(base, [], again=ValueError("no voice"))
    async with Host(handler) as host:
        await host.ticks(5)
        before, ticks_before = handler.calls["emit"], host.link.ticks
        await host.ticks(20)
        assert handler.calls["emit"] - before <= 2 * (host.link.ticks - ticks_before) + 2
        assert len(host.messages("error")) <= 3, "not told over and over"


@pytest.mark.parametrize("base", [Sync, Async])
async def test_errors_of_receive_are_reported_and_it_goes_on(base: Any) -> None:
    class SyncBroken(Sync):
        def receive(self, frame: Any) -> None:
            super().receive(frame)
            raise ValueError("no ears")

    class AsyncBroken(Async):
        async def receive(self, frame: Any) -> None:
            await super().receive(frame)
            raise ValueError("no ears")

    handler = SyncBroken() if base is Sync else AsyncBroken()
    async with Host(handler) as host:
        for _ in range(5):
            host.hear(np.zeros(IN_TICK, np.int16))
        await host.event("handler_failed", message="no ears")
        await host.until(lambda: handler.calls["receive"] == 5)
        assert host.messages("error") == ["no ears"]


@pytest.mark.parametrize("base", [Sync, Async])
@pytest.mark.parametrize("again", [None, CloseStream("again"), tone(1)], ids=["none", "close", "audio"])
async def test_close_stream_ends_the_session(base: Any, again: Any) -> None:
    """Whatever ``emit`` gives afterwards."""
    handler = emitting(base, [tone(2), CloseStream("enough")], again=again)
    async with Host(handler) as host:
        await host.until(lambda: host.closed)
        assert host.messages("end_stream") == ["enough"]
        assert host.link.heard.size == 960
    assert handler.calls["shutdown"] == 1


@pytest.mark.parametrize("base", [Sync, Async])
async def test_emit_waits_when_it_is_far_ahead(base: Any) -> None:
    handler = emitting(base, [], again=tone(1))
    async with Host(handler, settings=SessionSettings(stream_ahead_ms=200)) as host:
        await host.until(lambda: len(host.link.played) >= 5)
        assert handler.calls["emit"] <= len(host.link.played) + 10 + 3


@pytest.mark.parametrize("base", [Sync, Async])
async def test_clear_queue_drops_what_waits(base: Any) -> None:
    handler = emitting(base, [tone(500, 100)])
    async with Host(handler) as host:
        await host.until(lambda: len(host.link.played) >= 3)
        handler.clear_queue()
        played = len(host.link.played)
        await host.ticks(5)
        assert len(host.link.played) <= played + 2


# ---- start_up -------------------------------------------------------------------------------------------------


async def test_a_sync_start_up_begins_before_the_first_frame() -> None:
    order: list[str] = []

    class Starting(Sync):
        def start_up(self) -> None:
            order.append("start_up")

        def receive(self, frame: Any) -> None:
            order.append("receive")

    async with Host(Starting()) as host:
        host.hear(np.zeros(IN_TICK, np.int16))
        await host.until(lambda: "receive" in order)
    assert order == ["start_up", "receive"]


async def test_an_async_start_up_begins_before_the_first_frame_and_may_run_for_ever() -> None:
    order: list[str] = []

    class Starting(Async):
        async def start_up(self) -> None:
            order.append("start_up")
            try:
                await asyncio.Event().wait()
            finally:
                order.append("over")

        async def receive(self, frame: Any) -> None:
            order.append("receive")

    async with Host(Starting()) as host:
        host.hear(np.zeros(IN_TICK, np.int16))
        await host.until(lambda: "receive" in order)
    assert order == ["start_up", "receive", "over"]


async def test_a_sync_start_up_may_run_for_ever_and_leaves_no_thread() -> None:
    class Starting(Sync):
        def start_up(self) -> None:
            self.calls["start_up"] += 1
            while True:
                time.sleep(0.001)

    handler = Starting()
    async with Host(handler) as host:
        host.hear(np.zeros(IN_TICK, np.int16))
        await host.until(lambda: handler.calls["receive"])
        await host.until(lambda: handler.calls["emit"])
    assert handler.calls["start_up"] == 1


@pytest.mark.parametrize("base", [Sync, Async])
async def test_a_start_up_that_fails_is_reported(base: Any) -> None:
    class SyncBroken(Sync):
        def start_up(self) -> None:
            raise ValueError("no key")

    class AsyncBroken(Async):
        async def start_up(self) -> None:
            raise ValueError("no key")

    handler = SyncBroken() if base is Sync else AsyncBroken()
    async with Host(handler) as host:
        await host.event("handler_failed", message="no key")
        host.hear(np.zeros(IN_TICK, np.int16))
        await host.until(lambda: handler.calls["receive"])


# ---- inputs, messages, context --------------------------------------------------------------------------------


async def test_wait_for_args_in_start_up() -> None:
    got: list[Any] = []

    class Asking(Async):
        async def start_up(self) -> None:
            await self.wait_for_args()
            got.append(self.latest_args)

    async with Host(Asking()) as host:
        await host.until(lambda: host.messages("send_input"))
        host.session.set_args(["a", 2])
        await host.until(lambda: got)
    assert got == [["__webrtc_value__", "a", 2]]


async def test_wait_for_args_sync_in_emit_and_the_session_ends() -> None:
    raised: list[BaseException] = []

    class Asking(Sync):
        def emit(self) -> Any:
            try:
                self.wait_for_args_sync()
            except SessionEndedError as error:
                raised.append(error)
                raise
            return None

    async with Host(Asking()) as host:
        await host.until(lambda: host.messages("send_input"))
    assert len(raised) >= 1
    assert host.messages("error") == []


async def test_args_may_be_set_from_any_thread() -> None:
    got: list[Any] = []

    class Asking(Async):
        async def start_up(self) -> None:
            for _ in range(3):
                await self.wait_for_args()
                got.append(self.latest_args[1])
                self.reset()

    async with Host(Asking()) as host:
        for number in range(3):
            await host.until(lambda number=number: len(host.messages("send_input")) == number + 1)
            thread = threading.Thread(target=host.session.set_args, args=([number],))
            thread.start()
            await host.until(lambda number=number: len(got) == number + 1)
            thread.join(TIMEOUT_S)
    assert got == [0, 1, 2]


async def test_a_telephone_has_no_inputs_to_wait_for() -> None:
    class Asking(Async):
        async def start_up(self) -> None:
            await self.wait_for_args()
            self.calls["went on"] += 1

    handler = Asking()
    handler.phone_mode = True
    async with Host(handler) as host:
        await host.until(lambda: handler.calls["went on"])
        assert host.messages("send_input") == []


async def test_messages_go_to_the_client() -> None:
    class Talking(Async):
        async def start_up(self) -> None:
            await self.send_message('{"type": "custom", "data": 1}')
            self.send_message_sync('{"type": "custom", "data": 2}')

    async with Host(Talking()) as host:
        await host.until(lambda: host.messages("custom") == [1, 2])


@pytest.mark.parametrize("base", [Sync, Async])
async def test_all_code_knows_its_session(base: Any) -> None:
    got: dict[str, str] = {}

    def note(where: str) -> None:
        got[where] = get_current_context().webrtc_id

    class SyncCode(Sync):
        def start_up(self) -> None:
            note("start_up")

        def receive(self, frame: Any) -> None:
            note("receive")

        def emit(self) -> Any:
            note("emit")

        def shutdown(self) -> None:
            note("shutdown")

    class AsyncCode(Async):
        async def start_up(self) -> None:
            note("start_up")

        async def receive(self, frame: Any) -> None:
            note("receive")

        async def emit(self) -> Any:
            note("emit")

        async def shutdown(self) -> None:
            note("shutdown")

    async with Host(SyncCode() if base is Sync else AsyncCode()) as host:
        host.hear(np.zeros(IN_TICK, np.int16))
        await host.until(lambda: {"start_up", "receive", "emit"} <= set(got))
    assert got == dict.fromkeys(("start_up", "receive", "emit", "shutdown"), "test")


# ---- the classes themselves -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, -50, 16_001, 24_000.0, "24000"])
async def test_rates_that_cannot_work_are_refused(rate: Any) -> None:
    with pytest.raises(ConfigurationError, match="multiple of 50"):
        StreamHandlerBase(output_sample_rate=rate)
    with pytest.raises(ConfigurationError, match="multiple of 50"):
        StreamHandlerBase(input_sample_rate=rate)


async def test_a_frame_size_is_ignored_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="480 samples"):
        handler = StreamHandlerBase(output_sample_rate=24_000, output_frame_size=100)
    assert handler.output_frame_size == 480


@pytest.mark.parametrize(("args", "error"), [("text", TypeError), ((1,), TypeError), ([], ValueError)])
async def test_inputs_must_be_a_list_with_something(args: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        StreamHandlerBase().set_args(args)


async def test_outside_a_session() -> None:
    handler = StreamHandlerBase()
    handler.clear_queue()
    assert handler.channel is None
    handler.send_message_sync("nobody hears this")
    await handler.fetch_args()
    with pytest.raises(RuntimeError, match="session"):
        _ = handler.loop


async def test_a_handler_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="StreamHandlerBase"):
        Session("id", StreamHandlerBase(), MemoryLink())
