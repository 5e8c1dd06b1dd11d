"""The default recogniser on recorded speech, and what it does with what is none."""

from __future__ import annotations

import csv
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastrtc.errors import AudioFormatError, ConfigurationError, MissingExtraError
from fastrtc.speech import moonshine, moonshine_weights
from fastrtc.speech.moonshine import MoonshineSTT, without_loop
from fastrtc.speech.protocol import SpeechToText, Transcriber
from fastrtc.speech.recogniser import get_stt_model, stt_for_chunks

pytest.importorskip("onnxruntime")
soundfile = pytest.importorskip("soundfile")
pytestmark = pytest.mark.skipif(moonshine_weights.carried_weights() is None, reason="moonshine-voice is not installed")

COMMAND = "fleurs-mini/fleurs-en-003.flac"
WORDS = "The cabbage juice changes color depending on how acidic basic alkaline the chemical is."


@pytest.fixture(scope="module")
def model() -> MoonshineSTT:
    return get_stt_model()


def clip(folder: Path, name: str) -> tuple[int, Any]:
    samples, rate_hz = soundfile.read(folder / name, dtype="int16")
    return rate_hz, samples


@pytest.mark.speech
def test_it_recognises_a_sentence_at_any_rate_and_in_any_form(model: MoonshineSTT, speech: Path) -> None:
    rate_hz, samples = clip(speech, COMMAND)
    texts = {
        model.stt((rate_hz, samples)),
        model.stt((rate_hz, samples[None])),
        model.stt((rate_hz, samples.astype(np.float32) / 32768)),
    }
    assert texts == {WORDS}
    assert "depending on how acidic" in model.stt((3 * rate_hz, np.repeat(samples, 3)))


@pytest.mark.speech
def test_it_says_how_sure_it_is(model: MoonshineSTT, speech: Path) -> None:
    sure = model.transcribe(clip(speech, COMMAND)).confidence
    noise = np.random.default_rng(5).normal(0, 3000, 32_000).astype(np.int16)
    unsure = model.transcribe((16_000, noise)).confidence
    assert sure is not None
    assert sure > 0.8
    assert unsure is None or unsure < sure - 0.1


@pytest.mark.speech
def test_it_says_when_each_word_was_spoken(model: MoonshineSTT, speech: Path) -> None:
    rate_hz, samples = clip(speech, COMMAND)
    found = model.transcribe((rate_hz, samples), words=True)
    assert model.transcribe((rate_hz, samples)).words == ()
    assert " ".join(word.text for word in found.words) == found.text == WORDS
    assert all(one.start_s < one.end_s <= two.start_s for one, two in pairwise(found.words))


@pytest.mark.speech
def test_the_times_are_those_of_the_labels(model: MoonshineSTT, speech: Path) -> None:
    with (speech / "wuw-corpus-ii" / "LABELS.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    errors_s = [
        (word.start_s - float(row["kw_start"]), word.end_s - float(row["kw_end"]))
        for row in [one for one in rows if one["keyword"] == "operator" and one["kind"] == "keyword in sentence"][:16]
        for word in model.transcribe(
            clip(speech, f"wuw-corpus-ii/{row['file'].replace('.wav', '.flac')}"), words=True
        ).words
        if word.text.strip(",.?").lower() == "operator"
    ]
    assert len(errors_s) >= 8
    assert np.abs(np.median(errors_s, axis=0)) == pytest.approx([0.0, 0.0], abs=0.05)
    assert (np.abs(errors_s) <= 0.1).mean(axis=0)[0] >= 0.8


@pytest.mark.speech
def test_times_go_on_from_piece_to_piece(model: MoonshineSTT, speech: Path) -> None:
    rate_hz, samples = clip(speech, COMMAND)
    one = np.concatenate([samples, np.zeros(rate_hz, np.int16)])
    words = model.transcribe((rate_hz, np.tile(one, 5)), words=True).words
    juices = [word.start_s for word in words if word.text == "juice"]
    assert np.diff(juices) == pytest.approx([one.size / rate_hz] * 4, abs=0.08)


def test_a_model_whose_heads_are_not_known_refuses_times(model: MoonshineSTT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "model", "moonshine/base")
    with pytest.raises(ConfigurationError, match="moonshine/base has no times of words: use 'moonshine/tiny'"):
        model.transcribe((16_000, np.zeros(16_000, np.int16)), words=True)
    assert model.transcribe((16_000, np.zeros(16_000, np.int16))).words == ()


