"""The public names: which there are, where they live, and that each can be had in every way Python offers."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import fastrtc
import gradio_webrtc

NAMES = [
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

# What applications import from FastRTC's modules: each name must be the very object that lives elsewhere.
REEXPORTS = {
    "fastrtc.utils": [
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
    ],
    "fastrtc.tracks": [
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
    ],
    "fastrtc.pause_detection": [
        "ModelOptions",
        "PauseDetectionModel",
        "SileroVADModel",
        "SileroVadOptions",
        "get_silero_model",
    ],
    "fastrtc.pause_detection.protocol": ["AudioChunk", "ModelOptions", "PauseDetectionModel"],
    "fastrtc.pause_detection.silero": ["SileroVADModel", "SileroVadOptions", "get_silero_model"],
    "fastrtc.reply_on_pause": ["AlgoOptions", "AppState", "ReplyOnPause"],
    "fastrtc.reply_on_stopwords": ["ReplyOnStopWords"],
    "fastrtc.speech_to_text": ["MoonshineSTT", "STTModel", "SpeechToText", "get_stt_model", "stt_for_chunks"],
    "fastrtc.text_to_speech": ["CartesiaTTSOptions", "KokoroTTSOptions", "get_tts_model"],
    "fastrtc.text_to_speech.tts": [
        "CartesiaTTSModel",
        "CartesiaTTSOptions",
        "KokoroTTSModel",
        "KokoroTTSOptions",
        "TTSModel",
        "TTSOptions",
        "get_tts_model",
    ],
    "fastrtc.webrtc": ["WebRTC"],
}


def test_all_is_pinned() -> None:
    assert sorted(fastrtc.__all__) == NAMES
    assert gradio_webrtc.__all__ == fastrtc.__all__


@pytest.mark.parametrize("name", NAMES)
def test_a_name_resolves_in_both_packages(name: str) -> None:
    assert getattr(fastrtc, name) is getattr(gradio_webrtc, name)
    assert name in dir(fastrtc)
    assert name in dir(gradio_webrtc)


def test_star_import_brings_every_name() -> None:
    code = f"from fastrtc import *; import fastrtc; print({NAMES!r} == [n for n in {NAMES!r} if n in globals()])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "True\n"


@pytest.mark.parametrize("module", [fastrtc, gradio_webrtc])
def test_an_unknown_name_is_an_attribute_error(module: object) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        getattr(module, "no_such_name")  # noqa: B009 - the name is not one that a checker would accept


def test_type_checkers_see_what_the_program_sees() -> None:
    tree = ast.parse(Path(str(fastrtc.__file__)).read_text(encoding="utf-8"))
    for_checkers = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert for_checkers == {name: f"fastrtc.{home}" for name, home in fastrtc._HOMES.items()}
    assert sorted(for_checkers) == NAMES


@pytest.mark.parametrize("name", sorted(REEXPORTS))
def test_the_old_modules_hold_the_same_objects(name: str) -> None:
    module = importlib.import_module(name)
    assert sorted(module.__all__) == REEXPORTS[name]
    for public in REEXPORTS[name]:
        value = getattr(module, public)
        home = inspect.getmodule(value)
        if home is not None and home.__name__.startswith("fastrtc"):
            assert getattr(home, public) is value
        if public in NAMES:
            assert value is getattr(fastrtc, public)


def test_wait_for_item_takes_what_is_there_and_gives_up_otherwise() -> None:
    async def scenario() -> tuple[str | None, str | None, int]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queue.put_nowait("first")
        taken = await fastrtc.wait_for_item(queue)
        nothing = await fastrtc.wait_for_item(queue, timeout=0.0)
        queue.put_nowait("late")
        return taken, nothing, queue.qsize()

    assert asyncio.run(scenario()) == ("first", None, 1)
