"""Stop words in recorded speech: found, or not, and where they end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastrtc.audio import PCM
from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech import micro_wake_words
from fastrtc.speech.micro_wake_words import MicroSpotter
from fastrtc.speech.moonshine import MoonshineSTT
from fastrtc.speech.moonshine_weights import carried_weights
from fastrtc.speech.spotting import MoonshineSpotter, Spotter, TextSpotter, spotter_for
from fastrtc.speech.stop_words import StopWords

soundfile = pytest.importorskip("soundfile")
needs_weights = pytest.mark.skipif(carried_weights() is None, reason="moonshine-voice is not installed")
RATE = 16_000
CLIPS = "picovoice-wake-word-benchmark"


def clip(folder: Path, name: str) -> PCM:
    samples, rate_hz = soundfile.read(folder / name, dtype="int16")
    assert rate_hz == RATE
    return np.asarray(samples)


def clips(folder: Path, name: str, count: int) -> list[PCM]:
    return [clip(folder, str(path)) for path in sorted((folder / CLIPS / name).glob("*.flac"))[:count]]


@pytest.fixture(scope="module")
def spotter() -> MoonshineSpotter:
    return MoonshineSpotter(MoonshineSTT(), StopWords(["computer", "jarvis", "view glass"]), 0.5)


@needs_weights
@pytest.mark.speech
@pytest.mark.parametrize(("word", "folder"), [("computer", "computer"), ("view glass", "view_glass")])
def test_most_speakers_are_heard(spotter: MoonshineSpotter, speech: Path, word: str, folder: str) -> None:
    found = [spotter.spot(RATE, sound) for sound in clips(speech, folder, 10)]
    assert set(found) <= {word, None}
    assert found.count(word) >= 9


@needs_weights
@pytest.mark.speech
def test_other_words_are_not(spotter: MoonshineSpotter, speech: Path) -> None:
    assert [spotter.spot(RATE, sound) for sound in clips(speech, "alexa", 8)] == [None] * 8
    sentence = clip(speech, "fleurs-mini/fleurs-en-003.flac")
    assert [spotter.spot(RATE, sentence[at : at + 3 * RATE]) for at in range(0, 3 * RATE, RATE // 2)] == [None] * 6


@needs_weights
@pytest.mark.speech
def test_a_name_that_is_spelled_otherwise_is_known_by_its_probability(speech: Path) -> None:
    model, sounds = MoonshineSTT(), clips(speech, "jarvis", 15)

    def heard(sensitivity: float) -> int:
        one = MoonshineSpotter(model, StopWords(["jarvis"], 0.0), sensitivity)
        return sum(one.spot(RATE, sound) is not None for sound in sounds)

    assert heard(0.0) < heard(0.5) >= 14


@needs_weights
@pytest.mark.speech
@pytest.mark.parametrize("rate_hz", [RATE, 3 * RATE])
@pytest.mark.parametrize(("way", "within_s"), [("attention", 0.04), ("cutting", 0.12), ("text", 0.12)])
def test_it_ends_where_the_command_begins(
    spotter: MoonshineSpotter, speech: Path, rate_hz: int, way: str, within_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = clip(speech, f"{CLIPS}/computer/0386da81-9db7-499c-b4f8-910beec53c23.flac")
    loud = np.flatnonzero(np.abs(word) > np.abs(word).max() // 20)
    word = word[loud[0] : loud[-1]]
    command = clip(speech, "fleurs-mini/fleurs-en-003.flac")
    command = command[np.flatnonzero(np.abs(command) > np.abs(command).max() // 20)[0] :][: RATE // 2]
    command = (command * (word.std() / command.std())).astype(np.int16)
    silence = np.zeros(RATE // 3, np.int16)
    audio = np.repeat(np.concatenate([silence, word, command]), rate_hz // RATE)
    chosen: Spotter = TextSpotter(MoonshineSTT(), StopWords(["computer"])) if way == "text" else spotter
    if way == "cutting":  # For a model of which it is not known where it looks.
        monkeypatch.setattr(MoonshineSTT, "tells_times", False)
    end = chosen.end_of(rate_hz, audio, "computer", rate_hz // 3)
    assert end / rate_hz == pytest.approx((silence.size + word.size) / RATE, abs=within_s)


@needs_weights
def test_nothing_and_noise_hold_no_word(spotter: MoonshineSpotter) -> None:
    noise = np.random.default_rng(4).normal(0, 2000, 2 * RATE).astype(np.int16)
    assert spotter.spot(RATE, noise) is None
    assert spotter.spot(RATE, np.zeros(0, np.int16)) is None
    assert spotter.spot(RATE, np.zeros(RATE, np.int16)) is None
    assert spotter.end_of(RATE, np.zeros(100, np.int16), "computer", 0) <= 100


class Says:
    def __init__(self, text: str) -> None:
        self.text = text

    def stt(self, audio: Any) -> str:
        return self.text


def test_any_recogniser_will_do() -> None:
    audio = np.zeros(RATE, np.int16)
    assert TextSpotter(Says("Hey, lamma!"), StopWords(["llama"])).spot(RATE, audio) == "llama"
    assert TextSpotter(Says("Hey"), StopWords(["llama"])).spot(RATE, audio) is None
    own = TextSpotter(Says("Hey"), StopWords(["llama"]), lambda text: "Hey" in text)
    assert own.spot(RATE, audio) == ""


@needs_weights
def test_the_spotter_suits_the_recogniser() -> None:
    wanted = StopWords(["computer"])
    assert isinstance(spotter_for(MoonshineSTT(), wanted, None, 0.5), MoonshineSpotter)
    assert isinstance(spotter_for(MoonshineSTT(), wanted, bool, 0.5), TextSpotter)
    assert isinstance(spotter_for(Says(""), wanted, None, 0.5), TextSpotter)


# ---- pymicro-wakeword ------------------------------------------------------------------------------------------


@pytest.mark.speech
@pytest.mark.parametrize("rate_hz", [RATE, 3 * RATE])
def test_the_wake_word_engine_hears_its_words(speech: Path, rate_hz: int) -> None:
    pytest.importorskip("pymicro_wakeword")
    engine = MicroSpotter(StopWords(["Alexa", "hey, Jarvis"]), 0.5)
    sounds = [np.repeat(sound, rate_hz // RATE) for sound in clips(speech, "alexa", 6)]
    assert [engine.spot(rate_hz, sound) for sound in sounds].count("Alexa") >= 4
    assert 0 < engine.end_of(rate_hz, sounds[0], "Alexa", 0) <= sounds[0].size
    assert [engine.spot(RATE, sound) for sound in clips(speech, "snowboy", 4)] == [None] * 4


def test_the_wake_word_engine_knows_few_words() -> None:
    pytest.importorskip("pymicro_wakeword")
    with pytest.raises(ConfigurationError, match="no network for 'computer'; it has: alexa, hey jarvis"):
        MicroSpotter(StopWords(["computer"]), 0.5)


@pytest.mark.parametrize(("sensitivity", "cutoff"), [(0.0, 1.0), (0.5, 0.9), (1.0, 0.5)])
def test_sensitivity_moves_the_engines_threshold(sensitivity: float, cutoff: float) -> None:
    assert micro_wake_words._cutoff(0.9, sensitivity) == pytest.approx(cutoff)


def test_without_the_engine_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    with pytest.raises(MissingExtraError, match=r"fastrtc\[wakeword\]"):
        MicroSpotter(StopWords(["alexa"]), 0.5)


class Decoder:
    """A recogniser that holds one stop word to be so probable (logarithms, in the order it is asked)."""

    tells_times = False
    starts = (0,)
    tokens = ()

    def __init__(self, *logs: float) -> None:
        self.logs = list(logs)
        self.heard_s: list[float] = []
        self.net = SimpleNamespace(
            vocabulary=SimpleNamespace(tokens=lambda text: (1,), text=lambda tokens: "something else")
        )

    def write(self, samples: NDArray[np.float32]) -> Decoder:
        self.heard_s.append(samples.size / RATE)
        return self

    def log_of(self, tokens: object, place: int, worst: float) -> float:
        return self.logs.pop(0)


@pytest.mark.parametrize(
    ("logs", "found"),
    [((-1.0,), True), ((-3.0, -3.9), True), ((-3.0, -4.1), False), ((-3.6,), False)],
    ids=["sure", "twice", "by chance", "never"],
)
def test_what_is_only_just_probable_enough_is_heard_once_more(logs: tuple[float, ...], found: bool) -> None:
    decoder = Decoder(-10.0, *logs)
    spotter = MoonshineSpotter(decoder, StopWords(["computer"]), 0.5)  # type: ignore[arg-type]
    assert spotter.spot(RATE, np.zeros(2 * RATE, np.int16)) == ("computer" if found else None)
    assert decoder.heard_s[1:] == [2.0, 1.9][: len(logs)]
