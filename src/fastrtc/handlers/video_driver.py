"""Runs the part of a handler that concerns images, beside the driver of its sound."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Context as VarContext
from typing import Any

from fastrtc.errors import VideoFormatError
from fastrtc.handlers.base import StreamHandlerBase
from fastrtc.handlers.camera import AsyncCamera, Camera, Darkroom, FrameShelf, SyncCamera
from fastrtc.handlers.flag import ThreadSafeEvent
from fastrtc.handlers.ports import Home, Speaker
from fastrtc.handlers.projector import AsyncProjector, Canvas, Pace, SyncProjector
from fastrtc.handlers.video import VideoFunction, has_video
from fastrtc.handlers.worker import Worker, wake_waiting
from fastrtc.link import Picture, VideoLink
from fastrtc.wire.messages import create_message

JOIN_S = 0.2
INPUTS_S = 1.0  # for a function that could do without


class VideoDriver:
    """Up to two directions, each on a thread of its own or as a task of the app's loop.

    Nothing here runs on the media clock but :meth:`tick`, which moves references.

    Args:
        handler: The session's own copy; one that :func:`has_video`.
        link: Carries the images.
        speaker: The session's mouth.
        home: Where user code runs.
        loop: The app's event loop.
        variables: Context variables for threads and tasks.
        name: Of the session, for the threads' names.
    """

    def __init__(
        self,
        handler: StreamHandlerBase,
        link: VideoLink,
        speaker: Speaker,
        home: Home,
        loop: asyncio.AbstractEventLoop,
        variables: VarContext,
        name: str,
    ) -> None:
        self._handler = handler
        self._link = link
        self._speaker = speaker
        self._home = home
        self._loop = loop
        self._variables = variables
        self._eye = Worker(f"fastrtc-{name}-video-in", variables)
        self._hand = Worker(f"fastrtc-{name}-video-out", variables)
        self._camera: Camera | None = None
        self._sync_projector: SyncProjector | None = None
        self._runs: list[Callable[[], Any]] = []
        self._tasks: list[asyncio.Task[None]] = []
        if isinstance(handler, VideoFunction):
            self._set_up_function(handler)
        else:
            self._set_up_methods(handler)

    @property
    def dropped_frames(self) -> int:
        """Frames that user code was too slow for."""
        return self._camera.shelf.dropped if self._camera is not None else 0

    def start(self) -> None:
        """Begin; app loop."""
        if isinstance(self._handler, VideoFunction) and self._handler.wants_inputs:
            self._handler.send_message_sync(create_message("send_input", []))
        for run in self._runs:
            self._tasks.append(self._loop.create_task(run(), context=self._variables.copy()))
        if self._sync_projector is not None:
            self._hand.submit(self._sync_projector.run)

    def tick(self) -> None:
        """20 ms have passed; media clock thread."""
        if self._camera is not None:
            self._camera.tick()

    def close(self) -> None:
        """Start no more user code; app loop."""
        if self._camera is not None:
            self._camera.close()
        if self._sync_projector is not None:
            self._sync_projector.close()
        for task in self._tasks:
            task.cancel()
        self._eye.stop()
        self._hand.stop()

    def release(self) -> None:
        """Wake user code that still blocks; on a thread that may wait."""
        workers = (self._hand, self._eye)
        if not all(worker.join(JOIN_S) for worker in workers):
            wake_waiting(self._handler)
        for worker in workers:
            if not worker.join(JOIN_S):
                worker.interrupt()

    # ---- methods of a handler -----------------------------------------------------------------------------------

    def _set_up_methods(self, handler: Any) -> None:
        self._watch(handler.video_receive, newest_only=False)
        canvas = Canvas(self._link, self._speaker)
        if inspect.iscoroutinefunction(handler.video_emit):
            self._project_async(handler.video_emit, canvas)
        else:
            self._sync_projector = SyncProjector(handler.video_emit, canvas, Pace(handler.fps), self._speaker)

    def _watch(self, take: Callable[[Picture], Any], *, newest_only: bool) -> None:
        shelf = FrameShelf(newest_only)
        if inspect.iscoroutinefunction(take):
            darkroom = Darkroom(self._eye, self._loop)
            camera = AsyncCamera(self._link, shelf, take, self._speaker, self._home, darkroom)
            self._camera = camera
            self._runs.append(camera.run)
        else:
            self._camera = SyncCamera(self._link, shelf, take, self._speaker, self._eye)

    def _project_async(self, emit: Callable[[], Any], canvas: Canvas) -> None:
        darkroom = Darkroom(self._hand, self._loop)
        projector = AsyncProjector(emit, canvas, Pace(self._handler.fps), self._speaker, darkroom)
        self._runs.append(projector.run)

    # ---- a function ---------------------------------------------------------------------------------------------

    def _set_up_function(self, handler: VideoFunction) -> None:
        call = handler.video.callable
        if handler.mode == "receive":
            canvas = Canvas(self._link, self._speaker)
            if inspect.isasyncgenfunction(call):
                self._project_async(_AsyncFilm(handler).next, canvas)
            else:
                self._sync_projector = SyncProjector(_Film(handler).next, canvas, Pace(handler.fps), self._speaker)
            return
        canvas = Canvas(self._link if handler.mode == "send-receive" else None, self._speaker)
        mirror = _Mirror(handler, canvas, Darkroom(self._hand, self._loop))
        take = mirror.take_async if inspect.iscoroutinefunction(call) else mirror.take
        self._watch(take, newest_only=handler.video.skip_frames)


class _Mirror:
    """Calls a function with each image and shows what it gives; while its inputs miss, the image itself."""

    def __init__(self, handler: VideoFunction, canvas: Canvas, darkroom: Darkroom) -> None:
        self._handler = handler
        self._canvas = canvas
        self._darkroom = darkroom

    def take(self, picture: Picture) -> None:
        if self._canvas.over:
            return
        if self._handler.needs_inputs:
            self._canvas.show(picture)
        else:
            self._canvas.show(self._handler.video.callable(*self._handler.arguments(picture)))

    async def take_async(self, picture: Picture) -> None:
        if self._canvas.over:
            return
        call: Any = self._handler.video.callable
        given = picture if self._handler.needs_inputs else await call(*self._handler.arguments(picture))
        await self._darkroom.develop(lambda: self._canvas.show(given))


class _Film:
    """The images of a generator function, which is called once its inputs are there."""

    def __init__(self, handler: VideoFunction) -> None:
        self._handler = handler
        self._images: Iterator[Any] | None = None

    def next(self) -> Any:
        if self._images is None:
            flag = self._handler.args_set
            if self._handler.wants_inputs and isinstance(flag, ThreadSafeEvent):
                flag.wait_sync(None if self._handler.needs_inputs else INPUTS_S)
            images: Any = self._handler.video.callable(*self._handler.arguments())
            if not isinstance(images, Iterator):
                raise VideoFormatError(
                    f'in the mode "receive" a function must yield images; it returned {type(images).__name__}'
                )
            self._images = images
        return next(self._images)


class _AsyncFilm:
    """The same of an async generator function."""

    def __init__(self, handler: VideoFunction) -> None:
        self._handler = handler
        self._images: AsyncIterator[Any] | None = None

    async def next(self) -> Any:
        if self._images is None:
            if self._handler.wants_inputs:
                limit_s = None if self._handler.needs_inputs else INPUTS_S
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._handler.args_set.wait(), limit_s)
            call: Any = self._handler.video.callable
            self._images = call(*self._handler.arguments())
        return await anext(self._images)


def video_driver_for(
    handler: StreamHandlerBase,
    link: object,
    speaker: Speaker,
    home: Home,
    loop: asyncio.AbstractEventLoop,
    variables: VarContext,
    name: str,
) -> VideoDriver | None:
    """Make the driver for a session's images; None if the handler has none or the connection cannot carry them."""
    if not has_video(handler) or not isinstance(link, VideoLink):
        return None
    return VideoDriver(handler, link, speaker, home, loop, variables, name)
