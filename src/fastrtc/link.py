"""What a session needs from a connection, whatever carries it."""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM

Picture: TypeAlias = NDArray[np.uint8]
"""One image, of shape (height, width, 3); the last axis is blue, green, red."""


class MediaLink(Protocol):
    """One connection to one client. The media clock calls :meth:`read` and :meth:`write` every 20 ms.

    Attributes:
        rate_in_hz: Sample rate of what :meth:`read` gives.
        rate_out_hz: Sample rate of what :meth:`write` takes; a multiple of 50.
        lead_ms: How far ahead of real time the session should write (0: exactly one tick per tick).
    """

    rate_in_hz: int
    rate_out_hz: int
    lead_ms: int

    def read(self) -> PCM | None:
        """Everything received since the last call, or None. Media clock thread; never blocks."""
        ...

    def write(self, pcm: PCM | None) -> None:
        """Play one tick (``rate_out_hz // 50`` samples), or None: nothing to play. Media clock thread; never blocks."""
        ...

    def flush(self) -> bool:
        """Have the client drop what it has not played yet; False where the protocol or the client has no such message.

        Any thread.
        """
        ...

    def send(self, message: str) -> None:
        """Send a text message to the client, in order. Any thread; queued until the channel is open."""
        ...

    def playout_delay_ms(self) -> float:
        """Best estimate of the time from :meth:`write` until the client hears it."""
        ...

    async def close(self) -> None:
        """End the connection. App loop; idempotent."""
        ...


class VideoFrame(Protocol):
    """A received image that still has the form the decoder gave it."""

    def to_picture(self) -> Picture:
        """Convert it, upright; takes a millisecond or two, so not on the media clock's thread."""
        ...


@runtime_checkable
class VideoLink(Protocol):
    """What a connection offers beside :class:`MediaLink` if it can carry video."""

    def read_video(self) -> VideoFrame | None:
        """The oldest frame that waits, or None; the link keeps only the newest few. Never blocks."""
        ...

    def write_video(self, picture: Picture) -> None:
        """Send an image now. Any thread, but one at a time; takes a millisecond or two."""
        ...
