"""The filters for sounds over a reply."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastrtc.speech.backchannel import SoundFilter, WordFilter, sound_shape
from fastrtc.turns.interruption import InterruptionFilter, Sound

RATE = 16_000


def hum(rate_hz: int = RATE, seconds: float = 0.45, pitch: float = 130) -> np.ndarray:
    """Closed lips: a voice without anything above its third harmonic."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    voice = sum(np.sin(2 * np.pi * pitch * k * times) / k**2 for k in (1, 2, 3))
    return (4000 * voice * np.sin(np.pi * times / seconds) ** 0.5).astype(np.int16)


def changing(rate_hz: int = RATE) -> np.ndarray:
    """A hiss, a vowel, a gap, a hiss: like "stops"."""
    rng = np.random.default_rng(0)
    part = rate_hz // 10
    hiss = np.diff(rng.standard_normal(part + 1)) * 1500
    vowel = sum(np.sin(2 * np.pi * 120 * k * np.arange(2 * part) / rate_hz) for k in (1, 5, 6, 9)) * 2500
    return np.concatenate([hiss, vowel, np.zeros(part // 2), hiss]).astype(np.int16)


def sound(pcm: np.ndarray, rate_hz: int = RATE, *, ended: bool = True) -> Sound:
    return Sound(rate_hz, pcm, pcm.size / rate_hz, ended)


class Recogniser:
    """Hears what it is told to."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.calls = 0

    def stt(self, audio: tuple[int, np.ndarray]) -> str:
        self.calls += 1
        assert audio[1].shape[0] == 1
        return self.text


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_a_hum_is_no_word(rate_hz: int) -> None:
    weight = SoundFilter().weigh(sound(hum(rate_hz), rate_hz))
    assert weight is not None
    assert weight < 0.5


def test_a_sound_that_changes_is_a_word() -> None:
    weight = SoundFilter().weigh(sound(changing()))
    assert weight is not None
    assert weight > 0.5


@pytest.mark.parametrize(
    "pcm", [np.zeros(8000, np.int16), np.zeros(0, np.int16), np.full(8000, 9000, np.int16), hum()[:300]]
)
def test_nothing_is_said_about_silence_steps_and_snippets(pcm: np.ndarray) -> None:
    assert SoundFilter().weigh(sound(pcm)) is None


def test_loudness_does_not_matter() -> None:
    soft, loud = sound_shape(sound(hum() // 8)), sound_shape(sound(hum()))
    assert soft is not None
    assert loud is not None
    assert soft.flux_db == pytest.approx(loud.flux_db, rel=0.1)


@pytest.mark.parametrize(
    ("text", "weight"),
    [("Yeah.", 0.0), ("uh-huh", 0.0), ("Okay, okay!", 0.0), ("stop", 1.0), ("yeah but no", 1.0), ("I see I see", 1.0)],
)
def test_words_decide_where_they_are_known(text: str, weight: float) -> None:
    assert WordFilter(Recogniser(text)).weigh(sound(changing())) == weight


def test_without_words_the_sound_decides() -> None:
    assert WordFilter(Recogniser("")).weigh(sound(hum())) == SoundFilter().weigh(sound(hum()))


@pytest.mark.parametrize(
    ("text", "weight"),
    [("", 0.0), ("Stop.", 0.0), ("yeah okay", 0.0), ("stop that", 1.0), ("yeah yeah yeah yeah", 1.0)],
)
@pytest.mark.parametrize("ended", [True, False])
def test_words_are_counted_while_the_sound_goes_on(text: str, weight: float, ended: bool) -> None:
    assert WordFilter(Recogniser(text), least_words=2).weigh(sound(changing(), ended=ended)) == weight


def test_the_recogniser_is_asked_about_whole_sounds_only() -> None:
    recogniser = Recogniser("yeah")
    weight = WordFilter(recogniser).weigh(sound(changing(), ended=False))
    assert weight is not None
    assert weight <= 0.5
    assert recogniser.calls == 0


def test_filters_keep_the_protocol() -> None:
    assert isinstance(SoundFilter(), InterruptionFilter)
    assert isinstance(WordFilter(Recogniser("")), InterruptionFilter)


def test_recorded_commands_are_words(speech: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    weights = []
    for word in ("stop", "no", "yes", "go"):
        for path in sorted((speech / "speech-commands-mini" / word).glob("*.flac")):
            samples, rate_hz = soundfile.read(path, dtype="int16")
            loud = np.flatnonzero(np.abs(samples.astype(int)) > np.abs(samples.astype(int)).max() * 0.05)
            weights.append(SoundFilter().weigh(sound(samples[loud[0] : loud[-1]], rate_hz)))
    assert len(weights) == 40
    assert sum(weight is None or weight >= 0.5 for weight in weights) >= 38
