"""The names that applications written against FastRTC import from ``fastrtc.text_to_speech.tts``."""

from __future__ import annotations

from fastrtc.speech.cartesia import CartesiaTTSModel
from fastrtc.speech.kokoro import KokoroTTSModel
from fastrtc.speech.text_to_speech import CartesiaTTSOptions, KokoroTTSOptions, TTSModel, TTSOptions, get_tts_model

__all__ = [
    "CartesiaTTSModel",
    "CartesiaTTSOptions",
    "KokoroTTSModel",
    "KokoroTTSOptions",
    "TTSModel",
    "TTSOptions",
    "get_tts_model",
]
