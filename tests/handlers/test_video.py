"""Video handlers over a link of the test's own, with ticks that the test gives."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from fastrtc import AdditionalOutputs, AudioVideoStreamHandler, CloseStream, VideoStreamHandler
from fastrtc.context import get_current_context
from fastrtc.errors import ConfigurationError, VideoFormatError
from fastrtc.handlers.camera import WAITING_FRAMES, FrameShelf
from fastrtc.handlers.projector import Pace
from fastrtc.handlers.video import VideoFunction, checked_picture
from fastrtc.session import Session
from fastrtc.transports.memory import MemoryLink

WAIT_S = 15.0


class Frame:
    """A frame that says on which thread it was converted."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.converted_on = ""

    def to_picture(self) -> Any:
        self.converted_on = threading.current_thread().name
        return np.full((4, 6, 3), self.number, np.uint8)


class VideoWire(MemoryLink):
    """A link with pictures; ``until`` waits for what the session does with them."""

    def __init__(self) -> None:
        super().__init__()
        self.incoming: deque[Frame] = deque()
        self.shown: list[Any] = []
        self.ticks = 0
        self._changed = threading.Condition()

    def read_video(self) -> Frame | None:
        return self.incoming.popleft() if self.incoming else None

    def write_video(self, picture: Any) -> None:
        with self._changed:
            self.shown.append(picture.copy())
            self._changed.notify_all()

    def write(self, pcm: Any) -> None:
        with self._changed:
            self.ticks += 1
            self._changed.notify_all()

    def send(self, message: str) -> None:
        with self._changed:
            super().send(message)
            self._changed.notify_all()

    def poke(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait(self, wanted: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(wanted, WAIT_S), "it did not happen"

    async def until(self, wanted: Callable[[], bool]) -> None:
        await asyncio.to_thread(self.wait, wanted)

    @property
    def values(self) -> list[int]:
        return [int(picture[0, 0, 0]) for picture in self.shown]

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in map(json.loads, list(self.messages)) if one["type"] == kind]


def function(call: Any, mode: Any = "send-receive", **options: Any) -> VideoFunction:
    return VideoFunction(VideoStreamHandler(call, **options), mode)


async def started(handler: Any, **options: Any) -> tuple[Session, VideoWire]:
    wire = VideoWire()
    session = Session("a", handler, wire, **options)
    await session.start()
    return session, wire


def test_a_function_gets_each_picture_on_a_thread_of_its_own() -> None:
    threads, contexts = set(), set()

    def brighter(image: Any) -> Any:
        threads.add(threading.current_thread().name)
        contexts.add(get_current_context().webrtc_id)
        return image + 100

    async def scenario() -> None:
        session, wire = await started(function(brighter))
        frames = [Frame(number) for number in range(3)]
        wire.incoming.extend(frames)
        await wire.until(lambda: len(wire.shown) == 3)
        assert wire.values == [100, 101, 102]
        assert threads == {"fastrtc-a-video-in"} == {frame.converted_on for frame in frames}
        assert contexts == {"a"}
        await session.close("over")

    asyncio.run(scenario())


@pytest.mark.parametrize("skip_frames", [True, False])
def test_a_slow_function_loses_the_oldest(skip_frames: bool) -> None:
    busy, go_on, seen = threading.Event(), threading.Event(), []

    def slow(image: Any) -> Any:
        seen.append(int(image[0, 0, 0]))
        if len(seen) == 1:
            busy.set()
            assert go_on.wait(WAIT_S)
        return image

    async def scenario() -> None:
        session, wire = await started(function(slow, skip_frames=skip_frames))
        wire.incoming.append(Frame(0))
        assert await asyncio.to_thread(busy.wait, WAIT_S)
        ticks = wire.ticks
        wire.incoming.extend(Frame(number) for number in range(1, 20))
        await wire.until(lambda: not wire.incoming and wire.ticks > ticks + 5)  # sound went on meanwhile
        go_on.set()
        kept = 1 if skip_frames else WAITING_FRAMES
        await wire.until(lambda: len(wire.shown) == 1 + kept)
        assert wire.values == [0, *range(20 - kept, 20)]
        assert session._video is not None
        assert session._video.dropped_frames == 19 - kept
        await session.close("over")

    asyncio.run(scenario())


def test_a_function_that_never_returns_harms_no_other_session_and_does_not_hold_up_the_end() -> None:
    stuck, never = threading.Event(), threading.Event()

    def blocks(image: Any) -> Any:
        stuck.set()
        while not never.is_set():
            time.sleep(0.01)
        return image

    async def scenario() -> None:
        bad, bad_wire = await started(function(blocks))
        bad_wire.incoming.append(Frame(1))
        assert await asyncio.to_thread(stuck.wait, WAIT_S)
        good, wire = await started(function(lambda image: image))
        wire.incoming.extend(Frame(number) for number in range(4))
        await wire.until(lambda: len(wire.shown) == 4)
        await good.close("over")
        await asyncio.wait_for(bad.close("over"), WAIT_S)

    asyncio.run(scenario())


def test_an_error_is_reported_and_the_video_goes_on() -> None:
    def picky(image: Any) -> Any:
        if image[0, 0, 0] == 1:
            raise RuntimeError("not this one")
        return image[..., 0] if image[0, 0, 0] == 2 else image

    async def scenario() -> None:
        session, wire = await started(function(picky))
        wire.incoming.extend(Frame(number) for number in range(4))
        await wire.until(lambda: len(wire.shown) == 2)
        assert wire.values == [0, 3]
        assert [one["message"] for one in wire.sent("error")] == ["not this one"]
        await session.close("over")

    asyncio.run(scenario())


def test_an_async_function_runs_on_the_loop() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        async def double(image: Any) -> Any:
            assert asyncio.get_running_loop() is loop
            await asyncio.sleep(0)
            return image * 2

        session, wire = await started(function(double))
        frame = Frame(21)
        wire.incoming.append(frame)
        await wire.until(lambda: bool(wire.shown))
        assert wire.values == [42]
        assert frame.converted_on == "fastrtc-a-video-in"
        await session.close("over")

    asyncio.run(scenario())


def test_inputs_follow_the_picture_and_outputs_leave_beside_it() -> None:
    got: list[Any] = []
    outputs: list[Any] = []

    def detect(image: Any, threshold: float = 0.5) -> Any:
        got.append(threshold)
        return image, AdditionalOutputs(threshold)

    async def scenario() -> None:
        session, wire = await started(function(detect), on_outputs=outputs.append)
        assert len(wire.sent("send_input")) == 1
        wire.incoming.append(Frame(1))
        await wire.until(lambda: len(wire.shown) == 1)
        for count, inputs in enumerate(([0.7], [None, 0.8]), 2):
            session.set_args(inputs)
            wire.incoming.append(Frame(1))
            await wire.until(lambda count=count: len(wire.shown) == len(wire.sent("fetch_output")) == count)
        assert got == [0.5, 0.7, 0.8]
        await session.close("over")
        assert [one.args for one in outputs] == [(0.5,), (0.7,), (0.8,)]

    asyncio.run(scenario())


def test_pictures_pass_while_needed_inputs_miss() -> None:
    async def scenario() -> None:
        session, wire = await started(function(lambda image, shift: image + shift))
        wire.incoming.append(Frame(1))
        await wire.until(lambda: len(wire.shown) == 1)
        session.set_args([50])
        wire.incoming.append(Frame(1))
        await wire.until(lambda: len(wire.shown) == 2)
        assert wire.values == [1, 51]
        await session.close("over")

    asyncio.run(scenario())


def test_send_only_gives_outputs_and_no_picture() -> None:
    outputs: list[Any] = []

    async def scenario() -> None:
        wire = VideoWire()

        def put(given: Any) -> None:
            outputs.append(given)
            wire.poke()

        handler = function(lambda image: (image, AdditionalOutputs(int(image[0, 0, 0]))), mode="send")
        session = Session("a", handler, wire, on_outputs=put)
        await session.start()
        wire.incoming.extend(Frame(number) for number in range(3))
        await wire.until(lambda: len(outputs) == 3)
        assert [one.args[0] for one in outputs] == [0, 1, 2]
        assert wire.shown == []
        await session.close("over")

    asyncio.run(scenario())


def sync_film(count: int) -> Iterator[Any]:
    for number in range(count):
        yield np.full((2, 2, 3), number, np.uint8)


async def async_film(count: int) -> AsyncIterator[Any]:
    for number in range(count):
        yield np.full((2, 2, 3), number, np.uint8)


@pytest.mark.parametrize("film", [sync_film, async_film])
def test_a_generator_begins_with_its_inputs_and_ends_the_session(film: Any) -> None:
    async def scenario() -> None:
        session, wire = await started(function(film, mode="receive", fps=200))
        assert len(wire.sent("send_input")) == 1
        session.set_args([5])
        await wire.until(lambda: bool(wire.sent("end_stream")))
        assert wire.values == [0, 1, 2, 3, 4]
        await session.close("over")

    asyncio.run(scenario())


def test_close_stream_ends_the_session() -> None:
    async def scenario() -> None:
        _, wire = await started(function(lambda image: CloseStream("enough")))
        wire.incoming.append(Frame(0))
        await wire.until(lambda: bool(wire.sent("end_stream")))
        assert wire.sent("end_stream")[0]["data"] == "enough"

    asyncio.run(scenario())


class Both(AudioVideoStreamHandler):
    """Gives each picture back, and blocks in ``video_emit`` for ever when there is none."""

    def __init__(self) -> None:
        super().__init__(fps=100)

        self.pictures: queue.Queue[Any] = queue.Queue()
        self.sounds: queue.Queue[Any] = queue.Queue()

    def copy(self) -> Both:
        return Both()

    def receive(self, frame: Any) -> None:
        self.sounds.put(frame)

    def emit(self) -> Any:
        return self.sounds.get()

    def video_receive(self, frame: Any) -> None:
        self.pictures.put(frame)

    def video_emit(self) -> Any:
        return np.flip(self.pictures.get(), axis=0)  # fails when it is woken with None


def test_a_handler_of_both_that_blocks_can_be_closed() -> None:
    async def scenario() -> None:
        session, wire = await started(Both())
        wire.incoming.extend(Frame(number) for number in range(3))
        await wire.until(lambda: len(wire.shown) == 3)
        assert wire.values == [0, 1, 2]
        await asyncio.wait_for(session.close("over"), WAIT_S)
        assert wire.sent("error") == []
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("fastrtc-a-video")]
        assert names == []

    asyncio.run(scenario())


def test_a_shelf_keeps_the_newest() -> None:
    for newest_only, kept in ((True, 1), (False, WAITING_FRAMES)):
        shelf = FrameShelf(newest_only)
        for number in range(10):
            shelf.add(Frame(number))
        taken = [frame.number for frame in iter(shelf.take, None) if isinstance(frame, Frame)]
        assert taken == list(range(10 - kept, 10))
        assert shelf.dropped == 10 - kept


def test_pace_waits_for_the_next_slot_and_makes_up_for_nothing() -> None:
    pace = Pace(10)
    assert pace.wait_s(100.0) == pytest.approx(0.1)
    assert pace.wait_s(100.13) == pytest.approx(0.07)
    assert pace.wait_s(105.0) == 0.0
    assert pace.wait_s(105.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_what_is_no_picture_is_refused(wrong: Any) -> None:
    with pytest.raises(VideoFormatError):
        checked_picture(wrong)


@pytest.mark.parametrize("options", [{"callable": 3}, {"callable": len, "fps": 0}])
def test_what_cannot_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        VideoFunction(VideoStreamHandler(**options), "send-receive")
