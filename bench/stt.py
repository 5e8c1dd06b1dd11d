"""Word error rate, CPU and memory of a recogniser on the transcribed clips of `../shared/speech`, as JSON.

    python bench/stt.py [--model moonshine/tiny]

Texts are compared in small letters, without punctuation, numbers written out. `cpu_ms_per_audio_s` is the CPU time of
the process, on one thread; `first_ms` the wall time of the first clip with loading; `memory_mb` what the process
occupies more than before the model was loaded.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _endpointing_corpora import DATA, RATE_HZ, load

from fastrtc.audio import float_to_int16
from fastrtc.speech.recogniser import get_stt_model

CORPORA = {
    "read sentences": "fleurs-mini/",
    "cards and numbers": "pocketsphinx-testdata/",
    "telephone sentences": "wuw-corpus-ii/",
    "single words": "speech-commands-mini/",
    "digits": "fsdd/",
}
SMALL = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="moonshine/tiny")
    arguments = parser.parse_args()
    clips = {name: transcribed(folder) for name, folder in CORPORA.items()}
    before_mb = memory_mb()
    began = time.perf_counter()
    model = get_stt_model(arguments.model)
    first, _ = next(iter(clips.values()))[0]
    model.stt((RATE_HZ, float_to_int16(load(first))))
    first_ms = 1000 * (time.perf_counter() - began)
    found: dict[str, Any] = {"model": arguments.model, "first_ms": round(first_ms), "corpora": {}}
    for name, rows in clips.items():
        found["corpora"][name] = one = measured(model, rows)
        print(f"{name:20}", one, file=sys.stderr, flush=True)
    found["memory_mb"] = round(memory_mb() - before_mb)
    print(json.dumps(found, indent=1))


def transcribed(folder: str) -> list[tuple[Path, str]]:
    """The clips of a folder and what is said in them; those with words broken off are left out."""
    with (DATA / "MANIFEST.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    chosen = [(DATA / row["file"], row["label_or_transcript"]) for row in rows if row["file"].startswith(folder)]
    return [(path, text) for path, text in chosen if "*" not in text and "-" not in text.split()]


def measured(model: Any, rows: list[tuple[Path, str]]) -> dict[str, Any]:
    errors = words = 0
    seconds = cpu_s = 0.0
    for path, text in rows:
        sound = load(path)
        began = time.process_time()
        heard = model.stt((RATE_HZ, float_to_int16(sound)))
        cpu_s += time.process_time() - began
        seconds += sound.size / RATE_HZ
        wanted = plain(text)
        errors += distance(wanted, plain(heard))
        words += len(wanted)
    return {
        "clips": len(rows),
        "words": words,
        "wer_percent": round(100 * errors / max(1, words), 1),
        "audio_s": round(seconds),
        "cpu_ms_per_audio_s": round(1000 * cpu_s / seconds, 1),
    }


def plain(text: str) -> list[str]:
    """Words as they are compared; what a transcript has in brackets are noises."""
    text = re.sub(r"\[[^]]*\]|\{[^}]*\}|<[^>]*>", " ", text).lower().replace("\u2019", "'")
    return [part for word in re.findall(r"[a-z']+|\d+", text) for part in spelled(word)]


def spelled(word: str) -> list[str]:
    """A number in words; up to 9999, longer ones digit by digit."""
    if not word.isdigit():
        return [word]
    number = int(word)
    if len(word) > 4:
        return [SMALL[int(digit)] for digit in word]
    if number < 20:
        return [SMALL[number]]
    if number < 100:
        return [TENS[number // 10 - 2], *([SMALL[number % 10]] if number % 10 else [])]
    base, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = spelled(str(number % base)) if number % base else []
    return [*spelled(str(number // base)), name, *rest]


def distance(one: Sequence[str], two: Sequence[str]) -> int:
    """Words to leave out, put in or exchange."""
    row = np.arange(len(two) + 1)
    for number, word in enumerate(one, 1):
        above, row = row, np.full(len(two) + 1, number)
        for at, other in enumerate(two, 1):
            row[at] = min(above[at] + 1, row[at - 1] + 1, above[at - 1] + (word != other))
    return int(row[-1])


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
