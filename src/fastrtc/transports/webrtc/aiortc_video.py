"""Images in and out of ``aiortc``; its codecs run in the default executor of the loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import aiortc
import av
import numpy as np
from aiortc.mediastreams import VIDEO_CLOCK_RATE, VIDEO_TIME_BASE, MediaStreamError

from fastrtc.link import Picture

WAITING_FRAMES = 4


class AiortcFrame:
    """A received image.

    Args:
        frame: As aiortc decoded it.
    """

    __slots__ = ("_frame",)

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def to_picture(self) -> Picture:
        """See :class:`~fastrtc.link.VideoFrame`."""
        picture: Picture = self._frame.to_ndarray(format="bgr24")
        return picture


class PictureTrack(aiortc.MediaStreamTrack):
    """The track that is sent: the newest image, each once.

    Args:
        loop: Where aiortc lives.
    """

    kind = "video"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._app_loop = loop
        self._newest: Any = None
        self._arrived = asyncio.Event()
        self._start_s = time.monotonic()
        self._live = True

    def write(self, picture: Picture) -> None:
        """Convert and hand over an image. Any thread."""
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2  # its encoders refuse odd sides
        if not self._live or not height or not width:
            return
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="bgr24")
        frame = frame.reformat(format="yuv420p")
        frame.pts = int((time.monotonic() - self._start_s) * VIDEO_CLOCK_RATE)
        frame.time_base = VIDEO_TIME_BASE
        try:
            self._app_loop.call_soon_threadsafe(self._put, frame)
        except RuntimeError:  # the loop has ended
            self._live = False

    def end(self) -> None:
        """Let the sender leave :meth:`recv`. Loop thread."""
        self._live = False
        self._arrived.set()
        self.stop()

    async def recv(self) -> Any:
        """The next image, for aiortc's sender."""
        await self._arrived.wait()
        self._arrived.clear()
        if not self._live:
            raise MediaStreamError
        return self._newest

    def _put(self, frame: Any) -> None:
        self._newest = frame
        self._arrived.set()


class PictureReceiver:
    """Collects the images of a remote track."""

    def __init__(self) -> None:
        self._frames: deque[Any] = deque(maxlen=WAITING_FRAMES)
        self._task: asyncio.Task[None] | None = None

    def receive_from(self, track: Any) -> None:
        """Start to collect, from the first track of a connection. Loop thread."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._collect(track))

    def read(self) -> AiortcFrame | None:
        """The oldest image that waits. Media clock."""
        try:
            return AiortcFrame(self._frames.popleft())
        except IndexError:
            return None

    async def close(self) -> None:
        """Stop collecting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._frames.clear()

    async def _collect(self, track: Any) -> None:
        while True:
            try:
                self._frames.append(await track.recv())
            except MediaStreamError:
                return
