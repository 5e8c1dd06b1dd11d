"""Real-time voice services from Python functions.

Every public name is loaded when it is first used (PEP 562), so that ``import fastrtc`` costs next to nothing.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from fastrtc.lazy import lazy_names

if TYPE_CHECKING:
    from fastrtc.audio import (
        aggregate_bytes_to_16bit,
        async_aggregate_bytes_to_16bit,
        audio_to_bytes,
        audio_to_file,
        audio_to_float32,
        audio_to_int16,
    )
    from fastrtc.context import Warning, WebRTCError, get_current_context
    from fastrtc.credentials import (
        get_cloudflare_turn_credentials,
        get_cloudflare_turn_credentials_async,
        get_hf_turn_credentials,
        get_hf_turn_credentials_async,
        get_turn_credentials,
        get_turn_credentials_async,
        get_twilio_turn_credentials,
    )
    from fastrtc.handlers.base import AsyncStreamHandler, AudioEmitType, StreamHandler
    from fastrtc.handlers.reply_on_pause import ReplyOnPause
    from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
    from fastrtc.handlers.video import (
        AsyncAudioVideoStreamHandler,
        AudioVideoStreamHandler,
        VideoEmitType,
        VideoStreamHandler,
    )
    from fastrtc.handlers.wait import wait_for_item
    from fastrtc.outputs import AdditionalOutputs, CloseStream, Spoken, WebRTCData
    from fastrtc.replies import Reply, get_current_reply
    from fastrtc.speech.recogniser import get_stt_model
    from fastrtc.speech.text_to_speech import (
        CartesiaTTSOptions,
        HibariTTSOptions,
        KokoroTTSOptions,
        TextToSpeech,
        get_tts_model,
    )
    from fastrtc.stream import Stream, UIArgs
    from fastrtc.turns.options import AlgoOptions
    from fastrtc.vad.options import SileroVadOptions
    from fastrtc.vad.protocol import ModelOptions, PauseDetectionModel
    from fastrtc.vad.silero import get_silero_model
    from fastrtc.webrtc import WebRTC

# From 1.31 on ONNX Runtime reports its use to Microsoft and keeps an id of the device, unless this is set before then.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "AdditionalOutputs",
    "AlgoOptions",
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioVideoStreamHandler",
    "CartesiaTTSOptions",
    "CloseStream",
    "HibariTTSOptions",
    "KokoroTTSOptions",
    "ModelOptions",
    "PauseDetectionModel",
    "Reply",
    "ReplyOnPause",
    "ReplyOnStopWords",
    "SileroVadOptions",
    "Spoken",
    "Stream",
    "StreamHandler",
    "TextToSpeech",
    "UIArgs",
    "VideoEmitType",
    "VideoStreamHandler",
    "Warning",
    "WebRTC",
    "WebRTCData",
    "WebRTCError",
    "aggregate_bytes_to_16bit",
    "async_aggregate_bytes_to_16bit",
    "audio_to_bytes",
    "audio_to_file",
    "audio_to_float32",
    "audio_to_int16",
    "get_cloudflare_turn_credentials",
    "get_cloudflare_turn_credentials_async",
    "get_current_context",
    "get_current_reply",
    "get_hf_turn_credentials",
    "get_hf_turn_credentials_async",
    "get_silero_model",
    "get_stt_model",
    "get_tts_model",
    "get_turn_credentials",
    "get_turn_credentials_async",
    "get_twilio_turn_credentials",
    "wait_for_item",
]

_HOMES = {
    "AdditionalOutputs": "outputs",
    "AlgoOptions": "turns.options",
    "AsyncAudioVideoStreamHandler": "handlers.video",
    "AsyncStreamHandler": "handlers.base",
    "AudioEmitType": "handlers.base",
    "AudioVideoStreamHandler": "handlers.video",
    "CartesiaTTSOptions": "speech.text_to_speech",
    "CloseStream": "outputs",
    "HibariTTSOptions": "speech.text_to_speech",
    "KokoroTTSOptions": "speech.text_to_speech",
    "ModelOptions": "vad.protocol",
    "PauseDetectionModel": "vad.protocol",
    "Reply": "replies",
    "ReplyOnPause": "handlers.reply_on_pause",
    "ReplyOnStopWords": "handlers.reply_on_stopwords",
    "SileroVadOptions": "vad.options",
    "Spoken": "outputs",
    "Stream": "stream",
    "StreamHandler": "handlers.base",
    "TextToSpeech": "speech.text_to_speech",
    "UIArgs": "stream",
    "VideoEmitType": "handlers.video",
    "VideoStreamHandler": "handlers.video",
    "Warning": "context",
    "WebRTC": "webrtc",
    "WebRTCData": "outputs",
    "WebRTCError": "context",
    "aggregate_bytes_to_16bit": "audio",
    "async_aggregate_bytes_to_16bit": "audio",
    "audio_to_bytes": "audio",
    "audio_to_file": "audio",
    "audio_to_float32": "audio",
    "audio_to_int16": "audio",
    "get_cloudflare_turn_credentials": "credentials",
    "get_cloudflare_turn_credentials_async": "credentials",
    "get_current_context": "context",
    "get_current_reply": "replies",
    "get_hf_turn_credentials": "credentials",
    "get_hf_turn_credentials_async": "credentials",
    "get_silero_model": "vad.silero",
    "get_stt_model": "speech.recogniser",
    "get_tts_model": "speech.text_to_speech",
    "get_turn_credentials": "credentials",
    "get_turn_credentials_async": "credentials",
    "get_twilio_turn_credentials": "credentials",
    "wait_for_item": "handlers.wait",
}


__getattr__, __dir__ = lazy_names(__name__, _HOMES)


class _Explainer:
    """Explains why FastRTC's guide cannot be followed word for word where it imports a package that has ended.

    It comes last among Python's finders, so it is asked only about modules that nobody has.
    """

    _SENTENCE = (
        "No module named 'google.generativeai'. Google has ended that package, and the Live API of FastRTC's guide was "
        'never in it. Install the current one, pip install "fastrtc[gemini]", and write `from google import genai` and '
        "`from google.genai.types import ...`"
    )

    @classmethod
    def find_spec(cls, name: str, _path: Any = None, _target: Any = None) -> None:
        # Who only asks whether the module is there (importlib.util.find_spec) gets the usual answer.
        if name == "google.generativeai" and sys._getframe(2).f_code.co_name == "_find_and_load_unlocked":
            raise ModuleNotFoundError(cls._SENTENCE, name=name)


sys.meta_path.append(_Explainer)
