"""Recorded speech for choosing and judging the end of turns: clips, their labels, hesitations made from fluent speech.

Everything comes from ``../shared/speech``. The phone corpus (``turns.tsv``) is labelled by hand; it is only ever
judged, not learnt from. Elsewhere the end of speech is found by energy: the last 10 ms near the voice detector's end
that are 10 dB above the clip's floor and within 30 dB of its peak; on the hand-labelled words this rule is 5 ms early
in the median (quartiles -37 and 22 ms).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from fastrtc.vad.silero import WINDOW_SAMPLES, get_silero_model

Float = NDArray[np.float32]
RATE_HZ = 16_000
WINDOW_S = WINDOW_SAMPLES / RATE_HZ
DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "speech"

PHONE_WORDS, PHONE_SENTENCES = "phone words", "phone sentences"
COMMANDS, READ, BOOKS, MEETINGS = "commands", "read sentences", "audio books", "meetings"
FOLDERS = {
    COMMANDS: "picovoice-speech-to-intent",
    READ: "fleurs-mini",
    "pocketsphinx": "pocketsphinx-testdata",
    MEETINGS: "ami-excerpts-pyannote",
    "wake words": "picovoice-wake-word-benchmark",
    "near misses": "precise-community-data",
    "spoken commands": "speech-commands-mini",
    "prompts": "asterisk-prompts-en",
    "digits": "fsdd",
    BOOKS: "librosa-data",
}
HESITATIONS = "hesitations"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording, with noise at its own floor before and after.

    Attributes:
        name: Its file, below the data folder.
        corpus: One of the names above.
        group: Its speaker, where known.
        number: Which clip of its corpus it is (a hesitation: of the corpus it was made from).
        samples: 16 kHz, mono.
        probabilities: Of speech, for each window of 512 samples.
        lead_s: Where the recording begins.
        length_s: Its length.
        true_start_s: Where speech begins.
        true_end_s: Where it ends.
    """

    name: str
    corpus: str
    group: str
    number: int
    samples: Float
    probabilities: Float
    lead_s: float
    length_s: float
    true_start_s: float
    true_end_s: float


def phone_clips(kind: str, data: Path = DATA) -> list[Clip]:
    """The hand-labelled ``word`` or ``sentence`` clips."""
    rows = [row for row in _table(data / "turns.tsv") if row["kind"] == kind]
    random = np.random.default_rng(0)
    corpus = PHONE_WORDS if kind == "word" else PHONE_SENTENCES
    clips = []
    for number, row in enumerate(rows):
        clip = _framed(data, row["file"], corpus, row["group"], number, random)
        start, end = float(row["true_start"]) + clip.lead_s, float(row["true_end"]) + clip.lead_s
        clips.append(replace(clip, true_start_s=start, true_end_s=end))
    return clips


def corpus_clips(corpus: str, data: Path = DATA) -> list[Clip]:
    """The clips of one of :data:`FOLDERS` in which speech and its end are found."""
    random = np.random.default_rng(1)
    rows = [row for row in _table(data / "MANIFEST.tsv") if row["file"].split("/")[0] == FOLDERS[corpus]]
    rows = [row for row in rows if is_speech(row)]
    clips = (
        _labelled(_framed(data, row["file"], corpus, row["speaker"], number, random)) for number, row in enumerate(rows)
    )
    return [clip for clip in clips if clip is not None]


def noise_clips(data: Path = DATA) -> list[Clip]:
    """Background noise and music: nobody speaks to the bot here."""
    random = np.random.default_rng(2)
    folders = (FOLDERS[BOOKS], FOLDERS["near misses"])
    rows = [row for row in _table(data / "MANIFEST.tsv") if row["file"].startswith(folders) and not is_speech(row)]
    return [_framed(data, row["file"], "noise and music", "", number, random) for number, row in enumerate(rows)]


@dataclass(frozen=True, slots=True)
class MeetingPause:
    """A silence of a meeting.

    Attributes:
        clip: Where.
        start_s: Where speech ends.
        end_s: Where speech goes on.
        same: Whether the one who spoke goes on, nobody else having begun.
    """

    clip: Clip
    start_s: float
    end_s: float
    same: bool


def meeting_pauses(data: Path = DATA) -> list[MeetingPause]:
    """Silences of at least 0.2 s in meetings, by the voice detector, and by the labels who speaks before and after."""
    speakers: dict[str, list[tuple[float, float, str]]] = {}
    for table in sorted((data / FOLDERS[MEETINGS]).glob("*.rttm")):
        for line in table.read_text().splitlines():
            _, name, _, begin, length, _, _, speaker, *_ = line.split()
            speakers.setdefault(name, []).append((float(begin), float(begin) + float(length), speaker))
    found = []
    for clip in corpus_clips(MEETINGS, data):
        turns = speakers.get(Path(clip.name).stem, [])
        for (_, end), (begin, _) in pairwise(speech_spans(clip.probabilities)):
            start_s, end_s = end * WINDOW_S, begin * WINDOW_S
            if end_s - start_s < 0.2:
                continue
            before = _speaking(turns, start_s - clip.lead_s - 0.15)
            after = _speaking(turns, end_s - clip.lead_s + 0.15)
            if before and after:
                found.append(MeetingPause(clip, start_s, end_s, before == after))
    return found


def _speaking(turns: list[tuple[float, float, str]], at_s: float) -> set[str]:
    return {speaker for begin, end, speaker in turns if begin <= at_s <= end}


def is_speech(row: dict[str, str]) -> bool:
    """Whether somebody speaks in a recording of the manifest."""
    label = _label(row)
    return not ("noise:" in label or label.startswith(("music", "silence")))


