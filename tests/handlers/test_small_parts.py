"""The small parts that drivers are made of: workers, flags, frames, voices, supervisors, queues."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar, copy_context
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import AudioFormatError, SessionEndedError
from fastrtc.handlers.flag import ThreadSafeEvent
from fastrtc.handlers.frames import MAX_WAITING_FRAMES, FrameQueue
from fastrtc.handlers.reply import values_of
from fastrtc.handlers.supervisor import await_supervised, run_supervised
from fastrtc.handlers.voice import Voice
from fastrtc.handlers.wait import wait_for_item
from fastrtc.handlers.worker import Worker
from fastrtc.outputs import AdditionalOutputs, CloseStream

TIMEOUT_S = 10.0

pytestmark = pytest.mark.usefixtures("no_thread_left")


# ---- worker ---------------------------------------------------------------------------------------------------


def test_a_worker_runs_jobs_in_order_on_one_thread() -> None:
    worker = Worker("test", copy_context())
    done: list[tuple[int, str]] = []
    for number in range(20):
        worker.submit(lambda number=number: done.append((number, threading.current_thread().name)))
    worker.stop()
    assert worker.join(TIMEOUT_S)
    assert done == [(number, "test") for number in range(20)]
    assert not worker.busy


def test_a_worker_without_jobs_has_no_thread() -> None:
    before = threading.active_count()
    worker = Worker("test", copy_context())
    assert threading.active_count() == before
    assert worker.join(0.0)
    worker.stop()
    worker.interrupt()


def test_a_worker_is_busy_while_it_works() -> None:
    worker = Worker("test", copy_context())
    inside, release = threading.Event(), threading.Event()
    worker.submit(inside.set)
    worker.submit(lambda: release.wait(TIMEOUT_S))
    assert inside.wait(TIMEOUT_S)
    assert worker.busy
    assert not worker.join(0.0)
    release.set()
    worker.stop()
    assert worker.join(TIMEOUT_S)
    assert not worker.busy


def test_a_worker_sees_the_variables_of_its_session() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="outside")
    variables = copy_context()
    variables.run(variable.set, "inside")
    worker = Worker("test", variables)
    got: list[str] = []
    worker.submit(lambda: got.append(variable.get()))
    worker.stop()
    assert worker.join(TIMEOUT_S)
    assert got == ["inside"]
    assert variable.get() == "outside"


def test_an_endless_job_can_be_interrupted() -> None:
    worker = Worker("test", copy_context())
    inside, cleaned = threading.Event(), threading.Event()

    def endless() -> None:
        inside.set()
        try:
            while True:
                time.sleep(0.001)
        finally:
            cleaned.set()

    worker.submit(endless)
    assert inside.wait(TIMEOUT_S)
    worker.interrupt()
    assert worker.join(TIMEOUT_S)
    assert cleaned.is_set()
    assert not worker.busy


# ---- the event of two worlds ----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_event_set_on_a_thread_wakes_a_task() -> None:
    event = ThreadSafeEvent()
    event.bind(asyncio.get_running_loop())
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    await asyncio.to_thread(event.set)
    async with asyncio.timeout(TIMEOUT_S):
        assert await waiting
    assert event.is_set()


@pytest.mark.anyio
async def test_an_event_set_by_a_task_wakes_a_thread() -> None:
    event = ThreadSafeEvent()
    event.bind(asyncio.get_running_loop())
    waiting = asyncio.ensure_future(asyncio.to_thread(event.wait_sync, TIMEOUT_S))
    await asyncio.sleep(0)
    event.set()
    assert await waiting


@pytest.mark.anyio
async def test_an_event_that_was_cleared_on_a_thread_waits_again() -> None:
    event = ThreadSafeEvent()
    event.bind(asyncio.get_running_loop())
    event.set()
    await asyncio.to_thread(event.clear)
    assert not event.is_set()
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    event.set()
    async with asyncio.timeout(TIMEOUT_S):
        await waiting


def test_waiting_has_an_end() -> None:
    assert not ThreadSafeEvent().wait_sync(0.0)


def test_an_aborted_event_ends_whoever_waits_or_will() -> None:
    event = ThreadSafeEvent()
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            event.wait_sync(TIMEOUT_S)
        except SessionEndedError as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    event.abort()
    thread.join(TIMEOUT_S)
    assert len(raised) == 1
    with pytest.raises(SessionEndedError):
        event.wait_sync(0.0)


# ---- frames ---------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 700), max_size=30))
def test_frames_hold_every_sample_in_order(sizes: list[int]) -> None:
    frames = FrameQueue(8000, "mono")
    sent = np.arange(sum(sizes)).astype(np.int16)
    got: list[Any] = []
    at = 0
    for size in sizes:
        waiting = frames.add(sent[at : at + size])
        at += size
        taken = frames.take()
        assert waiting == (taken is not None)
        while taken is not None:
            rate, samples = taken
            assert (rate, samples.shape) == (8000, (1, 160))
            got.append(samples[0])
            taken = frames.take()
    joined = np.concatenate(got) if got else np.zeros(0, np.int16)
    np.testing.assert_array_equal(joined, sent[: sent.size // 160 * 160])
    assert frames.dropped == 0


def test_frames_that_nobody_takes_are_dropped_and_counted() -> None:
    frames = FrameQueue(8000, "stereo")
    for number in range(MAX_WAITING_FRAMES + 5):
        frames.add(np.full(160, number, np.int16))
    assert frames.dropped == 5
    taken = frames.take()
    assert taken is not None
    assert taken[1].shape == (2, 160)
    assert taken[1][1, 0] == 5


# ---- voice ----------------------------------------------------------------------------------------------------


class Mouth:
    """A speaker that keeps what it is told."""

    rate_hz = 24_000

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.given: list[Any] = []
        self.hung_up: list[str] = []
        self.takes = True

    def say(self, turn: int, pcm: Any) -> bool:
        if self.takes:
            self.said.append(pcm)
        return self.takes

    def give(self, outputs: Any) -> None:
        self.given.append(outputs)

    def hang_up(self, message: str) -> None:
        self.hung_up.append(message)

    @property
    def samples(self) -> int:
        return sum(pcm.size for pcm in self.said)


def audio(rate: int = 24_000, samples: int = 480) -> tuple[int, Any]:
    return rate, np.full((1, samples), 1000, np.int16)


def test_a_voice_says_and_gives() -> None:
    mouth: Any = Mouth()
    voice = Voice(mouth, 1)
    assert voice.take(None)
    assert voice.take(audio())
    assert voice.take((audio(), AdditionalOutputs(1)))
    assert voice.take(AdditionalOutputs(2))
    assert mouth.samples == 960
    assert [one.args for one in mouth.given] == [(1,), (2,)]
    assert voice.beside is mouth.given[-1]


def test_a_voice_ends_with_close_stream() -> None:
    mouth: Any = Mouth()
    assert not Voice(mouth, 1).take((audio(16_000, 320), CloseStream("bye")))
    assert mouth.hung_up == ["bye"]
    assert mouth.samples == 480, "what the resampler held comes before the end"


def test_a_voice_that_nobody_wants_says_so() -> None:
    mouth: Any = Mouth()
    mouth.takes = False
    assert not Voice(mouth, 1).take(audio())


def test_outputs_arrive_even_where_audio_is_refused() -> None:
    mouth: Any = Mouth()
    mouth.takes = False
    assert not Voice(mouth, 1).take((audio(), AdditionalOutputs(1)))
    assert len(mouth.given) == 1


@given(st.lists(st.tuples(st.sampled_from([8000, 16_000, 24_000, 48_000]), st.integers(0, 900)), max_size=12))
def test_rates_may_change_and_nothing_gets_lost(parts: list[tuple[int, int]]) -> None:
    mouth: Any = Mouth()
    voice = Voice(mouth, 1)
    for rate, samples in parts:
        assert voice.take(audio(rate, samples))
    voice.drain()
    wanted = sum(samples * 24_000 / rate for rate, samples in parts)
    assert abs(mouth.samples - wanted) <= len(parts) + 1


def test_an_empty_piece_is_no_sound() -> None:
    mouth: Any = Mouth()
    voice = Voice(mouth, 1)
    assert voice.take(audio(samples=0))
    assert not voice.spoke
    assert mouth.said == []


# ---- what functions return ------------------------------------------------------------------------------------


def test_values_of_everything_a_plain_function_may_give() -> None:
    assert list(values_of(None)) == []
    assert list(values_of(3)) == [3]
    assert list(values_of((24_000, "x"))) == [(24_000, "x")]
    assert list(values_of(iter([1, 2]))) == [1, 2]
    assert list(values_of([1, 2])) == [[1, 2]]


def test_a_coroutine_from_a_plain_function_is_explained() -> None:
    async def coroutine() -> None: ...

    async def generator() -> Any:
        yield 1

    made = coroutine()
    with pytest.raises(AudioFormatError, match="async def"):
        values_of(made)
    made.close()
    with pytest.raises(AudioFormatError, match="async def"):
        values_of(generator())


# ---- supervisors ----------------------------------------------------------------------------------------------


def test_a_supervisor_reports_and_goes_on() -> None:
    errors: list[BaseException] = []
    assert run_supervised(lambda: None, errors.append)
    assert not run_supervised(lambda: 1 // 0, errors.append)  # type: ignore[arg-type,return-value]
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_a_supervisor_is_silent_about_the_end_of_the_session() -> None:
    def ended() -> None:
        raise SessionEndedError

    errors: list[BaseException] = []
    assert not run_supervised(ended, errors.append)
    assert errors == []


@pytest.mark.anyio
async def test_an_async_supervisor_lets_cancellation_through() -> None:
    errors: list[BaseException] = []

    async def fail(error: BaseException) -> None:
        raise error

    async def succeed() -> None: ...

    assert await await_supervised(succeed(), errors.append)
    assert not await await_supervised(fail(ValueError()), errors.append)
    assert not await await_supervised(fail(SessionEndedError()), errors.append)
    with pytest.raises(asyncio.CancelledError):
        await await_supervised(fail(asyncio.CancelledError()), errors.append)
    assert [type(error) for error in errors] == [ValueError]


# ---- wait_for_item --------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_wait_for_item() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    assert await wait_for_item(queue, 0.001) is None
    queue.put_nowait(1)
    queue.put_nowait(2)
    assert await wait_for_item(queue) == 1
    assert await wait_for_item(queue, 0.0) in (2, None)
    assert queue.qsize() <= 1


@pytest.mark.anyio
async def test_wait_for_item_loses_nothing() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    got: list[int] = []

    async def put_all() -> None:
        for number in range(200):
            queue.put_nowait(number)
            await asyncio.sleep(0)

    putting = asyncio.ensure_future(put_all())
    async with asyncio.timeout(TIMEOUT_S):
        while len(got) < 200:
            item = await wait_for_item(queue, 0.0001)
            if item is not None:
                got.append(item)
    await putting
    assert got == list(range(200))
