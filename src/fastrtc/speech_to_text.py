"""The names that applications written against FastRTC import from ``fastrtc.speech_to_text``; they live elsewhere."""

from __future__ import annotations

from fastrtc.speech.moonshine import MoonshineSTT
from fastrtc.speech.protocol import SpeechToText, STTModel
from fastrtc.speech.recogniser import get_stt_model, stt_for_chunks

__all__ = ["MoonshineSTT", "STTModel", "SpeechToText", "get_stt_model", "stt_for_chunks"]
