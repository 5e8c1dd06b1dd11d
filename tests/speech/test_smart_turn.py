"""Smart Turn: Whisper's features against numbers of a reference and against the definition; how the file is come by."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from fastrtc.errors import ConfigurationError, FastRTCError, MissingExtraError
from fastrtc.speech import smart_turn
from fastrtc.speech.download import ModelDownloadError, cache_folder
from fastrtc.speech.smart_turn import FILE_NAME, SmartTurn, download_smart_turn, log_mel

BODY = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Shelf(BaseHTTPRequestHandler):
    """Serves the body, one that ends too soon, or nothing."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unknown-length":
            self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:1000] if self.path == "/short" else BODY)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as http:
        thread = Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def chirp(count: int) -> np.ndarray:
    t = np.arange(count) / 16_000
    return (0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t) * np.exp(-t)).astype(np.float32)


def test_log_mel_agrees_with_a_reference() -> None:
    # What transformers 4's WhisperFeatureExtractor (chunk_length=8, do_normalize=True) gives for the same samples,
    # preceded by zeros to eight seconds.
    found = log_mel(chirp(40_000))
    assert found.shape == (80, 800)
    assert found.dtype == np.float32
    expected = {
        (0, 0): -0.02739,
        (5, 560): 1.86596,
        (8, 600): 0.74709,
        (20, 650): 1.715,
        (40, 700): -0.06447,
        (60, 780): -0.06447,
        (79, 799): -0.06447,
    }
    assert {place: float(found[place]) for place in expected} == pytest.approx(expected, abs=1e-4)
    assert float(found.mean()) == pytest.approx(-0.0159848, abs=1e-4)
    assert float(found.std()) == pytest.approx(0.23352195, abs=1e-4)


def test_log_mel_follows_the_definition() -> None:
    random = np.random.default_rng(3)
    audio = (random.standard_normal(128_000) * np.linspace(0.01, 0.3, 128_000)).astype(np.float32)
    samples = audio.astype(np.float64)
    samples = (samples - samples.mean()) / samples.std()
    frame = 500
    piece = samples[frame * 160 - 200 : frame * 160 + 200]
    n = np.arange(400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 400)
    power = [abs(np.sum(piece * window * np.exp(-2j * np.pi * k * n / 400))) ** 2 for k in range(201)]
    mel = lambda hz: hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)  # noqa: E731
    hertz = lambda m: m * 200 / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27)  # noqa: E731
    edges = [hertz(m) for m in np.linspace(mel(0), mel(8000), 82)]
    found = log_mel(audio)
    for band in range(80):
        low, middle, high = edges[band : band + 3]
        slopes = [max(0, min((40 * k - low) / (middle - low), (high - 40 * k) / (high - middle))) for k in range(201)]
        energy = sum(p * s for p, s in zip(power, slopes, strict=True)) * 2 / (high - low)
        assert found[band, frame] == pytest.approx((np.log10(energy) + 4) / 4, abs=1e-4)


def test_log_mel_hears_the_last_eight_seconds_only() -> None:
    audio = chirp(150_000)
    assert np.array_equal(log_mel(audio), log_mel(audio[-128_000:]))
    assert log_mel(np.zeros(0, np.float32)).shape == (80, 800)


