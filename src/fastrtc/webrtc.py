"""The place from which applications written against FastRTC import its Gradio component."""

from __future__ import annotations

from typing import Any

from fastrtc.errors import FastRTCError

__all__ = ["WebRTC"]


class WebRTC:
    """FastRTC's Gradio component. This version has none, so it can be imported and not created.

    Raises:
        FastRTCError: Always; a page without Gradio comes with ``Stream.mount`` and ``fastrtc serve``.
    """

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise FastRTCError(
            "this version of fastrtc has no Gradio component WebRTC; "
            "Stream.mount(app) and `fastrtc serve module:stream` serve a page without Gradio"
        )
