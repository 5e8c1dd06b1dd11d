"""The public types that are no classes to make: applications annotate with them."""

from __future__ import annotations

from types import NoneType
from typing import Any, get_args

from fastrtc import (
    AdditionalOutputs,
    AudioEmitType,
    CloseStream,
    ModelOptions,
    PauseDetectionModel,
    SileroVadOptions,
    Stream,
    UIArgs,
    VideoEmitType,
    get_silero_model,
)
from fastrtc.handlers.reply_on_pause import ReplyOnPause


def test_what_handlers_emit_besides_media() -> None:
    for alias in (AudioEmitType, VideoEmitType):
        assert {AdditionalOutputs, CloseStream, NoneType} <= set(get_args(alias))


def test_the_models_own_options_are_model_options() -> None:
    options: ModelOptions = SileroVadOptions(threshold=0.7)
    handler = ReplyOnPause(lambda audio: None, model_options=options)
    assert handler.copy().model_options is options


def test_the_built_in_detector_is_a_pause_detection_model() -> None:
    model: PauseDetectionModel = get_silero_model()
    assert {name for name in vars(PauseDetectionModel) if not name.startswith("_")} == {"vad", "warmup"}
    assert callable(model.vad)
    assert callable(model.warmup)


def test_the_page_shows_what_ui_args_say() -> None:
    looks: UIArgs = {"title": "Echo", "subtitle": "Say something."}
    stream = Stream(ReplyOnPause(lambda audio: None), ui_args=looks)
    assert stream.ui_args is looks
    known: dict[str, Any] = UIArgs.__annotations__
    assert set(looks) <= set(known)
    assert {"icon", "icon_button_color", "pulse_color", "full_screen", "variant"} <= set(known)
