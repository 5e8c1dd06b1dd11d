"""A session's life: started once, closed once on every path, alone with its troubles."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.handlers.kit import IN_HZ, OUT_HZ, QUICK, TIMEOUT_S, VAD, Host, Wire, new_threads, replier, tone

import fastrtc.session
from fastrtc.audio import PCM
from fastrtc.clock import MediaClock
from fastrtc.errors import ProtocolError
from fastrtc.handlers.base import AsyncStreamHandler, StreamHandler
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.outputs import AdditionalOutputs, CloseStream
from fastrtc.session import Session, SessionSettings
from fastrtc.transports.memory import MemoryLink
from fastrtc.turns.options import AlgoOptions

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_thread_left")]


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Fails the test if a thread that it started is still there afterwards."""
    before = set(threading.enumerate())
    yield
    assert [thread.name for thread in new_threads(before)] == []


class SyncLife(StreamHandler):
    """Counts what is called in its life."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=IN_HZ, output_sample_rate=OUT_HZ)
        self.calls: Counter[str] = Counter()
        self.next: Any = None

    def receive(self, frame: Any) -> None:
        self.calls["receive"] += 1

    def emit(self) -> Any:
        self.calls["emit"] += 1
        value, self.next = self.next, None
        return value

    def copy(self) -> SyncLife:
        return SyncLife()

    def shutdown(self) -> None:
        self.calls["shutdown"] += 1


class SyncLifeWithAsyncEnd(SyncLife):
    async def shutdown(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.calls["shutdown"] += 1


class AsyncLife(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__(input_sample_rate=IN_HZ, output_sample_rate=OUT_HZ)
        self.calls: Counter[str] = Counter()
        self.next: Any = None

    async def receive(self, frame: Any) -> None:
        self.calls["receive"] += 1

    async def emit(self) -> Any:
        self.calls["emit"] += 1
        value, self.next = self.next, None
        return value

    def copy(self) -> AsyncLife:
        return AsyncLife()

    async def shutdown(self) -> None:
        await asyncio.sleep(0)
        self.calls["shutdown"] += 1


class AsyncLifeWithSyncEnd(AsyncLife):
    def shutdown(self) -> None:  # type: ignore[override]
        self.calls["shutdown"] += 1


class ReplyingLife(ReplyOnPause):
    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.next: Any = None
        super().__init__(self.reply, algo_options=QUICK, model=VAD, input_sample_rate=IN_HZ, output_sample_rate=OUT_HZ)

    def reply(self, audio: Any) -> Iterator[Any]:
        self.calls["reply"] += 1
        yield self.next or tone(1)

    def copy(self) -> ReplyingLife:
        return ReplyingLife()

    def shutdown(self) -> None:
        self.calls["shutdown"] += 1


LIVES = [SyncLife, SyncLifeWithAsyncEnd, AsyncLife, AsyncLifeWithSyncEnd, ReplyingLife]


# ---- shutdown exactly once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", LIVES)
async def test_closed_once(life: Any) -> None:
    handler = life()
    async with Host(handler) as host:
        await host.ticks(2)
    assert handler.calls["shutdown"] == 1
    assert host.closed == [host.session]
    assert host.names()[0] == "session_started"
    await host.until(lambda: host.names()[-1] == "session_closed")
    assert host.names().count("session_closed") == 1
    assert host.link.closed


@pytest.mark.parametrize("life", LIVES)
async def test_closed_by_many_at_once(life: Any) -> None:
    handler = life()
    async with Host(handler) as host:
        await asyncio.gather(*(host.session.close(f"reason {n}") for n in range(5)))
        assert host.session.closed
        assert handler.calls["shutdown"] == 1
        await host.session.close("again")
    assert handler.calls["shutdown"] == 1
    assert [event["reason"] for event in host.events if event["name"] == "session_closed"] == ["reason 0"]


@pytest.mark.parametrize("life", LIVES)
async def test_closed_by_its_own_code(life: Any) -> None:
    handler = life()
    async with Host(handler) as host:
        handler.next = CloseStream("done")
        host.speak()
        await host.until(lambda: host.closed)
        assert host.messages("end_stream") == ["done"]
    assert handler.calls["shutdown"] == 1


@pytest.mark.parametrize("life", LIVES)
async def test_closed_by_the_time_limit(life: Any) -> None:
    handler = life()
    async with Host(handler, settings=SessionSettings(time_limit_s=0.1)) as host:
        await host.until(lambda: host.closed)
        (message,) = host.messages("end_stream")
        assert message == "time_limit_reached"
        assert host.link.ticks <= 8
    assert handler.calls["shutdown"] == 1


async def test_the_time_limit_does_not_wait_for_a_long_reply() -> None:
    closed = threading.Event()

    def endless(audio: Any) -> Iterator[Any]:
        try:
            while True:
                yield tone(10)
        finally:
            closed.set()

    async with Host(replier(endless), settings=SessionSettings(time_limit_s=0.3)) as host:
        host.speak()
        await host.until(lambda: host.closed)
    assert closed.wait(TIMEOUT_S)


@pytest.mark.parametrize("life", LIVES)
async def test_closed_before_it_began(life: Any) -> None:
    handler = life()
    host = Host(handler)
    await host.session.close("changed my mind")
    assert handler.calls["shutdown"] == 1
    assert host.link.closed


@pytest.mark.parametrize("life", LIVES)
async def test_what_is_being_closed_does_not_start_any_more(life: Any) -> None:
    handler = life()
    host = Host(handler)
    closing = asyncio.create_task(host.session.close("cleaned_up"))
    await asyncio.sleep(0)
    await host.session.start()
    await asyncio.wait_for(closing, TIMEOUT_S)
    assert host.session not in host.session._clock.members
    assert "session_started" not in [event["name"] for event in host.events]
    assert handler.calls["shutdown"] == 1


async def test_inputs_that_the_handler_does_not_take_are_its_own_error(caplog: pytest.LogCaptureFixture) -> None:
    class Picky(AsyncLife):
        def set_args(self, args: list[Any]) -> None:
            raise KeyError("colour")

    async with Host(Picky()) as host:
        host.session.receive_message('{"type": "input", "data": ["blue"]}')
        assert [message for message in host.link.messages if "colour" in message]
    assert "KeyError in its handler" in caplog.text


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_shutdown_that_raises(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Sync(SyncLife):
        def shutdown(self) -> None:
            super().shutdown()
            raise ValueError("cannot save")

    class Async(AsyncLife):
        async def shutdown(self) -> None:
            await super().shutdown()
            raise ValueError("cannot save")

    handler = Async() if is_async else Sync()
    async with Host(handler) as host:
        await host.ticks(1)
    assert handler.calls["shutdown"] == 1
    assert host.link.closed
    assert host.closed == [host.session]
    assert "cannot save" in caplog.text


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_shutdown_that_blocks_does_not_hold_the_session_for_ever(
    is_async: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fastrtc.session, "SHUTDOWN_S", 0.05)
    release, ended = threading.Event(), threading.Event()
    async_release = asyncio.Event()

    class Sync(SyncLife):
        def shutdown(self) -> None:
            release.wait(TIMEOUT_S)
            super().shutdown()
            ended.set()

    class Async(AsyncLife):
        async def shutdown(self) -> None:
            await async_release.wait()
            await super().shutdown()
            ended.set()

    handler = Async() if is_async else Sync()
    async with Host(handler) as host:
        await host.ticks(1)
    assert host.link.closed
    assert "shutdown() still runs" in caplog.text
    assert handler.calls["shutdown"] == 0
    release.set()
    async_release.set()
    await asyncio.to_thread(ended.wait, TIMEOUT_S)
    assert handler.calls["shutdown"] == 1


async def test_who_gives_up_waiting_for_the_end_does_not_prevent_it() -> None:
    release = threading.Event()

    class Slow(SyncLife):
        def shutdown(self) -> None:
            release.wait(TIMEOUT_S)
            super().shutdown()

    handler = Slow()
    host = Host(handler)
    await host.session.start()
    closing = asyncio.ensure_future(host.session.close("first"))
    await host.until(lambda: host.session.closed and host.names()[-1] == "session_closed")
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not host.link.closed
    release.set()
    await host.session.close("second")
    assert handler.calls["shutdown"] == 1
    assert host.link.closed
    assert host.closed == [host.session]


async def test_a_shutdown_sees_no_frame_after_it() -> None:
    order: list[str] = []

    class Ordered(SyncLife):
        def receive(self, frame: Any) -> None:
            order.append("receive")

        def shutdown(self) -> None:
            order.append("shutdown")

    async with Host(Ordered()) as host:
        for _ in range(5):
            host.hear(np.zeros(IN_HZ // 50, np.int16))
            await host.ticks(1)
    assert order[-1] == "shutdown"
    assert order.count("shutdown") == 1


# ---- start_up of a ReplyOnPause -------------------------------------------------------------------------------


async def test_a_reply_on_pause_may_have_a_start_up() -> None:
    class Starting(ReplyingLife):
        def start_up(self) -> None:
            self.calls["start_up"] += 1

    handler = Starting()
    async with Host(handler) as host:
        await host.until(lambda: handler.calls["start_up"])
        host.speak()
        await host.event("playback_finished", turn=1)
    assert handler.calls["start_up"] == 1


# ---- subclasses that take part themselves ---------------------------------------------------------------------


class Overriding(ReplyOnPause):
    """A subclass as FastRTC's users write them: it looks at every frame and every value."""

    def __init__(self, fn: Any, **options: Any) -> None:
        super().__init__(
            fn, algo_options=QUICK, model=VAD, input_sample_rate=IN_HZ, output_sample_rate=OUT_HZ, **options
        )
        self.calls: Counter[str] = Counter()

    def receive(self, frame: Any) -> None:
        self.calls["receive"] += 1
        super().receive(frame)

    def emit(self) -> Any:
        value = super().emit()
        self.calls["value"] += value is not None
        return value

    def shutdown(self) -> None:
        self.calls["shutdown"] += 1


