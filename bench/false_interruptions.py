"""How often a reply is interrupted by what is no interruption, and how surely by what is one, as JSON.

    python bench/false_interruptions.py [--speech ../shared/speech] [--only gain echo sounds onsets cost]
                                        [--scenes 12] [--seed 1000] [--others]

Everything runs in virtual time through a whole session (`fastrtc.testing.Rehearsal`).

`gain`: recorded words at several peaks found by the detector, and false turns an hour on recorded noise and music.
`echo`: calls on loudspeakers. The bot is recorded speech, the room a decaying noise (RT60 0.2-0.8 s), with 30-500 ms of
delay, 6-30 dB of echo return loss, 100 ppm of drift, noise, one call in five clipped, and no echo cancellation in the
client (`bursts`: one that leaves 25 dB less, with bursts at full level). Per reply of 10 s: was it held, was it
interrupted. `near_*_db`: a user speaks over the reply, at that level against the echo; delays are against the same call
without echo and without guard. `first_reply`: within 1.5 s of the call's first reply, when nothing is known;
`first_reply_headphones`: there is no echo either. `--others` takes recordings that the guard's settings were not chosen
with: telephone prompts for the bot, other words and sentences of other speakers for the user.
`sounds`: words (recorded; the half of the speakers that the filter was not fitted to) and backchannels (none is
recorded: espeak-ng, whose voices partly are those that it was fitted to, and hums by formula) over a reply.
`onsets`: from the first sound of a word (25 dB below its loudest) over a reply to the tick in which the reply is
silent, less the tick in which a rule that stops at the first sound would silence it; and how often noise, music and
what callers do before they speak (breath, clicks, people beside them) hold a reply of the same length.
`cost`: CPU of gain and guard while a reply plays over its own echo, in percent of a core.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from fastrtc import AlgoOptions, ReplyOnPause
from fastrtc.handlers.screen import Screen
from fastrtc.testing import replay
from fastrtc.testing.rehearsal import Rehearsal
from fastrtc.transports.memory import MemoryLink

RATE = 16_000
TICK = RATE // 50
WORDS = ("speech-commands-mini/*/*.flac", "fsdd/recordings/*.flac", "picovoice-wake-word-benchmark/*/*.flac")
NEAR_MISSES = ("precise-community-data/not-wake-words/en/*.flac",)
NOISE = ("precise-community-data/not-wake-words/noises/**/*.flac",)
MUSIC = ("librosa-data/[HK]*.flac",)
BOTS = ("librosa-data/*-*-0000*.flac", "fleurs-mini/*.flac", "pocketsphinx-testdata/librivox/*.flac")
USERS = (
    "picovoice-speech-to-intent/speech/*.flac",
    "speech-commands-mini/stop/*.flac",
    "speech-commands-mini/no/*.flac",
)
OTHER_BOTS = ("asterisk-prompts-en/*.flac",)
OTHER_USERS = (
    "precise-community-data/not-wake-words/en/*.flac",
    "pocketsphinx-testdata/cards/*.flac",
    "speech-commands-mini/yes/*.flac",
    "speech-commands-mini/marvin/*.flac",
)


class Corpus:
    """The recorded speech."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, patterns: tuple[str, ...]) -> list[Path]:
        return sorted(path for pattern in patterns for path in self.root.glob(pattern))

    def load(self, patterns: tuple[str, ...]) -> list[np.ndarray]:
        return [load(path) for path in self.files(patterns)]


