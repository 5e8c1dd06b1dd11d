"""Where Moonshine's weights come from; the files of the tiny model stand for those of the base model."""

from __future__ import annotations

import hashlib
import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech import moonshine_weights
from fastrtc.speech.download import ModelDownloadError
from fastrtc.speech.moonshine_net import FILES
from fastrtc.speech.recogniser import get_stt_model

CARRIED = moonshine_weights.carried_weights()
needs_wheel = pytest.mark.skipif(CARRIED is None, reason="moonshine-voice is not installed")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        monkeypatch.setattr(moonshine_weights, "HOST", f"http://127.0.0.1:{http.server_port}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield folder
        http.shutdown()
        thread.join()


@needs_wheel
def test_the_wheel_holds_what_is_written_here() -> None:
    assert CARRIED is not None
    for name, (size, check) in zip(FILES, moonshine_weights._CHECKS["tiny"], strict=True):
        data = (CARRIED / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (size, check)


@needs_wheel
def test_the_base_model_is_downloaded_and_runs(
    server: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert CARRIED is not None
    served = server / "base-en" / "quantized" / "base-en"
    shutil.copytree(CARRIED, served)
    monkeypatch.setitem(moonshine_weights._CHECKS, "base", moonshine_weights._CHECKS["tiny"])
    model = get_stt_model("moonshine/base")
    assert model.stt((16_000, moonshine_weights_sound())) is not None
    said = capsys.readouterr().err
    assert "downloading decoder_model_merged.ort, 30 MB, from 127.0.0.1" in said
    assert "for the recogniser moonshine/base" in said
    assert {path.name for path in (tmp_path / "cache" / "fastrtc" / "moonshine-base-en").iterdir()} >= set(FILES)
    shutil.rmtree(served)
    assert moonshine_weights.find_weights("moonshine/base").name == "moonshine-base-en"


def moonshine_weights_sound() -> object:
    import numpy as np

    return np.random.default_rng(0).normal(0, 500, 8000).astype(np.int16)


def test_other_files_are_refused(server: Path) -> None:
    served = server / "base-en" / "quantized" / "base-en"
    served.mkdir(parents=True)
    for name, (size, _) in zip(FILES, moonshine_weights._CHECKS["base"], strict=True):
        (served / name).write_bytes(bytes(size))
    with pytest.raises(ModelDownloadError, match="is not the file that was expected"):
        get_stt_model("moonshine/base")


def test_without_a_network_the_remedy_is_named(server: Path) -> None:
    with pytest.raises(ModelDownloadError, match=r"moonshine/base.*404.*get it where there is a network and put it at"):
        get_stt_model("moonshine/base")


def test_the_tiny_model_is_downloaded_only_where_there_is_no_wheel(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moonshine_weights, "carried_weights", lambda: None)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(MissingExtraError, match=r"fastrtc\[stt\]"):
        moonshine_weights.find_weights("moonshine/tiny")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ModelDownloadError, match="moonshine/tiny"):
        moonshine_weights.find_weights("moonshine/tiny")


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'moonshine/tiny', 'moonshine/base', 'whisper/base.en'"):
        get_stt_model("moonshine/huge")
