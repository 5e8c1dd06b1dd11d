"""What a handler may give back besides audio."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastrtc.errors import AudioFormatError
from fastrtc.outputs import AdditionalOutputs, CloseStream, Spoken, WebRTCData, split_output

PCM = np.zeros((1, 480), np.int16)
AUDIO = (24_000, PCM)
OUTPUTS = AdditionalOutputs(1, "two")
CLOSE = CloseStream("bye")


@pytest.mark.parametrize(
    ("value", "media", "beside"),
    [
        (None, None, None),
        (AUDIO, AUDIO, None),
        ((24_000, PCM, "stereo"), (24_000, PCM, "stereo"), None),
        (OUTPUTS, None, OUTPUTS),
        (CLOSE, None, CLOSE),
        ((AUDIO, OUTPUTS), AUDIO, OUTPUTS),
        ((AUDIO, CLOSE), AUDIO, CLOSE),
        ((None, OUTPUTS), None, OUTPUTS),
        (PCM, PCM, None),
        ("text", "text", None),
    ],
)
def test_split(value: Any, media: Any, beside: Any) -> None:
    got_media, got_beside = split_output(value)
    assert got_media is media or got_media == media
    assert got_beside is beside


def test_split_takes_spoken_audio() -> None:
    spoken = Spoken(AUDIO, "hello")
    assert split_output(spoken) == (spoken, None)
    assert split_output((spoken, OUTPUTS)) == (spoken, OUTPUTS)


@pytest.mark.parametrize("value", [(), (1,), (24_000, [0, 1]), (1, 2, 3, 4), (OUTPUTS, AUDIO), (OUTPUTS, OUTPUTS, 1)])
def test_other_tuples_are_refused_by_what_they_hold(value: Any) -> None:
    with pytest.raises(AudioFormatError, match="got a tuple of") as raised:
        split_output(value)
    assert all(type(item).__name__ in str(raised.value) for item in value)


def test_representations() -> None:
    assert repr(OUTPUTS) == "AdditionalOutputs(1, 'two')"
    assert repr(CLOSE) == "CloseStream('bye')"
    assert CloseStream().msg == "Stream closed"
    assert AdditionalOutputs().args == ()


def test_webrtc_data_unpacks_like_audio() -> None:
    rate, samples = WebRTCData(webrtc_id="id", audio=AUDIO)
    assert rate == 24_000
    assert samples is PCM
    assert list(WebRTCData(webrtc_id="id", textbox="hi")) == []
    assert WebRTCData(webrtc_id="id", textbox="hi").model_dump() == {"webrtc_id": "id", "textbox": "hi", "audio": None}
    with pytest.raises(TypeError):
        WebRTCData("id")  # type: ignore[misc]


def test_a_reason_is_text_whatever_it_was() -> None:
    # It is put into JSON on the media clock's thread, where an error would be everybody's.
    assert CloseStream(7).msg == "7"  # type: ignore[arg-type]
    assert CloseStream("over").msg == "over"
