"""The default voice: time to first sound, real-time factor, memory, and what a recogniser understands, as JSON.

    python bench/tts.py [--voices hibari nanotts kokoro] [--runs 20] [--save FOLDER]

*First sound* is the time from the call until the first chunk is there, and from its beginning to its first audible
sample (a tenth of its peak). The word error rate is of ``get_stt_model()`` on thirty sentences written for this
purpose; the spelling of numbers and of British words is brought together first. ``nanotts`` (``pip install
py-nanotts``), the other voice that comes in a wheel, is there to compare with.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from engine_bare import machine

from fastrtc import get_stt_model, get_tts_model

SENTENCES = """
I have turned on the lights in the kitchen.
The meeting with the dentist is on Thursday at half past three.
Sorry, I did not understand that, could you say it again?
It will rain in the afternoon, so take an umbrella with you.
Your train leaves from the second platform in eleven minutes.
The old lighthouse keeper waved at every ship that passed.
Please put the milk back into the fridge when you are done.
She found a small silver coin under the wooden floor.
Which of these songs would you like to hear first?
We walked along the river until the sun went down.
The printer is out of paper and the door of the tray is open.
Good morning, how can I help you today?
There are twelve new messages, and three of them are urgent.
He painted the fence green because blue was sold out.
A cup of tea and a good book make a quiet evening.
The computer needs to be restarted before the update works.
My neighbour grows tomatoes, beans and very large pumpkins.
I would rather take the earlier flight and sleep at home.
The children built a castle out of sand and shells.
Nobody knew why the clock in the hall had stopped.
Set the thermostat to nineteen degrees during the night.
The bakery on the corner closes early on Sundays.
Thank you for waiting, your call is important to us.
The dog barked twice and then went back to sleep.
You can find the keys in the drawer beside the window.
Fresh bread smells better than anything else in the world.
The answer is longer than the question, as it often is.
They cancelled the concert because the singer lost her voice.
Turn left after the bridge and follow the narrow road uphill.
A heavy storm knocked down two trees behind the school.
""".strip().splitlines()
PARAGRAPH = " ".join(SENTENCES[:5])
SAME = {
    "neighbour": "neighbor",
    "cancelled": "canceled",
    "3": "three",
    "11": "eleven",
    "12": "twelve",
    "19": "nineteen",
    "2": "two",
}

Speech = tuple[int, Any]


class NanoTTS:
    """SVOX Pico from the wheel ``py-nanotts``."""

    def __init__(self) -> None:
        from py_nanotts import NanoTTS as Engine

        self._engine = Engine()

    def tts(self, text: str) -> Speech:
        return 16_000, np.frombuffer(self._engine.speak(text, voice="en-US"), np.int16) / np.float32(32768)

    def stream_tts_sync(self, text: str) -> Iterator[Speech]:
        yield self.tts(text)


VOICES: dict[str, Callable[[], Any]] = {
    "hibari": lambda: get_tts_model("hibari"),
    "kokoro": lambda: get_tts_model("kokoro"),
    "nanotts": NanoTTS,
}


def main() -> int:
    """Measure each voice in turn; memory is the growth of the process, so the first figure is the honest one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", nargs="+", choices=sorted(VOICES), default=["hibari"])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--save", type=Path, help="keep what was spoken here, as WAV files, to listen to")
    options = parser.parse_args()
    rows = []
    for name in options.voices:
        before_mb = resident_mb()
        start = time.perf_counter()
        voice = VOICES[name]()
        row = {"voice": name, "load_s": round(time.perf_counter() - start, 2)}
        row |= speed(voice, options.runs)
        row["memory_mb"] = round(resident_mb() - before_mb)
        rows.append(row | understanding(name, voice, options.save))
        sys.stderr.write(json.dumps(rows[-1]) + "\n")
    print(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    return 0


def speed(voice: Any, runs: int) -> dict[str, Any]:
    """Times of short and long texts."""
    result: dict[str, Any] = {}
    for label, text in (("hello", "Hello."), ("sentence", SENTENCES[1]), ("paragraph", PARAGRAPH)):
        times = sorted(first_sound_ms(voice, text) for _ in range(runs))
        result[f"first_sound_{label}_ms"] = {"p50": round(times[runs // 2]), "p90": round(times[runs * 9 // 10])}
    start, cpu = time.perf_counter(), time.process_time()
    seconds = sum(samples.size / rate_hz for rate_hz, samples in map(voice.tts, SENTENCES))
    result["real_time_factor"] = round((time.perf_counter() - start) / seconds, 4)
    result["cpu_s_per_audio_s"] = round((time.process_time() - cpu) / seconds, 4)
    return result


def first_sound_ms(voice: Any, text: str) -> float:
    start = time.perf_counter()
    stream = voice.stream_tts_sync(text)
    rate_hz, samples = next(stream)
    took_s = time.perf_counter() - start
    stream.close()
    loud = np.abs(samples) > 0.1 * np.abs(samples).max()
    return 1000 * (took_s + float(np.flatnonzero(loud)[0]) / rate_hz)


def understanding(name: str, voice: Any, folder: Path | None) -> dict[str, Any]:
    """Word error rate of the default recogniser on what the voice says."""
    recogniser = get_stt_model()
    errors = words = 0
    misheard = []
    for number, sentence in enumerate(SENTENCES):
        rate_hz, samples = voice.tts(sentence)
        if folder is not None:
            save(folder / f"{name}-{number:02d}.wav", rate_hz, samples)
        heard = recogniser.stt((rate_hz, np.asarray(samples, np.float32)))
        wrong = distance(words_of(sentence), words_of(heard))
        errors += wrong
        words += len(words_of(sentence))
        if wrong:
            misheard.append([sentence, heard])
    return {"word_error_rate": round(errors / words, 4), "words": words, "misheard": misheard}


def words_of(text: str) -> list[str]:
    return [SAME.get(word, word) for word in re.findall(r"[a-z0-9']+", text.lower())]


def distance(wanted: list[str], heard: list[str]) -> int:
    """Words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(wanted, 1):
        last, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            last, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, last + (word != other))
    return row[-1]


def save(path: Path, rate_hz: int, samples: Any) -> None:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")


def resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
