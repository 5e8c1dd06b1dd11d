"""The names that applications written against FastRTC import from ``fastrtc.utils``; they live elsewhere."""

from __future__ import annotations

from fastrtc.audio import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_bytes,
    audio_to_file,
    audio_to_float32,
    audio_to_int16,
)
from fastrtc.context import (
    Context,
    DataChannel,
    Warning,
    WebRTCError,
    current_channel,
    current_context,
    get_current_context,
)
from fastrtc.handlers.wait import wait_for_item
from fastrtc.outputs import AdditionalOutputs, CloseStream, WebRTCData, split_output
from fastrtc.vad.protocol import AudioChunk
from fastrtc.wire.messages import create_message

__all__ = [
    "AdditionalOutputs",
    "AudioChunk",
    "CloseStream",
    "Context",
    "DataChannel",
    "Warning",
    "WebRTCData",
    "WebRTCError",
    "aggregate_bytes_to_16bit",
    "async_aggregate_bytes_to_16bit",
    "audio_to_bytes",
    "audio_to_file",
    "audio_to_float32",
    "audio_to_int16",
    "create_message",
    "current_channel",
    "current_context",
    "get_current_context",
    "split_output",
    "wait_for_item",
]
