"""The names that applications written against FastRTC import from here; they live in ``fastrtc.vad``."""

from __future__ import annotations

from fastrtc.vad.protocol import AudioChunk, ModelOptions, PauseDetectionModel

__all__ = ["AudioChunk", "ModelOptions", "PauseDetectionModel"]
