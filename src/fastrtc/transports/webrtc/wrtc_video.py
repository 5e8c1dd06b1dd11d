"""Images in and out of ``wrtc``, by its native objects from any thread.

Conversions between the codec's planes and blue, green, red are those of libyuv, which libwebrtc carries.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

import numpy as np
import webrtc
import wrtc

from fastrtc.link import Picture
from fastrtc.transports.webrtc.engine import VideoLimits
from fastrtc.transports.webrtc.wrtc_audio import NATIVE_ERRORS

_log = logging.getLogger(__name__)

WAITING_FRAMES = 4
_MATRIX = "smpte170m"  # BT.601, as the codecs of WebRTC use it unless told otherwise


class WrtcFrame:
    """A received image.

    Args:
        buffer: The native planes.
        rotation: By how many degrees it has to be turned clockwise to be upright.
    """

    __slots__ = ("_buffer", "_rotation")

    def __init__(self, buffer: Any, rotation: int) -> None:
        self._buffer = buffer
        self._rotation = rotation

    def to_picture(self) -> Picture:
        """See :class:`~fastrtc.link.VideoFrame`."""
        width, height = self._buffer.width, self._buffer.height
        wide = np.empty((height, width, 4), np.uint8)
        self._buffer.convertTo(wide, "BGRA", 0, 0, width, height, 0, width * 4, _MATRIX, False)
        picture = np.empty((height, width, 3), np.uint8)
        for channel in range(3):  # four times as fast as to slice all three at once
            picture[..., channel] = wide[..., channel]
        return np.ascontiguousarray(np.rot90(picture, -self._rotation // 90)) if self._rotation else picture


def native_buffer(picture: Picture) -> Any:
    """An image as the engine takes it.

    Args:
        picture: uint8 of shape (height, width, 3), blue, green, red.
    """
    height, width, _ = picture.shape
    wide = np.empty((height, width, 4), np.uint8)
    for channel in range(3):
        wide[..., channel] = picture[..., channel]
    return wrtc.VideoFrameBuffer.fromData("BGRX", width, height, wide, [(0, width * 4)])


class WrtcVideo:
    """Images of one connection.

    Args:
        generator: The track that is sent, or None.
    """

    def __init__(self, generator: webrtc.MediaStreamTrackGenerator | None) -> None:
        self._generator: Any = generator._generator if generator is not None else None
        self._processor: Any = None
        self._lock = threading.Lock()
        self._closed = False

    def receive_from(self, track: webrtc.MediaStreamTrack) -> None:
        """Start to queue what arrives on the track, the first of a connection."""
        if self._processor is None:
            self._processor = wrtc.MediaStreamTrackProcessor(track._native_obj, WAITING_FRAMES)

    def read(self) -> WrtcFrame | None:
        """The oldest image that waits."""
        processor = self._processor
        if processor is None or self._closed:
            return None
        item = processor.read()
        return None if item is None else WrtcFrame(item[0], int(item[2]))

    def write(self, picture: Picture) -> None:
        """Send an image now."""
        if self._generator is None or self._closed:
            return
        buffer = native_buffer(picture)
        with self._lock:
            if not self._closed:
                self._generator.writeVideo(buffer, time.monotonic_ns() // 1000, 0)

    def close(self) -> None:
        """Let go of the native objects."""
        with self._lock:
            self._closed = True
            if self._processor is not None:
                self._processor.cancel()
            if self._generator is not None:
                self._generator.close()


async def limit_sender(sender: webrtc.RTCRtpSender, limits: VideoLimits) -> None:
    """Tell the encoder behind a sender its limits; what the engine refuses is logged."""
    if limits == VideoLimits():
        return
    with contextlib.suppress(webrtc.InvalidStateError):  # closed meanwhile
        try:
            parameters = sender.get_parameters()
            for encoding in parameters.encodings:
                encoding.max_bitrate = limits.max_bitrate_bps
                encoding.max_framerate = limits.max_framerate
                if limits.scale_down_by is not None:
                    encoding.scale_resolution_down_by = limits.scale_down_by
            if limits.degradation is not None:
                parameters.degradation_preference = webrtc.RTCDegradationPreference(limits.degradation)
            await sender.set_parameters(parameters)
        except NATIVE_ERRORS as error:
            _log.warning("the limits of the video were not taken (%s): %s", limits, error)