def sync_reply(audio: Any) -> Iterator[Any]:
    yield tone(2, 50)
    yield tone(1, 50)


async def async_reply(audio: Any) -> AsyncIterator[Any]:
    yield tone(2, 50)
    await asyncio.sleep(0)
    yield tone(1, 50)


async def async_value(audio: Any) -> Any:
    await asyncio.sleep(0)
    return tone(3, 50)


@pytest.mark.parametrize("fn", [sync_reply, async_reply, async_value, lambda audio: tone(3, 50)])
async def test_a_subclass_that_overrides_receive_and_emit(fn: Any) -> None:
    handler = Overriding(fn)
    async with Host(handler) as host:
        for turn in (1, 2):
            host.speak()
            await host.until(lambda turn=turn: host.link.heard.size == turn * 3 * 480)
        assert host.messages("error") == []
    assert set(host.link.heard.tolist()) == {50}
    assert handler.calls["receive"] >= 100
    assert handler.calls["value"] in (2, 4)
    assert handler.calls["shutdown"] == 1


async def test_such_a_subclass_is_interrupted_in_the_middle_of_a_step() -> None:
    inside, release = threading.Event(), threading.Event()
    closed: list[int] = []

    def reply(audio: Any) -> Iterator[Any]:
        turn = 1 + inside.is_set()
        try:
            if not inside.is_set():
                yield tone(1, 1)
                inside.set()
                release.wait(TIMEOUT_S)
                yield tone(50, 1)
            else:
                yield tone(3, 2)
        finally:
            closed.append(turn)

    handler = Overriding(reply)
    async with Host(handler) as host:
        host.speak()
        await host.until(inside.is_set)
        host.speak(1.0)
        await host.until(lambda: handler.calls["receive"] >= 115)
        before = host.link.heard.size
        release.set()
        await host.until(lambda: 2 in host.link.heard)
        await host.until(lambda: len(closed) == 2)
        assert host.messages("error") == []
        assert 1 not in host.link.heard[before:], "stale audio"