def test_download_checks_names_and_reports(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = download_smart_turn(
        f"{server}/model", sha256=DIGEST, folder=tmp_path / "new", progress=lambda *step: seen.append(step)
    )
    assert path == tmp_path / "new" / FILE_NAME
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert list(path.parent.iterdir()) == [path]


def test_download_is_announced_and_manages_an_unknown_length(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert download_smart_turn(f"{server}/unknown-length", sha256=DIGEST, folder=tmp_path).read_bytes() == BODY
    said = capsys.readouterr().err
    assert re.search(rf"downloading {FILE_NAME}, from 127\.0\.0\.1:\d+ for Smart Turn; it is kept in {tmp_path}", said)
    assert "%" not in said


@pytest.mark.parametrize(("path", "left"), [("/missing", []), ("/short", [f"{FILE_NAME}.part"])])
def test_download_that_fails_says_what_to_do_and_keeps_what_came(
    server: str, path: str, left: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ModelDownloadError, match=r"pass its path, SmartTurn\(path\)"):
        download_smart_turn(server + path, sha256=DIGEST, folder=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == left


def test_download_of_another_file_is_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(ModelDownloadError, match=f"SHA-256 {DIGEST}, not {'0' * 64}"):
        download_smart_turn(f"{server}/model", sha256="0" * 64, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_offline_the_error_names_the_remedy(free_port: int, tmp_path: Path) -> None:
    with pytest.raises(ModelDownloadError, match=r"pipecat-ai.*the built-in detector needs no download") as caught:
        download_smart_turn(f"http://127.0.0.1:{free_port}/model", folder=tmp_path)
    assert isinstance(caught.value, FastRTCError | OSError)


def test_download_into_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelDownloadError, match="cannot download"):
        download_smart_turn("http://127.0.0.1:1/model", folder=tmp_path / "file" / "folder")


def test_the_file_is_found_where_it_was_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert smart_turn.find_smart_turn() is None
    cached = tmp_path / "fastrtc" / FILE_NAME
    cached.parent.mkdir()
    cached.write_bytes(b"")
    assert smart_turn.find_smart_turn() == cached
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "fastrtc"


def test_the_file_is_found_in_an_installed_pipecat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    carried = tmp_path / "audio" / "turn" / "smart_turn" / "data" / FILE_NAME
    carried.parent.mkdir(parents=True)
    carried.write_bytes(b"")
    spec = ModuleSpec("pipecat", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert smart_turn.find_smart_turn() == carried


class Session:
    """Stands for ONNX Runtime's."""

    def __init__(self, *arguments: object, **_: object) -> None:
        self.arguments = arguments
        self.inputs: list[np.ndarray] = []

    def get_inputs(self) -> list[types.SimpleNamespace]:
        return [types.SimpleNamespace(name="input_features")]

    def run(self, _: object, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.inputs.append(inputs["input_features"])
        return [np.array([[0.25]], np.float32)]


def test_the_model_is_given_features_and_its_answer_returned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    session = Session()
    monkeypatch.setattr(smart_turn, "_open", lambda file, threads: session)
    path = tmp_path / FILE_NAME
    path.write_bytes(b"")
    assert SmartTurn(path).probability(chirp(40_000), 200.0) == 0.25
    assert np.array_equal(session.inputs[0][0], log_mel(chirp(40_000)))


def test_without_a_path_the_model_is_looked_for_then_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"")
    opened: list[Path] = []
    monkeypatch.setattr(smart_turn, "_open", lambda file, threads: opened.append(file) or Session())
    monkeypatch.setattr(smart_turn, "find_smart_turn", lambda: None)
    monkeypatch.setattr(smart_turn, "download_smart_turn", lambda: path)
    SmartTurn()
    assert opened == [path]


def test_a_wrong_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.onnx"):
        SmartTurn(tmp_path / "nothing.onnx")


def test_without_onnxruntime_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    path = tmp_path / FILE_NAME
    path.write_bytes(b"")
    with pytest.raises(MissingExtraError, match="SmartTurn"):
        SmartTurn(path)


def test_the_real_model_tells_a_finished_sentence_from_a_cut_one(speech: Path) -> None:
    given = os.environ.get("SMART_TURN_ONNX")
    path = Path(given) if given else smart_turn.find_smart_turn()
    if path is None:
        pytest.skip("the Smart Turn model is not here (set SMART_TURN_ONNX to its path, or install pipecat-ai)")
    soundfile = pytest.importorskip("soundfile")
    model = SmartTurn(path)
    done, cut = [], []
    for file in sorted((speech / "picovoice-speech-to-intent").rglob("*.flac"))[:12]:
        audio, _ = soundfile.read(file, dtype="float32")
        loud = np.flatnonzero(np.convolve(audio**2, np.ones(320) / 320, "same") > (audio**2).max() * 1e-3)
        silence = np.zeros(3200, np.float32)
        done.append(model.probability(np.concatenate([audio[: loud[-1]], silence]), 200.0))
        cut.append(model.probability(np.concatenate([audio[: (loud[0] + loud[-1]) // 2], silence]), 200.0))
    assert np.median(done) > 0.9
    assert np.mean(cut) < np.mean(done) - 0.1
