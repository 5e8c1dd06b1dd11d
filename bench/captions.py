"""What live captions cost and how good they are, as JSON: recorded sentences through whole sessions in virtual time.

    python bench/captions.py

CPU is the process's, with captions and without. In virtual time the recogniser answers at once, so it is asked as often
as it ever will be. *No question at the end*: turns whose final transcript is the last partial one, so that nobody
waited for it. *Settled*: how much of a partial transcript's words are the first words of the final one, in the mean.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from engine_bare import machine

from fastrtc import ReplyOnPause, get_stt_model
from fastrtc.events import TurnCommitted, UserTranscript
from fastrtc.media.resample import resample_clip
from fastrtc.testing import Rehearsal

RATE_HZ = 16_000
SPEECH = Path(__file__).parents[2] / "shared" / "speech"
FOLDERS = ("fleurs-mini/fleurs-en", "pocketsphinx-testdata/librivox", "pocketsphinx-testdata/cards")


class Counted:
    """The default recogniser, counting how often and how long it is asked."""

    def __init__(self) -> None:
        self._model = get_stt_model()
        self.questions = 0

    def stt(self, audio: Any) -> str:
        self.questions += 1
        return self._model.stt(audio)


def main() -> int:
    """Run every sentence twice."""
    if not SPEECH.is_dir():
        sys.stderr.write(f"no recorded speech at {SPEECH}\n")
        return 2
    clips = [load(SPEECH / row["file"]) for row in manifest() if row["file"].startswith(FOLDERS)]
    seconds = sum(clip.size for clip in clips) / RATE_HZ
    without_s = sum(run(clip, False)[0] for clip in clips)
    counted = Counted()
    counted.stt((RATE_HZ, clips[0]))
    counted.questions = 0
    with_s, calls = 0.0, []
    for clip in clips:
        cpu_s, call = run(clip, counted)
        with_s += cpu_s
        calls.append(call)
    transcripts = [event for call in calls for event in call.events if isinstance(event, UserTranscript)]
    turns = sum(isinstance(event, TurnCommitted) for call in calls for event in call.events)
    finals = [event for event in transcripts if event.final and event.turn is not None]
    partial = len(transcripts) - sum(event.final for event in transcripts)
    row = {
        "speech_s": round(seconds, 1),
        "turns": turns,
        "finals": len(finals),
        "partials_told_per_s": round(partial / seconds, 2),
        "questions_per_s": round(counted.questions / seconds, 2),
        "cpu_s_per_speech_s": {"with": round(with_s / seconds, 3), "without": round(without_s / seconds, 3)},
        "settled": round(float(np.mean([share for call in calls for share in settled(call)])), 3),
        "no_question_at_the_end": round(float(np.mean([known_before(call) for call in calls if finals])), 3),
    }
    print(json.dumps({"machine": machine(), **row}, indent=2))
    return 0


def manifest() -> list[dict[str, str]]:
    with (SPEECH / "MANIFEST.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def load(path: Path) -> Any:
    samples, rate_hz = soundfile.read(path, dtype="float32")
    clip = resample_clip(samples, rate_hz, RATE_HZ)
    return np.clip(clip * 32767, -32768, 32767).astype(np.int16)


def run(clip: Any, captions: Any) -> tuple[float, Rehearsal]:
    """One sentence, spoken into a session of its own; CPU seconds and the session."""
    call = Rehearsal(ReplyOnPause(lambda _audio: None, input_sample_rate=RATE_HZ, captions=captions), RATE_HZ)
    start = time.process_time()
    call.silence(1.0)
    call.hear(clip)
    call.silence(2.0)
    cpu_s = time.process_time() - start
    call.close()
    return cpu_s, call


def settled(call: Rehearsal) -> list[float]:
    """For each partial transcript: the share of its words that the final one begins with."""
    shares: list[float] = []
    waiting: list[list[str]] = []
    for event in call.events:
        if not isinstance(event, UserTranscript):
            continue
        words = event.text.lower().replace(",", "").replace(".", "").split()
        if not event.final:
            waiting.append(words)
            continue
        for guess in waiting:
            same = next(
                (place for place, pair in enumerate(zip(guess, words, strict=False)) if pair[0] != pair[1]), len(guess)
            )
            shares.append(min(same, len(guess)) / max(1, len(guess)))
        waiting = []
    return shares


def known_before(call: Rehearsal) -> float:
    """The share of the turns whose final transcript is the last partial one."""
    known, last = [], ""
    for event in call.events:
        if isinstance(event, UserTranscript):
            if event.final and event.turn is not None:
                known.append(event.text == last)
            last = event.text
    return float(np.mean(known)) if known else 0.0


if __name__ == "__main__":
    sys.exit(main())