async def test_trigger_response_of_such_a_subclass() -> None:
    got: list[Any] = []

    def reply(audio: Any) -> Any:
        got.append(audio[1].shape)
        return tone(1, 50)

    async with Host(Overriding(reply)) as host:
        host.session.trigger_response()
        await host.until(lambda: host.link.heard.size == 480)
    assert got == [(1, 0)]


# ---- alone with its troubles ----------------------------------------------------------------------------------


class Echo(SyncLife):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def receive(self, frame: Any) -> None:
        self.next = tone(1, 7)


async def goes_on(host: Host, ticks: int = 15) -> None:
    """The session's ticks go on and its code is called."""
    handler: Any = host.session.handler
    await host.ticks(ticks)
    calls = handler.calls["emit"]
    await host.until(lambda: handler.calls["emit"] > calls)


@pytest.mark.parametrize("where", ["start_up", "receive", "emit", "reply", "vad", "shutdown"])
async def test_code_that_blocks_holds_up_nobody_else(where: str) -> None:
    release, inside = threading.Event(), threading.Event()

    def block(*anything: Any) -> Any:
        inside.set()
        release.wait(TIMEOUT_S)

    class PieceVad:
        def vad(self, audio: Any, options: Any) -> Any:
            block()
            return 0.0, []

        def warmup(self) -> None:
            """Nothing to do."""

    blocked: Any
    if where == "reply":
        blocked = replier(block)
    elif where == "vad":
        blocked = replier(lambda audio: None, model=PieceVad())
    else:
        blocked = type("Blocked", (SyncLife,), {where: lambda self, *frame: block()})()
    clock = MediaClock()
    async with Host(SyncLife(), clock=clock) as other:
        host = Host(blocked, clock=clock)
        await host.session.start()
        host.speak(1.0)
        closing = asyncio.ensure_future(host.session.close("over")) if where == "shutdown" else None
        await other.until(inside.is_set)
        await goes_on(other)
        assert inside.is_set()
        assert not release.is_set()
        release.set()
        await (closing or host.session.close("over"))


