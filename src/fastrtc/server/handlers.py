"""The handler that serves a stream's sessions, from what the app gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastrtc.handlers.base import StreamHandlerBase
from fastrtc.options import Modality, Mode


def is_audio_only(handler: object) -> bool:
    """Whether a handler has no use for video."""
    return isinstance(handler, StreamHandlerBase) and not hasattr(handler, "video_emit")


def session_handler(handler: Any, modality: Modality, mode: Mode) -> Any:
    """What every session gets a copy of: the app's handler, or one around its function."""
    if isinstance(handler, StreamHandlerBase):
        return handler
    if modality == "audio" and mode == "receive" and callable(handler):
        from fastrtc.handlers.generator import generator_handler

        return generator_handler(handler)
    if modality != "video":
        return handler
    from fastrtc.handlers.video import VideoFunction, VideoStreamHandler

    return VideoFunction(handler if isinstance(handler, VideoStreamHandler) else VideoStreamHandler(handler), mode)


def ask_for_inputs(handler: Any, ui_args: Mapping[str, Any] | None) -> None:
    """A page with a text box sends its text as an input, so the reply function has to wait for it."""
    if (ui_args or {}).get("variant") == "textbox" and hasattr(handler, "needs_args"):
        handler.needs_args = True
