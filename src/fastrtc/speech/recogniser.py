"""The recognisers that come with the package."""

from __future__ import annotations

from typing import Literal

from fastrtc.errors import MissingExtraError
from fastrtc.speech.protocol import SpeechToText


def get_stt_model(model: Literal["moonshine/base", "moonshine/tiny"] = "moonshine/base") -> SpeechToText:
    """The recogniser of this name.

    Raises:
        MissingExtraError: It cannot be had: this version brings none.
    """
    error = MissingExtraError("speech recognition", "stt")
    error.msg = (  # What a user sees of an ImportError; no package would help yet.
        f"this version of fastrtc brings no speech recogniser, so {model!r} cannot be had; give ReplyOnStopWords one "
        "of your own, an object with a method stt((rate, array)) -> str: stt_model=..."
    )
    error.args = (error.msg,)
    raise error