def load(path: Path) -> np.ndarray:
    """A file as float, mono, 16 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE, "HQ")


def pcm(samples: np.ndarray) -> np.ndarray:
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)


def at_peak(samples: np.ndarray, dbfs: float) -> np.ndarray:
    return samples / np.abs(samples).max() * 10 ** (dbfs / 20)


def trimmed(samples: np.ndarray) -> np.ndarray:
    """Without what is 25 dB below the loudest 10 ms at both ends."""
    energy = (samples[: samples.size // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1)
    loud = np.flatnonzero(energy > energy.max() * 10**-2.5)
    return samples[loud[0] * 160 : (loud[-1] + 1) * 160]


def quiet(seconds: float, rng: np.random.Generator, dbfs: float = -70.0) -> np.ndarray:
    return rng.standard_normal(round(seconds * RATE)) * 10 ** (dbfs / 20)


def active_level(samples: np.ndarray) -> float:
    energy = (samples[: samples.size // TICK * TICK].reshape(-1, TICK) ** 2).mean(axis=1)
    return float(np.sqrt(energy[energy > energy.max() * 1e-3].mean()))


# ---- gain ---------------------------------------------------------------------------------------------------------


def silent_handler(gain_db: float) -> ReplyOnPause:
    def answer(_: Any) -> Iterator[Any]:
        yield from ()

    return ReplyOnPause(answer, input_sample_rate=RATE, algo_options=AlgoOptions(detector_gain_db=gain_db))


def measure_gain(corpus: Corpus) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    words = corpus.load(WORDS + NEAR_MISSES)[::3]
    sets = {"noise": corpus.load(NOISE), "music": corpus.load(MUSIC)}
    report: dict[str, Any] = {"words": len(words)}
    for name, gain_db in (("without", 0.0), ("with", AlgoOptions().detector_gain_db)):
        found = {}
        for peak in (-30, -40, -50):
            for floor in (-75, -60):
                calls = [
                    np.concatenate([quiet(1, rng, floor), at_peak(word, peak), quiet(1.5, rng, floor)])
                    for word in words
                ]
                hits = [bool(replay(silent_handler(gain_db), pcm(call), RATE)) for call in calls]
                found[f"peak {peak} noise {floor} dBFS"] = round(100 * float(np.mean(hits)), 1)
        false = {}
        for kind, clips in sets.items():
            hours = sum(clip.size for clip in clips) / RATE / 3600
            turns = sum(len(replay(silent_handler(gain_db), pcm(clip), RATE)) for clip in clips)
            false[kind] = {"turns": turns, "per_hour": round(turns / hours, 1)}
        report[name] = {"words_answered_percent": found, "false_turns": false}
    return report


# ---- echo ---------------------------------------------------------------------------------------------------------


class Room(MemoryLink):
    """A client on loudspeakers: what it plays comes back into its microphone."""

    def __init__(self, rng: np.random.Generator, seconds: float, bot_level: float, *, bursts: bool, loud: bool) -> None:
        super().__init__(RATE, RATE)
        rt60, lag_ms = rng.uniform(0.2, 0.8), rng.uniform(30, 500)
        self.loss_db = rng.uniform(6, 30)
        self._response = room_response(rng, rt60) * (10 ** (-self.loss_db / 20) if loud else 0.0)
        self._clips = rng.random() < 0.2
        self._size = 1 << int(np.ceil(np.log2(self._response.size + TICK)))
        self._spectrum = np.fft.rfft(self._response, self._size)
        self._echo = np.zeros(round(seconds * RATE) + 4 * RATE)
        self._drift = rng.uniform(-1e-4, 1e-4)
        self._lag = lag_ms * RATE / 1000
        self._level = bot_level
        self.clock = 0
        self._cancelled = np.ones(self._echo.size)
        if bursts:
            self._cancelled[:] = 10 ** (-25 / 20)
            at = 0
            while at < self._echo.size:
                length = round(rng.uniform(0.05, 0.25) * RATE)
                self._cancelled[at : at + length] = 1.0
                at += length + round(rng.exponential(0.8) * RATE)

    def write(self, block: np.ndarray | None) -> None:
        super().write(block)
        if block is not None:
            samples = block / 32768
            if self._clips:
                samples = np.clip(samples * 2, -0.6, 0.6) / 2
            heard = np.fft.irfft(np.fft.rfft(samples, self._size) * self._spectrum, self._size)
            at = round(self.clock * (1 + self._drift) + self._lag)
            heard = heard[: max(0, self._echo.size - at)]
            self._echo[at : at + heard.size] += heard

    def microphone(self, near: np.ndarray) -> np.ndarray:
        """What the microphone gives in the next tick, with ``near`` before it."""
        span = slice(self.clock, self.clock + near.size)
        self.clock += near.size
        return near + self._echo[span] * self._cancelled[span]

    @property
    def echo_level(self) -> float:
        return self._level * 10 ** (-self.loss_db / 20)


def room_response(rng: np.random.Generator, rt60: float) -> np.ndarray:
    """Direct sound and decaying noise, coloured, of unit energy."""
    times = np.arange(int(rt60 * RATE)) / RATE
    tail = rng.standard_normal(times.size) * 10 ** (-3 * times / rt60)
    tail[: RATE // 500] = 0
    tail /= np.sqrt((tail**2).sum())
    tail[0] = 10 ** (rng.uniform(-6, 6) / 20)
    colour = rng.standard_normal(8) * 0.35 * 0.7 ** np.arange(8)
    colour[0] = 1.0
    response = np.convolve(tail, colour)
    return response / np.sqrt((response**2).sum())


class Call:
    """Two questions, two replies of 10 s, and what was said over one of them."""

    REPLY_S = 10.0

    def __init__(self, seed: int, bots: list[np.ndarray], users: list[np.ndarray]) -> None:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(bots))
        speech = np.concatenate([at_peak(bots[i], -6) for i in order[:6]])
        size = round(self.REPLY_S * RATE)
        self.replies = [speech[:size], speech[size : 2 * size]]
        self.level = active_level(speech[: 2 * size])
        self.question = at_peak(users[int(rng.integers(len(users)))], -14)
        self.remark = users[int(rng.integers(len(users)))]
        self.over_s = float(rng.uniform(2.0, 6.5))
        self.early_s = float(rng.uniform(0.2, 1.5))
        self.noise_dbfs = float(rng.uniform(-75, -55))
        self._seed = seed

    def run(
        self,
        *,
        near_db: float | None = None,
        reply: int = 2,
        guard: bool = True,
        loud: bool = True,
        bursts: bool = False,
    ) -> dict[str, Any]:
        """Play it; ``reply`` is the one that is spoken over."""
        rng = np.random.default_rng(self._seed + 1)
        replies = iter([*self.replies, *self.replies, *self.replies])

        def answer(_: Any) -> Iterator[Any]:
            yield RATE, pcm(next(replies)).reshape(1, -1)

        handler = ReplyOnPause(
            answer, input_sample_rate=RATE, output_sample_rate=RATE, algo_options=AlgoOptions(echo_guard=guard)
        )
        room = Room(rng, 60, self.level, bursts=bursts, loud=loud)
        rehearsal = Rehearsal(handler, RATE, link=room)
        remark = self.remark * (room.echo_level * 10 ** ((near_db or 0) / 20) / active_level(self.remark))
        marks: dict[str, float] = {}
        line = [quiet(1.0, rng, self.noise_dbfs), self.question]
        said, begun = np.concatenate(line), 0
        seen = 0
        for _ in range(60 * 50):
            near = said[:TICK]
            said = said[TICK:]
            near = np.concatenate([near, np.zeros(TICK - near.size)]) + quiet(0.02, rng, self.noise_dbfs)
            rehearsal.hear(pcm(room.microphone(near)))
            now = room.clock / RATE
            for event in rehearsal.events[seen:]:
                kind = type(event).__name__
                if kind == "FirstAudio":
                    begun += 1
                    marks[f"begun{begun}"] = now
                elif f"remark{begun}" not in marks or kind == "PlaybackFinished":
                    marks.setdefault(f"{kind}{begun}", now)
                else:
                    marks.setdefault(f"{kind}Over", now)
            seen = len(rehearsal.events)
            over_s = self.over_s if reply == 2 else self.early_s
            if (
                near_db is not None
                and begun == reply
                and "remark" not in marks
                and now - marks[f"begun{begun}"] >= over_s
            ):
                marks["remark"] = marks[f"remark{begun}"] = now
                said = remark
            last = max((marks.get(f"{k}{begun}", 0) for k in ("PlaybackFinished", "ReplyInterrupted")), default=0)
            if begun == 1 and reply == 2 and last and now - last >= 2.5 and "asked" not in marks:
                marks["asked"], said = now, self.question
            if ("remark" in marks and now - marks["remark"] > remark.size / RATE + 2) or (begun >= 2 and last):
                break
        rehearsal.close()
        return marks


def measure_echo(corpus: Corpus, scenes: int, seed: int, *, others: bool) -> dict[str, Any]:
    bots = corpus.load(OTHER_BOTS if others else BOTS)
    if others:
        # Most prompts are short: stretches of equal length, cut from all of them.
        bots = np.array_split(np.concatenate([at_peak(bot, -6) for bot in bots]), 14)
    users = [trimmed(clip) for clip in corpus.load(OTHER_USERS if others else USERS)]
    calls = [Call(seed + i, bots, users) for i in range(scenes)]
    report: dict[str, Any] = {"scenes": scenes, "seed": seed, "others": others}
    for name, options in (
        ("no_guard", {"guard": False}),
        ("guard", {}),
        ("guard_bursts", {"bursts": True}),
    ):
        report[name] = echo_only([call.run(**options) for call in calls])
    for near_db in (0, 5, 10):
        report[f"near_{near_db}_db"] = spoken_over(calls, near_db, reply=2)
    for near_db in (0, 10):
        report[f"first_reply_near_{near_db}_db"] = spoken_over(calls, near_db, reply=1)
    report["first_reply_headphones"] = spoken_over(calls, 10, reply=1, loud=False)
    return report


def echo_only(runs: list[dict[str, Any]]) -> dict[str, Any]:
    replies = [(marks, i) for marks in runs for i in (1, 2) if f"begun{i}" in marks]

    def percent(kind: str, which: tuple[int, ...]) -> float:
        return round(100 * float(np.mean([f"{kind}{i}" in marks for marks, i in replies if i in which] or [0])), 1)

    return {
        "replies": len(replies),
        "held_percent": percent("ReplyHeld", (1, 2)),
        "held_percent_by_reply": [percent("ReplyHeld", (1,)), percent("ReplyHeld", (2,))],
        "interrupted_percent": percent("ReplyInterrupted", (1, 2)),
    }


def spoken_over(calls: list[Call], near_db: float, reply: int, *, loud: bool = True) -> dict[str, Any]:
    late, interrupted, usable = [], [], 0
    for call in calls:
        free = call.run(near_db=near_db, reply=reply, guard=False, loud=False)
        if "ReplyHeldOver" not in free or "ReplyInterruptedOver" not in free:
            continue
        with_echo = call.run(near_db=near_db, reply=reply, loud=loud)
        if "remark" not in with_echo or f"ReplyInterrupted{reply}" in with_echo:
            continue
        usable += 1
        interrupted.append("ReplyInterruptedOver" in with_echo)
        if "ReplyHeldOver" in with_echo:
            delay = (with_echo["ReplyHeldOver"] - with_echo["remark"]) - (free["ReplyHeldOver"] - free["remark"])
            late.append(1000 * delay)
    return {
        "remarks": usable,
        "held_percent": round(100 * len(late) / max(1, usable), 1),
        "interrupted_percent": round(100 * float(np.mean(interrupted or [0])), 1),
        "later_by_ms": {q: round(float(np.percentile(late, p))) for q, p in (("p50", 50), ("p90", 90))} if late else {},
        "within_64_ms_percent": round(100 * sum(delay <= 64 for delay in late) / max(1, usable), 1),
    }


# ---- sounds -------------------------------------------------------------------------------------------------------

SAID = {
    "mm-hm": ("[[m'm_hm'm]]", "[[m'hm]]", "[[mh'm:]]", "[[,mm'hm]]"),
    "hmm": ("[[h'm:m]]", "[[m:'m:]]"),
    "uh-huh": ("[[V'hV]]", "[[@h'V]]", "[[Vh'V:]]"),
    "aha": ("aha",),
    "laugh": ("ha ha ha",),
    "yeah": ("yeah",),
    "okay": ("okay",),
}
VOICES = tuple(
    f"{accent}{kind}" for accent in ("en-us", "en-gb") for kind in ("+m2", "+m4", "+m6", "+f1", "+f4", "+f5")
)


def speaker_of(path: Path) -> str:
    return path.name.split("_")[1] if "fsdd" in path.parts else path.name


def held_out(path: Path) -> bool:
    """Whether the filter was not fitted to this speaker."""
    return hashlib.md5(speaker_of(path).encode(), usedforsecurity=False).digest()[-1] % 2 == 1


def synthetic() -> Iterator[tuple[str, np.ndarray]]:
    if shutil.which("espeak-ng") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "a.wav"
        for name, texts in SAID.items():
            for i, voice in enumerate(VOICES):
                how = ["-v", voice, "-s", str(130 + 15 * (i % 6)), "-p", str(30 + 8 * (i % 5)), "-w", str(wav)]
                subprocess.run(["espeak-ng", *how, texts[i % len(texts)]], check=True, stderr=subprocess.DEVNULL)
                yield name, load(wav)


def hums(rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """A "mm-hm" with closed lips, by formula: two pulses of a voice through the nose, the second one higher."""
    for _ in range(24):
        pitch, rise, seconds = rng.uniform(90, 220), rng.uniform(1.0, 1.5), rng.uniform(0.35, 0.65)
        times = np.arange(round(seconds * RATE)) / RATE
        track = np.where(times < seconds / 2, pitch, pitch * rise)
        track = np.convolve(np.pad(track, 400, "edge"), np.ones(801) / 801, "valid")
        phase = 2 * np.pi * np.cumsum(track) / RATE
        voice = np.zeros(times.size)
        for harmonic in range(1, 30):
            hz = harmonic * track
            nose = (
                1 / (1 + (hz / 280) ** 4)
                + 0.02 / (1 + ((hz - 1000) / 150) ** 2)
                + 0.01 / (1 + ((hz - 2200) / 200) ** 2)
            )
            voice += nose * np.sin(harmonic * phase + rng.uniform(0, 6)) / harmonic**0.5
        gap = 1 - rng.uniform(0.7, 0.97) * np.exp(-(((times - seconds / 2) / 0.035) ** 2))
        edges = np.clip(np.minimum(times, seconds - times) / 0.05, 0, 1)
        breath = rng.standard_normal(times.size) * 0.02 * np.exp(-(((times - seconds / 2) / 0.04) ** 2))
        yield "hummed mm-hm", voice * gap * edges + breath * np.abs(voice).max()


def outcome(sound: np.ndarray, rule: Any, rng: np.random.Generator) -> str:
    """What a sound does to a reply."""

    def answer(_: Any) -> Iterator[Any]:
        yield RATE, np.zeros((1, 6 * RATE), np.int16)

    options = AlgoOptions(interruption_filter=rule)
    handler = ReplyOnPause(answer, input_sample_rate=RATE, output_sample_rate=RATE, algo_options=options)
    rehearsal = Rehearsal(handler, RATE)
    rehearsal.hear(pcm(quiet(0.5, rng)))
    rehearsal.driver.trigger()
    rehearsal.hear(pcm(np.concatenate([quiet(1, rng), at_peak(sound, -12), quiet(1.5, rng)])))
    rehearsal.close()
    kinds = [type(event).__name__ for event in rehearsal.events]
    if "ReplyInterrupted" in kinds:
        return "interrupted"
    return "resumed" if "ReplyResumed" in kinds else "unnoticed"


def measure_sounds(corpus: Corpus) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    sounds = [("word " + path.parent.name, load(path)) for path in corpus.files(WORDS + NEAR_MISSES) if held_out(path)]
    sounds += [("noise", load(path)) for path in corpus.files(NOISE)]
    sounds += [("synthetic " + name, sound) for name, sound in (*synthetic(), *hums(rng))]
    report: dict[str, Any] = {}
    for name, rule in (("duration_only", None), ("filter", "sound")):
        table: dict[str, dict[str, int]] = {}
        for kind, sound in sounds:
            row = table.setdefault(kind, {"interrupted": 0, "resumed": 0, "unnoticed": 0})
            row[outcome(sound, rule, rng)] += 1
        words = [row for kind, row in table.items() if kind.startswith("word")]
        total = sum(sum(row.values()) for row in words)
        swallowed = sum(row["resumed"] + row["unnoticed"] for row in words)
        report[name] = {
            "words": total,
            "words_swallowed_percent": round(100 * swallowed / max(1, total), 1),
            "by": table,
        }
    return report


# ---- onsets -------------------------------------------------------------------------------------------------------

VOICELESS = {"six", "stop", "seven", "three", "four", "five", "two"}
SETTLED_S = 3.2


def holds_over_reply(sound: np.ndarray) -> list[float]:
    """When a reply is held, in seconds, that is spoken over by ``sound`` from ``SETTLED_S`` on."""
    seconds = SETTLED_S + sound.size / RATE + 3

    rng = np.random.default_rng(0)
    reply = pcm(quiet(seconds, rng, -25.0)).reshape(1, -1)

    def answer(_: Any) -> Iterator[Any]:
        yield RATE, reply

    handler = ReplyOnPause(answer, input_sample_rate=RATE, output_sample_rate=RATE)
    rehearsal = Rehearsal(handler, RATE)
    rehearsal.hear(pcm(quiet(0.2, rng)))
    rehearsal.driver.trigger()
    rehearsal.hear(pcm(np.concatenate([quiet(SETTLED_S - 0.2, rng), sound, quiet(1, rng)])))
    rehearsal.close()
    return [event.at_s for event in rehearsal.events if type(event).__name__ == "ReplyHeld"]


def first_sounds(corpus: Corpus) -> Iterator[tuple[str, np.ndarray]]:
    """What is heard of callers before their first word."""
    with (corpus.root / "turns.tsv").open(newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            start_s = float(row["true_start"])
            if row["kind"] == "word" and start_s > 0.3:
                yield row["file"], load(corpus.root / row["file"])[: round((start_s - 0.08) * RATE)]


def measure_onsets(corpus: Corpus) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    late: dict[str, list[float]] = {"voiceless": [], "other": []}
    for path in corpus.files(WORDS[:2]):
        word = path.name[0] in "234567" if "fsdd" in path.parts else path.parent.name in VOICELESS
        sound = at_peak(trimmed(load(path)), -14)
        for phase_ms in range(0, 160, 32):
            lead = phase_ms * RATE // 1000 + int(rng.integers(TICK // 20)) * 20
            padded = np.concatenate([np.zeros(lead), sound]) + quiet((lead + sound.size) / RATE, rng)
            held = holds_over_reply(padded)
            soonest = np.ceil((SETTLED_S + (lead + TICK) / RATE) * 50) / 50
            late["voiceless" if word else "other"].append(1000 * (held[0] - soonest) if held else float("inf"))
    report: dict[str, Any] = {
        name: {
            "words_and_phases": len(times),
            "p50_ms": round(float(np.percentile(times, 50))),
            "p90_ms": round(float(np.percentile(times, 90))),
            "later_than_150_ms_percent": round(100 * float(np.mean(np.array(times) > 150)), 1),
        }
        for name, times in late.items()
    }
    sets = {
        "noise": corpus.load(NOISE),
        "music": corpus.load(MUSIC),
        "before words": dict(first_sounds(corpus)).values(),
    }
    for name, sounds in sets.items():
        holds = sum(len(holds_over_reply(sound)) for sound in sounds)
        report[name] = {"seconds": round(sum(sound.size for sound in sounds) / RATE), "holds": holds}
    return report


# ---- cost ---------------------------------------------------------------------------------------------------------


def measure_cost() -> dict[str, Any]:
    """CPU of the screen alone, over a minute of a reply: over its echo, beside another voice, and of an idle minute.

    Every window is speech to the detector, which is the worst case; the guard of a caller on headphones soon knows that
    there is nothing to do.
    """
    rng = np.random.default_rng(0)
    spoken, other = syllables(60, rng), syllables(60, rng)
    echo = np.concatenate([np.zeros(RATE // 10), soxr.resample(spoken, 24_000, RATE, "HQ") / 4])
    costs: dict[str, Any] = {}
    for name, options in (
        ("guard", AlgoOptions(detector_gain_db=0)),
        ("gain", AlgoOptions(echo_guard=False)),
    ):
        for state, heard in (("over_echo", echo), ("beside_user", other), ("idle", other)):
            rounds = [cost_of(options, heard, None if state == "idle" else spoken) for _ in range(5)]
            costs[f"{name}_{state}_core_percent"] = round(100 * min(rounds) / 60, 3)
    return costs


def syllables(seconds: float, rng: np.random.Generator, rate: int = 24_000) -> np.ndarray:
    """Noise that comes and goes as speech does, each time of another colour."""
    parts: list[np.ndarray] = []
    while sum(part.size for part in parts) < seconds * rate:
        noise = rng.standard_normal(round(rng.uniform(0.08, 0.3) * rate))
        colour = np.convolve(noise, rng.standard_normal(6), "same")
        parts += [0.1 * np.hanning(noise.size) * colour, np.zeros(round(rng.uniform(0.02, 0.2) * rate))]
    return np.concatenate(parts)[: round(seconds * rate)]


def cost_of(options: AlgoOptions, heard: np.ndarray, played: np.ndarray | None) -> float:
    """Seconds of CPU for a minute."""
    screen = Screen(options, RATE, 512, 24_000)
    ticks = [] if played is None else list(pcm(played).reshape(-1, 480))
    windows = heard[: 60 * RATE // 512 * 512].astype(np.float32).reshape(-1, 512)
    windows = windows + np.float32(1e-3) * np.random.default_rng(1).standard_normal(windows.shape).astype(np.float32)
    begin = time.process_time()
    given = 0
    for i, window in enumerate(windows):
        while given < min((i + 1) * 1.6, len(ticks)):
            screen.played(ticks[given], given / 50)
            given += 1
        screen.before(window)
        screen.after(window, 0.9)
    return time.process_time() - begin


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "speech")
    parser.add_argument("--only", nargs="+", default=["gain", "echo", "sounds", "onsets", "cost"])
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1000, help="of the first scene of echo")
    parser.add_argument("--others", action="store_true", help="other recordings for echo")
    options = parser.parse_args()
    report: dict[str, Any] = {"bench": "false_interruptions"}
    corpus = Corpus(options.speech)
    recorded = corpus.root.is_dir()
    if not recorded:
        report["skipped"] = "gain, echo, sounds and onsets need the recorded speech (--speech)"
    if "cost" in options.only:
        report["cost"] = measure_cost()
    if recorded and "gain" in options.only:
        report["gain"] = measure_gain(corpus)
    if recorded and "sounds" in options.only:
        report["sounds"] = measure_sounds(corpus)
    if recorded and "onsets" in options.only:
        report["onsets"] = measure_onsets(corpus)
    if recorded and "echo" in options.only:
        report["echo"] = measure_echo(corpus, options.scenes, options.seed, others=options.others)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
