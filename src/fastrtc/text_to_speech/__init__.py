"""The names that applications written against FastRTC import from ``fastrtc.text_to_speech``; they live elsewhere."""

from __future__ import annotations

from fastrtc.speech.text_to_speech import CartesiaTTSOptions, KokoroTTSOptions, get_tts_model

__all__ = ["CartesiaTTSOptions", "KokoroTTSOptions", "get_tts_model"]
