"""Kokoro's adapter, with the real package around a network that only counts what it is given."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastrtc import HibariTTSOptions, KokoroTTSOptions
from fastrtc.errors import ConfigurationError
from fastrtc.speech import kokoro
from fastrtc.speech.download import ModelDownloadError, Weights
from fastrtc.speech.kokoro import KokoroTTSModel

pytest.importorskip("kokoro_onnx", reason="Kokoro is not installed (extra kokoro)")

SAMPLES_A_PHONEME = 1200


class Network:
    """Takes what Kokoro's network takes; says one tone a phoneme, with silence around, slower at a lower speed."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def get_inputs(self) -> list[SimpleNamespace]:
        kinds = {"tokens": "tensor(int64)", "style": "tensor(float)", "speed": "tensor(float)"}
        return [SimpleNamespace(name=name, type=kind) for name, kind in kinds.items()]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="audio")]

    def get_modelmeta(self) -> SimpleNamespace:
        return SimpleNamespace(custom_metadata_map={})

    def run(self, _: Any, inputs: dict[str, Any]) -> list[Any]:
        self.asked.append(inputs)
        count = round((inputs["tokens"].size - 2) * SAMPLES_A_PHONEME / float(inputs["speed"][0]))
        tone = 0.3 * np.sin(np.arange(count) * 0.05, dtype=np.float32)
        return [np.pad(tone, 4800)]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Network:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "fastrtc" / "kokoro"
    folder.mkdir(parents=True)
    with (folder / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, af_heart=np.zeros((510, 1, 256), np.float32), bm_lewis=np.ones((510, 1, 256), np.float32))
    (folder / "kokoro-v1.0.onnx").write_bytes(b"weights")
    for name in ("MODEL", "VOICES"):
        given: Weights = getattr(kokoro, name)
        content = given.path.read_bytes()
        here = Weights(given.name, given.url, len(content), hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(kokoro, name, here)
    made = Network()
    monkeypatch.setattr("kokoro_onnx.create_session", lambda path: made)
    return made


def test_it_speaks_sentence_by_sentence(network: Network) -> None:
    model = KokoroTTSModel()
    before = len(network.asked)
    pieces = list(model.stream_tts_sync("Good morning. How are you?", KokoroTTSOptions("bm_lewis", 1.5, "en-gb")))
    assert len(pieces) == 2
    assert len(network.asked) == before + 2
    for asked in network.asked[before:]:
        assert np.all(asked["style"] == 1.0)
        assert float(asked["speed"][0]) == 1.5
    rate_hz, first = pieces[0]
    assert rate_hz == 24_000
    spoken = (network.asked[before]["tokens"].size - 2) * SAMPLES_A_PHONEME / 1.5
    assert abs(first.size - spoken) < 0.15 * rate_hz, "without the silence that the network adds"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (KokoroTTSOptions(voice="af_nobody"), "no voice 'af_nobody'; it has af_heart, bm_lewis"),
        (KokoroTTSOptions(speed=0.1), r"speed must be from 0\.5 to 2"),
        (HibariTTSOptions(), "takes KokoroTTSOptions, got HibariTTSOptions"),
    ],
)
def test_options_that_cannot_work(network: Network, options: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        KokoroTTSModel().tts("Hello.", options)


def test_without_a_network_it_names_both_ways_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: int
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nowhere = Weights("kokoro/kokoro-v1.0.onnx", f"http://127.0.0.1:{free_port}/k.onnx", 325_532_387, "0" * 64)
    monkeypatch.setattr(kokoro, "MODEL", nowhere)
    with pytest.raises(ModelDownloadError, match=r'"hibari"\) needs no download.*326 MB.*put it at .*kokoro-v1'):
        KokoroTTSModel()
