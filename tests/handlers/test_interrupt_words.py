"""Replies that end only after so many words: counted in a session, scripted and with recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from fastrtc.audio import PCM
from fastrtc.events import ReplyHeld, ReplyInterrupted, ReplyResumed
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.testing import Rehearsal, ScriptedVad
from fastrtc.turns.options import AlgoOptions

RATE = 16_000
WORD_S = 0.5
OPTIONS = AlgoOptions(interrupt_words=2)


class OneWordEveryHalfSecond:
    def stt(self, audio: tuple[int, Any]) -> str:
        return "word " * int(audio[1].size / audio[0] / WORD_S)


def monologue(audio: Any) -> Any:
    return 24_000, np.full((1, 24_000 * 30), 9, np.int16)


def when(rehearsal: Rehearsal, kind: type[Any]) -> list[float]:
    return [event.at_s for event in rehearsal.events if isinstance(event, kind)]


def test_too_few_words_let_the_reply_go_on_and_enough_end_it_while_they_go_on() -> None:
    vad = ScriptedVad([(0.5, 1.5), (4.0, 4.6), (6.0, 9.0)])
    handler = ReplyOnPause(
        monologue, model=vad, input_sample_rate=RATE, captions=OneWordEveryHalfSecond(), algo_options=OPTIONS
    )
    rehearsal = Rehearsal(handler, RATE)
    rehearsal.silence(12.0)
    assert when(rehearsal, ReplyHeld) == pytest.approx([4.1, 6.1], abs=0.1)
    assert when(rehearsal, ReplyResumed) == pytest.approx([5.1], abs=0.2)
    (interrupted,) = when(rehearsal, ReplyInterrupted)
    assert 6.9 <= interrupted <= 7.6, "two words have been said at 7.0, the onset's pre-roll apart"
    rehearsal.close()


@pytest.mark.speech
@pytest.mark.parametrize(
    ("clip", "interrupts"),
    [("speech-commands-mini/stop/1eddce1d_nohash_3.flac", False), ("pocketsphinx-testdata/goforward.flac", True)],
)
def test_recorded_words(speech: Path, clip: str, interrupts: bool) -> None:
    pytest.importorskip("moonshine_voice", reason="the default recogniser is not installed (extra stt)")
    said = load(speech / clip)
    rehearsal = Rehearsal(
        ReplyOnPause(monologue, startup_fn=lambda: monologue(None), input_sample_rate=RATE, algo_options=OPTIONS), RATE
    )
    rehearsal.silence(3.0)
    rehearsal.hear(said)
    rehearsal.silence(2.0)
    rehearsal.close()
    assert when(rehearsal, ReplyHeld)
    assert bool(when(rehearsal, ReplyInterrupted)) is interrupts
    assert bool(when(rehearsal, ReplyResumed)) is not interrupts


def load(path: Path) -> PCM:
    pcm, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == RATE
    return np.asarray(pcm, np.int16)
