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

__all__ = [
    "AsyncStreamHandler",
    "AudioEmitType",
    "EmitType",
    "StreamHandler",
    "StreamHandlerBase",
    "StreamHandlerImpl",
]
