"""The names that applications written against FastRTC import from here; they live in ``fastrtc.vad``."""

from __future__ import annotations

from fastrtc.vad.options import SileroVadOptions
from fastrtc.vad.silero import SileroVADModel, get_silero_model

__all__ = ["SileroVADModel", "SileroVadOptions", "get_silero_model"]
