"""The names that applications written against FastRTC import from ``fastrtc.speech_to_text``; they live elsewhere."""

from __future__ import annotations

from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.recogniser import get_stt_model

__all__ = ["SpeechToText", "get_stt_model"]