@pytest.mark.speech
def test_long_audio_is_recognised_in_pieces(model: MoonshineSTT, speech: Path) -> None:
    rate_hz, samples = clip(speech, COMMAND)
    pause = np.zeros(rate_hz, np.int16)
    text = model.stt((rate_hz, np.concatenate([samples, pause] * 5)))
    assert text.count("cabbage juice") == 5


@pytest.mark.speech
def test_stretches_of_a_clip_are_joined(model: MoonshineSTT, speech: Path) -> None:
    rate_hz, samples = clip(speech, COMMAND)
    whole = {"start": 0, "end": samples.size}
    assert stt_for_chunks(model, (rate_hz, samples), [whole, whole]) == f"{WORDS} {WORDS}"
    assert stt_for_chunks(model, (rate_hz, samples[None]), [whole]) == WORDS
    assert stt_for_chunks(model, (rate_hz, samples), []) == ""


@pytest.mark.speech
def test_threads_share_it(model: MoonshineSTT, speech: Path) -> None:
    audio = clip(speech, COMMAND)
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(model.stt(audio))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [WORDS] * 4


@pytest.mark.parametrize("size", [0, 1, 100, 1600])
def test_nothing_and_almost_nothing_is_no_error(model: MoonshineSTT, size: int) -> None:
    transcript = model.transcribe((16_000, np.zeros(size, np.int16)), words=True)
    assert " ".join(word.text for word in transcript.words) == transcript.text


def test_silence_has_no_words(model: MoonshineSTT) -> None:
    assert model.stt((16_000, np.zeros(0, np.int16))) == ""
    assert len(model.stt((16_000, np.zeros(16_000, np.int16))).split()) <= 1


@pytest.mark.parametrize(
    ("rate_hz", "samples"),
    [(16_000, np.zeros((2, 100), np.int16)), (16_000, np.zeros(100, np.float64)), (100, np.zeros(100, np.int16))],
)
def test_other_audio_is_refused(model: MoonshineSTT, rate_hz: int, samples: Any) -> None:
    with pytest.raises(AudioFormatError):
        model.stt((rate_hz, samples))


def test_its_networks_are_loaded_once(model: MoonshineSTT) -> None:
    assert get_stt_model().net is get_stt_model("moonshine/tiny").net is MoonshineSTT().net is model.net
    assert isinstance(model, SpeechToText)
    assert isinstance(model, Transcriber)


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="moonshine/tiny"):
        get_stt_model("moonshine/huge")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moonshine_weights, "_WEIGHTS_PACKAGE", "no_such_package")
    with pytest.raises(MissingExtraError, match=r"fastrtc\[stt\]"):
        MoonshineSTT()


@pytest.mark.parametrize(
    ("tokens", "left"),
    [
        ([5, 6, 7, 7, 7, 7, 7], [5, 6, 7]),
        ([5, 6, 7, 6, 7, 6, 7, 6], [5, 6, 7]),
        ([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1], [1, 2, 3, 4]),
        ([5, 7, 7, 7], [5, 7, 7, 7]),
        ([1, 2, 3, 1, 2, 3], [1, 2, 3, 1, 2, 3]),
        ([7, 7, 7, 7, 7, 8], [7, 7, 7, 7, 7, 8]),
        ([], []),
    ],
)
def test_of_a_loop_the_first_time_stays(tokens: list[int], left: list[int]) -> None:
    assert without_loop(tokens) == left


@pytest.mark.speech
def test_a_decoder_that_has_to_be_stopped_is_not_believed_what_it_repeats(
    model: MoonshineSTT, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = clip(speech, "wuw-corpus-ii/00053/WUWII00053_010.flac")  # Somebody says one word nine times.
    said = model.stt(audio).rstrip(".").split()
    assert said[1:] == [said[-1]] * len(said[1:])
    assert len(said) >= 8
    monkeypatch.setattr(moonshine, "TOKENS_PER_S", 1.0)
    stopped = model.transcribe(audio, words=True)
    assert stopped.text.split() == said[:2]
    assert [word.text for word in stopped.words] == said[:2]