def hesitations(clips: Iterable[Clip], each: int = 2) -> list[Clip]:
    """Fluent speech cut at a dip of its energy or in the middle of a sound, with 0.4-1.2 s of its noise put in."""
    random = np.random.default_rng(5)
    made = []
    for clip in clips:
        places = _fluent_windows(clip)
        for turn in range(each if places.size >= 5 else 0):
            at = int(random.choice(places)) * WINDOW_SAMPLES
            if turn % 2 == 0:
                at = dip_near(clip.samples, at, 3200, round((clip.true_start_s + 0.4) * RATE_HZ))
            gap_s = float(random.uniform(0.4, 1.2))
            made.append(_with_gap(clip, at, gap_s, random))
    return made


def _fluent_windows(clip: Clip) -> NDArray[np.int64]:
    first, last = int((clip.true_start_s + 0.4) / WINDOW_S), int((clip.true_end_s - 0.4) / WINDOW_S)
    speaking = clip.probabilities > 0.7
    return np.array([i for i in range(max(first, 8), last) if speaking[i - 8 : i + 6].all()], np.int64)


def dip_near(samples: Float, at: int, reach: int, first: int = 0) -> int:
    """The sample of least energy (over 30 ms) within ``reach`` of ``at``, not before ``first``."""
    low = max(first, at - reach)
    energy = np.convolve(samples[low : at + reach] ** 2, np.ones(480), "same")
    return low + int(energy.argmin())


def _with_gap(clip: Clip, at: int, gap_s: float, random: np.random.Generator) -> Clip:
    heard = clip.samples[round(clip.lead_s * RATE_HZ) : round((clip.lead_s + clip.length_s) * RATE_HZ)]
    before, after = clip.samples[:at].copy(), clip.samples[at:].copy()
    before[-160:] *= np.linspace(1, 0, 160, dtype=np.float32)
    after[:160] *= np.linspace(0, 1, 160, dtype=np.float32)
    samples = np.concatenate([before, floor_noise(heard, round(gap_s * RATE_HZ), random), after])
    return replace(
        clip,
        name=f"{clip.name}#{at}",
        corpus=HESITATIONS,
        group=clip.corpus,
        samples=samples,
        probabilities=speech_probabilities(samples),
        length_s=clip.length_s + gap_s,
        true_end_s=clip.true_end_s + gap_s,
    )


def _framed(data: Path, name: str, corpus: str, group: str, number: int, random: np.random.Generator) -> Clip:
    sound = load(data / name)
    lead_s = 1.0 + float(random.uniform(0, 0.6))
    before = floor_noise(sound, round(lead_s * RATE_HZ), random)
    samples = np.concatenate([before, sound, floor_noise(sound, 4 * RATE_HZ, random)])
    samples = (np.clip(samples * 32767, -32768, 32767).astype(np.int16) / np.float32(32768)).astype(np.float32)
    lead_s = before.size / RATE_HZ
    length_s = sound.size / RATE_HZ
    return Clip(
        name, corpus, group, number, samples, speech_probabilities(samples), lead_s, length_s, lead_s, lead_s + length_s
    )


def _labelled(clip: Clip) -> Clip | None:
    limit_s = clip.lead_s + clip.length_s + 0.3
    spans = [span for span in speech_spans(clip.probabilities) if clip.lead_s < span[1] * WINDOW_S <= limit_s]
    spans = [span for span in spans if span[1] - span[0] >= 3]
    if not spans:
        return None
    emphasised = np.diff(clip.samples, prepend=np.float32(0))
    energy = 10 * np.log10(np.convolve(emphasised**2, np.ones(320) / 320, "same")[::160] + 1e-10)
    first, end = int(spans[-1][0] * 100 * WINDOW_S), int(spans[-1][1] * 100 * WINDOW_S)
    own = energy[round(clip.lead_s * 100) : round((clip.lead_s + clip.length_s) * 100)]
    level = max(np.percentile(own, 10) + 10, energy[first:end].max() - 30)
    loud = np.flatnonzero(energy[first : end + 15] > level)
    if not loud.size:
        return None
    return replace(clip, true_start_s=spans[0][0] * WINDOW_S, true_end_s=(first + int(loud[-1]) + 1) / 100)


def speech_spans(probabilities: Float, threshold: float = 0.5) -> list[tuple[int, int]]:
    """Runs of windows with speech: first, and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], probabilities >= threshold, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def speech_probabilities(samples: Float) -> Float:
    """The voice detector's stream of verdicts."""
    model = get_silero_model()
    stream = model.new_stream()
    count = samples.size // WINDOW_SAMPLES
    windows = samples[: count * WINDOW_SAMPLES].reshape(count, 1, WINDOW_SAMPLES)
    return np.array([model.judge([stream], window)[0] for window in windows], np.float32)


def load(path: Path) -> Float:
    """A recording as 16 kHz mono."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = sound.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate, RATE_HZ, "HQ") if rate != RATE_HZ else mono, np.float32)


def floor_noise(sound: Float, count: int, random: np.random.Generator) -> Float:
    """White noise at the level of a recording's quietest twentieth."""
    frames = sound[: sound.size // 160 * 160].reshape(-1, 160)
    level = float(np.percentile(np.sqrt((frames**2).mean(axis=1) + 1e-12), 5)) if len(frames) else 1e-4
    return (random.standard_normal(count) * min(max(level, 1e-5), 0.01)).astype(np.float32)


def _label(row: dict[str, str]) -> str:
    return row["label_or_transcript"]


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
