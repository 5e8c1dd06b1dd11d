"""Shows the client what user code gives: one image at a time, at a steady rate where the rate is ours to choose."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastrtc.handlers.camera import Darkroom
from fastrtc.handlers.ports import Speaker
from fastrtc.handlers.supervisor import await_supervised, run_supervised
from fastrtc.handlers.video import checked_picture
from fastrtc.link import VideoLink
from fastrtc.outputs import AdditionalOutputs, CloseStream, split_output

LAST_IMAGE_S = 0.3
GOODBYE = "The video is over"


class Pace:
    """When the next image is due.

    Args:
        fps: Images per second.
    """

    def __init__(self, fps: float) -> None:
        self._period_s = 1.0 / fps
        self._due_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """How long to wait before asking for the next image. What is late is not made up for."""
        if self._due_s is None:
            self._due_s = now_s
        self._due_s = max(self._due_s + self._period_s, now_s)
        return self._due_s - now_s


class Canvas:
    """Takes one value of user code at a time.

    Args:
        link: Where images go; None: the client wants none.
        speaker: Where everything else goes.
    """

    def __init__(self, link: VideoLink | None, speaker: Speaker) -> None:
        self._link = link
        self._speaker = speaker
        self.over = False

    def show(self, value: Any) -> None:
        """Send what a function of video gave. Not on the loop or the media clock.

        Raises:
            VideoFormatError: It cannot be sent.
        """
        image, beside = split_output(value)
        if image is not None and self._link is not None and not self.over:
            self._link.write_video(checked_picture(image))
        if isinstance(beside, AdditionalOutputs):
            self._speaker.give(beside)
        elif isinstance(beside, CloseStream):
            self.end(beside.msg)

    def end(self, message: str) -> None:
        """No more images will come: end the session."""
        if not self.over:
            self.over = True
            self._speaker.hang_up(message)


class SyncProjector:
    """Asks a plain function for images; :meth:`run` is a job for a thread of its own.

    Args:
        emit: Gives a value; raises ``StopIteration`` after the last.
        canvas: Shows it.
        pace: How often.
        speaker: Told of errors.
    """

    def __init__(self, emit: Callable[[], Any], canvas: Canvas, pace: Pace, speaker: Speaker) -> None:
        self._emit = emit
        self._canvas = canvas
        self._pace = pace
        self._speaker = speaker
        self._closed = threading.Event()

    def close(self) -> None:
        """Ask no more; any thread."""
        self._closed.set()

    def run(self) -> None:
        """Until the session or the video is over."""
        while not self._closed.is_set() and not self._canvas.over:
            run_supervised(self._one, self._report)
            self._closed.wait(self._pace.wait_s(time.monotonic()))

    def _one(self) -> None:
        try:
            value = self._emit()
        except StopIteration:
            if not self._closed.wait(LAST_IMAGE_S):
                self._canvas.end(GOODBYE)
            return
        if not self._closed.is_set():
            self._canvas.show(value)

    def _report(self, error: BaseException) -> None:
        if not self._closed.is_set():  # what the handler raises when it is woken at the end concerns nobody
            self._speaker.report(error, None)


class AsyncProjector:
    """The same for a coroutine function; :meth:`run` is a task.

    Args:
        emit: Gives a value; raises ``StopAsyncIteration`` after the last.
        canvas: Shows it.
        pace: How often.
        speaker: Told of errors.
        darkroom: Converts images.
    """

    def __init__(
        self, emit: Callable[[], Awaitable[Any]], canvas: Canvas, pace: Pace, speaker: Speaker, darkroom: Darkroom
    ) -> None:
        self._emit = emit
        self._canvas = canvas
        self._pace = pace
        self._speaker = speaker
        self._darkroom = darkroom

    async def run(self) -> None:
        """Until the video is over or the task is cancelled."""
        while not self._canvas.over:
            await await_supervised(self._one(), self._report)
            await asyncio.sleep(self._pace.wait_s(time.monotonic()))

    async def _one(self) -> None:
        try:
            value = await self._emit()
        except StopAsyncIteration:
            await asyncio.sleep(LAST_IMAGE_S)
            self._canvas.end(GOODBYE)
            return
        if value is not None:
            await self._darkroom.develop(lambda: self._canvas.show(value))

    def _report(self, error: BaseException) -> None:
        self._speaker.report(error, None)