async def test_code_that_spins_does_not_stop_others() -> None:
    release, inside = threading.Event(), threading.Event()

    def spin(audio: Any) -> None:
        inside.set()
        while not release.is_set():
            sum(range(1000))

    clock = MediaClock()
    async with Host(SyncLife(), clock=clock) as other, Host(replier(spin), clock=clock) as host:
        host.speak()
        await other.until(inside.is_set)
        await goes_on(other)
        release.set()


async def test_an_async_handler_that_blocks_the_loop_does_not_stop_the_audio_of_others() -> None:
    clock = MediaClock()

    class Speaking(SyncLife):
        def emit(self) -> Any:
            return tone(1, 3)

    class Blocking(AsyncLife):
        async def receive(self, frame: Any) -> None:
            before = other.link.ticks
            deadline = time.monotonic() + TIMEOUT_S
            while other.link.ticks < before + 10 and time.monotonic() < deadline:
                time.sleep(0.005)  # noqa: ASYNC251 - this is what a careless user does
            self.calls["others ticked"] = other.link.ticks - before

    handler = Blocking()
    async with Host(Speaking(), clock=clock) as other, Host(handler, clock=clock) as host:
        host.hear(np.zeros(IN_HZ // 50, np.int16))
        await host.until(lambda: handler.calls["others ticked"])
    assert handler.calls["others ticked"] >= 10


class BrokenWire(Wire):
    """A connection that fails after a while."""

    broken = ""

    def write(self, pcm: PCM | None) -> None:
        super().write(pcm)
        if self.broken == "write":
            raise OSError("the wire is cut")

    def read(self) -> PCM | None:
        if self.broken == "read":
            raise OSError("the wire is cut")
        return super().read()


@pytest.mark.parametrize("where", ["read", "write"])
async def test_a_connection_that_fails_ends_its_session_only(where: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = MediaClock()
    handler = SyncLife()
    async with Host(SyncLife(), clock=clock) as other, Host(handler, clock=clock, make_link=BrokenWire) as host:
        await host.ticks(2)
        host.link.broken = where  # type: ignore[attr-defined]
        await other.until(lambda: host.closed)
        await goes_on(other)
    assert handler.calls["shutdown"] == 1
    assert host.events[-1]["reason"] == "the connection failed"
    assert "the wire is cut" in caplog.text


async def test_a_detector_that_fails_for_one_fails_for_none_else() -> None:
    class Broken:
        rate_hz = 16_000
        window_samples = 512

        def new_stream(self) -> object:
            return object()

        def judge(self, streams: Any, windows: Any) -> Any:
            raise RuntimeError("no ears")

        def vad(self, audio: Any, options: Any) -> Any:
            raise RuntimeError("no ears")

        def warmup(self) -> None:
            """Nothing to do."""

    clock = MediaClock()
    async with (
        Host(replier(lambda audio: tone(1), model=Broken()), clock=clock) as broken,
        Host(replier(lambda audio: tone(1)), clock=clock) as other,
    ):
        broken.speak(2.0)
        other.speak()
        await broken.event("handler_failed")
        await other.event("playback_finished", turn=1)


async def test_sessions_share_one_judgement_per_tick() -> None:
    sizes: list[int] = []

    class Counting(type(VAD)):  # type: ignore[misc]
        def judge(self, streams: Any, windows: Any) -> Any:
            sizes.append(len(streams))
            return super().judge(streams, windows)

    model = Counting()
    clock = MediaClock()
    hosts = [Host(replier(lambda audio: tone(1), model=model), clock=clock) for _ in range(5)]
    for host in hosts:
        host.speak()
    for host in hosts:
        await host.session.start()
    for host in hosts:
        await host.event("playback_finished", turn=1)
        await host.session.close("over")
    assert max(sizes) >= 2


# ---- what clients say -----------------------------------------------------------------------------------------


async def test_hello_is_answered_and_events_go_to_those_who_want_them_from_the_first() -> None:
    async with Host(replier(lambda audio: tone(1))) as host:
        host.speak()
        await host.event("playback_finished", turn=1)
        assert host.messages("event") == []
        host.session.receive_message(json.dumps({"type": "hello", "data": {"version": 1, "events": True}}))
        host.session.receive_message(json.dumps({"type": "hello", "data": {"version": 1, "events": True}}))
        host.speak()
        await host.event("playback_finished", turn=2)
        names = [event["name"] for event in host.messages("event")]
        assert names[0] == "session_started"
        assert names.count("session_started") == 1
        assert names.count("playback_finished") == 2
        assert len(host.messages("hello")) == 2


async def test_outputs_go_to_clients_that_understand_them() -> None:
    def reply(audio: Any) -> Iterator[Any]:
        yield AdditionalOutputs("a", {"b": [1]})

    async with Host(replier(reply)) as host:
        host.session.receive_message(json.dumps({"type": "hello", "data": {"version": 1}}))
        host.speak()
        await host.event("playback_finished", turn=1)
        assert host.messages("output") == [["a", {"b": [1]}]]


async def test_the_client_says_what_it_has_played() -> None:
    def endless(audio: Any) -> Iterator[Any]:
        while True:
            yield tone(1)

    async with Host(replier(endless)) as host:
        host.speak()
        await host.until(lambda: len(host.link.played) >= 20)
        host.session.receive_message(json.dumps({"type": "playout", "data": {"turn": 1, "played_ms": 123}}))
        host.session.receive_message(json.dumps({"type": "stop_reply"}))
        interrupted = await host.event("reply_interrupted", turn=1)
        assert interrupted["heard_s"] == pytest.approx(0.123)


async def test_the_client_says_when_it_began_to_play() -> None:
    def endless(audio: Any) -> Iterator[Any]:
        while True:
            yield tone(1)

    async with Host(replier(endless), lead_ms=400, make_link=partial(Wire, delay_ms=1000.0 * TIMEOUT_S)) as host:
        host.speak()
        sent = await host.event("first_audio", turn=1)
        host.session.receive_message(json.dumps({"type": "playout", "data": {"turn": 1, "played_ms": 20}}))
        heard = await host.event("playback_started", turn=1)
    assert heard["acknowledged"]
    wait = heard["latency_ms"]
    assert wait["playout"] == pytest.approx(1000 * (heard["at_s"] - sent["at_s"]), abs=0.2)
    assert wait["total"] == pytest.approx(
        sum(wait[part] for part in ("decision", "call", "first_yield", "playout")), abs=1
    )


async def test_what_is_taken_back_is_not_answered() -> None:
    calls: list[int] = []

    def reply(audio: Any) -> Iterator[Any]:
        calls.append(audio[1].size)
        yield tone(1)

    async with Host(replier(reply, algo_options=AlgoOptions(turn_detection="manual"))) as host:
        host.speak()
        await host.event("user_stopped_speaking")
        host.session.receive_message(json.dumps({"type": "discard_turn"}))
        await host.event("turn_discarded")
        host.session.receive_message(json.dumps({"type": "trigger_response"}))
        await host.event("turn_committed", turn=1)
        await host.until(lambda: bool(calls))
    assert calls == [0]


async def test_any_other_text_is_confirmed() -> None:
    async with Host(SyncLife()) as host:
        host.session.receive_message("hello there")
        assert host.messages("log") == ["Server received: hello there"]


async def test_a_known_message_with_wrong_fields_is_refused() -> None:
    async with Host(SyncLife()) as host:
        with pytest.raises(ProtocolError):
            host.session.receive_message(json.dumps({"type": "mute", "data": "yes"}))
        await host.ticks(2)


async def test_nothing_is_heard_after_the_end() -> None:
    handler = SyncLife()
    host = Host(handler)
    await host.session.start()
    await host.ticks(2)
    await host.session.close("over")
    received = handler.calls["receive"]
    host.hear(np.zeros(IN_HZ, np.int16))
    host.session.pull()
    host.session.push()
    host.session.trigger_response()
    assert handler.calls["receive"] == received
    assert host.names().count("session_closed") == 1


async def test_two_sessions_do_not_mix() -> None:
    def sayer(value: int) -> Any:
        def reply(audio: Any) -> Any:
            return tone(3, value)

        return reply

    clock = MediaClock()
    async with Host(replier(sayer(1)), clock=clock) as one, Host(replier(sayer(2)), clock=clock) as two:
        one.speak()
        two.speak()
        await one.event("playback_finished", turn=1)
        await two.event("playback_finished", turn=1)
        assert set(one.link.heard.tolist()) == {1}
        assert set(two.link.heard.tolist()) == {2}


async def test_the_default_clock_is_shared() -> None:
    handler = SyncLife()
    link = MemoryLink(IN_HZ, OUT_HZ)
    session = Session("id", handler, link)
    await session.start()
    try:
        assert session in fastrtc.session.the_clock.members
    finally:
        await session.close("over")
    assert session not in fastrtc.session.the_clock.members
    assert handler.calls["shutdown"] == 1
