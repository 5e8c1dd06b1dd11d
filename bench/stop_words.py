"""How well stop words are heard: misses, false alarms, delay, and where the command after one begins, as JSON.

    python bench/stop_words.py detect [--words computer jarvis ...] [--conditions clean "noise 10 dB" ...]
    python bench/stop_words.py held-out
    python bench/stop_words.py false
    python bench/stop_words.py command
    python bench/stop_words.py crowd [--sessions 20] [--share 0.3] [--seconds 30]

Recorded clips from `../shared/speech` go through `ReplyOnStopWords` and its driver in packets of 20 ms, in virtual time
(`fastrtc.testing.Rehearsal`); the time that the recogniser really took is added to each delay. `detect` puts each clip
into three seconds of nothing, of audio books or of recorded noise. `held-out` are words of a telephone corpus that no
threshold was chosen with, alone and at the end of a sentence. `false` listens to everything that does not hold a stop
word. `command` joins "computer" and a spoken command with a gap, and compares where the audio given to the function
begins with where the command does. `crowd` asks the pool what so many sessions would, in real time.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _endpointing_corpora import DATA, RATE_HZ, Float, dip_near, floor_noise, load, speech_probabilities, speech_spans

from fastrtc.audio import PCM, float_to_int16
from fastrtc.events import TurnCommitted
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.handlers.wake import LONGEST_S, STEP_S
from fastrtc.speech.moonshine import MoonshineSTT
from fastrtc.speech.recogniser import get_stt_model
from fastrtc.speech.recognition_pool import RecognitionPool
from fastrtc.speech.spotting import MoonshineSpotter
from fastrtc.speech.stop_words import StopWords
from fastrtc.testing import Rehearsal

WORDS = {
    "computer": ["picovoice-wake-word-benchmark/computer", "precise-community-data/computer/en"],
    "jarvis": ["picovoice-wake-word-benchmark/jarvis"],
    "view glass": ["picovoice-wake-word-benchmark/view_glass"],
    "smart mirror": ["picovoice-wake-word-benchmark/smart_mirror"],
    "alexa": ["picovoice-wake-word-benchmark/alexa"],
    "snowboy": ["picovoice-wake-word-benchmark/snowboy"],
    "amelia": ["precise-community-data/amelia/en"],
    "athena": ["precise-community-data/athena/en"],
    "hey computer": ["precise-community-data/heycomputer/en"],
    "marvin": ["speech-commands-mini/marvin"],
    "sheila": ["speech-commands-mini/sheila"],
}
ASKED = ["computer", "jarvis", "view glass", "smart mirror"]
CONDITIONS = {"clean": None, "speech 20 dB": 20.0, "speech 10 dB": 10.0, "noise 20 dB": 20.0, "noise 10 dB": 10.0}
PHONE_WORDS = ["operator", "voyager", "wildfire"]
OTHERS = [
    "fleurs-mini",
    "librosa-data",
    "picovoice-speech-to-intent",
    "ami-excerpts-pyannote",
    "asterisk-prompts-en",
    "pocketsphinx-testdata",
    "fsdd",
    "speech-commands-mini",
    "precise-community-data/not-wake-words",
    "precise-community-data/amelia",
    "precise-community-data/athena",
    "picovoice-wake-word-benchmark/alexa",
    "picovoice-wake-word-benchmark/snowboy",
    "wuw-corpus-ii",
]
GAPS_S = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
FRAME = RATE_HZ // 50


@dataclass(frozen=True, slots=True)
class Alarm:
    """A stop word that was heard: at which second, and how long the recogniser took for that."""

    at_s: float
    took_s: float


class Timed(Rehearsal):
    """A rehearsal that notes when a stop word was heard, and how long that took."""

    def __init__(self, words: list[str], **options: Any) -> None:
        self.alarms: list[Alarm] = []
        self.took_s: list[float] = []
        self.heard: list[str] = []
        self._length = 0
        handler = ReplyOnStopWords(quiet, words, input_sample_rate=RATE_HZ, stt_model=get_stt_model(), **options)
        super().__init__(handler, RATE_HZ)

    def recognise(
        self, key: Hashable, work: Callable[[], Any], then: Callable[[Any], None], failed: Callable[[Any], None]
    ) -> None:
        def timed() -> Any:
            began = time.perf_counter()
            found = work()
            self.took_s.append(time.perf_counter() - began)
            if isinstance(found, str):
                self.heard.append(found)
            return found

        super().recognise(key, timed, then, failed)

    def listen(self, sound: Float) -> None:
        """Hear a recording."""
        pcm = float_to_int16(sound)
        known = self._stop_words()
        for at in range(0, pcm.size - FRAME + 1, FRAME):
            self.hear(pcm[at : at + FRAME])
            self._length += FRAME
            if self._stop_words() > known:
                known = self._stop_words()
                self.alarms.append(Alarm(self._length / RATE_HZ, self.took_s[-1]))

    def _stop_words(self) -> int:
        return sum('"stopword"' in message for message in self.link.messages)


def quiet(_audio: Any) -> Iterator[Any]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Stream:
    """A recording with a stop word in it, from one second to another; commands: where the command begins."""

    name: str
    sound: Float
    start_s: float
    end_s: float
    command_s: float = 0.0


def spoken(sound: Float) -> tuple[int, int]:
    """Where speech begins and ends in a clip, in samples: the 10 ms within 30 dB of its loudest that are 10 dB above
    its floor, near what the voice detector calls speech."""
    padded = np.concatenate([np.zeros(RATE_HZ // 2, np.float32), sound, np.zeros(RATE_HZ // 2, np.float32)])
    spans = [span for span in speech_spans(speech_probabilities(padded)) if span[1] - span[0] >= 3]
    energy = 10 * np.log10(np.convolve(np.diff(sound, prepend=np.float32(0)) ** 2, np.ones(320) / 320, "same") + 1e-10)
    energy = energy[::160]
    if not spans:
        spans = [(0, padded.size // 512)]
    low = max(0, (spans[0][0] * 512 - RATE_HZ // 2) // 160 - 10)
    high = (spans[-1][1] * 512 - RATE_HZ // 2) // 160 + 15
    level = max(np.percentile(energy, 10) + 10, energy[low:high].max() - 30)
    loud = np.flatnonzero(energy[low:high] > level)
    if not loud.size:
        return max(0, low * 160), min(high * 160, sound.size)
    return (low + int(loud[0])) * 160, (low + int(loud[-1]) + 1) * 160


def files(folder: str) -> list[Path]:
    """The recordings below a folder of the corpora."""
    return sorted((DATA / folder).rglob("*.flac"))


def backgrounds() -> dict[str, Float]:
    """Minutes of speech, and of noise."""
    books = [load(path) for path in files("librosa-data") if path.name[0].isdigit()]
    read = [load(path) for path in files("fleurs-mini")]
    noise = [load(path) for path in files("precise-community-data/not-wake-words/noises")]
    return {"speech": np.concatenate(books + read), "noise": np.concatenate(noise)}


def stream_of(path: Path, condition: str, background: dict[str, Float], random: np.random.Generator) -> Stream:
    """A clip in the middle of a background."""
    sound = load(path)
    start, end = spoken(sound)
    lead = 3 * RATE_HZ
    whole = np.concatenate([floor_noise(sound, lead, random), sound, floor_noise(sound, 2 * RATE_HZ, random)])
    ratio_db = CONDITIONS[condition]
    if ratio_db is not None:
        other = background[condition.split(maxsplit=1)[0]]
        at = int(random.integers(0, other.size - whole.size))
        other = other[at : at + whole.size]
        gain = np.sqrt(power(sound[start:end]) / power(other) / 10 ** (ratio_db / 10))
        whole = whole + np.float32(gain) * other
    return Stream(path.stem, whole, (lead + start) / RATE_HZ, (lead + end) / RATE_HZ)


def power(sound: Float) -> float:
    return float((sound**2).mean()) + 1e-12


def judged(word: str, streams: list[Stream]) -> dict[str, Any]:
    """Misses, delays, and alarms that came before the word."""
    missed, delays, early, took = [], [], 0, []
    for stream in streams:
        run = Timed([word])
        run.listen(stream.sound)
        took += run.took_s
        right = [alarm for alarm in run.alarms if alarm.at_s > stream.start_s]
        early += len(run.alarms) - len(right)
        if right:
            delays.append(right[0].at_s + right[0].took_s - stream.end_s)
        else:
            missed.append(stream.name)
        run.close()
    return {
        "clips": len(streams),
        "missed": len(missed),
        "miss_percent": round(100 * len(missed) / len(streams), 1),
        "false": early,
        "delay_p50_s": quantile(delays, 50),
        "delay_p90_s": quantile(delays, 90),
        "question_ms": round(1000 * float(np.mean(took)), 1) if took else None,
        "missed_clips": missed,
    }


def quantile(values: list[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 3) if values else None


def detect(words: list[str], conditions: list[str]) -> dict[str, Any]:
    background = backgrounds()
    found: dict[str, Any] = {}
    for condition in conditions:
        found[condition] = {}
        for word in words:
            random = np.random.default_rng(7)
            paths = [path for folder in WORDS[word] for path in files(folder)]
            streams = [stream_of(path, condition, background, random) for path in paths]
            found[condition][word] = one = judged(word, streams)
            show(condition, word, one)
        parts = found[condition].values()
        clips, missed = sum(part["clips"] for part in parts), sum(part["missed"] for part in parts)
        found[condition]["all"] = total = {
            "clips": clips,
            "missed": missed,
            "miss_percent": round(100 * missed / clips, 1),
        }
        show(condition, "all", total)
    return found


def held_out() -> dict[str, Any]:
    """The telephone corpus: its labels say where each word is."""
    with (DATA / "wuw-corpus-ii" / "LABELS.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found: dict[str, Any] = {}
    for kind in ("isolated keyword", "keyword in sentence"):
        for word in PHONE_WORDS:
            random = np.random.default_rng(7)
            streams = []
            for row in rows:
                path = DATA / "wuw-corpus-ii" / row["file"].replace(".wav", ".flac")
                if row["kind"] == kind and row["keyword"] == word and path.exists() and row["kw_end"]:
                    sound = load(path)
                    lead = floor_noise(sound, RATE_HZ, random)
                    whole = np.concatenate([lead, sound, floor_noise(sound, 2 * RATE_HZ, random)])
                    streams.append(Stream(path.stem, whole, 1 + float(row["kw_start"]), 1 + float(row["kw_end"])))
            found[f"{word}, {kind}"] = one = judged(word, streams)
            show(kind, word, one)
    return found


def false_alarms(words: list[str], seed: int) -> dict[str, Any]:
    """Speech that should leave it cold; another seed is other noise around it, and windows that fall elsewhere."""
    random = np.random.default_rng(seed)
    seconds, alarms, took = 0.0, [], []
    for folder in OTHERS:
        before_s, before = seconds, len(alarms)
        for path in files(folder):
            sound = load(path)
            lead = RATE_HZ // 2 + int(random.integers(round(STEP_S * RATE_HZ)))
            whole = np.concatenate([floor_noise(sound, lead, random), sound, floor_noise(sound, RATE_HZ, random)])
            run = Timed(words)
            run.listen(whole)
            seconds += whole.size / RATE_HZ
            took += run.took_s
            alarms += [
                (str(path.relative_to(DATA)), run.heard[n], round(alarm.at_s, 2)) for n, alarm in enumerate(run.alarms)
            ]
            run.close()
        show("alarms", folder, {"minutes": round((seconds - before_s) / 60, 1), "alarms": alarms[before:]})
    real = real_ones()
    wrong = [alarm for alarm in alarms if alarm[0] not in real]
    result = {
        "words": words,
        "hours": round(seconds / 3600, 3),
        "false_alarms": len(wrong),
        "per_hour": round(3600 * len(wrong) / seconds, 2),
        "in_sentences_that_hold_the_word": len(alarms) - len(wrong),
        "alarms": alarms,
        "recognition_percent_of_a_core": round(100 * sum(took) / seconds, 1),
    }
    show("false alarms", ", ".join(words), result)
    return result


def real_ones() -> set[str]:
    """Recordings whose transcript holds one of the words."""
    with (DATA / "MANIFEST.tsv").open() as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["file"] for row in rows if any(word in row["label_or_transcript"].lower() for word in ASKED)}


def command() -> dict[str, Any]:
    random = np.random.default_rng(11)
    paths = files("picovoice-wake-word-benchmark/computer")
    orders = files("picovoice-speech-to-intent")
    found: dict[str, Any] = {}
    everything: list[float] = []
    for gap_s in GAPS_S:
        errors, lost = [], 0
        for number, path in enumerate(paths):
            stream = joined(load(path), load(orders[number % len(orders)]), gap_s, random)
            run = Timed(["computer"])
            run.listen(stream.sound)
            turns = [event for event in run.events if isinstance(event, TurnCommitted)]
            if run.alarms and turns:
                errors.append(turns[0].start_s - stream.command_s)
            else:
                lost += 1
            run.close()
        everything += errors
        found[f"gap {gap_s} s"] = one = spread(errors) | {"not_heard": lost}
        show("command", f"gap {gap_s} s", one)
    found["all"] = spread(everything)
    show("command", "all", found["all"])
    return found


def joined(word: Float, order: Float, gap_s: float, random: np.random.Generator) -> Stream:
    """A stop word and the first seconds of a command, at the same loudness."""
    start, end = spoken(word)
    begins, _ = spoken(order)
    until = dip_near(order, min(begins + 3 * RATE_HZ, order.size - 1), RATE_HZ // 2)
    first = word[start:end]
    rest = order[begins:until] * np.float32(np.sqrt(power(first) / power(order[begins:until])))
    lead, gap = floor_noise(word, RATE_HZ, random), floor_noise(word, round(gap_s * RATE_HZ), random)
    sound = np.concatenate([lead, first, gap, rest, floor_noise(word, 2 * RATE_HZ, random)])
    at = (lead.size + first.size + gap.size) / RATE_HZ
    return Stream("", np.clip(sound, -1, 1), 1.0, (lead.size + first.size) / RATE_HZ, at)


def spread(errors: list[float]) -> dict[str, Any]:
    values = np.array(errors)
    return {
        "commands": len(errors),
        "within_100_ms_percent": round(100 * float((np.abs(values) <= 0.1).mean()), 1),
        "late_over_100_ms": int((values > 0.1).sum()),
        "early_over_100_ms": int((values < -0.1).sum()),
        "error_p01_ms": round(1000 * float(np.percentile(values, 1))),
        "error_p50_ms": round(1000 * float(np.median(values))),
        "error_p99_ms": round(1000 * float(np.percentile(values, 99))),
    }


def crowd(sessions: int, share: float, seconds: float) -> dict[str, Any]:
    """Questions of many sessions to one pool in real time; each talks a share of the time, 1 to 5 s at once."""
    random = np.random.default_rng(5)
    talk = backgrounds()["speech"]
    spotter = MoonshineSpotter(MoonshineSTT(), StopWords(["computer"]), 0.5)
    due = sorted(
        (at_s, session, first, last)
        for session in range(sessions)
        for at_s, first, last in questions(random, share, seconds, talk.size)
    )
    pool = RecognitionPool(os.cpu_count() or 1)
    waits_s: list[float] = []
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for at_s, session, first, last in due:
        time.sleep(max(0.0, began_s + at_s - time.perf_counter()))
        audio, asked_s = float_to_int16(talk[first:last]), time.perf_counter()

        def job(audio: PCM = audio, asked_s: float = asked_s) -> None:
            spotter.spot(RATE_HZ, audio)
            waits_s.append(time.perf_counter() - asked_s)

        pool.submit(session, job)
    cpu_s = time.process_time() - began_cpu_s
    stats = pool.stats
    pool.close()
    found = {
        "sessions": sessions,
        "talking_percent": round(100 * share),
        "questions": len(due),
        "dropped": stats.dropped,
        "dropped_percent": round(100 * stats.dropped / len(due), 1),
        "cores": round(cpu_s / seconds, 2),
        "wait_p50_s": quantile(waits_s, 50),
        "wait_p99_s": quantile(waits_s, 99),
    }
    show("crowd", f"{sessions} sessions", found)
    return found


def questions(random: np.random.Generator, share: float, seconds: float, size: int) -> Iterator[tuple[float, int, int]]:
    """When one session asks, and about which samples: as its ``WakeListener`` does while somebody talks."""
    at_s = float(random.uniform(0, 2))
    while at_s < seconds:
        talk_s = float(random.uniform(1, 5))
        first = int(random.integers(0, size - 6 * RATE_HZ))
        for step in range(1, int(talk_s / STEP_S) + 2):
            heard_s = min(step * STEP_S, talk_s)
            last = first + round(heard_s * RATE_HZ)
            if at_s + heard_s < seconds:
                yield at_s + heard_s, max(first, last - round(LONGEST_S * RATE_HZ)), last
        at_s += talk_s / share


def show(what: str, which: str, values: dict[str, Any]) -> None:
    told = {key: value for key, value in values.items() if key not in ("words", "missed_clips")}
    print(f"{what:22} {which:14}", told, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "part", nargs="?", default="detect", choices=["detect", "held-out", "false", "command", "crowd"]
    )
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.3, help="of the time that each session talks (crowd)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long (crowd)")
    parser.add_argument("--seed", type=int, default=3, help="of the noise around other speech (false)")
    parser.add_argument("--words", nargs="+", default=ASKED, choices=sorted(WORDS), metavar="WORD")
    parser.add_argument(
        "--conditions", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS), metavar="CONDITION"
    )
    arguments = parser.parse_args()
    match arguments.part:
        case "detect":
            found = detect(arguments.words, arguments.conditions)
        case "held-out":
            found = held_out()
        case "false":
            found = false_alarms(arguments.words, arguments.seed)
        case "crowd":
            found = crowd(arguments.sessions, arguments.share, arguments.seconds)
        case _:
            found = command()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
