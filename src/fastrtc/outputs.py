"""What a handler may give back besides audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrtc.errors import AudioFormatError


class AdditionalOutputs:
    """Values for the page or the app, sent beside the audio.

    Args:
        *args: Any values; they reach ``Stream.output_stream`` and the ``additional_outputs_handler`` in this order.
    """

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __repr__(self) -> str:
        return f"AdditionalOutputs{self.args!r}"


class CloseStream:
    """Ends the session once the audio before it has been played.

    Args:
        msg: Reason for the client, sent in an ``end_stream`` message.
    """

    def __init__(self, msg: str = "Stream closed") -> None:
        # It ends up in JSON, long after whoever made it could be told.
        self.msg = str(msg)

    def __repr__(self) -> str:
        return f"CloseStream({self.msg!r})"


@dataclass(frozen=True, slots=True)
class Spoken:
    """Audio together with the text that it speaks, so that after an interruption the heard text is known.

    Attributes:
        audio: ``(sample_rate, array)`` as a handler yields it alone.
        text: Its words.
    """

    audio: Any
    text: str


@dataclass(kw_only=True)
class WebRTCData:
    """The value of the WebRTC component: who speaks, what was typed, what was said.

    Attributes:
        webrtc_id: The session's id.
        textbox: Text that the user typed, if any.
        audio: ``(sample_rate, int16 array of shape (1, n))`` of the utterance, if any.
    """

    webrtc_id: str
    textbox: str = ""
    audio: Any | None = None

    def __iter__(self) -> Iterator[Any]:
        """Unpack like the audio alone: ``sample_rate, array = data``."""
        return iter(self.audio or ())

    def model_dump(self) -> dict[str, Any]:
        """The fields by name; FastRTC's class was a Pydantic model."""
        return {"webrtc_id": self.webrtc_id, "textbox": self.textbox, "audio": self.audio}


_BESIDE = (AdditionalOutputs, CloseStream)


def split_output(data: Any) -> tuple[Any, AdditionalOutputs | CloseStream | None]:
    """Separate the media of one yielded value from what came beside it.

    Accepts ``None``, ``AdditionalOutputs``, ``CloseStream``, ``(rate, array)``, ``(rate, array, layout)``, ``Spoken``,
    a video array, and ``(media, AdditionalOutputs | CloseStream)``.

    Returns:
        ``(media or None, AdditionalOutputs, CloseStream or None)``.

    Raises:
        AudioFormatError: A tuple of any other form.
    """
    if isinstance(data, _BESIDE):
        return None, data
    if not isinstance(data, tuple):
        return data, None
    if len(data) in (2, 3) and isinstance(data[1], np.ndarray):
        return data, None
    if len(data) == 2 and isinstance(data[1], _BESIDE):
        return data[0], data[1]
    if len(data) == 2 and isinstance(data[0], np.ndarray):
        raise AudioFormatError("audio must be a tuple (sample_rate, numpy array); the rate comes first")
    raise AudioFormatError(
        "a handler may yield (sample_rate, array), (sample_rate, array, layout), AdditionalOutputs, CloseStream "
        f"or (media, AdditionalOutputs); got a tuple of {tuple(type(item).__name__ for item in data)}"
    )
