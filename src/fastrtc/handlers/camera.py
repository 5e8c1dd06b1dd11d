"""Takes the client's images to user code, which may be slower than the camera."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from fastrtc.handlers.ports import Home, Speaker
from fastrtc.handlers.supervisor import await_supervised, run_supervised
from fastrtc.handlers.worker import Worker
from fastrtc.link import Picture, VideoFrame, VideoLink

WAITING_FRAMES = 4


class FrameShelf:
    """Frames that wait for user code: the newest only, or a few. The oldest are dropped and counted.

    Args:
        newest_only: Keep one.
    """

    def __init__(self, newest_only: bool) -> None:
        self._frames: deque[VideoFrame] = deque(maxlen=1 if newest_only else WAITING_FRAMES)
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._frames)

    def add(self, frame: VideoFrame) -> None:
        """Put a frame behind the others."""
        if len(self._frames) == self._frames.maxlen:
            self.dropped += 1
        self._frames.append(frame)

    def take(self) -> VideoFrame | None:
        """The oldest frame, if there is one."""
        try:
            return self._frames.popleft()
        except IndexError:
            return None


class Camera:
    """Reads a link's frames at every tick and hands them to ``take`` one after another.

    Args:
        link: Where the frames come from.
        shelf: Where they wait.
    """

    def __init__(self, link: VideoLink, shelf: FrameShelf) -> None:
        self._link = link
        self.shelf = shelf

    def start(self) -> None:
        """Begin; app loop."""

    def tick(self) -> None:
        """Take in what arrived; media clock thread."""
        while (frame := self._link.read_video()) is not None:
            self.shelf.add(frame)

    def close(self) -> None:
        """Start no more user code; app loop."""


class SyncCamera(Camera):
    """The same with a plain function on a thread of its own.

    Args:
        link: Where the frames come from.
        shelf: Where they wait.
        take: Gets each image.
        speaker: Told of errors.
        worker: The thread.
    """

    def __init__(
        self, link: VideoLink, shelf: FrameShelf, take: Callable[[Picture], Any], speaker: Speaker, worker: Worker
    ) -> None:
        super().__init__(link, shelf)
        self._take = take
        self._speaker = speaker
        self._worker = worker
        self._closed = False

    def tick(self) -> None:
        super().tick()
        if self.shelf and not self._worker.busy and not self._closed:
            self._worker.submit(self._take_all)

    def close(self) -> None:
        self._closed = True

    def _take_all(self) -> None:
        while not self._closed and (frame := self.shelf.take()) is not None:
            run_supervised(lambda seen=frame: self._take(seen.to_picture()), self._report)  # type: ignore[misc]

    def _report(self, error: BaseException) -> None:
        if not self._closed:
            self._speaker.report(error, None)


class AsyncCamera(Camera):
    """The same with a coroutine function on the app's loop; images are converted on a thread.

    Args:
        link: Where the frames come from.
        shelf: Where they wait.
        take: Gets each image.
        speaker: Told of errors.
        home: Where user code runs.
        darkroom: Converts images.
    """

    def __init__(
        self,
        link: VideoLink,
        shelf: FrameShelf,
        take: Callable[[Picture], Awaitable[Any]],
        speaker: Speaker,
        home: Home,
        darkroom: Darkroom,
    ) -> None:
        super().__init__(link, shelf)
        self._take = take
        self._speaker = speaker
        self._home = home
        self._darkroom = darkroom
        self._arrived = asyncio.Event()

    def tick(self) -> None:
        super().tick()
        if self.shelf and not self._arrived.is_set():
            self._home.on_loop(self._arrived.set)

    async def run(self) -> None:
        """The task."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while (frame := self.shelf.take()) is not None:
                await await_supervised(self._show(frame), self._report)

    async def _show(self, frame: VideoFrame) -> None:
        await self._take(await self._darkroom.develop(frame.to_picture))

    def _report(self, error: BaseException) -> None:
        self._speaker.report(error, None)


class Darkroom:
    """Converts images of one session for code on the loop.

    Args:
        worker: The thread.
        loop: The app's loop.
    """

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self._worker = worker
        self._loop = loop

    async def develop(self, work: Callable[[], Any]) -> Any:
        """Run ``work`` on the thread and await what it returns or raises."""
        done: asyncio.Future[Any] = self._loop.create_future()

        def run() -> None:
            results: list[Any] = []
            errors: list[BaseException] = []
            run_supervised(lambda: results.append(work()), errors.append)
            self._loop.call_soon_threadsafe(_settle, done, results, errors)

        self._worker.submit(run)
        return await done


def _settle(done: asyncio.Future[Any], results: list[Any], errors: list[BaseException]) -> None:
    if done.done():  # cancelled meanwhile
        return
    if errors:
        done.set_exception(errors[0])
    else:
        done.set_result(results[0] if results else None)
