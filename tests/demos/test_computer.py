"""The demo ``computer`` with recorded speech, in virtual time: its name, a pause, and only then what it is to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastrtc import get_stt_model
from fastrtc.audio import PCM
from fastrtc.events import TurnCommitted, UserTranscript
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.speech.moonshine_weights import carried_weights
from fastrtc.testing import Rehearsal

pytestmark = pytest.mark.speech
RATE_HZ = 16_000
ORDER = "picovoice-speech-to-intent/speech/clean/b6822824-5662-44e4-af15-2302b0fe2c47.flac"


def load(path: Path) -> PCM:
    soundfile = pytest.importorskip("soundfile")
    samples, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == RATE_HZ
    return samples  # type: ignore[no-any-return]


@pytest.mark.parametrize("clip", ["0386da81", "07542e8f", "150c947e"])
def test_its_name_alone_is_no_command(clip: str, speech: Path) -> None:
    if carried_weights() is None:
        pytest.skip("the default recogniser is not installed (extra stt)")
    (name,) = speech.glob(f"picovoice-wake-word-benchmark/computer/{clip}-*.flac")
    stt_model = get_stt_model()
    handler = ReplyOnStopWords(
        lambda audio: None, ["computer"], input_sample_rate=RATE_HZ, stt_model=stt_model, captions=True
    )
    call = Rehearsal(handler, RATE_HZ)
    call.silence(1.0)
    call.hear(load(name))
    call.silence(1.0)
    assert sum('"stopword"' in message for message in call.link.messages) == 1
    assert [event for event in call.events if isinstance(event, TurnCommitted)] == []
    call.hear(load(speech / ORDER))
    call.silence(2.0)
    (committed,) = [event for event in call.events if isinstance(event, TurnCommitted)]
    (final,) = [event for event in call.events if isinstance(event, UserTranscript) and event.final]
    assert final.turn == committed.turn
    assert "coffee" in final.text
    assert np.isclose(final.end_s, committed.end_s)
    call.close()
