"""The names that applications written against FastRTC import from ``fastrtc.tracks``; they live elsewhere."""

from __future__ import annotations

from fastrtc.handlers.base import (
    AsyncStreamHandler,
    AudioEmitType,
    EmitType,
    StreamHandler,
    StreamHandlerBase,
    StreamHandlerImpl,
)
from fastrtc.handlers.video import (
    AsyncAudioVideoStreamHandler,
    AudioVideoStreamHandler,
    VideoEmitType,
    VideoEventGenerator,
    VideoEventHandler,
    VideoNDArray,
    VideoStreamHandler,
    VideoStreamHandlerImpl,
)

__all__ = [
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioVideoStreamHandler",
    "EmitType",
    "StreamHandler",
    "StreamHandlerBase",
    "StreamHandlerImpl",
    "VideoEmitType",
    "VideoEventGenerator",
    "VideoEventHandler",
    "VideoNDArray",
    "VideoStreamHandler",
    "VideoStreamHandlerImpl",
]
